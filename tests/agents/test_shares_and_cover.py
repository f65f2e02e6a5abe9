from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.cover import cheapest_cover
from agents.shares import apportion
from agents.step import Step
from tests.agents.worlds import in_any_world

claims = st.dictionaries(st.text("abcdef", min_size=1, max_size=2), st.integers(0, 40), max_size=6)


def test_parts_are_in_proportion_to_claims() -> None:
    assert apportion(6, {"a": 8, "b": 4}) == {"a": 4, "b": 2}


def test_the_largest_remainder_gets_the_odd_gpu() -> None:
    assert apportion(4, {"a": 5, "b": 4, "c": 1}) == {"a": 2, "b": 2, "c": 0}


@in_any_world
@given(st.integers(-5, 100), claims)
def test_parts_are_exact_and_never_more_than_claimed(total: int, claimed: dict[str, int]) -> None:
    parts = apportion(total, claimed)

    assert sum(parts.values()) == max(0, min(total, sum(claimed.values())))
    assert all(0 <= parts[key] <= claimed[key] for key in claimed)


def test_one_gang_that_fits_beats_two_that_cost_more() -> None:
    assert cheapest_cover(8, [4, 4, 8], [3.0, 3.0, 5.0]) == [2]


def test_several_gangs_beat_one_that_costs_more() -> None:
    assert cheapest_cover(8, [4, 4, 16], [1.0, 1.0, 5.0]) == [0, 1]


def test_what_does_not_suffice_covers_nothing() -> None:
    assert cheapest_cover(9, [4, 4], [1.0, 1.0]) is None


@in_any_world
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 50)), min_size=1, max_size=7), st.integers(1, 30))
def test_no_other_choice_is_cheaper(things: list[tuple[int, int]], need: int) -> None:
    sizes, costs = [size for size, _ in things], [float(cost) for _, cost in things]
    every = [c for n in range(len(things) + 1) for c in combinations(range(len(things)), n)]
    covering = [sum(costs[i] for i in c) for c in every if sum(sizes[i] for i in c) >= need]

    cover = cheapest_cover(need, sizes, costs)

    if cover is None:
        assert not covering
    else:
        assert sum(sizes[i] for i in cover) >= need
        assert sum(costs[i] for i in cover) == min(covering)


@pytest.mark.parametrize(
    ("value", "per_unit", "units"),
    [(16, 8, 4), (2, 8, 1), (0, 8, 1), (100, 8, 8), (10, 1, 2), (1000, 1, 64)],
)
def test_a_step_is_a_share_of_the_value_and_at_most_so_many_gpus(value: int, per_unit: int, units: int) -> None:
    assert Step(max_share=0.25, max_gpus=64).units(value, per_unit) == units
