"""What demand usually is at that time of day: levels of past days, not changes since the newest reading."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from math import ceil
from typing import NamedTuple, Self

import numpy as np

from forecasting.bands import doubted, row_quantiles, widths
from forecasting.demand.calendar import UTC_PLACE, Place
from forecasting.demand.seen import DAY_S, some_lines
from forecasting.demand.signals import Rows
from forecasting.demand.slots import WEEKEND_DAYS, Past, Slots
from forecasting.forecasters.naive import Naive
from forecasting.forecasters.room import Room
from forecasting.grid import BLOCK_LINES, distinct, middle_s, middles_s
from forecasting.once import kept
from forecasting.protocol import State
from forecasting.store import nested
from gyropilot.domain import DemandHistory, Floats, Window

DAY = timedelta(days=1)
Picked = list[int] | slice

DAYS = 28
HALF_LIFE_DAYS = 7.0
SAME_WEEKDAY = 2.0
OTHER_KIND = 0.1
"""Times as much counts the same weekday, and a working day for a weekend, where a line has weekends."""

NEIGHBOURS_H = {-1: 0.5, 0: 1.0, 1: 0.5}
"""Hours by which a past day may run early or late, and how much that counts."""

SAMPLES = 60
"""Past stretches of which quantiles are taken; weights are how often one is among them, because sorting is cheap."""


@dataclass(frozen=True, eq=False)
class Profile:
    """Quantiles of mean demand over the same stretch of past days; recent days count more.

    A window that reaches days ahead is answered as if it lay in the next one. Where no day was seen it is `Naive`.
    """

    slots: Slots | None = None
    place: Place = UTC_PLACE

    name = "profile"

    def settled(self, place: Place) -> Self:
        """The same, by the clocks of `place`."""
        return replace(self, place=place)

    def fit(self, history: DemandHistory) -> Self:
        """Sums up past days; what is newer is added at each prediction."""
        return replace(self, slots=Slots.of(history, self.place))

    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        """(L, W, Q) GPUs."""
        table = np.full((len(history.lines), len(windows), len(quantiles)), np.nan)
        if not table.size:
            return table
        room = Room.of(history, self.slots)
        for rows, slots, known in self._remembered(history, room):
            for part in _alike(room, rows, slots, known):
                table[rows[part]] = self._usual(history, room, (rows[part], slots, known[part]), windows, quantiles)
        table = _doubted(table, room, windows, quantiles)
        young = np.flatnonzero(np.isnan(table).any(axis=(1, 2)))
        if len(young):
            naive = Naive().predict(some_lines(history, young), windows, quantiles)
            table[young] = np.where(np.isnan(table[young]), naive, table[young])
        return room.doubt.bounded(table)

    def state(self) -> State:
        """Past days."""
        return {"slots": None if self.slots is None else self.slots.state(), "place": self.place.state()}

    @classmethod
    def restored(cls, state: State) -> Self:
        """From what `state` gave."""
        slots = None if state["slots"] is None else Slots.restored(nested(state, "slots"))
        return cls(slots, Place.restored(state))

    def _remembered(self, history: DemandHistory, room: Room) -> Iterator[tuple[Rows, Slots, Rows]]:
        """Rows of `history`, what is remembered of them, and where; lines that `fit` did not know are summed up now."""
        new, old = np.flatnonzero(room.known < 0), np.flatnonzero(room.known >= 0)
        if len(new):
            yield new, Slots.of(some_lines(history, new), self.place), np.arange(len(new))
        if self.slots is not None and len(old):
            yield old, self.slots, room.known[old]

    def _usual(
        self,
        history: DemandHistory,
        room: Room,
        lines: tuple[Rows, Slots, Rows],
        windows: Sequence[Window],
        quantiles: Sequence[float],
    ) -> Floats:
        """(R, W, Q) GPUs of lines that are alike; NaN where no day was seen."""
        rows, slots, known = lines
        age = min(float(room.age_s[rows[0]]) / slots.slot_s, slots.per_day)
        past, now = slots.past(history, known, rows), slots.column(history)
        days = Days(past, slots, known, room.now[rows], now, age, int(slots.weekends[known[0]]))
        table = np.empty((len(rows), len(windows), len(quantiles)))
        for day, asked, picked in days.by_day(windows):
            sample = self._sample(days, asked, day.ahead, days.origins(day))
            table[:, picked] = sample_quantiles(sample, quantiles)
        return table

    def _sample(self, days: Days, windows: Sequence[Window], ahead: int, origins: Floats) -> Floats:
        """(R, W, S) GPUs whose quantiles are the answer."""
        return days.samples(windows, ahead, origins)


class Day(NamedTuple):
    """Which day windows lie on, as seen from now."""

    ahead: int = 0  # whole days by which they reach beyond the next
    later: int = 0  # midnights until their middle
    turned_s: int = 0  # by which clocks are put forward until then


NEXT = Day()


@dataclass(frozen=True, eq=False, slots=True)
class Days:
    """Past days of lines that are equally old and have the same weekends, as seen from the same time of day."""

    past: Past
    slots: Slots
    known: Rows  # (R,) which lines of the slots
    newest: Floats  # (R,) readings in GPUs
    now: float  # column
    age: float  # slots since the newest reading
    weekend: int  # the day of seven on which it begins; -1: none

    def by_day(self, windows: Sequence[Window]) -> Iterator[tuple[Day, Sequence[Window], Picked]]:
        """Each day, the windows that lie on it, and which these are. Midnights matter to lines with weekends only."""
        turned_s = self.slots.place.turned_s(self._second, [middle_s(window) for window in windows])
        ahead = [max(0, ceil(window.end.total_seconds() / DAY_S - 1e-9) - 1) for window in windows]
        if self.weekend < 0 and max(window.end for window in windows) <= DAY and not any(turned_s):
            yield NEXT, windows, slice(None)
            return
        since_midnight = self._local_s % DAY_S if self.weekend >= 0 else -np.inf
        later = [
            int(max(0.0, (since_midnight + middle_s(window) + turned) // DAY_S))
            for window, turned in zip(windows, turned_s, strict=True)
        ]
        lie_on = [Day(*each) for each in zip(ahead, later, turned_s, strict=True)]
        for day in sorted(set(lie_on)):
            picked = [i for i, other in enumerate(lie_on) if other == day]
            yield day, [windows[i] for i in picked], picked

    def origins(self, day: Day) -> Floats:
        """(S,) columns at the time of day that it is now, give or take, as often as their day counts for `day`."""
        days = max(1, min(DAYS, int(self.now / self.slots.per_day)))
        target = int(self._local_s // DAY_S) + day.later if self.weekend >= 0 else 0
        turned = self._turned(days, day.turned_s)
        return self.now - _slots_back(days, self.slots.per_day, self.weekend, target, day.ahead, turned)

    def _turned(self, days: int, later_s: int) -> tuple[float, ...]:
        """Slots by which clocks were put forward since each past day, and `later_s` from now; none: not at all."""
        past_s = self.slots.place.turned_s(self._second, [-ago * DAY_S for ago in range(1, days + 1)])
        turned = tuple((later_s - then_s) / self.slots.slot_s for then_s in past_s)
        return turned if any(turned) else ()

    @property
    def _local_s(self) -> float:
        """Since the epoch, by the clocks of the place."""
        return self._second + self.slots.place.ahead_s(self._second)

    @property
    def _second(self) -> float:
        """Since the epoch."""
        return self.slots.end_s + (self.now - self.slots.count) * self.slots.slot_s

    def samples(self, windows: Sequence[Window], ahead: int, origins: Floats) -> Floats:
        """(R, W, S) mean demand in the windows after past origins; nobody may write to it."""
        asked = tuple(windows), ahead, self.now, origins.tobytes()
        if asked not in self.past.sampled:
            self.past.sampled[asked] = self.measured(windows, ahead, origins)
        return self.past.sampled[asked]

    def measured(self, windows: Sequence[Window], ahead: int, origins: Floats) -> Floats:
        """The same, not kept for whoever asks again."""
        begins, ends = _edges(tuple(windows), self.slots.slot_s, ahead * self.slots.per_day)
        return self.past.means(begins + origins, ends + origins, self.now)


@kept
def _edges(windows: Sequence[Window], slot_s: float, back: float) -> tuple[Floats, Floats]:
    """(W, 1) slots, so many less, after which each window begins and ends; an instant is the slot that ends there."""
    begins, ends = (
        np.array(edges_s)[:, None] / slot_s - back
        for edges_s in zip(*((w.start.total_seconds(), w.end.total_seconds()) for w in windows), strict=True)
    )
    return np.where(ends <= begins, ends - 1, begins), ends


@kept
def _slots_back(days: int, per_day: float, weekend: int, target: int, ahead: int, turned: Sequence[float]) -> Floats:
    """(S,) slots ago of moments on the last `days`, as often as their day counts for the day `target`.

    `turned` (D,) slots by which clocks were put forward since each of them, () where they never were.
    """
    ago = np.arange(1, days + 1)
    weight = 0.5 ** (ago / HALF_LIFE_DAYS) * _likeness(weekend, target, target - ahead - ago)
    weights = (weight[:, None] * np.array(list(NEIGHBOURS_H.values()))).ravel()
    shifts = np.round(np.array(list(NEIGHBOURS_H)) * per_day / 24)
    back = (np.round(ago * per_day - (np.array(turned) if turned else 0.0))[:, None] + shifts).ravel()
    upto = np.cumsum(weights) / weights.sum()
    drawn: Floats = back[np.searchsorted(upto, (np.arange(SAMPLES) + 0.5) / SAMPLES)]
    return drawn


def _likeness(weekend: int, target: int, days: Rows) -> Floats:
    """(K,) how much each of `days` (K,) counts for the day `target`, both since the epoch."""
    if weekend < 0:
        return np.ones(len(days))
    kind, kinds = ((day - weekend) % 7 < WEEKEND_DAYS for day in (target, days))
    likeness: Floats = np.where(kinds == kind, 1.0, OTHER_KIND)
    return likeness * np.where((days - target) % 7 == 0, SAME_WEEKDAY, 1.0)


def sample_quantiles(sample: Floats, quantiles: Sequence[float]) -> Floats:
    """(R, W, Q) of samples (R, W, S); NaN where there is none."""
    flat = row_quantiles(sample.reshape(-1, sample.shape[-1]), np.asarray(quantiles))
    return flat.reshape(*sample.shape[:2], len(quantiles))


def _alike(room: Room, rows: Rows, slots: Slots, known: Rows) -> Iterator[Rows]:
    """Which of `rows` are equally old, to a slot and to a day, and have the same weekends, a block at a time."""
    age = np.minimum(np.round(room.age_s[rows] / slots.slot_s), ceil(slots.per_day))
    kinds: Floats = 10 * age + slots.weekends[known]
    for kind in distinct(kinds):
        alike = np.flatnonzero(kinds == kind)
        yield from np.split(alike, np.arange(BLOCK_LINES, len(alike), BLOCK_LINES))


def _doubted(table: Floats, room: Room, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
    """With room for what never happened, which is the less the more days were seen."""
    width = widths(room.doubt.scale, room.age_s[:, None] + middles_s(windows))
    return doubted(table, (1 + room.doubt.seen_s / DAY_S) ** -1.5, room.now, width, quantiles)
