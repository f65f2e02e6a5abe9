"""What is asked of a state or a forecast by several rules is worked out once."""

import numpy as np
import pytest

from agents.once import once
from gyropilot.domain import ClusterState, Floats
from tests.fakes import queue, state


def test_each_question_about_each_value_is_answered_once() -> None:
    asked: list[tuple[ClusterState, str]] = []

    @once
    def queues_like(seen: ClusterState, name: str) -> tuple[str, ...]:
        asked.append((seen, name))
        return tuple(q.name for q in seen.queues if q.name == name)

    first, second = state(queues=[queue("a")]), state(queues=[queue("a"), queue("b")])
    answers = [queues_like(seen, name) for seen in (first, second, first, second) for name in ("a", "b")]

    assert answers == [("a",), (), ("a",), ("b",)] * 2
    assert [(seen is first, name) for seen, name in asked] == [(True, "a"), (True, "b"), (False, "a"), (False, "b")]


def test_nobody_can_write_to_the_arrays_of_an_answer() -> None:
    @once
    def demand(seen: ClusterState, resource: str) -> Floats:
        return np.array([q.demand_gpus(resource) for q in seen.queues])

    answer = demand(state(queues=[queue("a", running=2.0)]), "nvidia.com/gpu")

    with pytest.raises(ValueError, match="read-only"):
        answer[0] = 0.0


def test_two_facts_of_the_same_question_do_not_mix() -> None:
    @once
    def smallest(seen: ClusterState, resource: str) -> float:
        return min(q.demand_gpus(resource) for q in seen.queues)

    @once
    def largest(seen: ClusterState, resource: str) -> float:
        return max(q.demand_gpus(resource) for q in seen.queues)

    seen = state(queues=[queue("a", running=2.0), queue("b", running=6.0)])

    assert (smallest(seen, "nvidia.com/gpu"), largest(seen, "nvidia.com/gpu")) == (2.0, 6.0)
