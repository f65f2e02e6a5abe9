"""Levels and seasons of hours, smoothed in many ways, of which each line keeps to those that were right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import product
from typing import NamedTuple, Self

import numpy as np

from forecasting.bands import DAY_S, LEVELS, PRIOR_DAILY_SHARE, hat, normals, some_lines
from forecasting.naive import Naive
from forecasting.protocol import State
from forecasting.room import Room
from forecasting.signals import Rows
from forecasting.slots import Past, Slots
from forecasting.store import floats, nested
from forecasting.windows import over_instants
from gyropilot.domain import DemandHistory, Floats, Window

HOUR = timedelta(hours=1)
HOUR_S = HOUR.total_seconds()
HOURS = 28 * 24
JUDGED = 8 * 24
"""Hours that are smoothed, and the last of them, which ways to smooth are judged by."""

HALF_LIFE_H = 72.0
"""In which what a way got wrong loses half its weight."""

LEAST_SEEN_S = 2 * DAY_S
"""Of a line, before there is a season to speak of."""

SEASON_DAYS = (2.0, 7.0)
MEAN_H = 84.0
"""Half-lives of the mean of an hour of the day, and of that of all hours."""

ROOTS = (1.0, 0.5)
SEASONS = (*((24.0, 0.5 ** (1 / days)) for days in SEASON_DAYS), (1.0, 0.5 ** (1 / MEAN_H)))
ALPHAS = (1.0, 0.3, 0.1)
LASTS_H = (2.0, 12.0, 96.0)
WAYS = np.array([(p, *season, alpha, lasts) for p, season, alpha, lasts in product(ROOTS, SEASONS, ALPHAS, LASTS_H)])
"""(54, 5) ways to smooth: see `forecasting.compiled.smoothing`."""

KEPT = 8
"""Of them, per line."""

LEADS_H = np.array([1, 2, 3, 6, 12, 24])
JUDGED_AT = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
SHARPNESS = 15.0
"""How much a line keeps to what would have been best: what was 5 % worse has half the weight."""

HOPELESS = 100.0
"""Times the best loss, and more: not tried out."""

DOUBT = 2.0
"""The share of what never happened falls with this power of the days that were seen."""

AFRESH_S = 6 * HOUR_S
MOST_AFRESH = 24
"""So often ways are judged again between fits, where there are no more lines: some milliseconds each."""


class Judged(NamedTuple):
    """How some lines are smoothed."""

    ways: Floats  # (L, V, 5) of WAYS
    shares: Floats  # (L, V, K) in the forecast; 0: too little was seen
    errors: Floats  # (L, V, K, P) at LEVELS

    @classmethod
    def nothing(cls, lines: int) -> Self:
        shape = (lines, KEPT, len(LEADS_H))
        ways = np.tile(WAYS[0], (lines, KEPT, 1))
        return cls(ways, np.zeros(shape), np.zeros((*shape, len(LEVELS))))

    def of(self, rows: Rows) -> Judged:
        return Judged(*(table[rows] for table in self))


@dataclass(frozen=True, eq=False)
class Smoothing:
    """Exponential smoothing of what is unusual for the hour (Holt 1957, Winters 1960), with errors of the last weeks.

    All hours of a line share their errors, so that a service is known well within days. Lines of which too little was
    seen are forecast as `Naive` does. Between fits ways are judged anew for at most MOST_AFRESH lines.
    """

    slots: Slots | None = None
    judged: Judged = field(default_factory=lambda: Judged.nothing(0))
    afresh: list[tuple[bytes, Judged]] = field(default_factory=list)  # the newest, by the hours it is from

    name = "smoothing"

    def fit(self, history: DemandHistory) -> Self:
        """Tries all ways on the last weeks of each line."""
        slots = Slots.of(history)
        hours = hourly(Past.until_fit(slots, np.arange(len(slots.lines))), slots.count, slots.slot_s)
        return replace(self, slots=slots, judged=judge(hours), afresh=[])

    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        """(L, W, Q) GPUs."""
        table = np.full((len(history.lines), len(windows), len(quantiles)), np.nan)
        room = Room.of(history, self.slots)
        rows = np.flatnonzero(room.known >= 0)
        if self.slots is not None and len(rows) and len(windows):
            table[rows] = self._told(history, room, rows, windows, quantiles)
        new = np.flatnonzero(np.isnan(table).any(axis=(1, 2)))
        if len(new):
            table[new] = Naive().predict(some_lines(history, new), windows, quantiles)
        return room.doubt.bounded(table)

    def state(self) -> State:
        """Past days, and how each line is smoothed."""
        slots = None if self.slots is None else self.slots.state()
        return {"slots": slots, **self.judged._asdict()}

    @classmethod
    def restored(cls, state: State) -> Self:
        """From what `state` gave."""
        slots = None if state["slots"] is None else Slots.restored(nested(state, "slots"))
        blank = Judged.nothing(0 if slots is None else len(slots.lines))
        return cls(slots, Judged(*(floats(state, name, table.shape) for name, table in blank._asdict().items())))

    def _told(
        self, history: DemandHistory, room: Room, rows: Rows, windows: Sequence[Window], quantiles: Sequence[float]
    ) -> Floats:
        """(R, W, Q) GPUs of lines that were known at the fit; NaN where too little was seen."""
        from forecasting.compiled import smoothing

        assert self.slots is not None
        known, now = room.known[rows], self.slots.column(history)
        past = self.slots.past(history, known, rows)
        hours, ages_h = hourly(past, now, self.slots.slot_s), room.age_s[rows] / HOUR_S
        if self.slots.slot_s < HOUR_S:  # the newest slot has only begun
            hours[1, :, -1:] = np.where(ages_h < self.slots.slot_s / HOUR_S, room.now[rows], np.nan)[:, None]
        judged = self._judged(past, known, now)

        def answer(ends_s: Floats) -> Floats:
            found = smoothing.told(hours, *judged, ends_s / HOUR_S, ages_h, np.log(LEADS_H))
            return self._doubted((found @ hat(quantiles)), room, rows, ends_s, quantiles)

        return over_instants(answer, windows, HOUR)

    def _judged(self, past: Past, known: Rows, now: float) -> Judged:
        """What the fit found, or would find at the last full multiple of AFRESH_S, so that it follows from history."""
        slots = self.slots
        assert slots is not None
        now_s = slots.end_s + (now - slots.count) * slots.slot_s
        then = slots.count + (now_s // AFRESH_S * AFRESH_S - slots.end_s) / slots.slot_s
        if len(known) > MOST_AFRESH or then <= slots.count:
            return self.judged.of(known)
        hours = hourly(past, then, slots.slot_s)
        shown = hours.tobytes()
        newest = next(iter(self.afresh), None)  # read once: a fit may run beside a cycle
        if newest is None or newest[0] != shown:
            newest = (shown, judge(hours))
            self.afresh[:] = [newest]
        return newest[1]

    def _doubted(self, told: Floats, room: Room, rows: Rows, ends_s: Floats, quantiles: Sequence[float]) -> Floats:
        """With room for what never happened, which is the less the more days were seen."""
        share = (1 + room.doubt.seen_s[rows] / DAY_S)[:, None, None] ** -DOUBT
        width = PRIOR_DAILY_SHARE * room.doubt.scale[rows, None] * np.sqrt(np.minimum(1.0, ends_s / DAY_S))
        prior = room.now[rows, None, None] + width[..., None] * normals(quantiles)
        doubted: Floats = told * (1 - share) + prior * share
        return doubted


def in_hours(window: Window, step: timedelta) -> bool:
    """Whether it is as long as what is smoothed, whatever the step: of minutes the newest reading says more."""
    return window.end - window.start >= HOUR


def hourly(past: Past, now: float, slot_s: float) -> Floats:
    """(2, R, N) means of the last hours, and of the last slot of each; the last ends at slot `now`. NaN: not seen."""
    per_hour = HOUR_S / slot_s
    ends = now - per_hour * np.arange(min(HOURS, int(now / per_hour)) - 1, -1, -1, dtype=np.float64)
    means = past.means(ends - per_hour, ends, now)
    return np.stack([means, past.means(ends - 1, ends, now) if per_hour > 1 else means])


def judge(hours: Floats) -> Judged:
    """Which ways would have forecast the last `hours` (2, L, N) of each line best, and by how much they were wrong."""
    from forecasting.compiled import smoothing

    lines, count = hours.shape[1:]
    found, ages_h = Judged.nothing(lines), np.arange(count - 1, -1, -1)
    weights = np.where(ages_h < JUDGED, 0.5 ** (ages_h / HALF_LIFE_H), 0.0)
    for line in np.flatnonzero(np.isfinite(hours[0]).sum(axis=1) * HOUR_S >= LEAST_SEEN_S):
        loss, errors = smoothing.tried(hours[:, line], WAYS, LEADS_H, weights, JUDGED_AT, LEVELS)
        shares = _shares(loss)
        if shares is not None:
            best = np.argsort(-shares.max(axis=1), kind="stable")[:KEPT]
            found.ways[line], found.errors[line] = WAYS[best], np.nan_to_num(errors[best])
            found.shares[line] = shares[best] / shares[best].sum(axis=0)
    return found


def _shares(loss: Floats) -> Floats | None:
    """(V, K) from losses: half by that at a lead itself, half by that at all; None where a lead was never tried out."""
    best = loss.min(axis=0)
    if not np.isfinite(best).all():
        return None
    relative = np.divide(loss, best, out=np.where(loss > 0, HOPELESS, 1.0), where=best > 0)
    relative = np.minimum(relative, HOPELESS)
    relative = (relative + relative.mean(axis=1, keepdims=True)) / 2
    weights = np.exp(-SHARPNESS * (relative - relative.min(axis=0)))
    shares: Floats = weights / weights.sum(axis=0)
    return shares
