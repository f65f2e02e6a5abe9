"""Settings are tuned where they are told to be, judged elsewhere, and kept as they were where that does not help."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache

import numpy as np
import pytest

from envs.evolution import Found
from envs.terms import PoolTerms, Prices
from envs.tuning import Change, Effort, Tuned, change, default_settings, paid, refuse_untunable, relative, tuned
from envs.windows import LENGTH_S, Ground
from envs.workloads import DAY_S, TrainingProfile, generate
from envs.world import World
from gyropilot.errors import SettingsError

POOL = PoolTerms("x", nodes=1, max_nodes=6, gpus_per_node=8, price_usd_per_gpu_hour=2.0)
EFFORT = Effort(budget=4, windows=1, seed=3)


def ground(name: str = "g", price_usd: float = 2.0) -> Ground:
    jobs = generate((TrainingProfile("a", 30.0),), 12.0, np.random.default_rng(0))
    # Looked at every half hour, not every five minutes: what is tested is not how well it steers.
    world = World((replace(POOL, price_usd_per_gpu_hour=price_usd),), step_s=1_800.0)
    return Ground(name, world, jobs, Prices(waiting_usd_per_gpu_hour=10.0 * (price_usd > 0)), 12 * DAY_S)


@cache
def reactive() -> tuple[Tuned, Sequence[str]]:
    """Tuned once for all who look at it, and what was said meanwhile."""
    said: list[str] = []
    return tuned("reactive", [ground()], EFFORT, said.append), said


def test_tuned_settings_are_never_worse_than_the_default_ones_where_they_were_found() -> None:
    found = reactive()[0]

    default = paid("reactive", default_settings("reactive"), found.training, "naive").sum()
    mine = paid("reactive", found.found.settings, found.training, "naive").sum()
    assert mine <= default
    assert found.found.cost == pytest.approx(mine / default)
    assert found.training_percent == pytest.approx(100 * (mine / default - 1))


def test_what_is_told_is_of_windows_that_the_search_never_saw() -> None:
    found = reactive()[0]

    begins = [window.begin_s for window in (*found.training, *found.held_out)]
    assert (len(found.training), len(found.held_out)) == (1, 2)
    assert (np.diff(sorted(begins)) >= LENGTH_S).all()
    mine, default = (
        paid("reactive", each, found.held_out, "naive").sum()
        for each in (found.found.settings, default_settings("reactive"))
    )
    assert found.change.mid == pytest.approx(100 * (mine / default - 1))


def test_the_same_seed_finds_the_same() -> None:
    again = tuned("reactive", [ground()], EFFORT, lambda _: None)

    assert (again.found, again.change) == (reactive()[0].found, reactive()[0].change)


def test_it_is_said_how_far_the_search_is() -> None:
    found, said = reactive()

    assert said[:2] == ["reactive: default settings, 1 windows to tune by", "reactive: 1 of 4 tried, the best +0.0 %"]
    assert said[-2].startswith(f"reactive: {found.found.evaluations} of 4 tried")
    assert said[-1] == "reactive: 2 held-out windows"


def test_where_it_does_not_help_the_default_settings_stay() -> None:
    other = {"scale_down_after": timedelta(minutes=90)}
    found = replace(reactive()[0], found=Found(other, 0.9, 5))

    assert replace(found, change=Change(-3.0, -2.0, 1.0)).settings == other
    for worse in (0.0, 2.0, float("nan")):
        kept = replace(found, change=Change(worse, worse, worse)).settings
        assert kept == {"scale_down_after": timedelta(minutes=10)}


@pytest.mark.parametrize(("pilot", "why"), [("hold", "has no settings to tune"), ("hal", "is no pilot")])
def test_a_pilot_without_settings_is_refused(pilot: str, why: str) -> None:
    with pytest.raises(SettingsError, match=f"'{pilot}' {why}; --pilot takes one of static, reactive"):
        refuse_untunable(pilot)


def test_where_nothing_is_paid_there_is_nothing_to_tune() -> None:
    with pytest.raises(SettingsError, match=r"pays nothing with its default settings.*tell prices in the scenario"):
        tuned("reactive", [ground(price_usd=0.0)], EFFORT, lambda _: None)


def test_each_ground_counts_alike_however_much_is_paid_on_it() -> None:
    mine, base, of = np.array([5.0, 5.0, 3_000.0]), np.array([10.0, 10.0, 2_000.0]), np.array([0, 0, 2])

    assert relative(mine, base, of) == (0.5 + 1.5) / 2


def test_an_interval_is_of_the_same_windows_for_both() -> None:
    base, of = np.array([100.0, 1.0, 50.0, 9.0]), np.zeros(4, dtype=np.int64)

    assert change(0.9 * base, base, of, np.random.default_rng(0)) == pytest.approx((-10, -10, -10))
    low, mid, high = change(base * [0.8, 1.3, 1.1, 0.9], base, of, np.random.default_rng(0))
    assert low < mid < high
    assert not Change(low, mid, high).is_sure


def test_one_window_has_no_interval_and_one_that_costs_nothing_is_no_obstacle() -> None:
    rng, free = np.random.default_rng(0), np.array([0.0, 4.0])

    low, mid, high = change(np.array([1.0]), np.array([2.0]), np.zeros(1, dtype=np.int64), rng)
    assert (np.isnan(low), mid, np.isnan(high)) == (True, -50.0, True)
    assert change(free / 2, free, np.zeros(2, dtype=np.int64), rng) == (-50.0, -50.0, -50.0)
    assert np.isnan(change(free * 0, free * 0, np.zeros(2, dtype=np.int64), rng)).all()
