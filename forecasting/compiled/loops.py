"""How a loop becomes machine code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

Loop = TypeVar("Loop", bound=Callable[..., object])


def compiled(loop: Loop) -> Loop:
    """The same, compiled at its first call; kept beside its source for later processes, where that can be written."""
    try:
        return cast(Loop, njit(cache=True, nogil=True, error_model="numpy")(loop))
    except RuntimeError:  # no folder to keep it in, as in a container whose files are read-only
        return cast(Loop, njit(nogil=True, error_model="numpy")(loop))
