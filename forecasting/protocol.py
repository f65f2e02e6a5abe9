"""What every forecaster promises: to learn and to predict; some also learn from their own mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self, TypeAlias, cast

from gyropilot.domain import DemandHistory, Floats, Window

State: TypeAlias = Mapping[str, Any]
"""What a forecaster knows, as nested plain data: mappings, lists, arrays, strings, numbers, bools, None; no objects."""


class Forecaster(Protocol):
    """Learns from history, rarely and slowly; predicts from the newest history, often and fast.

    Works before `fit` and before any history exists (a wide guess above zero), never returns NaN or a
    negative number, and knows nothing of what follows the history that it is given.
    """

    name: str

    def fit(self, history: DemandHistory) -> Self:
        """The same forecaster, having learnt from `history`. Self is left as it was."""
        ...

    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        """(L, W, Q) GPUs: quantiles of mean demand in each window after history.end, per line of `history`.

        Windows may be of any length and lie as far as seven days ahead.
        """
        ...

    def state(self) -> State:
        """What it has learnt, for a file."""
        ...

    @classmethod
    def restored(cls, state: State) -> Self:
        """One that answers exactly as the one did whose `state` this is."""
        ...


class Learner(Forecaster, Protocol):
    """A forecaster that also learns from what it said before: `update` is called at each tick, before `predict`."""

    def update(self, history: DemandHistory) -> Self:
        """The same forecaster, having scored what it said before against `history`, and learnt."""
        ...


def updated(model: Forecaster, history: DemandHistory) -> Forecaster:
    """The model after `history`, which it learns from where it can, and is left as it was where it cannot."""
    # Checked by name, as at each tick the check of all that a protocol promises would take longer than some models do.
    return cast(Learner, model).update(history) if hasattr(model, "update") else model
