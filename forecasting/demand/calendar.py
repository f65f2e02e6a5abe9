"""Where the users are: the one place in which clocks and days off are worked out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol, Self, TypeVar
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from forecasting.demand.seen import DAY_S
from forecasting.store import plain
from gyropilot.settings import CalendarSettings

Times = NDArray[Any]
"""Of whole seconds or of fractions."""

Model = TypeVar("Model")

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
OFFSET_EVERY_S = 900
"""Clocks are only ever changed at a quarter of an hour."""


@dataclass(frozen=True, slots=True)
class Place:
    """The clocks and the days off of those who use the cluster."""

    timezone: str = "UTC"
    weekend: tuple[str, ...] = ("sat", "sun")

    @classmethod
    def of(cls, settings: CalendarSettings) -> Self:
        """That of the operator's calendar; the order of its days off says nothing."""
        return cls(settings.timezone, tuple(day for day in WEEKDAYS if day in settings.weekend))

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Self:
        """From a state whose `place` is what `state` gave. Raises ForecastError."""
        told = plain(cls, state, "place")
        return cls(told.timezone, tuple(told.weekend))

    def state(self) -> dict[str, Any]:
        """As plain data."""
        return {**asdict(self), "weekend": list(self.weekend)}

    def local_s(self, times_s: Times) -> Times:
        """Seconds since the epoch as clocks there count them, daylight saving followed; any shape."""
        if self.timezone == "UTC":
            return times_s
        quarters, at = np.unique(times_s // OFFSET_EVERY_S, return_inverse=True)
        ahead = np.array([_ahead_s(int(quarter), self.timezone) for quarter in quarters], dtype=times_s.dtype)
        local_s: Times = times_s + ahead[at].reshape(times_s.shape)
        return local_s

    def ahead_s(self, time_s: float) -> int:
        """Seconds that clocks there are ahead of UTC."""
        return 0 if self.timezone == "UTC" else _ahead_s(int(time_s // OFFSET_EVERY_S), self.timezone)

    def turned_s(self, since_s: float, leads_s: Sequence[float]) -> list[int]:
        """Seconds by which clocks are put forward between a moment and each lead after it."""
        if self.timezone == "UTC":
            return [0] * len(leads_s)
        now = self.ahead_s(since_s)
        return [self.ahead_s(since_s + lead_s) - now for lead_s in leads_s]

    def days_off(self, local_s: Times) -> NDArray[np.bool_]:
        """Which local times lie in a weekend."""
        weekday = (local_s // DAY_S + 3) % 7  # the epoch began on a Thursday; 0 is Monday
        off: NDArray[np.bool_] = np.isin(weekday, [WEEKDAYS.index(day) for day in self.weekend])
        return off

    def __str__(self) -> str:
        return f"{self.timezone} with {', '.join(self.weekend) or 'no day'} off"


UTC_PLACE = Place()
"""Where nobody said where the users are, and of traces, which have no calendar."""


class Settled(Protocol):
    """A forecaster that goes by the clocks of a place."""

    @property
    def place(self) -> Place: ...

    def settled(self, place: Place) -> Any:
        """The same, by the clocks of `place`."""
        ...


def settled(model: Model, place: Place) -> Model:
    """The model, by the clocks of `place` where it looks at any."""
    moved: Model = model.settled(place) if hasattr(model, "settled") else model
    return moved


def place_of(model: object) -> Place | None:
    """By whose clocks it goes; None: it looks at none."""
    return getattr(model, "place", None)


@lru_cache(maxsize=65_536)
def _ahead_s(quarter: int, timezone: str) -> int:
    offset = datetime.fromtimestamp(quarter * OFFSET_EVERY_S, ZoneInfo(timezone)).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0
