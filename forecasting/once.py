"""What is asked again and again: worked out once."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from gyropilot.domain import DemandHistory

Answer = TypeVar("Answer")
Question = ParamSpec("Question")

KEPT = 256
"""Answers that `kept` remembers of each function; a forecaster is asked about a handful of windows and quantiles."""


def once(measure: Callable[[DemandHistory], Answer]) -> Callable[[DemandHistory], Answer]:
    """`measure`, which works out its answer at the first question about each history, and keeps it as long as that.

    Nobody may write to its arrays. It must not hold the history itself, or neither would ever be forgotten.
    """
    known: WeakKeyDictionary[DemandHistory, Answer] = WeakKeyDictionary()

    @wraps(measure)
    def asked(history: DemandHistory) -> Answer:
        if history not in known:
            known[history] = _for_reading(measure(history))
        return known[history]

    return asked


def kept(measure: Callable[Question, Answer]) -> Callable[Question, Answer]:
    """`measure` of numbers, windows and lists of them, which keeps its answers; nobody may write to its arrays."""
    known = lru_cache(maxsize=KEPT)(measure)

    @wraps(measure)
    def asked(*parts: Question.args, **_: Question.kwargs) -> Answer:
        hashable = (tuple(part) if isinstance(part, list | np.ndarray) else part for part in parts)
        return _for_reading(known(*hashable))

    return asked


def _for_reading(answer: Answer) -> Answer:
    for part in answer if isinstance(answer, tuple) else (answer,):
        if isinstance(part, np.ndarray):
            part.flags.writeable = False
    return answer
