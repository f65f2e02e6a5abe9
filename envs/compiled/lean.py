"""How a loop becomes machine code that counts no references."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

from forecasting.compiled.loops import compiled

Loop = TypeVar("Loop", bound=Callable[..., object])


def lean(loop: Loop) -> Loop:
    """As `compiled`, for loops that make no arrays and give none back to Python.

    A cluster is some sixty arrays, handed from loop to loop; to count each of them at each call took two thirds of a
    step. Whoever calls from Python keeps the arrays alive, so nothing within has to. A compiled loop that counts must
    not get arrays from a lean one: it would give back what was never taken.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}
    try:
        return cast(Loop, njit(cache=True, **options)(loop))
    except RuntimeError:  # no folder to keep it in, as in a container whose files are read-only
        return cast(Loop, njit(**options)(loop))
    except KeyError:  # Numba calls the last option its own, and may drop it: then slower, and the same
        return compiled(loop)
