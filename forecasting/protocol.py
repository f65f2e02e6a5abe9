"""What every forecaster promises: two verbs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol, Self

from gyropilot.domain import DemandHistory, Floats


class Forecaster(Protocol):
    """Learns from history, rarely and slowly; predicts from the newest history, often and fast.

    Works before `fit` and before any history exists (a wide guess above zero), never returns NaN or a
    negative number, and knows nothing of what follows the history that it is given.
    """

    name: str

    def fit(self, history: DemandHistory) -> Self:
        """The same forecaster, having learnt from `history`. Self is left as it was."""
        ...

    def predict(self, history: DemandHistory, horizons: Sequence[timedelta], quantiles: Sequence[float]) -> Floats:
        """(L, H, Q) GPUs: the mean demand of the step that ends at history.end + horizon, per line of `history`."""
        ...
