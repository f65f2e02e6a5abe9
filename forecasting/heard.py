"""What experts said at a tick, so that they are asked once about all that it wants to know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self
from weakref import ReferenceType, ref

import numpy as np

from forecasting.protocol import Forecaster
from gyropilot.domain import DemandHistory, Floats, Window


class Question(NamedTuple):
    """Some windows and some quantiles."""

    windows: tuple[Window, ...]
    quantiles: tuple[float, ...]

    @classmethod
    def of(cls, windows: Sequence[Window], quantiles: Sequence[float]) -> Self:
        return cls(tuple(windows), tuple(quantiles))

    def and_also(self, other: Question) -> Question:
        """Both in one: each window at each quantile."""
        windows, quantiles = {*self.windows, *other.windows}, {*self.quantiles, *other.quantiles}
        return Question(tuple(sorted(windows, key=lambda w: (w.end, w.start))), tuple(sorted(quantiles)))

    def holds(self, other: Question) -> bool:
        return set(other.windows) <= set(self.windows) and set(other.quantiles) <= set(self.quantiles)


NOTHING = Question((), ())


@dataclass(slots=True)
class Habit:
    """What was asked last, which is likely to be asked again. It changes what is worked out when, and no answer."""

    question: Question = NOTHING


class Heard(NamedTuple):
    """What experts answer to a question about one history."""

    history: ReferenceType[DemandHistory]
    question: Question
    table: Floats  # (E, L, W, Q) GPUs

    @classmethod
    def of(cls, experts: Sequence[Forecaster], history: DemandHistory, question: Question) -> Self:
        table = np.stack([expert.predict(history, *question) for expert in experts])
        return cls(ref(history), question, table)

    def is_of(self, history: DemandHistory) -> bool:
        return self.history() is history

    def knows(self, history: DemandHistory, question: Question) -> bool:
        return self.is_of(history) and self.question.holds(question)

    def about(self, question: Question) -> Floats:
        """(E, L, W, Q) of what it knows."""
        windows = [self.question.windows.index(window) for window in question.windows]
        quantiles = [self.question.quantiles.index(quantile) for quantile in question.quantiles]
        return self.table[:, :, np.array(windows)[:, None], quantiles]
