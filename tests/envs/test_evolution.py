"""The search finds what is lowest, within its budget, the same each time."""

import math
from collections.abc import Mapping

import numpy as np
import pytest

from agents.pilots.knobs import Knob, Scale, Value
from envs.evolution import HOPELESS, Found, search

KNOBS = (Knob("share", 0, 1), Knob("size", 1, 1_000, Scale.LOG))
START: Mapping[str, Value] = {"share": 0.9, "size": 5.0}


def bowl(settings: Mapping[str, Value]) -> float:
    """Lowest where the share is 0.3 and the size 100."""
    share, size = settings["share"], settings["size"]
    assert isinstance(share, float)
    assert isinstance(size, float)
    return (share - 0.3) ** 2 + (math.log10(size) - 2) ** 2


def found(budget: int = 120, seed: int = 0) -> Found:
    return search(bowl, KNOBS, START, budget, np.random.default_rng(seed))


def test_the_lowest_place_of_a_bowl_is_found() -> None:
    best = found()

    assert best.settings["share"] == pytest.approx(0.3, abs=0.02)
    assert best.settings["size"] == pytest.approx(100, rel=0.05)
    assert best.cost == bowl(best.settings)


def test_the_same_seed_finds_the_same_and_numpy_s_own_chance_is_left_alone() -> None:
    before = np.random.get_state(legacy=False)

    assert found(40) == found(40)
    assert found(40) != found(40, seed=1)

    after = np.random.get_state(legacy=False)
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert (before["state"]["key"] == after["state"]["key"]).all()


@pytest.mark.parametrize("budget", [1, 2, 7, 30])
def test_no_more_is_evaluated_than_the_budget_allows_and_nothing_twice(budget: int) -> None:
    asked: list[tuple[Value, ...]] = []

    def cost(settings: Mapping[str, Value]) -> float:
        asked.append(tuple(settings.values()))
        return bowl(settings)

    best = search(cost, KNOBS, START, budget, np.random.default_rng(0))

    assert asked[0] == tuple(START.values())
    assert len(asked) == len(set(asked)) == best.evaluations <= budget
    assert best.evaluations >= budget - len(KNOBS)


def test_a_single_knob_is_turned_too() -> None:
    knob = Knob("nodes", 0, 32, Scale.INTEGER)

    best = search(lambda s: abs(float(str(s["nodes"])) - 4), [knob], {"nodes": 20}, 33, np.random.default_rng(0))

    assert best.settings == {"nodes": 4}


def test_where_all_are_equal_the_start_stays() -> None:
    assert search(lambda _: 1.0, KNOBS, START, 30, np.random.default_rng(0)).settings == START


def test_what_makes_no_difference_is_put_back() -> None:
    idle = Knob("idle", 0, 1)

    best = search(bowl, (idle, *KNOBS), {"idle": 0.25, **START}, 60, np.random.default_rng(0))

    assert best.settings["idle"] == 0.25
    assert best.settings["share"] != START["share"]


def test_what_is_no_number_is_never_the_best() -> None:
    def cost(settings: Mapping[str, Value]) -> float:
        return 1.0 if settings == START else math.nan

    best = search(cost, KNOBS, START, 20, np.random.default_rng(0))

    assert (best.settings, best.cost) == (START, 1.0)
    assert search(lambda _: math.inf, KNOBS, START, 3, np.random.default_rng(0)).cost == HOPELESS


def test_whoever_interrupts_keeps_the_best_so_far() -> None:
    costs: list[float] = []

    def cost(settings: Mapping[str, Value]) -> float:
        if len(costs) == 10:
            raise KeyboardInterrupt
        costs.append(bowl(settings))
        return costs[-1]

    best = search(cost, KNOBS, START, 100, np.random.default_rng(0))

    assert best.interrupted
    assert (best.evaluations, best.cost) == (10, min(costs))


def test_whoever_interrupts_before_anything_is_known_is_obeyed() -> None:
    def cost(settings: Mapping[str, Value]) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(cost, KNOBS, START, 100, np.random.default_rng(0))
