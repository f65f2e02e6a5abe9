"""Holds everything back in times that the operator named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo

from gyropilot.crontab import firings
from gyropilot.domain import Action, Dial
from gyropilot.guardrails.protocol import Situation
from gyropilot.settings import FreezeWindow

# Clocks are put forward or back by at most this much (Troll station, Antarctica).
_LARGEST_CLOCK_CHANGE = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Freeze:
    """Nothing is turned in a freeze window. Where the clocks change, it freezes on either reading of its beginning."""

    windows: tuple[FreezeWindow, ...]

    name: ClassVar[str] = "freeze-windows"
    dials: ClassVar[tuple[Dial, ...]] = ()

    def objection(self, action: Action, situation: Situation) -> str | None:
        for window in self.windows:
            until = frozen_until(window, situation.now)
            if until is not None and (not window.dials or action.dial in window.dials):
                return f"frozen by {window.name} until {until:%Y-%m-%d %H:%M} {window.timezone}"
        return None


def frozen_until(window: FreezeWindow, now: datetime) -> datetime | None:
    """The end, in the window's time zone, of what freezes at `now`; None: it does not."""
    zone = ZoneInfo(window.timezone)
    ends = [end for begin, end in _spans(window, now, zone) if begin <= now < end]
    return max(ends).astimezone(zone) if ends else None


def _spans(window: FreezeWindow, now: datetime, zone: ZoneInfo) -> Iterator[tuple[datetime, datetime]]:
    """Every span of the window that may hold `now`, in UTC."""
    if window.begins is not None and window.ends is not None:
        yield min(_readings(window.begins, zone)), max(_readings(window.ends, zone))
    if window.start is not None and window.duration is not None:
        wall = now.astimezone(zone).replace(tzinfo=None)
        since, until = wall - window.duration - _LARGEST_CLOCK_CHANGE, wall + _LARGEST_CLOCK_CHANGE
        for firing in firings(window.start, since, until):
            yield from ((begin, begin + window.duration) for begin in _readings(firing, zone))


def _readings(moment: datetime, zone: ZoneInfo) -> tuple[datetime, ...]:
    """The moments, in UTC, that a wall clock's time may mean: two where the clocks change, else twice the same."""
    if moment.tzinfo is not None:
        return (moment.astimezone(UTC),)
    # PEP 495: in an hour that is repeated, fold tells first from second; in one that is skipped, after from before.
    return tuple(moment.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
