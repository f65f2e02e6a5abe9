"""What is asked again and again: worked out once."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

import numpy as np

from gyropilot.domain import DemandHistory

Answer = TypeVar("Answer")
Question = ParamSpec("Question")

KEPT = 256
"""Answers that `kept` remembers of each function; a forecaster is asked about a handful of windows and quantiles."""


def once(measure: Callable[[DemandHistory], Answer]) -> Callable[[DemandHistory], Answer]:
    """`measure`, which works out its answer at the first question about each history, and keeps it beside its fields.

    Nobody may write to its arrays.
    """
    name = f"{measure.__module__}.{measure.__qualname__}"

    @wraps(measure)
    def asked(history: DemandHistory) -> Answer:
        known = vars(history)
        if name not in known:
            known[name] = for_reading(measure(history))
        found: Answer = known[name]
        return found

    return asked


def kept(measure: Callable[Question, Answer]) -> Callable[Question, Answer]:
    """`measure` of numbers, windows and lists of them, which keeps its answers; nobody may write to its arrays.

    It is asked by position: raises TypeError where a part is named, which would be the same question asked otherwise.
    """
    known, lately = lru_cache(maxsize=KEPT)(measure), dict[tuple[object, ...], tuple[object, Answer]]()

    def looked_up(*parts: object) -> Answer:
        return for_reading(known(*(tuple(part) if isinstance(part, _WRITABLE) else part for part in parts)))

    @wraps(measure)
    def asked(*parts: Question.args, **named: Question.kwargs) -> Answer:
        if named:
            raise TypeError(f"{measure.__name__} is asked by position, not with {', '.join(named)}=")
        for part in parts:
            if isinstance(part, _WRITABLE):
                return looked_up(*parts)
        # The very same windows need not be compared one by one: while they are held here, no others have their id.
        same = tuple([id(part) if isinstance(part, tuple) else part for part in parts])
        found = lately.get(same)
        if found is None:
            if len(lately) >= KEPT:
                lately.clear()
            found = lately[same] = parts, looked_up(*parts)
        return found[1]

    return asked


_WRITABLE = (list, np.ndarray)


def for_reading(answer: Answer) -> Answer:
    """The same, to whose arrays nobody can write any more: several have it."""
    if isinstance(answer, np.ndarray):
        answer.flags.writeable = False
    elif isinstance(answer, tuple):
        for part in answer:
            if isinstance(part, np.ndarray):
                part.flags.writeable = False
    return answer
