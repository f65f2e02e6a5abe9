"""What people know beforehand, as numbers: hours and weekdays where the users are, and the operator's own events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from forecasting.bands import DAY_S
from gyropilot.domain import Floats, Line
from gyropilot.settings import CalendarEvent, CalendarSettings

Times = NDArray[np.int64]

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
KINDS = ("holiday", "deadline", "maintenance", "event")
OFFSET_EVERY_S = 900
"""Clocks are only ever changed at a quarter of an hour."""

FAR_H = 14 * 24.0
"""An event further off than this is not yet told from none."""


@dataclass(frozen=True, eq=False, slots=True)
class Calendar:
    """The calendar of one place."""

    names: ClassVar[tuple[str, ...]] = (
        "hour, sine",
        "hour, cosine",
        "weekday",  # 0: Monday
        "day off",  # weekend or holiday
        *KINDS,  # 1: in it
        *(f"hours to {kind}" for kind in KINDS),  # 0 in it, FAR_H when none comes sooner
    )

    settings: CalendarSettings

    def features(self, times_s: Times, line: Line | None = None) -> Floats:
        """(N, len(names)) at seconds since the epoch, with the events of all queues and those of one line's queue."""
        local_s = times_s + utc_offsets_s(times_s, ZoneInfo(self.settings.timezone))
        angle = 2 * np.pi * (local_s % DAY_S) / DAY_S
        weekday = (local_s // int(DAY_S) + 3) % 7  # the epoch began on a Thursday
        off = np.isin(weekday, [WEEKDAYS.index(day) for day in self.settings.weekend])
        events = [e for e in self.settings.events if not e.queues or (line is not None and line.queue in e.queues)]
        hours_to = [_hours_to([e for e in events if e.kind == kind], times_s) for kind in KINDS]
        within = [hours == 0 for hours in hours_to]
        columns = [np.sin(angle), np.cos(angle), weekday, off | within[0], *within, *hours_to]
        return np.column_stack(columns).astype(np.float64)


def utc_offsets_s(times_s: Times, zone: ZoneInfo) -> Times:
    """(N,) seconds that clocks in `zone` are ahead of UTC, daylight saving followed."""
    quarters, place = np.unique(times_s // OFFSET_EVERY_S, return_inverse=True)
    offsets = [_offset_s(int(quarter) * OFFSET_EVERY_S, zone) for quarter in quarters]
    return np.array(offsets, dtype=np.int64)[place]


def _offset_s(time_s: int, zone: ZoneInfo) -> int:
    offset = datetime.fromtimestamp(time_s, zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def _hours_to(events: Sequence[CalendarEvent], times_s: Times) -> Floats:
    """(N,) hours until the next of `events`; 0 within one."""
    nearest = np.full(len(times_s), FAR_H)
    for event in events:
        begins, ends = (moment.timestamp() for moment in event.times())
        ahead = np.where(times_s < ends, np.maximum(begins - times_s, 0.0) / 3_600, FAR_H)
        nearest = np.minimum(nearest, ahead)
    return nearest
