"""Who waits for machine code may be told why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from numba.core.event import Event, Listener, install_listener


class _First(Listener):
    """Hears when the first loop is compiled."""

    def __init__(self, tell: Callable[[bool], None]) -> None:
        self._tell: Callable[[bool], None] | None = tell

    def on_start(self, event: Event) -> None:
        tell, self._tell = self._tell, None
        if tell is not None:
            dispatcher = (event.data or {}).get("dispatcher")
            tell(dispatcher is None or dispatcher.stats.cache_path is not None)

    def on_end(self, event: Event) -> None:
        """Nothing is said of it."""


@contextmanager
def first_use(tell: Callable[[bool], None]) -> Iterator[None]:
    """Tells once where a loop is compiled meanwhile, and whether it is kept; never where all were kept before."""
    with install_listener("numba:compile", _First(tell)):
        yield
