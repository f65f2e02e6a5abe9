"""Past moments of each line: what they were like, and what followed. What `Analog` remembers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from forecasting.demand.seen import DAY_S, drawn_columns, scale_gpus, seen_s, some_lines
from forecasting.demand.signals import Rows, Signals
from forecasting.protocol import State
from forecasting.store import REMEDY, array, floats, lines_from_pairs
from forecasting.weighted import weighted_quantiles
from forecasting.windows import Sums
from gyropilot.domain import DemandHistory, Floats, Line, Window
from gyropilot.errors import ForecastError

Halves = NDArray[np.float32]

HALF_LIFE_S = 14 * DAY_S
ANYTHING = 0.01
"""Weight of a past moment that is nothing like now, so that the never seen is not forecast from nothing."""

# What makes two moments alike, and how far apart they may be in it. Measured on validation days: how far demand is
# above its mean of a day added nothing to what had come and gone within the hour.
SIGNALS = ("demand", "young 1 h", "gone 1 h", "minutes since change", "pending")
FEATURES = 7
LEVEL_WIDTH = 1.0  # standard deviations of the line's demand
AGE_WIDTH = 1.0  # of the logarithm of quarters of them
SINCE_WIDTH = 1.5  # of the logarithm of minutes
HOURS_WIDTH = 8.0  # of the day
OTHER_PENDING = 0.5  # weight where work waited then and not now, or the other way round
LEAST_SPREAD = 0.02  # share of the line's largest demand: a line that never moved is like itself


@dataclass(frozen=True, eq=False, slots=True)
class Moments:
    """Some past moments of some lines."""

    lines: tuple[Line, ...]
    like: Halves  # (L, M, FEATURES) what each was like, in widths of the kernel
    weight: Halves  # (L, M + 1) by age; 0: demand was not seen, and for the last one, which stands for "unknown"
    change: Halves  # (L, W, M) GPUs from the moment to the mean of each window after it, ascending
    order: NDArray[np.uint16]  # (L, W, M) the moment of each change
    spread: Floats  # (L,) GPUs that levels are compared in
    seen_s: Floats  # (L,) seconds that were seen
    scale: Floats  # (L,) largest demand seen, at least a node's

    @classmethod
    def of(cls, history: DemandHistory, windows: Sequence[Window], most: int) -> Self:
        """At most `most` moments a line, spread over as long as it was there."""
        lines, count = len(history.lines), min(most, history.demand.shape[1])
        shape = (lines, len(windows), count)
        moments = cls(
            lines=history.lines,
            like=np.zeros((lines, count, FEATURES), dtype=np.float32),
            weight=np.zeros((lines, count + 1), dtype=np.float32),
            change=np.zeros(shape, dtype=np.float32),
            order=np.full(shape, count, dtype=np.uint16),
            spread=spread_gpus(history),
            seen_s=seen_s(history),
            scale=scale_gpus(history),
        )
        for rows, columns in spread_columns(history, count):
            moments._remember(some_lines(history, rows), rows, columns, windows)
        return moments

    @classmethod
    def restored(cls, state: State, windows: int) -> Self:
        """From what `state` gave, of so many windows. Raises ForecastError where tables do not fit each other."""
        lines = lines_from_pairs(state, "lines")
        order = array(state, "order", np.uint16, (len(lines), windows, None))
        count = order.shape[-1]
        if order.max(initial=0) > count:
            raise ForecastError(f"the saved changes are of moments beyond {count}; {REMEDY}")
        return cls(
            lines,
            array(state, "like", np.float32, (len(lines), count, FEATURES)),
            array(state, "weight", np.float32, (len(lines), count + 1)),
            array(state, "change", np.float32, order.shape),
            order,
            *(floats(state, name, (len(lines),)) for name in ("spread", "seen_s", "scale")),
        )

    def state(self) -> State:
        """Everything, as arrays."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "lines"}
        return {"lines": [list(line) for line in self.lines], **arrays}

    def changes(self, rows: Rows, now: Halves, windows: Rows, quantiles: Sequence[float]) -> Floats:
        """(R, W, Q) GPUs that lines in `rows` (R,) change by to some windows, when it is as `now` (R, FEATURES)."""
        away = self.like[rows] - now[:, None]
        weight = self.weight[rows]
        weight[:, :-1] *= ANYTHING + np.exp(-0.5 * np.einsum("lmf,lmf->lm", away, away))
        order, change = (table[rows[:, None], windows] for table in (self.order, self.change))
        of_change = np.take_along_axis(weight[:, None], order.astype(np.int64), axis=2)
        shape = (order.shape[0] * order.shape[1], order.shape[2])
        table = weighted_quantiles(change.reshape(shape), of_change.reshape(shape), quantiles)
        return table.reshape(*order.shape[:2], len(quantiles))

    def _remember(self, history: DemandHistory, rows: Rows, columns: Rows, windows: Sequence[Window]) -> None:
        """Fills in `rows`, which are the lines of `history`, with what was seen at `columns`."""
        line, moment = (grid.ravel() for grid in np.indices((len(rows), len(columns))))
        like = likeness(history, line, columns[moment], self.spread[rows])
        self.like[rows, : len(columns)] = like.reshape(len(rows), len(columns), FEATURES)
        age_s, demand = history.times[-1] - history.times[columns], history.demand[:, columns]
        self.weight[rows, : len(columns)] = np.isfinite(demand) * 0.5 ** (age_s / HALF_LIFE_S)
        sums = Sums.of(history)
        for w, window in enumerate(windows):
            within_step = min(1.0, window.end / history.step)  # there nothing was measured: change grows with time
            self._sort(rows, w, (sums.means_after(columns, window) - demand) * within_step)

    def _sort(self, rows: Rows, window: int, change: Floats) -> None:
        """Keeps changes (R, N) ascending; those not known come last and are of the moment without weight."""
        order = np.argsort(change, axis=1)
        ranked = np.take_along_axis(change, order, axis=1)
        known, count = np.isfinite(ranked), change.shape[1]
        self.order[rows, window, :count] = np.where(known, order, self.order.shape[-1])
        largest = np.where(known.any(axis=1), np.max(ranked, axis=1, initial=-np.inf, where=known), 0.0)
        self.change[rows, window] = largest[:, None]
        self.change[rows, window, :count] = np.where(known, ranked, largest[:, None])


def likeness(history: DemandHistory, line: Rows, column: Rows, spread: Floats) -> Halves:
    """(N, FEATURES) what `line` (N,) was like at `column` (N,), in widths of the kernel; 0 where not known."""
    if not history.demand.shape[1]:
        return np.zeros((len(line), FEATURES), dtype=np.float32)
    level, young, gone, since, pending = Signals.of(history).at(line, column, SIGNALS).T
    hour = 2 * np.pi * (history.times[column] % DAY_S) / DAY_S
    hours_width = 2 * np.pi * HOURS_WIDTH / 24
    like = [
        level / spread[line] / LEVEL_WIDTH,
        np.log1p(4 * young / spread[line]) / AGE_WIDTH,
        np.log1p(4 * gone / spread[line]) / AGE_WIDTH,
        np.log1p(since) / SINCE_WIDTH,
        np.sin(hour) / hours_width,
        np.cos(hour) / hours_width,
        (pending > 0) * np.sqrt(-2 * np.log(OTHER_PENDING)),
    ]
    table: Halves = np.nan_to_num(np.column_stack(like)).astype(np.float32)
    return table


def spread_gpus(history: DemandHistory) -> Floats:
    """(L,) standard deviation of demand, at least a small share of its scale."""
    seen = np.isfinite(history.demand)
    count = np.maximum(seen.sum(axis=1), 1)
    mean = np.where(seen, history.demand, 0.0).sum(axis=1) / count
    variance = (np.where(seen, history.demand - mean[:, None], 0.0) ** 2).sum(axis=1) / count
    spread: Floats = np.maximum(np.sqrt(variance), LEAST_SPREAD * scale_gpus(history))
    return spread


def spread_columns(history: DemandHistory, most: int) -> Iterator[tuple[Rows, Rows]]:
    """Lines that were first seen about equally long ago, and columns that are spread over that time."""
    count = history.demand.shape[1]
    if not count:
        return
    seen = np.isfinite(history.demand)
    length = np.where(seen.any(axis=1), count - np.argmax(seen, axis=1), 1)
    reach = np.minimum(2 ** np.ceil(np.log2(length)), count).astype(np.int64)
    for steps in np.unique(reach):
        yield np.flatnonzero(reach == steps), count - steps + drawn_columns(0, int(steps), most)
