"""From changes that were seen to a forecast: around the newest reading, with room for what never happened yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np

from forecasting.bands import Bands
from forecasting.demand.seen import newest, scale_gpus, seen_s
from forecasting.demand.signals import Rows
from forecasting.grid import answered, middles_s
from forecasting.once import once
from forecasting.pooling import rows_of
from gyropilot.domain import DemandHistory, Floats, Line, Window


class Remembered(Protocol):
    """What a model keeps of some lines."""

    @property
    def lines(self) -> tuple[Line, ...]: ...

    @property
    def seen_s(self) -> Floats: ...  # (L,) seconds of history that were seen

    @property
    def scale(self) -> Floats: ...  # (L,) largest demand seen, at least a node's


@dataclass(frozen=True, eq=False, slots=True)
class Room:
    """Where demand of each line is now, and how much is known about how it changes."""

    known: Rows  # (L,) rows of what is remembered; -1: nothing is, or too little
    now: Floats  # (L,) newest reading in GPUs
    age_s: Floats  # (L,) of it
    doubt: Bands  # without past errors: only what may happen although it never did

    @classmethod
    def of(cls, history: DemandHistory, remembered: Remembered | None) -> Self:
        """A line of which half of what is seen by now was unknown at the fit counts as not remembered."""
        known = _rooms(history)
        if id(remembered) not in known:
            known[id(remembered)] = remembered, cls._measured(history, remembered)
        found: Self = known[id(remembered)][1]
        return found

    @classmethod
    def _measured(cls, history: DemandHistory, remembered: Remembered | None) -> Self:
        lines, memory = len(history.lines), remembered
        known, then_seen, then_scale = np.full(lines, -1), np.zeros(lines), np.zeros(lines)
        if memory is not None:
            known = rows_of(memory.lines, history.lines)
            then_seen, then_scale = (np.append(v, 0.0)[known] for v in (memory.seen_s, memory.scale))
        seen, scale = seen_s(history), scale_gpus(history)
        known = np.where(seen >= 2 * then_seen + 1, -1, known)
        doubt = Bands.doubt(history.lines, np.fmax(seen, then_seen), np.fmax(scale, then_scale))
        return cls(known, *newest(history), doubt)

    def forecast(
        self,
        grid: Sequence[Window],
        windows: Sequence[Window],
        quantiles: Sequence[float],
        changes: Callable[[Rows, Rows], Floats],
    ) -> Floats:
        """(L, W, Q) GPUs, from `changes(rows, needed)`: (R, N, Q) of some lines to windows of the grid."""
        if not windows or not len(self.now):
            return np.zeros((len(self.now), len(windows), len(quantiles)))
        change = answered(grid, windows, self.age_s, self.known >= 0, changes)
        leads_s = self.age_s[:, None] + middles_s(windows)
        return self.doubt.roomy(self.now, change, leads_s, quantiles)


@once
def _rooms(history: DemandHistory) -> dict[int, tuple[Remembered | None, Any]]:
    """Those that were asked for, by the id of what is remembered, which is held so that nothing else can have it."""
    return {}
