"""What happened next when it was like now: the newest reading plus weighted quantiles of past changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple, Self

import numpy as np

from forecasting.bands import LEADS_S, LEVELS, Bands, newest, scale_gpus, seen_s, some_lines
from forecasting.moments import Halves, Moments, likeness, spread_gpus
from forecasting.protocol import State
from forecasting.signals import Rows
from gyropilot.domain import DemandHistory, Floats, Window

MOMENTS = 600
"""Past moments remembered of each line: more of them cost memory and say little, because neighbours overlap."""

MOMENTS_NEW = 250
"""Of a line that `fit` did not know: it is measured anew at each prediction, so it must be cheap."""

BLOCK_LINES = 64
"""Lines answered together: few enough that their tables stay in the processor's cache."""

UNLIKE = 0.5
"""How much less like are two windows of other lengths (as shares of their leads) than two at other leads."""


def _window(start_min: float, end_min: float) -> Window:
    return Window(timedelta(minutes=start_min), timedelta(minutes=end_min))


GRID = (
    _window(0, 5),
    *(_window(end - 10, end) for end in range(10, 61, 10)),
    *(_window(60 * (end - 1), 60 * end) for end in (*range(1, 25), 30, 36, 48, 72, 96, 120, 144, 168)),
    *(_window(0, 60 * end) for end in (3, 6, 12)),
    *(_window(1440 * (day - 1), 1440 * day) for day in range(1, 8)),
)
"""Windows whose changes are kept sorted; others are answered from their neighbours."""


@dataclass(frozen=True, eq=False)
class Analog:
    """The newest reading plus what demand changed by after moments like this one.

    Like is: recent, at this level, after as much has come and gone within the hour, as long after a change, at this
    time of day, with or without work that waits. What was not measured is blended with a random walk, as in `Bands`.
    """

    grid: tuple[Window, ...] = GRID
    moments: Moments | None = None

    name = "analog"

    def fit(self, history: DemandHistory) -> Self:
        """Sorts what followed each remembered moment, so that `predict` only weighs it."""
        return type(self)(self.grid, Moments.of(history, self.grid, MOMENTS))

    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        """(L, W, Q) GPUs."""
        now, age_s = newest(history)
        known = self._known(history)
        room = self._room(history, known)
        change = np.zeros((len(now), len(windows), len(quantiles)))
        if windows and history.demand.shape[1]:
            like = self._likeness(history, known, age_s)
            for rows in _alike(age_s, known >= 0):
                age = timedelta(seconds=float(age_s[rows[0]]))
                around = _Neighbours.of(self.grid, [Window(w.start + age, w.end + age) for w in windows])
                table = self._changes(history, _Block(rows, known[rows], like[rows]), around.needed, quantiles)
                change[rows] = around.blend(table)
        leads_s = age_s[:, None] + np.array([_middle_s(window) for window in windows])
        doubt = leads_s / np.maximum(np.maximum(leads_s, room.seen_s[:, None]), 1.0)
        return room.bounded(now[:, None, None] + change * (1 - doubt[..., None]) + room.at(leads_s, quantiles))

    def state(self) -> State:
        """Everything that was fitted."""
        grid = [[w.start.total_seconds(), w.end.total_seconds()] for w in self.grid]
        return {"grid": grid, "moments": None if self.moments is None else self.moments.state()}

    @classmethod
    def restored(cls, state: State) -> Self:
        """From what `state` gave."""
        grid = tuple(Window(timedelta(seconds=start), timedelta(seconds=end)) for start, end in state["grid"])
        return cls(grid, None if state["moments"] is None else Moments.restored(state["moments"]))

    def _known(self, history: DemandHistory) -> Rows:
        """(L,) rows of what is remembered; -1: not known, or known from less than half of what was seen by now."""
        if self.moments is None:
            return np.full(len(history.lines), -1)
        row = {line: i for i, line in enumerate(self.moments.lines)}
        known = np.array([row.get(line, -1) for line in history.lines], dtype=np.int64)
        young = seen_s(history) >= 2 * np.append(self.moments.seen_s, 0.0)[known] + 1
        return np.where(young, -1, known)

    def _room(self, history: DemandHistory, known: Rows) -> Bands:
        """What may happen that never did, and the bounds of everything."""
        seen, scale = seen_s(history), scale_gpus(history)
        if self.moments is not None:
            seen = np.fmax(seen, np.where(known >= 0, np.append(self.moments.seen_s, 0.0)[known], 0.0))
            scale = np.fmax(scale, np.where(known >= 0, np.append(self.moments.scale, 0.0)[known], 0.0))
        return Bands(history.lines, np.zeros((len(known), len(LEADS_S), len(LEVELS))), seen, scale)

    def _likeness(self, history: DemandHistory, known: Rows, age_s: Floats) -> Halves:
        """(L, FEATURES) what each line was like at its newest reading."""
        spread = np.empty(len(known))
        new = known < 0
        spread[new] = spread_gpus(some_lines(history, np.flatnonzero(new)))
        if self.moments is not None:
            spread[~new] = self.moments.spread[known[~new]]
        ago = np.round(age_s / history.step.total_seconds()).astype(np.int64)
        column = np.maximum(history.demand.shape[1] - 1 - ago, 0)
        return likeness(history, np.arange(len(known)), column, spread)

    def _changes(self, history: DemandHistory, block: _Block, needed: Rows, quantiles: Sequence[float]) -> Floats:
        """(R, W, Q) GPUs of change of the lines of a block to the windows of the grid that are needed."""
        if self.moments is not None and block.known[0] >= 0:
            return self.moments.changes(block.known, block.like, needed, quantiles)
        new = Moments.of(some_lines(history, block.rows), [self.grid[i] for i in needed], MOMENTS_NEW)
        return new.changes(np.arange(len(block.rows)), block.like, np.arange(len(needed)), quantiles)


def _alike(age_s: Floats, known: np.ndarray) -> Iterator[Rows]:
    """Rows of lines whose newest reading is equally old and that are all known or all new, a block at a time."""
    for age in np.unique(age_s):
        for kind in (True, False):
            rows = np.flatnonzero((age_s == age) & (known == kind))
            yield from (rows[i : i + BLOCK_LINES] for i in range(0, len(rows), BLOCK_LINES))


class _Block(NamedTuple):
    """Lines whose newest reading is equally old, and that are all remembered or all new."""

    rows: Rows  # (R,) of the history
    known: Rows  # (R,) of what is remembered; -1: new
    like: Halves  # (R, FEATURES)


class _Neighbours(NamedTuple):
    """Windows of the grid just before and after each asked one.

    Like windows have their middles and their lengths, as a share of the lead, in common. Before the first
    middle of the grid change shrinks in proportion to time.
    """

    needed: Rows  # (N,) windows of the grid, each once
    low: Rows  # (W,) of `needed`
    high: Rows  # (W,) of `needed`
    share: Floats  # (W,) of the higher one
    size: Floats  # (W,) what to multiply by

    @classmethod
    def of(cls, grid: Sequence[Window], asked: Sequence[Window]) -> _Neighbours:
        middle, length = (np.array([measure(w) for w in grid]) for measure in (_middle_s, _length_s))
        at, span = (np.array([measure(w) for w in asked])[:, None] for measure in (_middle_s, _length_s))
        size = np.minimum(at[:, 0] / middle.min(), 1.0)
        at = np.clip(at, middle.min(), middle.max())
        unlike = np.abs(np.log(at / middle)) + UNLIKE * np.abs(span / at - length / middle)
        low = np.argmin(np.where(middle <= at, unlike, np.inf), axis=1)
        high = np.argmin(np.where(middle >= at, unlike, np.inf), axis=1)
        gap = middle[high] - middle[low]
        share = (at[:, 0] - middle[low]) / np.where(gap > 0, gap, 1.0)
        needed, place = np.unique(np.concatenate([low, high]), return_inverse=True)
        return cls(needed, place[: len(asked)], place[len(asked) :], share, size)

    def blend(self, table: Floats) -> Floats:
        """(R, W, Q) from answers (R, N, Q) to `needed`."""
        below, above = table[:, self.low], table[:, self.high]
        between: Floats = (below + (above - below) * self.share[:, None]) * self.size[:, None]
        return between


def _middle_s(window: Window) -> float:
    return (window.start + window.end).total_seconds() / 2


def _length_s(window: Window) -> float:
    return (window.end - window.start).total_seconds()
