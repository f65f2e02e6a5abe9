"""Mean demand over stretches of time: what is forecast, and what then came."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import numpy as np
from numpy.typing import NDArray

from forecasting.once import kept
from gyropilot.domain import DemandHistory, Floats, Window

Rows = NDArray[np.int64]

LEAST_SEEN = 0.5
"""Share of a window that must have been seen for its mean to count."""

INSTANTS = 6
"""At which a window is asked about, at most, where a model knows only instants: demand moves little in between."""


@dataclass(frozen=True, eq=False, slots=True)
class Sums:
    """Running sums of a history, from which the mean of any stretch is two look-ups."""

    step: timedelta
    total: Floats  # (L, T + 1) GPUs seen before each column
    seen: Floats  # (L, T + 1) readings seen before each column

    @classmethod
    def of(cls, history: DemandHistory) -> Self:
        """Worth keeping where many windows are asked about."""
        return cls.of_demand(history.demand, history.step)

    @classmethod
    def of_demand(cls, demand: Floats, step: timedelta) -> Self:
        """From (L, T) readings, NaN where not seen."""
        from forecasting.compiled import stretches

        return cls(step, *stretches.running(demand))

    def means_after(self, columns: Rows, window: Window) -> Floats:
        """(L, len(columns)) mean of what was seen in the window after each column; see `means_after`."""
        lines = np.arange(len(self.total))[:, None]
        return self.means_at(lines, columns[None, :], window)

    def means_at(self, line: Rows, column: Rows, window: Window) -> Floats:
        """The same for pairs of a line and a column: of the shape that the two broadcast to."""
        start, end = (edge[0] for edge in _edges((window,), self.step))
        origin = column.astype(np.float64) + 1
        first, last = origin + start, origin + end
        seen = _between(self.seen, line, first, last)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.maximum(_between(self.total, line, first, last) / seen, 0.0)
        known = (seen >= LEAST_SEEN * (end - start) - 1e-9) & (first >= 0) & (last <= self.total.shape[1] - 1)
        return np.where(known, mean, np.nan)


def means_after(history: DemandHistory, columns: Rows, window: Window) -> Floats:
    """(L, len(columns)) mean of what was seen in (t + start, t + end] after the end t of each column.

    NaN where under half of it was seen, or where it ends after the history. Within a step demand is taken as level.
    """
    return Sums.of(history).means_after(columns, window)


def outcome(history: DemandHistory, column: int, windows: Sequence[Window]) -> Floats:
    """(L, W) mean demand that came after `column`; NaN where it was not seen or ends after the history."""
    return outcomes(history, np.full(len(windows), column), windows, np.arange(len(windows)))


def outcomes(history: DemandHistory, columns: Rows, windows: Sequence[Window], which: Rows) -> Floats:
    """(L, N) likewise, of some of the windows (N,), each after a column of its own (N,)."""
    from forecasting.compiled import stretches

    starts, ends = _edges(windows, history.step)
    return stretches.means(history.demand, columns, starts[which], ends[which], LEAST_SEEN)


@kept
def _edges(windows: Sequence[Window], step: timedelta) -> tuple[Floats, Floats]:
    """(W,) starts and (W,) ends in steps; an instant is the step that ends there."""
    start = np.array([window.start / step for window in windows])
    end = np.array([window.end / step for window in windows])
    return np.where(end <= start, end - 1, start), end


def over_instants(
    answer: Callable[[Floats], Floats], windows: Sequence[Window], step: timedelta, most: int = INSTANTS
) -> Floats:
    """(L, W, Q) for a model that knows only instants: the mean of its quantiles at a few of them inside each window.

    `answer` is given the ends (N,) of steps in seconds after the newest reading and gives (L, N, Q). The mean of
    quantiles is that of demand which stays at the same rank throughout: true enough over hours, too wide over days.
    """
    ends_s, counts = _instants_s(windows, step, most)
    table = answer(ends_s)
    if len(ends_s) == len(windows):
        return table
    means: Floats = np.add.reduceat(table, np.cumsum(counts) - counts, axis=1) / counts[:, None]
    return means


@kept
def _instants_s(windows: Sequence[Window], step: timedelta, most: int) -> tuple[Floats, Rows]:
    """(N,) ends of steps in all windows, and (W,) how many of them are of each."""
    ends_s = [instants_s(window, step, most) for window in windows]
    return np.concatenate([np.empty(0), *ends_s]), np.array([len(each) for each in ends_s], dtype=np.int64)


def instants_s(window: Window, step: timedelta, most: int = INSTANTS) -> Floats:
    """(N,) ends of steps, in seconds, at most so many and evenly in a window; a window of one step is its own end."""
    start_s, end_s, step_s = (t.total_seconds() for t in (window.start, window.end, step))
    count = int(np.clip(np.ceil((end_s - start_s) / step_s - 1e-9), 1, most))
    midpoints = start_s + (end_s - start_s) * (np.arange(count) + 0.5) / count
    # A step's mean is that of its middle, and it is known by its end.
    ends: Floats = np.minimum(midpoints + step_s / 2, end_s)
    return ends


def _between(running: Floats, line: Rows, first: Floats, last: Floats) -> Floats:
    """What was added to running sums of `line` from `first` to `last` columns, which may be fractions."""
    return _at(running, line, last) - _at(running, line, first)


def _at(running: Floats, line: Rows, column: Floats) -> Floats:
    within = np.clip(column, 0, running.shape[1] - 1)
    below = np.floor(within).astype(np.int64)
    part = within - below
    low: Floats = running[line, below]
    if not part.any():
        return low
    above = running[line, np.minimum(below + 1, running.shape[1] - 1)]
    between: Floats = low + (above - low) * part
    return between
