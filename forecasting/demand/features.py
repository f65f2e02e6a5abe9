"""What may tell whether demand is about to change: numbers without unit, known at the newest reading."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from forecasting.demand.calendar import UTC_PLACE, Place
from forecasting.demand.seen import DAY_S
from forecasting.windows import Sums
from gyropilot.domain import DemandHistory, Floats

Rows = NDArray[np.int64]

LAGS_S = np.array([5, 15, 30, 60, 120, 360, 720, 1440]) * 60.0
REACH_S = 2 * DAY_S
"""Nothing older than this is looked at, so that `predict` need not read four weeks."""

NAMES = (
    *(f"newest less {int(lag_s / 60)} min ago" for lag_s in LAGS_S),
    "newest less mean of 24 h",
    "newest less same time of day as the target",
    "pending",
    "share of largest",
    "log lead",
    "hour of day, sine",
    "hour of day, cosine",
    "day of week",
)


DIFFERENCES = slice(0, len([name for name in NAMES if name.startswith("newest less")]))
"""Those of NAMES that are changes; they come first."""


@dataclass(frozen=True, eq=False)
class Questions:
    """Which line is asked about, as of which column of the history, and how far ahead."""

    line: Rows  # (N,)
    column: Rows  # (N,)
    lead_s: Floats  # (N,)
    place: Place = UTC_PLACE  # by whose clocks

    @cached_property
    def leads(self) -> tuple[Floats, Rows]:
        """(K,) each lead once, ascending, and which of them (N,) each question is about."""
        leads_s, which = np.unique(self.lead_s, return_inverse=True)
        return leads_s, which


def describe(
    history: DemandHistory, asked: Questions, spread: Floats, scale: Floats, sums: Sums | None = None
) -> Floats:
    """(N, len(NAMES)) features; changes are in units of `spread` (N,), levels of `scale` (N,). NaN: not seen.

    `sums` are those of the history, for whoever asks about it often.
    """
    step_s = history.step.total_seconds()
    demand, end_s = history.demand, history.times[asked.column]
    newest = demand[asked.line, asked.column]

    def less(ago_s: Floats) -> Floats:
        """(N, A) the newest less what was seen so many seconds (N, A) or (A,) ago."""
        column = asked.column[:, None] - np.round(ago_s / step_s).astype(np.int64)
        then = np.where(column >= 0, demand[asked.line[:, None], np.maximum(column, 0)], np.nan)
        return (newest[:, None] - then) / spread[:, None]

    target_s = asked.place.local_s(end_s + asked.lead_s)
    hour = 2 * np.pi * (target_s % DAY_S) / DAY_S
    table = np.empty((len(asked.line), len(NAMES)))
    table[:, : len(LAGS_S)] = less(LAGS_S)
    others = (
        (newest - _day_mean(sums or Sums.of(history), asked)) / spread,
        less((-asked.lead_s % DAY_S)[:, None])[:, 0],
        history.pending[asked.line, asked.column] / scale,
        newest / scale,
        np.log(np.maximum(asked.lead_s, 1.0)),
        np.sin(hour),
        np.cos(hour),
        (target_s // DAY_S + 4) % 7,  # the epoch began on a Thursday; 0 is Sunday
    )
    for at, column in enumerate(others, start=len(LAGS_S)):
        table[:, at] = column
    return table


def _day_mean(sums: Sums, asked: Questions) -> Floats:
    """(N,) mean of what was seen in the 24 hours up to the column."""
    window = max(1, round(DAY_S / sums.step.total_seconds()))
    last, first = asked.column + 1, np.maximum(asked.column + 1 - window, 0)
    gpus, seen = (rows[asked.line, last] - rows[asked.line, first] for rows in (sums.total, sums.seen))
    mean: Floats = gpus / np.maximum(seen, 1)
    return mean
