"""How the inner loops become machine code: as part of who calls them, and without counting references."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit
from numba.extending import register_jitable

Loop = TypeVar("Loop", bound=Callable[..., object])


def lean(loop: Loop) -> Loop:
    """For loops that only `compiled` ones call and those that they call, that make no arrays and give none back.

    A cluster is some seventy arrays, handed from loop to loop; to count each of them at each call took two thirds of a
    step. Whoever calls from Python keeps the arrays alive, so nothing within has to. A compiled loop that counts must
    not get arrays from a lean one: it would give back what was never taken. Called from Python it is plain Python.
    """
    return register_jitable(**_OPTIONS)(loop)


def _options() -> dict[str, Any]:
    counting: dict[str, Any] = {"error_model": "numpy", "no_cfunc_wrapper": True}
    uncounted = {**counting, "_nrt": False}
    try:
        njit(**uncounted)(_nothing)
    except KeyError:  # Numba calls this option its own, and may drop it: then slower, and the same
        return counting
    return uncounted


def _nothing() -> None:
    """Does nothing."""


_OPTIONS = _options()
