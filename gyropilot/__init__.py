"""Gyropilot: an autopilot for shared GPU clusters on Kubernetes."""


def __getattr__(name: str) -> str:
    """`__version__`, looked up where it is asked for: that takes long, and each start of Python imports this."""
    if name == "__version__":
        from importlib.metadata import version

        return version("gyropilot")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
