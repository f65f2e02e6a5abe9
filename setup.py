"""What pyproject.toml cannot say: data files belong to editable wheels, too."""

from setuptools import Distribution, setup


class WithData(Distribution):
    """Setuptools asks for `has_data` before it installs them there, and calls it otherwise itself."""

    has_data = Distribution.has_data_files


setup(distclass=WithData)
