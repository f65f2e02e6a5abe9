"""What experts said at a tick, so that they are asked once about all that it wants to know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Self
from weakref import ReferenceType, ref

import numpy as np

from forecasting.demand.signals import Rows
from forecasting.mixture.said import Said, first_due_s
from forecasting.once import KEPT, kept
from forecasting.protocol import Forecaster
from gyropilot.domain import DemandHistory, Floats, Window

Places = tuple[Rows, Rows] | None


class Question(NamedTuple):
    """Some windows and some quantiles."""

    windows: tuple[Window, ...]
    quantiles: tuple[float, ...]

    @staticmethod
    def of(windows: Sequence[Window], quantiles: Sequence[float]) -> Question:
        """The very same object each time that the same is asked."""
        return _asked(tuple(windows), tuple(quantiles))

    def and_also(self, other: Question) -> Question:
        """Both in one: each window at each quantile."""
        windows, quantiles = {*self.windows, *other.windows}, {*self.quantiles, *other.quantiles}
        return Question.of(sorted(windows, key=lambda w: (w.end, w.start)), sorted(quantiles))

    def holds(self, other: Question) -> bool:
        return other is self or _places(self, other) is not None


@lru_cache(maxsize=KEPT)
def _asked(windows: tuple[Window, ...], quantiles: tuple[float, ...]) -> Question:
    return Question(windows, quantiles)


@kept
def _places(question: Question, other: Question) -> Places:
    """Where windows (W, 1) and quantiles (Q,) of the other stand in a question; None where it does not hold them."""
    if not (set(other.windows) <= set(question.windows) and set(other.quantiles) <= set(question.quantiles)):
        return None
    windows = np.array([question.windows.index(window) for window in other.windows], dtype=np.int64)
    quantiles = np.array([question.quantiles.index(quantile) for quantile in other.quantiles], dtype=np.int64)
    return windows[:, None], quantiles


NOTHING = Question((), ())


@dataclass(slots=True)
class Habit:
    """What is likely to come next. It changes what is worked out when, and no answer."""

    question: Question = NOTHING  # that was asked last, and will be asked again
    waiting: tuple[tuple[Said, ...], float] = (
        (),
        np.inf,
    )  # what is kept, and the epoch second before which none is due

    def due(self, kept: tuple[Said, ...], windows: Sequence[Window], now_s: int) -> bool:
        """Whether a window of what is `kept` has ended by now and is not scored yet."""
        waiting, due_s = self.waiting
        if waiting is not kept:
            due_s = first_due_s(kept, windows)
            self.waiting = kept, due_s
        return due_s <= now_s


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
        if question is self.question:
            return self.table
        places = _places(self.question, question)
        if places is None:
            raise KeyError(f"{question} was not asked")
        return self.table[:, :, *places]
