"""What is learnt from all lines at once: how far `Naive`'s quantiles should be corrected, in units of each spread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.bands import LEADS_S, Bands
from forecasting.demand.calendar import UTC_PLACE, Place
from forecasting.demand.features import REACH_S, Questions, describe
from forecasting.demand.seen import DAY_S
from forecasting.forecasters.naive import plain
from gyropilot.domain import DemandHistory, Floats

LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9, 0.975)
"""Quantiles that are learnt; corrections of others are interpolated."""

LEARNT_S = LEADS_S[(LEADS_S >= 300) & (LEADS_S <= DAY_S)]
MIN_EXAMPLES = 2_000
INSTANTS = 2
"""At which a window is asked about: trees cost more than bands, and corrections change slowly with the lead."""

SPREAD = (0.025, 0.975)
LEAST_CORRECTION = 0.01
"""Of a line's scale: demand mostly stays exactly as it is, and a hair's breadth off it costs at each step."""

LEAST_SPREAD = 0.02
"""Of a line's scale: a line that hardly ever moves must not turn a small change into a huge one."""


@dataclass(frozen=True, eq=False, slots=True)
class Examples:
    """Past moments whose outcome is known; changes are in units of the line's spread at that lead."""

    features: Floats  # (N, F)
    change: Floats  # (N,)
    naive: Floats  # (N, len(LEVELS)) quantiles that `Naive` gave the change
    weight: Floats  # (N,)

    def __len__(self) -> int:
        return len(self.change)


def examples(history: DemandHistory, bands: Bands, most: int, seed: int, place: Place) -> Examples:
    """At most `most`, drawn at random."""
    asked = past_questions(history, LEARNT_S, most, seed, place)
    change = change_after(history, asked)
    # Most changes are exactly zero, where the loss has no slope: jitter parts them (Machado, Santos Silva 2005).
    jitter = np.random.default_rng(seed).uniform(-1, 1, len(change))
    change = change + jitter * LEAST_CORRECTION * bands.scale[asked.line]
    table = _table(bands, asked, LEVELS)
    spread = spread_gpus(bands, asked)
    # Between all lines alike (1) and GPU for GPU (spread): the latter is the loss, the former learns from more.
    weight = np.sqrt(spread / spread.mean()) if len(spread) else spread
    features = describe(history, asked, spread, bands.scale[asked.line])
    return Examples(features, change / spread, table / spread[:, None], weight)


def past_questions(
    history: DemandHistory, leads_s: Floats, most: int, seed: int, place: Place = UTC_PLACE
) -> Questions:
    """Moments of the history, drawn at random, that were seen and whose outcome was seen."""
    rng = np.random.default_rng(seed)
    lines, count = history.demand.shape
    if not lines or count < 2:
        return Questions(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    step_s, rows = history.step.total_seconds(), min(most, lines * count)
    line, column = rng.integers(lines, size=rows), rng.integers(count, size=rows)
    lead_s = np.maximum(np.round(rng.choice(leads_s, size=rows) / step_s), 1) * step_s
    outcome = column + np.round(lead_s / step_s).astype(np.int64)
    known = np.isfinite(history.demand[line, column]) & (outcome < count)
    known &= np.isfinite(history.demand[line, np.minimum(outcome, count - 1)])
    return Questions(line[known], column[known], lead_s[known], place)


def change_after(history: DemandHistory, asked: Questions) -> Floats:
    """(N,) GPUs by which demand changed."""
    steps = np.round(asked.lead_s / history.step.total_seconds()).astype(np.int64)
    change: Floats = history.demand[asked.line, asked.column + steps] - history.demand[asked.line, asked.column]
    return change


def spread_gpus(bands: Bands, asked: Questions) -> Floats:
    """(N,) how far apart changes of the line lie at that lead."""
    low, high = _table(bands, asked, SPREAD).T
    width: Floats = high - low
    return width + LEAST_SPREAD * bands.scale[asked.line]


def corrected(
    bands: Bands,
    history: DemandHistory,
    ahead_s: Floats,
    quantiles: Sequence[float],
    correction: Callable[[Floats], Floats],
    place: Place,
) -> Floats:
    """(L, N, Q) GPUs at instants: `Naive`'s, plus what `correction` of features (M, F) gives in spreads (M, levels).

    Lines whose newest reading is missing are not corrected.
    """
    naive, recent = plain(bands, history, ahead_s, quantiles), recent_past(history)
    current = np.flatnonzero(np.isfinite(recent.demand[:, -1]))
    if not len(current) or not naive.size:
        return naive
    asked = now_questions(recent, current, ahead_s, place)
    spread = spread_gpus(bands, asked)
    levels = correction(describe(recent, asked, spread, bands.scale[asked.line])) * spread[:, None]
    between = np.array([np.interp(quantiles, LEVELS, unit) for unit in np.eye(len(LEVELS))])
    change = np.zeros_like(naive)
    change[current] = (levels @ between).reshape(len(current), *naive.shape[1:])
    return bands.bounded(naive + worthwhile(change, bands.scale[:, None, None]))


def worthwhile(change: Floats, scale: Floats) -> Floats:
    """The change where it is large enough to be told from none."""
    return np.where(np.abs(change) >= LEAST_CORRECTION * scale, change, 0.0)


def now_questions(recent: DemandHistory, lines: np.ndarray, ahead_s: Floats, place: Place) -> Questions:
    """Each of `lines` at each of `ahead_s` after the newest reading."""
    column = np.full(len(lines) * len(ahead_s), recent.demand.shape[1] - 1)
    return Questions(np.repeat(lines, len(ahead_s)), column, np.tile(ahead_s, len(lines)), place)


def recent_past(history: DemandHistory) -> DemandHistory:
    """As much of the end as features look at."""
    first = -max(2, round(REACH_S / history.step.total_seconds()) + 1)
    return DemandHistory(history.lines, history.times[first:], history.running[:, first:], history.pending[:, first:])


def _table(bands: Bands, asked: Questions, quantiles: Sequence[float]) -> Floats:
    """(N, Q) GPUs of change that `Naive` expects."""
    leads_s, which = asked.leads
    table = bands.at(np.broadcast_to(leads_s, (len(bands.lines), len(leads_s))), quantiles)
    picked: Floats = table[asked.line, which]
    return picked
