"""What was seen of each line: its newest reading, how much of its past, how large it was."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forecasting.once import kept, once
from gyropilot.domain import DemandHistory, Floats

DAY_S = 86_400.0
NODE_GPUS = 8.0
"""The smallest scale of demand: nobody knows less about a queue than that its next gang may fill a node."""


@once
def newest(history: DemandHistory) -> tuple[Floats, Floats]:
    """(L,) newest demand that was seen, and (L,) seconds since; 0 and the whole history where none was."""
    lines, steps = history.demand.shape
    if not steps:
        return np.zeros(lines), np.zeros(lines)
    value, ago = history.demand[:, -1].copy(), np.zeros(lines)
    late = np.flatnonzero(np.isnan(value))
    if not len(late):
        return value, ago
    back = np.argmax(np.isfinite(history.demand[late, ::-1]), axis=1)
    value[late] = history.demand[late, steps - 1 - back]
    never = np.isnan(value)
    ago[late] = back
    return np.where(never, 0.0, value), np.where(never, steps, ago) * history.step.total_seconds()


def newest_columns(history: DemandHistory) -> NDArray[np.int64]:
    """(L,) of the newest reading of each line; the first where there is none."""
    ago = np.round(newest(history)[1] / history.step.total_seconds()).astype(np.int64)
    columns: NDArray[np.int64] = np.maximum(history.demand.shape[1] - 1 - ago, 0)
    return columns


@once
def seen_s(history: DemandHistory) -> Floats:
    """(L,) seconds of each line that were really seen."""
    return np.asarray(history.seen * history.step.total_seconds(), dtype=np.float64)


@once
def scale_gpus(history: DemandHistory) -> Floats:
    """(L,) the largest demand that was seen, at least a node's."""
    scale: Floats = np.maximum.reduce(history.demand, axis=1, initial=NODE_GPUS)
    # Looking past gaps takes several times as long.
    gaps = np.isnan(scale)
    if gaps.any():
        scale[gaps] = np.fmax.reduce(history.demand[gaps], axis=1, initial=NODE_GPUS)
    return scale


def some_lines(history: DemandHistory, rows: Sequence[int] | np.ndarray) -> DemandHistory:
    """The same history of some lines only."""
    picked = tuple(history.lines[i] for i in rows)
    return DemandHistory(picked, history.times, history.running[rows], history.pending[rows])


def drawn_columns(first: int, end: int, most: int) -> NDArray[np.int64]:
    """At most so many of the columns from `first` to `end`, one drawn from each of as many equal stretches.

    Every n-th would do, were it not for jobs that come as regularly as that.
    """
    if end - first <= most:
        return np.arange(first, end)
    edges = np.linspace(first, end, most + 1)
    drawn: NDArray[np.int64] = (edges[:-1] + np.diff(edges) * _lots(most)).astype(np.int64)
    return drawn


@kept
def _lots(count: int) -> Floats:
    """(count,) the same at each draw, from 0 to 1."""
    return np.random.default_rng(0).random(count)
