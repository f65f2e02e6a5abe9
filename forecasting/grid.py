"""A grid of windows that a model keeps answers to, and how any other window is answered from its neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import NamedTuple

import numpy as np

from forecasting.demand.signals import Bools, Rows
from forecasting.once import kept
from gyropilot.domain import Floats, Window

BLOCK_LINES = 64
"""Lines answered together: few enough that their tables stay in the processor's cache."""

UNLIKE = 0.5
"""How much less like are two windows of other lengths (as shares of their leads) than two at other leads."""


def window(start_min: float, end_min: float) -> Window:
    return Window(timedelta(minutes=start_min), timedelta(minutes=end_min))


GRID = (
    window(0, 5),
    *(window(end - 10, end) for end in range(10, 61, 10)),
    *(window(60 * (end - 1), 60 * end) for end in (*range(1, 25), 30, 36, 48, 72, 96, 120, 144, 168)),
    *(window(0, 60 * end) for end in (3, 6, 12)),
    *(window(1440 * (day - 1), 1440 * day) for day in range(1, 8)),
)
"""Windows whose changes are kept sorted; others are answered from their neighbours."""


def answered(
    grid: Sequence[Window],
    windows: Sequence[Window],
    age_s: Floats,
    known: Bools,
    answer: Callable[[Rows, Rows], Floats],
) -> Floats:
    """(L, W, Q) from `answer(rows, needed)`, which gives (R, N, Q) of some lines to some windows of the grid.

    Windows begin at each line's newest reading, which is `age_s` (L,) old; lines asked about together are equally
    old and all `known` (L,) or all new.
    """
    blocks = [(rows, _around(grid, windows, age_s[rows[0]])) for rows in _alike(age_s, known)]
    answers = [around.blend(answer(rows, around.needed)) for rows, around in blocks]
    table = np.empty((len(age_s), *answers[0].shape[1:])) if answers else np.empty((0, len(windows), 0))
    for (rows, _), part in zip(blocks, answers, strict=True):
        table[rows] = part
    return table


def _alike(age_s: Floats, known: Bools) -> Iterator[Rows]:
    """Rows of lines whose newest reading is equally old and that are all known or all new, a block at a time."""
    for age in distinct(age_s):
        for kind in (True, False):
            rows = np.flatnonzero((age_s == age) & (known == kind))
            yield from (rows[i : i + BLOCK_LINES] for i in range(0, len(rows), BLOCK_LINES))


def distinct(values: Floats) -> Floats:
    """(N,) each value once, ascending: sorting takes ten times as long as to see that all are alike, as a rule."""
    return values[:1] if (values == values[:1]).all() else np.unique(values)


def _around(grid: Sequence[Window], windows: Sequence[Window], age_s: float) -> Neighbours:
    return Neighbours.of(grid, later(windows, timedelta(seconds=float(age_s))))


class Neighbours(NamedTuple):
    """Windows of the grid just before and after each asked one.

    Like windows have their middles and their lengths, as a share of the lead, in common. Before the first
    middle of the grid change shrinks in proportion to time.
    """

    needed: Rows  # (N,) windows of the grid, each once
    low: Rows  # (W,) of `needed`
    high: Rows  # (W,) of `needed`
    share: Floats  # (W,) of the higher one
    size: Floats  # (W,) what to multiply by

    @staticmethod
    @kept
    def of(grid: Sequence[Window], asked: Sequence[Window]) -> Neighbours:
        middle, length = (np.array([measure(w) for w in grid]) for measure in (middle_s, length_s))
        at, span = (np.array([measure(w) for w in asked])[:, None] for measure in (middle_s, length_s))
        size = np.minimum(at[:, 0] / middle.min(), 1.0)
        at = np.clip(at, middle.min(), middle.max())
        unlike = np.abs(np.log(at / middle)) + UNLIKE * np.abs(span / at - length / middle)
        low = np.argmin(np.where(middle <= at, unlike, np.inf), axis=1)
        high = np.argmin(np.where(middle >= at, unlike, np.inf), axis=1)
        gap = middle[high] - middle[low]
        share = (at[:, 0] - middle[low]) / np.where(gap > 0, gap, 1.0)
        needed, place = np.unique(np.concatenate([low, high]), return_inverse=True)
        return Neighbours(needed, place[: len(asked)], place[len(asked) :], share, size)

    def blend(self, table: Floats) -> Floats:
        """(R, W, Q) from answers (R, N, Q) to `needed`."""
        below, above = table[:, self.low], table[:, self.high]
        between: Floats = (below + (above - below) * self.share[:, None]) * self.size[:, None]
        return between


def later(windows: Sequence[Window], by: timedelta) -> Sequence[Window]:
    return [Window(w.start + by, w.end + by) for w in windows] if by else windows


def middle_s(window: Window) -> float:
    return (window.start + window.end).total_seconds() / 2


@kept
def middles_s(windows: Sequence[Window]) -> Floats:
    """(W,)"""
    return np.array([middle_s(window) for window in windows])


@kept
def ends_s(windows: Sequence[Window]) -> Floats:
    """(W,)"""
    return np.array([window.end.total_seconds() for window in windows])


def length_s(window: Window) -> float:
    return (window.end - window.start).total_seconds()


def saved_windows(windows: Sequence[Window]) -> list[list[float]]:
    """As plain data: start and end in seconds."""
    return [[w.start.total_seconds(), w.end.total_seconds()] for w in windows]


def restored_windows(state: Sequence[Sequence[float]]) -> tuple[Window, ...]:
    """From what `saved_windows` gave."""
    return tuple(Window(timedelta(seconds=start), timedelta(seconds=end)) for start, end in state)


@kept
def between(known: Sequence[float] | Floats, asked: Sequence[float] | Floats) -> Floats:
    """(A, K) parts of what is known at ascending points that make up each asked one: linear, held at the ends."""
    return np.array([np.interp(asked, known, unit) for unit in np.eye(len(known))]).T


@kept
def nearby(count: int, reach: float) -> Floats:
    """(count, count) parts of a Gaussian around each index, which sum to one in each row."""
    distance = np.arange(count)[:, None] - np.arange(count)
    parts = np.exp(-0.5 * (distance / reach) ** 2)
    kernel: Floats = parts / parts.sum(axis=1, keepdims=True)
    return kernel
