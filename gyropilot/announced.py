"""Gymnasium knows the simulated cluster by its name wherever this project is installed.

Gymnasium looks for no environments by itself, and importing it takes a fifth of a second, which nobody should wait for
who does not ask for it. So `gyropilot.pth` announces the name whenever Python starts: it is told at once where
Gymnasium is there already, and otherwise when it comes. Each start waits for this module: it imports next to nothing.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

ID = "gyropilot/Cluster-v0"


def announce() -> None:
    """To Gymnasium, once."""
    if "gymnasium" in sys.modules:
        _register()
    elif _AWAITING not in sys.meta_path:
        sys.meta_path.insert(0, _AWAITING)


def _register() -> None:
    import gymnasium

    if ID not in gymnasium.registry:
        gymnasium.register(ID, entry_point="envs.faces:Cluster", vector_entry_point="envs.faces:Clusters")


class _Awaiting:
    """Finds Gymnasium as Python would, with a loader that tells it the name; nothing else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "gymnasium":
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Telling(fullname, spec.loader.path)
        return spec


class _Telling(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        if _AWAITING in sys.meta_path:
            sys.meta_path.remove(_AWAITING)
        _register()


_AWAITING = _Awaiting()
