"""What many ask of one history: worked out once, and kept for as long as the history is."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from gyropilot.domain import DemandHistory

Answer = TypeVar("Answer")


def once(measure: Callable[[DemandHistory], Answer]) -> Callable[[DemandHistory], Answer]:
    """`measure`, which works out its answer at the first question about each history; nobody may write to its arrays.

    The answer must not hold the history itself, or neither would ever be forgotten.
    """
    known: WeakKeyDictionary[DemandHistory, Answer] = WeakKeyDictionary()

    @wraps(measure)
    def asked(history: DemandHistory) -> Answer:
        if history not in known:
            known[history] = _for_reading(measure(history))
        return known[history]

    return asked


def _for_reading(answer: Answer) -> Answer:
    for part in answer if isinstance(answer, tuple) else (answer,):
        if isinstance(part, np.ndarray):
            part.flags.writeable = False
    return answer
