"""Gyropilot: an autopilot for shared GPU clusters on Kubernetes."""

from importlib.metadata import version

__version__ = version("gyropilot")
