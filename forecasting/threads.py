"""How many threads the libraries below numpy may start."""

from __future__ import annotations

from contextlib import AbstractContextManager


def one_thread() -> AbstractContextManager[object]:
    """Within it they use one: a line is little work, and threads that wait for one another cost ten times as much."""
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits
