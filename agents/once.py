"""What follows from one state, or from one forecast, is worked out once, however many rules ask for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar, TypeVarTuple

from forecasting.once import for_reading

Subject = TypeVar("Subject")
Question = TypeVarTuple("Question")
Answer = TypeVar("Answer")


def once(fact: Callable[[Subject, *Question], Answer]) -> Callable[[Subject, *Question], Answer]:
    """`fact`, a pure function of a value that never changes, which keeps its answers beside the value's fields.

    That is what `functools.cached_property` does, for questions with more to them. Nobody may change an answer,
    and to its arrays nobody can write.
    """
    name = f"{fact.__module__}.{fact.__qualname__}"

    @wraps(fact)
    def asked(subject: Subject, *question: *Question) -> Answer:
        known = vars(subject)
        answers: dict[object, Answer] | None = known.get(name)
        if answers is None:
            answers = known[name] = {}
        elif question in answers:
            return answers[question]
        answer = answers[question] = for_reading(fact(subject, *question))
        return answer

    return asked
