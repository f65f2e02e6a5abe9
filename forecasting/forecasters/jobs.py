"""Demand as jobs that come, stay and end, read off its own steps where no list of jobs can be seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from forecasting.demand.seen import DAY_S, newest_columns, some_lines
from forecasting.demand.signals import Rows
from forecasting.forecasters.paths import Paths, layers_now
from forecasting.forecasters.room import Room
from forecasting.grid import restored_windows, saved_windows, window
from forecasting.protocol import State
from forecasting.store import nested
from gyropilot.domain import DemandHistory, Floats, Window

PATHS = 200
PATHS_NEW = 80
"""Of a line that `fit` did not know: it is measured anew at each prediction, so it must be cheap."""

GRID = (
    *(window(end - 10, end) for end in range(10, 61, 10)),
    *(window(60 * (end - 1), 60 * end) for end in (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 18, 21, 24, 36, 48, 96, 168)),
    *(window(1440 * (day - 1), 1440 * day) for day in (1, 2, 4, 7)),
)


@dataclass(frozen=True, eq=False)
class Jobs:
    """What is here by age, each age less what it lost after a past moment, plus what arrived after that moment.

    Each past moment near this time of day is one path (a bootstrap of survival by age and of arrivals, together);
    the forecast is the weighted quantiles over paths. What was not measured is blended in as by `Room`.
    """

    grid: tuple[Window, ...] = GRID
    paths: Paths | None = None

    name = "jobs"

    def fit(self, history: DemandHistory) -> Self:
        """Follows the ages of demand after past moments."""
        return type(self)(self.grid, Paths.of(history, self.grid, PATHS))

    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        """(L, W, Q) GPUs."""
        room = Room.of(history, self.paths)
        now = layers_now(history)

        def changes(rows: Rows, needed: Rows) -> Floats:
            known, day_s = room.known[rows], _second_of_day(history, rows)
            if self.paths is not None and known[0] >= 0:
                return self.paths.changes(known, now[rows], day_s, needed, quantiles)
            new = Paths.of(some_lines(history, rows), [self.grid[i] for i in needed], PATHS_NEW)
            return new.changes(np.arange(len(rows)), now[rows], day_s, np.arange(len(needed)), quantiles)

        return room.forecast(self.grid, windows, quantiles, changes)

    def state(self) -> State:
        """Everything that was fitted."""
        return {"grid": saved_windows(self.grid), "paths": None if self.paths is None else self.paths.state()}

    @classmethod
    def restored(cls, state: State) -> Self:
        """From what `state` gave."""
        grid = restored_windows(state["grid"])
        return cls(grid, None if state["paths"] is None else Paths.restored(nested(state, "paths"), len(grid)))


def _second_of_day(history: DemandHistory, rows: Rows) -> int:
    """Of the newest reading of lines that are equally old."""
    if not len(history.times):
        return 0
    return int(history.times[newest_columns(history)[rows[0]]] % DAY_S)
