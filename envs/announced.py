"""Gymnasium knows the simulated cluster by its name as soon as both are imported, in whichever order.

Gymnasium finds no environments by itself, and importing it takes a fifth of a second, which nobody should wait for who
only asks for `--help`. So the name is told to it at once where it is there already, and otherwise when it comes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

ID = "gyropilot/Cluster-v0"


def announce() -> None:
    """To Gymnasium, once."""
    if "gymnasium" in sys.modules:
        _register()
    elif not any(isinstance(finder, _Awaiting) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Awaiting())


def _register() -> None:
    import gymnasium

    if ID not in gymnasium.registry:
        gymnasium.register(ID, entry_point="envs.faces:Cluster", vector_entry_point="envs.faces:Clusters")


class _Awaiting(MetaPathFinder):
    """Finds nothing itself: it lets others find Gymnasium, and registers when that has been loaded."""

    def __init__(self) -> None:
        self.asking = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "gymnasium" or self.asking:
            return None
        self.asking = True
        try:
            spec = find_spec(fullname)
        finally:
            self.asking = False
        if spec is not None and spec.loader is not None:
            # This loader loads nothing else. Whoever only asks where Gymnasium is gets one that is never used.
            vars(spec.loader)["exec_module"] = partial(self._load, spec.loader.exec_module)
        return spec

    def _load(self, load: Callable[[ModuleType], None], module: ModuleType) -> None:
        load(module)
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        _register()
