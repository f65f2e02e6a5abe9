"""The next day as a foundation model sees it: an expert who is asked once an hour and says nothing of the next two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import NamedTuple, Self

import numpy as np

from forecasting.demand.signals import Rows
from forecasting.demand.steps import over_windows, resampled, whole_steps
from forecasting.forecasters.foundation import told_by, widened, zero_shot
from forecasting.grid import later
from forecasting.protocol import State
from forecasting.rolling import until
from gyropilot.domain import DemandHistory, Floats, Window

HOUR = timedelta(hours=1)
NEAREST = timedelta(hours=2)
FARTHEST = timedelta(hours=24)
SAMPLE = timedelta(minutes=30)
"""The finest that the model sees a day ahead of at once."""

MOST_LINES = 24
"""At 40 ms a line, more would hold up a cycle for over a second."""


class View(NamedTuple):
    """What the model said when it was last asked."""

    rows: bytes  # what it was shown
    told: Rows  # (N,) of which lines it said anything
    steps: Floats  # (N, steps, 9) GPUs: tenths


@dataclass(frozen=True, eq=False)
class Outlook:
    """Fracast-0 within the mixture: asked at each full hour, so that an answer is a function of the history alone.

    It says NaN of windows that begin within two hours, unless steps are hours, or end beyond a day, of lines that tell
    it nothing, and of everything where there are more than MOST_LINES.
    """

    views: list[View] = field(default_factory=list)  # the newest; it changes what is worked out when, and no answer

    name = "foundation"

    def fit(self, history: DemandHistory) -> Self:
        """The model stays as it is; what it said before is forgotten."""
        return replace(self, views=[])

    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        """(L, W, Q) GPUs; NaN where it says nothing."""
        table = np.full((len(history.lines), len(windows), len(quantiles)), np.nan)
        picked = [i for i, window in enumerate(windows) if in_view(window, history.step)]
        if not picked or not 0 < len(history.lines) <= MOST_LINES or not len(history.times):
            return table
        known = _at_full_hour(history)
        view, age = self._view(known), timedelta(seconds=int(history.times[-1] - known.times[-1]))
        asked = later([windows[i] for i in picked], age)
        if len(view.told):
            said = over_windows(widened(view.steps, quantiles), _sample(history), asked)
            table[np.ix_(view.told, np.array(picked))] = np.maximum(said, 0.0)
        return table

    def state(self) -> State:
        """Nothing was learnt."""
        return {}

    @classmethod
    def restored(cls, state: State) -> Self:
        """From what `state` gave."""
        return cls()

    def _view(self, known: DemandHistory) -> View:
        rows = resampled(known, _sample(known))
        shown = rows.tobytes()
        newest = next(iter(self.views), None)  # read once: a fit may run beside a cycle
        if newest is None or newest.rows != shown:
            told = np.flatnonzero(told_by(rows))
            steps = zero_shot(list(rows[told])) if len(told) else np.empty((0, 0, 0))
            newest = View(shown, told, steps)
            self.views[:] = [newest]
        return newest


def in_view(window: Window, step: timedelta) -> bool:
    """Whether anything is said of it; of the next hours only where nothing is seen in between."""
    nearest = NEAREST if step < HOUR else timedelta(0)
    return window.start >= nearest and window.end <= FARTHEST


def _at_full_hour(history: DemandHistory) -> DemandHistory:
    """What was known at the last full hour, or now where steps are as long or nothing was."""
    hour_s = int(HOUR.total_seconds())
    column = int(np.searchsorted(history.times, history.times[-1] // hour_s * hour_s, side="right")) - 1
    return history if history.step >= HOUR or column < 0 else until(history, column)


def _sample(history: DemandHistory) -> timedelta:
    return whole_steps(SAMPLE, history.step)
