"""Time as an argument: the daemon gets a clock, tests get one that they turn by hand."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Where the time comes from, and how to wait."""

    def now(self) -> datetime:
        """The present moment, in UTC, timezone-aware."""
        ...

    def wait(self, delay: timedelta) -> bool:
        """Wait for `delay`; True when woken early because the program is to stop."""
        ...


class SystemClock:
    """The machine's clock; `stop()` ends every wait at once."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def wait(self, delay: timedelta) -> bool:
        return self._stopped.wait(delay.total_seconds())

    def stop(self) -> None:
        self._stopped.set()
