"""A history's last weeks in slots of ten minutes, from which the mean of any stretch on any past day is a look-up."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from math import ceil
from typing import NamedTuple, Self
from weakref import ReferenceType, ref

import numpy as np
from numpy.typing import NDArray

from forecasting.demand.calendar import UTC_PLACE, Place
from forecasting.demand.seen import DAY_S, scale_gpus, seen_s
from forecasting.demand.signals import Rows
from forecasting.demand.steps import resampled
from forecasting.once import for_reading, once
from forecasting.protocol import State
from forecasting.store import floats, lines_from_state, lines_to_state, nested, number
from forecasting.windows import Sums
from gyropilot.domain import DemandHistory, Floats, Line

SLOT = timedelta(minutes=10)
REACH = timedelta(days=35)
"""Older days say little about tomorrow."""

WEEKEND_DAYS = 2
WEEKEND_STANDS_OUT = 2.5
"""Spreads of daily means by which weekends must differ: by chance the most different pair of seven does so by one."""

LEAST_WEEKS = 2
WHOLE_DAY = 0.9
"""Share of a day that must have been seen for its mean to say what kind of day it was."""

HAIR = 1e-6
"""Of a slot: two edges that are nearer are one."""


@dataclass(frozen=True, eq=False)
class Slots:
    """Means of some lines, the last of which ends at `end_s`; NaN: not seen."""

    lines: tuple[Line, ...]
    slot_s: float
    end_s: float  # seconds since the epoch
    means: Floats  # (L, N) GPUs
    seen_s: Floats  # (L,) seconds of history that were seen
    scale: Floats  # (L,) largest demand seen, at least a node's
    place: Place = UTC_PLACE  # where its days begin
    told: list[Told] = field(default_factory=list)  # the newest; it changes what is worked out when, and no answer

    @classmethod
    def of(cls, history: DemandHistory, place: Place = UTC_PLACE) -> Slots:
        """Of the last weeks of `history`, in multiples of its step; the same for all who ask."""
        known = _slots(history)
        if place not in known:
            known[place] = cls.measured(history, place)
        return known[place]

    @classmethod
    def measured(cls, history: DemandHistory, place: Place = UTC_PLACE) -> Self:
        """Worked out."""
        slot = max(1, ceil(SLOT / history.step)) * history.step
        first = -ceil(REACH / history.step)
        late = DemandHistory(
            history.lines, history.times[first:], history.running[:, first:], history.pending[:, first:]
        )
        end_s = float(history.times[-1]) if len(history.times) else 0.0
        means = resampled(late, slot)
        return cls(history.lines, slot.total_seconds(), end_s, means, seen_s(history), scale_gpus(history), place)

    @classmethod
    def restored(cls, state: State) -> Self:
        """From what `state` gave."""
        lines = lines_from_state(nested(state, "lines"))
        means = floats(state, "means", (len(lines), int(number(state, "slots"))))
        seen, scale = (floats(state, name, (len(lines),)) for name in ("seen_s", "scale"))
        return cls(lines, number(state, "slot_s"), number(state, "end_s"), means, seen, scale, Place.restored(state))

    def state(self) -> State:
        """Everything that cannot be summed again."""
        told = {name: getattr(self, name) for name in ("means", "seen_s", "scale", "slot_s", "end_s")}
        return {"lines": lines_to_state(self.lines), "slots": self.count, "place": self.place.state(), **told}

    @property
    def per_day(self) -> float:
        return DAY_S / self.slot_s

    @property
    def count(self) -> int:
        return int(self.means.shape[1])

    @cached_property
    def sums(self) -> Sums:
        """Running sums over slots."""
        return Sums.of_demand(self.means, timedelta(seconds=self.slot_s))

    @cached_property
    def bursty(self) -> Floats:
        """(L,) 1 where demand varies by more than its mean, else 0."""
        seen = np.isfinite(self.means)
        count = np.maximum(seen.sum(axis=1), 1)
        mean = np.sum(self.means, axis=1, where=seen) / count
        square = np.sum(self.means**2, axis=1, where=seen) / count
        bursty: Floats = (square > 2 * mean**2).astype(np.float64)
        return for_reading(bursty)

    @cached_property
    def weekends(self) -> Rows:
        """(L,) which of seven days since the epoch begins a line's weekend; -1: no two days stand out.

        Found in demand itself: traces have no calendar, and users no common one.
        """
        day, means = self._daily()
        if len(day) < 7 * LEAST_WEEKS:
            return for_reading(np.full(len(self.lines), -1))
        apart = np.stack([_apart(means, (day - first) % 7 < WEEKEND_DAYS) for first in range(7)], axis=1)
        return for_reading(np.where(apart.max(axis=1) > WEEKEND_STANDS_OUT, apart.argmax(axis=1), -1))

    def _daily(self) -> tuple[Rows, Floats]:
        """(D,) whole local days since the epoch, and (L, D) means of each; NaN: not seen."""
        middle_s = self.end_s - self.slot_s * (np.arange(self.count, 0, -1) - 0.5)
        day, first = np.unique(np.floor(self.place.local_s(middle_s) / DAY_S).astype(np.int64), return_index=True)
        edges = np.append(first, self.count)
        total, seen = (np.diff(running[:, edges]) for running in (self.sums.total, self.sums.seen))
        known = seen >= WHOLE_DAY * self.per_day
        means = np.divide(total, seen, out=np.full_like(total, np.nan), where=known)
        whole = known.any(axis=0)
        return day[whole], means[:, whole]

    def column(self, history: DemandHistory) -> float:
        """Slots from the first edge to the newest reading of `history`; may be a fraction."""
        now_s = float(history.times[-1]) if len(history.times) else self.end_s
        return self.count + (now_s - self.end_s) / self.slot_s

    def past(self, history: DemandHistory, known: Rows, rows: Rows) -> Past:
        """What was seen until now of lines that are `known` (R,) here and `rows` (R,) in `history`; kept for others."""
        asked = known.tobytes(), rows.tobytes()
        newest = next(iter(self.told), None)  # read once: a fit may run beside a cycle
        if newest is None or newest.history() is not history or newest.asked != asked:
            newest = Told(ref(history), asked, self._past(history, known, rows))
            self.told[:] = [newest]
        return newest.past

    def _past(self, history: DemandHistory, known: Rows, rows: Rows) -> Past:
        edges_s = self.end_s + self.slot_s * np.arange(max(0, int(self.column(history) + HAIR) - self.count) + 1)
        edges = np.searchsorted(history.times, edges_s, side="right")
        since = slice(edges[0], edges[-1])
        late = Sums.of_demand(history.demand[rows, since], history.step)
        per_slot = self.slot_s / history.step.total_seconds()
        totals, counts = (np.take(part, edges - edges[0], axis=1) / per_slot for part in (late.total, late.seen))
        return Past.of(self, known, totals, counts)


class Told(NamedTuple):
    """What was seen by the time of a history."""

    history: ReferenceType[DemandHistory]
    asked: tuple[bytes, bytes]  # which lines
    past: Past


@once
def _slots(history: DemandHistory) -> dict[Place, Slots]:
    """Those that were asked for."""
    return {}


@dataclass(frozen=True, eq=False)
class Past:
    """Running sums of some lines over slots until the last fit, and over those that passed since."""

    total: Floats  # (R, N + 1)
    seen: Floats
    late_total: Floats  # (R, M + 1)
    late_seen: Floats
    sampled: dict[tuple[object, ...], Floats] = field(default_factory=dict)  # what is asked for twice at a tick

    @classmethod
    def of(cls, slots: Slots, rows: Rows, late_total: Floats, late_seen: Floats) -> Self:
        """Of some lines, with sums since."""
        some = _as_slice(rows)
        return cls(slots.sums.total[some], slots.sums.seen[some], late_total, late_seen)

    @classmethod
    def until_fit(cls, slots: Slots, rows: Rows) -> Self:
        """Of some lines, without anything since."""
        none = np.zeros((len(rows), 1))
        return cls.of(slots, rows, none, none)

    def means(self, begins: Floats, ends: Floats, now: float) -> Floats:
        """(R, ...) means between edges of one shape; NaN where half of it was not seen or it ends after `now`."""
        from forecasting.compiled.slots import Running, means

        total, seen = Running(self.total, self.late_total), Running(self.seen, self.late_seen)
        found = means(total, seen, self._gapless, begins.ravel(), ends.ravel(), now)
        return found.reshape(len(self.total), *begins.shape)

    @cached_property
    def _gapless(self) -> bool:
        slots = self.total.shape[1] + self.late_total.shape[1] - 2
        return bool((self.seen[:, -1] + self.late_seen[:, -1] >= slots - HAIR).all())


def _apart(means: Floats, weekend: NDArray[np.bool_]) -> Floats:
    """(L,) by how many spreads the means of two kinds of days (D,) differ; 0 where too few were seen."""
    seen = np.isfinite(means)
    count, mean, square = np.zeros((3, len(means), 2))
    for kind, days in enumerate((~weekend, weekend)):
        told = seen & days
        count[:, kind] = told.sum(axis=1)
        mean[:, kind] = np.sum(means, axis=1, where=told) / np.maximum(count[:, kind], 1)
        square[:, kind] = np.sum((means - mean[:, [kind]]) ** 2, axis=1, where=told)
    spread = np.sqrt(square.sum(axis=1) / np.maximum(count.sum(axis=1), 1))
    enough = (count.min(axis=1) >= WEEKEND_DAYS * LEAST_WEEKS - 1) & (count.sum(axis=1) >= 7 * LEAST_WEEKS)
    differ = np.abs(mean[:, 0] - mean[:, 1])
    apart: Floats = np.where(enough, differ / np.maximum(spread, 1e-3 * np.maximum(mean.max(axis=1), 1e-9)), 0.0)
    return apart


def _as_slice(rows: Rows) -> Rows | slice:
    """The same rows, so that picking them copies nothing where they follow each other."""
    if len(rows) and rows[-1] - rows[0] + 1 == len(rows) and (np.diff(rows) == 1).all():
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows
