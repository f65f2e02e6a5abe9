"""What some lines take as their past: their own under another name, or that of a sibling while they have none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from forecasting.demand.lineage import joined, renamed, with_borrowed_pasts
from forecasting.pooling import rows_of
from gyropilot.domain import DemandHistory, Floats, Line


@dataclass(frozen=True, eq=False, slots=True)
class Pasts:
    """Found now and then, because that looks at weeks of all lines; taken at each tick, which costs next to nothing.

    Totals stay what queues really demanded.
    """

    renamed: dict[Line, Line]  # new names with their old ones
    lines: tuple[Line, ...]  # that take a past
    times: NDArray[np.int64]  # (T,) epoch seconds
    taken: NDArray[np.bool_]  # (L, T) where it is not their own
    running: Floats  # (L, T) GPUs
    pending: Floats  # (L, T) GPUs

    @classmethod
    def none(cls) -> Self:
        """Every line has its own."""
        nothing = np.empty((0, 0))
        return cls({}, (), np.empty(0, np.int64), nothing > 0, nothing, nothing)

    @classmethod
    def of(cls, history: DemandHistory, gone: DemandHistory | None = None) -> Self:
        """Of the lines of `history`, totals among them; `gone` holds those of queues that exist no more."""
        whole = _beside(history, gone) if gone is not None and gone.lines else history
        found, count = renamed(whole), len(history.lines)
        full = with_borrowed_pasts(joined(whole, found))
        now, before = full.demand[:count], history.demand
        taken = ~((now == before) | (np.isnan(now) & np.isnan(before)))
        rows = np.flatnonzero(taken.any(axis=1))
        lines = tuple(history.lines[row] for row in rows)
        names = {new: old for new, old in found.items() if new in history.lines}
        return cls(names, lines, history.times, taken[rows], full.running[rows], full.pending[rows])

    def added_to(self, history: DemandHistory) -> DemandHistory:
        """`history` with these pasts, where it still reaches back to them."""
        rows = rows_of(history.lines, self.lines)
        _, here, there = np.intersect1d(history.times, self.times, assume_unique=True, return_indices=True)
        if not (rows >= 0).any() or not len(here):
            return history
        running, pending = history.running.copy(), history.pending.copy()
        for mine, row in enumerate(rows):
            if row >= 0:
                taken = self.taken[mine, there]
                running[row, here[taken]] = self.running[mine, there[taken]]
                pending[row, here[taken]] = self.pending[mine, there[taken]]
        return DemandHistory(history.lines, history.times, running, pending)

    @property
    def sentences(self) -> tuple[str, ...]:
        """Renames, as an operator should know them."""
        return tuple(f"{new} is taken to be what was {old}" for new, old in sorted(self.renamed.items()))


def _beside(history: DemandHistory, gone: DemandHistory) -> DemandHistory:
    """Both, on the grid of `history`."""
    return DemandHistory(
        (*history.lines, *gone.lines),
        history.times,
        np.vstack([history.running, gone.running]),
        np.vstack([history.pending, gone.pending]),
    )


NO_PASTS = Pasts.none()
