"""What happened next when it was like now: the newest reading plus weighted quantiles of past changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from forecasting.demand.seen import newest_columns, some_lines
from forecasting.demand.signals import Rows
from forecasting.forecasters.moments import Halves, Moments, likeness, spread_gpus
from forecasting.forecasters.room import Room
from forecasting.grid import GRID, restored_windows, saved_windows
from forecasting.protocol import State
from forecasting.store import nested
from gyropilot.domain import DemandHistory, Floats, Window

MOMENTS = 600
"""Past moments remembered of each line: more of them cost memory and say little, because neighbours overlap."""

MOMENTS_NEW = 250
"""Of a line that `fit` did not know: it is measured anew at each prediction, so it must be cheap."""


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
        room = Room.of(history, self.moments)
        like = self._likeness(history, room)

        def changes(rows: Rows, needed: Rows) -> Floats:
            known = room.known[rows]
            if self.moments is not None and known[0] >= 0:
                return self.moments.changes(known, like[rows], needed, quantiles)
            new = Moments.of(some_lines(history, rows), [self.grid[i] for i in needed], MOMENTS_NEW)
            return new.changes(np.arange(len(rows)), like[rows], np.arange(len(needed)), quantiles)

        return room.forecast(self.grid, windows, quantiles, changes)

    def state(self) -> State:
        """Everything that was fitted."""
        return {"grid": saved_windows(self.grid), "moments": None if self.moments is None else self.moments.state()}

    @classmethod
    def restored(cls, state: State) -> Self:
        """From what `state` gave."""
        grid = restored_windows(state["grid"])
        return cls(grid, None if state["moments"] is None else Moments.restored(nested(state, "moments"), len(grid)))

    def _likeness(self, history: DemandHistory, room: Room) -> Halves:
        """(L, FEATURES) what each line was like at its newest reading."""
        spread, new = np.empty(len(room.known)), room.known < 0
        spread[new] = spread_gpus(some_lines(history, np.flatnonzero(new)))
        if self.moments is not None:
            spread[~new] = self.moments.spread[room.known[~new]]
        return likeness(history, np.arange(len(spread)), newest_columns(history), spread)
