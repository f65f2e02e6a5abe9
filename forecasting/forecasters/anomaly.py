"""What is usual at that time of day, moved by what is unusual now for as long as that used to last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Self

import numpy as np

from forecasting.demand.seen import DAY_S
from forecasting.demand.signals import Rows
from forecasting.demand.slots import Past, Slots
from forecasting.forecasters.profile import NEXT, Days, Profile, sample_quantiles
from forecasting.grid import BLOCK_LINES, middles_s, window
from forecasting.losses import pinball
from forecasting.protocol import State
from forecasting.store import floats
from gyropilot.domain import DemandHistory, Floats, Window

LASTS_H = (1.0, 3.0, 12.0, 48.0, 300.0)
"""Hours in which an anomaly of the newest reading may lose two thirds: requests one, gangs two weeks."""

USUAL = 1
"""Which of them is taken where too little was seen to tell."""

LAST_DAY = 0.3
"""Share of the last day's anomaly that stays when the newest reading's has gone; it fades in days."""

PENALTY = 0.03
"""Share by which another must be better, for each that lies between it and the usual one."""

LEAST_REPLAYED = timedelta(days=6)
"""Of a shorter history one weekend is too much."""

REPLAYED = timedelta(days=14)
ORIGINS = 49
"""Past moments at which it is tried out: every seven hours, so that each hour of the day has its turn."""

TRIED = tuple(window(60 * (hour - 1), 60 * hour) for hour in (1, 3, 6, 12, 24))
LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)
SHARPNESS = 50.0
"""How much a line keeps to what would have been best: what was 2 % worse has a third of the weight."""


@dataclass(frozen=True, eq=False)
class Anomaly(Profile):
    """The profile's past stretches, each moved by how much more there is now than there was at its own origin.

    The newest reading's anomaly passes as fast as would have been best for the line on the last days. Those of bursty
    lines are of square roots: the more there is, the more it varies.
    """

    lasts_s: Floats = field(default_factory=lambda: np.empty(0))  # (L,) of the slots

    name = "anomaly"

    def fit(self, history: DemandHistory) -> Self:
        """Sums up past days, and replays the last of them."""
        slots = Slots.of(history, self.place)
        return replace(self, slots=slots, lasts_s=lasting_s(slots))

    def state(self) -> State:
        """Past days, and how long anomalies last."""
        return {**super().state(), "lasts_s": self.lasts_s}

    @classmethod
    def restored(cls, state: State) -> Self:
        """From what `state` gave."""
        usual = super().restored(state)
        count = 0 if usual.slots is None else len(usual.slots.lines)
        return cls(usual.slots, usual.place, floats(state, "lasts_s", (count,)))

    def _sample(self, days: Days, windows: Sequence[Window], ahead: int, origins: Floats) -> Floats:
        fitted = days.slots is self.slots
        lasts_s = self.lasts_s[days.known] if fitted else np.full(len(days.known), 3_600.0 * LASTS_H[USUAL])
        return moved(days, windows, days.samples(windows, ahead, origins), anomalies(days, origins), lasts_s)


def lasting_s(slots: Slots) -> Floats:
    """(L,) seconds: the mean of those tried, by how well they would have forecast."""
    lasts_s = 3_600.0 * np.array(LASTS_H)
    found = np.full(len(slots.lines), lasts_s[USUAL])
    first, last = 1.25 * slots.per_day, slots.count - slots.per_day / 24
    if last - first < LEAST_REPLAYED.total_seconds() / slots.slot_s:
        return found
    begin = max(first, last - REPLAYED.total_seconds() / slots.slot_s)
    origins = np.unique(np.linspace(begin, last, ORIGINS).round())
    for start in range(0, len(found), BLOCK_LINES):
        rows = np.arange(start, min(start + BLOCK_LINES, len(found)))
        found[rows] = np.exp(_weights(_replayed(slots, rows, origins)) @ np.log(lasts_s))
    return found


def _weights(loss: Floats) -> Floats:
    """(R, C) shares of those tried, from their loss (R, W, C); all of the usual one where nothing was told."""
    mean = loss.mean(axis=-1, keepdims=True)
    told = mean[..., 0] > 0
    relative = np.divide(loss, mean, out=np.zeros_like(loss), where=told[..., None])
    relative = relative.sum(axis=1) / np.maximum(told.sum(axis=1), 1)[:, None]
    unusual = np.abs(np.arange(loss.shape[-1]) - USUAL)
    relative += PENALTY * unusual
    weights = np.exp(-SHARPNESS * (relative - relative.min(axis=1, keepdims=True)))
    weights = np.where(told.any(axis=1)[:, None], weights, unusual == 0)
    shares: Floats = weights / weights.sum(axis=1, keepdims=True)
    return shares


def _replayed(slots: Slots, rows: Rows, origins: Floats) -> Floats:
    """(R, W, C) loss, summed over origins whose outcome was seen, of each that is tried."""
    loss = np.zeros((len(rows), len(TRIED), len(LASTS_H)))
    past = Past.until_fit(slots, rows)
    starts, ends = (
        np.array([edge / timedelta(seconds=slots.slot_s) for edge in edges])
        for edges in zip(*((w.start, w.end) for w in TRIED), strict=True)
    )
    for now in origins:
        actual = past.means(now + starts, now + ends, slots.count)
        newest = past.means(np.array([now - 1]), np.array([now]), now)[:, 0]
        days = Days(past, slots, rows, newest, now, age=0.0, weekend=-1)
        at = days.origins(NEXT)
        sample, unusual = days.measured(TRIED, 0, at), anomalies(days, at)
        for tried, hours in enumerate(LASTS_H):
            told = sample_quantiles(moved(days, TRIED, sample, unusual, np.full(len(rows), 3_600.0 * hours)), LEVELS)
            loss[..., tried] += np.nan_to_num(pinball(actual, told, LEVELS).sum(axis=-1))
    return loss


def anomalies(days: Days, origins: Floats) -> Floats:
    """(R, 2, S) by how much more it is now than it was then: the newest reading, and the day before it; 0: unknown."""
    at = np.append(origins, days.now) - days.age
    spans = np.array([[1.0], [days.slots.per_day]])
    bursty = days.slots.bursty[days.known]
    known = days.past.means(at - spans, np.broadcast_to(at, (2, len(at))), days.now)
    known[:, 0, -1] = days.newest
    levels = _shaped(known, bursty)
    unusual = levels[..., -1:] - levels[..., :-1]
    return np.where(np.isnan(unusual), 0.0, unusual)


def moved(days: Days, windows: Sequence[Window], sample: Floats, unusual: Floats, lasts_s: Floats) -> Floats:
    """(R, W, S) samples, moved by what is left of the anomalies (R, 2, S) that last `lasts_s` (R,)."""
    from forecasting.compiled import anomalies

    leads_s = middles_s(windows) + days.age * days.slots.slot_s
    left = np.exp(-leads_s / lasts_s[:, None])
    rest = LAST_DAY * (1 - left) * 0.5 ** (np.maximum(leads_s - DAY_S, 0.0) / DAY_S)
    return anomalies.moved(sample, unusual, left, rest, days.slots.bursty[days.known])


def _shaped(gpus: Floats, bursty: Floats) -> Floats:
    """Square roots where lines (R,) are bursty."""
    if not bursty.any():
        return gpus
    return np.where(bursty.reshape(-1, *[1] * (gpus.ndim - 1)) > 0, np.sqrt(gpus), gpus)
