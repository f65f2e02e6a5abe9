"""Means of demand on past days; see `forecasting.demand.slots`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from forecasting.compiled.loops import compiled
from forecasting.demand.slots import HAIR
from forecasting.windows import LEAST_SEEN
from gyropilot.domain import Floats

Rows = NDArray[np.int64]

DECIMALS = 1e6
"""Of a slot, to which edges are known."""


class Running(NamedTuple):
    """Running sums of some lines over slots, and those that go on where these end."""

    early: Floats  # (R, N + 1)
    late: Floats  # (R, M + 1)


class Places(NamedTuple):
    """Where some edges (N,) lie: between which columns of either sums, and how far from the one to the other."""

    old: Rows
    old_next: Rows
    new: Rows
    new_next: Rows
    part: Floats


@compiled
def places(edges: Floats, last: int, latest: int) -> Places:
    """Of `edges` (N,), which may be fractions, in sums whose columns end at `last` and at `latest`."""
    near = np.rint(edges * DECIMALS) / DECIMALS
    whole = np.floor(near).astype(np.int64)
    after = whole + 1
    return Places(
        np.minimum(np.maximum(whole, 0), last),
        np.minimum(np.maximum(after, 0), last),
        np.minimum(np.maximum(whole - last, 0), latest),
        np.minimum(np.maximum(after - last, 0), latest),
        near - whole,
    )


@compiled
def upto(sums: Running, line: int, at: Places, n: int) -> float:
    """What sums of a line hold at the n-th place."""
    here = sums.early[line, at.old[n]] + sums.late[line, at.new[n]]
    there = sums.early[line, at.old_next[n]] + sums.late[line, at.new_next[n]]
    return here + (there - here) * at.part[n]  # type: ignore[no-any-return]


@compiled
def means(total: Running, seen: Running, gapless: bool, begins: Floats, ends: Floats, now: float) -> Floats:
    """(R, N) means from `begins` to `ends` (N,); NaN where under half was seen, or it ends after `now`.

    Of lines that are `gapless` all was seen.
    """
    last, latest = total.early.shape[1] - 1, total.late.shape[1] - 1
    first, end = places(begins, last, latest), places(ends, last, latest)
    found = np.full((len(total.early), len(begins)), np.nan)
    for line in range(len(found)):
        for n in range(len(begins)):
            slots = ends[n] - begins[n]
            known = slots if gapless else upto(seen, line, end, n) - upto(seen, line, first, n)
            told = known > 0 and known >= LEAST_SEEN * slots - HAIR
            if told and begins[n] >= -HAIR and ends[n] <= now + HAIR:
                found[line, n] = max((upto(total, line, end, n) - upto(total, line, first, n)) / known, 0.0)
    return found
