"""What demand usually is at that time of day: levels of past days, not changes since the newest reading."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil
from statistics import NormalDist
from typing import ClassVar, Self

import numpy as np

from forecasting.bands import DAY_S, PRIOR_DAILY_SHARE, row_quantiles, some_lines
from forecasting.grid import BLOCK_LINES, middle_s
from forecasting.naive import Naive
from forecasting.protocol import State
from forecasting.room import Room
from forecasting.signals import Rows
from forecasting.slots import WEEKEND_DAYS, Past, Slots
from forecasting.store import nested
from gyropilot.domain import DemandHistory, Floats, Window

DAYS = 28
HALF_LIFE_DAYS = 7.0
SAME_WEEKDAY = 2.0
OTHER_KIND = 0.1
"""Times as much counts the same weekday, and a working day for a weekend, where a line has weekends."""

NEIGHBOURS_H = {-1: 0.5, 0: 1.0, 1: 0.5}
"""Hours by which a past day may run early or late, and how much that counts."""

SAMPLES = 60
"""Past stretches of which quantiles are taken; weights are how often one is among them, because sorting is cheap."""

LASTS_S = 3 * 3_600.0
"""What is unusual loses two thirds meanwhile."""


@dataclass(frozen=True, slots=True)
class Pull:
    """How far demand follows what is unusual now: shares of the newest reading's and of the last day's anomaly."""

    newest: float = 0.0
    day: float = 0.0

    def shares(self, leads_s: Floats) -> Floats:
        """(W, 2) at `leads_s` (W,): the last day takes over what the newest reading loses, and fades in days."""
        lasts = np.exp(-leads_s / LASTS_S)
        fades = 0.5 ** (np.maximum(leads_s - DAY_S, 0.0) / DAY_S)
        return np.column_stack([self.newest * lasts, self.day * (1 - lasts) * fades])


@dataclass(frozen=True, eq=False)
class Profile:
    """Quantiles of mean demand over the same stretch of past days; recent days count more.

    A window that reaches days ahead is answered as if it lay in the next one. Where no day was seen it is `Naive`.
    """

    slots: Slots | None = None

    name = "profile"
    pull: ClassVar[Pull] = Pull()

    def fit(self, history: DemandHistory) -> Self:
        """Sums up past days; what is newer is added at each prediction."""
        return replace(self, slots=Slots.of(history))

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
        return {"slots": None if self.slots is None else self.slots.state()}

    @classmethod
    def restored(cls, state: State) -> Self:
        """From what `state` gave."""
        return cls(None if state["slots"] is None else Slots.restored(nested(state, "slots")))

    def _remembered(self, history: DemandHistory, room: Room) -> Iterator[tuple[Rows, Slots, Rows]]:
        """Rows of `history`, what is remembered of them, and where; lines that `fit` did not know are summed up now."""
        new, old = np.flatnonzero(room.known < 0), np.flatnonzero(room.known >= 0)
        if len(new):
            yield new, Slots.of(some_lines(history, new)), np.arange(len(new))
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
        weekend = int(slots.weekends[known[0]])
        days = Days(slots.past(history, known, rows), slots, slots.column(history), age, weekend)
        shares = self.pull.shares(np.array([middle_s(window) for window in windows]) + age * slots.slot_s)
        table = np.empty((len(rows), len(windows), len(quantiles)))
        for ahead, later, picked in days.by_day(windows):
            origins = days.origins(ahead, later)
            sample = days.samples([windows[i] for i in picked], ahead, origins)
            if self.pull != Pull():
                anomalies = days.anomalies(origins, room.now[rows], slots.bursty[known])
                sample = _moved(sample, anomalies @ shares[picked].T, slots.bursty[known])
            flat = row_quantiles(sample.reshape(-1, sample.shape[-1]), np.asarray(quantiles))
            table[:, picked] = flat.reshape(len(rows), len(picked), -1)
        return table


class Anomaly(Profile):
    """The profile, moved by what is unusual now: nearly all of it within the hour, ever less later.

    Each past stretch is moved by how much it was unusual at its own origin, so that the band narrows too. Anomalies
    of bursty lines are of square roots: the more there is, the more it varies.
    """

    name = "anomaly"
    pull = Pull(newest=1.0, day=0.3)


@dataclass(frozen=True, eq=False, slots=True)
class Days:
    """Past days of lines that are equally old and have the same weekends, as seen from the same time of day."""

    past: Past
    slots: Slots
    now: float  # column
    age: float  # slots since the newest reading
    weekend: int  # the day of seven on which it begins; -1: none

    def by_day(self, windows: Sequence[Window]) -> Iterator[tuple[int, int, list[int]]]:
        """Whole days by which windows reach beyond the next, midnights until their middle, and which these are.

        Midnights matter to lines with weekends only.
        """
        ahead = [max(0, ceil(window.end.total_seconds() / DAY_S - 1e-9) - 1) for window in windows]
        since_midnight = self._second % DAY_S if self.weekend >= 0 else -np.inf
        later = [int(max(0.0, (since_midnight + middle_s(window)) // DAY_S)) for window in windows]
        for key in sorted(set(zip(ahead, later, strict=True))):
            yield *key, [i for i, other in enumerate(zip(ahead, later, strict=True)) if other == key]

    def origins(self, ahead: int, later: int) -> Floats:
        """(S,) columns at the time of day that it is now, give or take, as often as their day counts.

        `ahead` is by how many whole days the windows lie beyond the next, `later` on which day they do.
        """
        days = np.arange(1, max(1, min(DAYS, int(self.now / self.slots.per_day))) + 1)
        target = int(self._second // DAY_S) + later
        weight = 0.5 ** (days / HALF_LIFE_DAYS) * self._likeness(target, target - ahead - days)
        weights = (weight[:, None] * np.array(list(NEIGHBOURS_H.values()))).ravel()
        shifts = np.round(np.array(list(NEIGHBOURS_H)) * self.slots.per_day / 24)
        back = (np.round(days * self.slots.per_day)[:, None] + shifts).ravel()
        upto = np.cumsum(weights) / weights.sum()
        drawn = back[np.searchsorted(upto, (np.arange(SAMPLES) + 0.5) / SAMPLES)]
        return self.now - drawn

    @property
    def _second(self) -> float:
        """Since the epoch."""
        return self.slots.end_s + (self.now - self.slots.count) * self.slots.slot_s

    def _likeness(self, target: int, days: Rows) -> Floats:
        """(K,) how much each of `days` (K,) counts for the day `target`, both since the epoch."""
        if self.weekend < 0:
            return np.ones(len(days))
        kind, kinds = ((day - self.weekend) % 7 < WEEKEND_DAYS for day in (target, days))
        likeness: Floats = np.where(kinds == kind, 1.0, OTHER_KIND)
        return likeness * np.where((days - target) % 7 == 0, SAME_WEEKDAY, 1.0)

    def samples(self, windows: Sequence[Window], ahead: int, origins: Floats) -> Floats:
        """(R, W, S) mean demand in the windows after past origins."""
        starts, ends = (
            np.array(edges_s)[:, None] / self.slots.slot_s - ahead * self.slots.per_day
            for edges_s in zip(*((w.start.total_seconds(), w.end.total_seconds()) for w in windows), strict=True)
        )
        instant = ends <= starts
        return self.past.means(np.where(instant, ends - 1, starts) + origins, ends + origins, self.now)

    def anomalies(self, origins: Floats, newest: Floats, bursty: Floats) -> Floats:
        """(R, S, 2) by how much more it is now than it was then: the newest reading, and the day before it."""
        at = np.append(origins, self.now) - self.age
        slot, day = (_shaped(self.past.means(at - length, at, self.now), bursty) for length in (1, self.slots.per_day))
        now = np.column_stack([_shaped(newest[:, None], bursty)[:, 0], day[:, -1]])
        then = np.stack([slot[:, :-1], day[:, :-1]], axis=-1)
        return np.nan_to_num(now[:, None] - then)


def _moved(sample: Floats, move: Floats, bursty: Floats) -> Floats:
    """(R, W, S) samples (R, W, S) moved by `move` (R, S, W)."""
    moved = np.maximum(_shaped(sample, bursty) + move.swapaxes(1, 2), 0.0)
    return np.where(bursty[:, None, None] > 0, moved**2, moved) if bursty.any() else moved


def _shaped(gpus: Floats, bursty: Floats) -> Floats:
    """Square roots where lines (R,) are bursty."""
    if not bursty.any():
        return gpus
    return np.where(bursty.reshape(-1, *[1] * (gpus.ndim - 1)) > 0, np.sqrt(gpus), gpus)


def _alike(room: Room, rows: Rows, slots: Slots, known: Rows) -> Iterator[Rows]:
    """Which of `rows` are equally old, to a slot and to a day, and have the same weekends, a block at a time."""
    age = np.minimum(np.round(room.age_s[rows] / slots.slot_s), ceil(slots.per_day))
    kinds, which = np.unique(np.column_stack([age, slots.weekends[known]]), axis=0, return_inverse=True)
    for kind in range(len(kinds)):
        alike = np.flatnonzero(which.ravel() == kind)
        yield from np.split(alike, np.arange(BLOCK_LINES, len(alike), BLOCK_LINES))


def _doubted(table: Floats, room: Room, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
    """With room for what never happened, which is the less the more days were seen."""
    leads_s = room.age_s[:, None] + np.array([middle_s(window) for window in windows])
    share = (1 + room.doubt.seen_s / DAY_S)[:, None, None] ** -1.5
    normal = np.array([NormalDist().inv_cdf(q) for q in quantiles])
    width = PRIOR_DAILY_SHARE * room.doubt.scale[:, None] * np.sqrt(np.minimum(1.0, leads_s / DAY_S))
    prior = room.now[:, None, None] + width[..., None] * normal
    doubted: Floats = table * (1 - share) + prior * share
    return doubted
