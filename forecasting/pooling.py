"""What lines learn from each other: groups of lines, their means, and rows that follow the lines."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from gyropilot.domain import ALL_QUEUES, Floats, Line

GROUPS = ("queues", "totals")
"""Totals are smoother than queues, and learn from each other only."""

Rows = NDArray[np.int64]


def groups_of(lines: Sequence[Line]) -> Rows:
    """(L,) which of GROUPS each line belongs to."""
    return np.array([int(line.queue == ALL_QUEUES) for line in lines], dtype=np.int64)


def members(groups: Rows) -> Floats:
    """(G, L) 1 where a line belongs to a group: `members(groups) @ values` (L, ...) are sums over groups."""
    belong: Floats = (np.arange(len(GROUPS))[:, None] == groups).astype(np.float64)
    return belong


def group_means(values: Floats, groups: Rows) -> Floats:
    """(..., G, W, Q) means of `values` (..., L, W, Q) over the lines of each group, NaN left out; NaN where none."""
    from forecasting.compiled import groups as loops

    before, cells = values.shape[:-3], values.shape[-3:]
    means = loops.means(values.reshape(prod(before), *cells), groups, len(GROUPS))
    return means.reshape(*before, len(GROUPS), *cells[1:])


def or_zero(values: Floats) -> Floats:
    """The same, 0 where nothing is known."""
    return np.where(np.isnan(values), 0.0, values)


def mean_known(values: Floats) -> Floats:
    """(L,) mean of each row of `values` (L, N) over what is known; NaN where nothing is."""
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=1)
    mean: Floats = np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.nan)
    return mean


def rows_of(known: Sequence[Line], wanted: Sequence[Line]) -> Rows:
    """(len(wanted),) where each line stands among `known`; -1 where it is new."""
    if known == wanted:  # as a rule
        return np.arange(len(known))
    at = {line: row for row, line in enumerate(known)}
    return np.array([at.get(line, -1) for line in wanted], dtype=np.int64)


def followed(values: Floats, rows: Rows, axis: int, new: float) -> Floats:
    """`values` with its lines, which lie along `axis`, picked by `rows`; `new` where a row is -1."""
    if not values.shape[axis]:
        shape = list(values.shape)
        shape[axis] = len(rows)
        return np.full(shape, new)
    picked = np.take(values, rows, axis=axis)
    np.moveaxis(picked, axis, 0)[rows < 0] = new
    return picked
