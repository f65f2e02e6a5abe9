"""The bound of those who cannot know: above the clairvoyant's, below the best of all who do not know."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.pilots import ALL_PILOTS, Threshold
from envs.bound import clairvoyant
from envs.memoryless import Memoryless
from envs.penalty import Penalty, Setting, fit, penalised, surprise
from envs.terms import PoolTerms, Prices, bill, rates
from envs.trial import tried
from envs.workloads import Floats, JobTable, TrainingProfile, generate
from envs.world import Weather, World
from tests.envs.every_policy import STEP_S, Tiny, optimum, paid_by_the_best
from tests.envs.test_bound import table

DOCS = Path(__file__).parents[2] / "docs" / "simulator.md"

TINY = (
    Tiny(lead=2, waiting_usd=10.0, churn_usd=0.5, sizes=(0, 2)),
    Tiny(lead=4, waiting_usd=10.0, churn_usd=1.0, sizes=(0, 2)),
    Tiny(lead=3, waiting_usd=10.0, churn_usd=0.5, sizes=(0, 1, 3), steps=9),
    Tiny(lead=3, waiting_usd=20.0, churn_usd=1.5, sizes=(0, 3)),
)


def setting_of(world: Tiny) -> Setting:
    return Setting((world.pool,), world.prices, STEP_S, world.steps, stretch_s=STEP_S)


def days_of(world: Tiny) -> list[JobTable]:
    return [world.jobs(path) for path in world.paths]


@cache
def fitted(world: Tiny) -> Penalty:
    return fit(setting_of(world), days_of(world), days_of(world), slack=0.0)


def expected(penalty: Penalty, days: list[JobTable]) -> float:
    """USD, exactly: all days, equally likely."""
    return float(np.mean([penalty.usd(day, days) for day in days]))


def at_no_charge(penalty: Penalty) -> Penalty:
    return penalty.times(0.0)


# where the best pilot is known


@pytest.mark.parametrize("world", TINY)
def test_what_the_best_pilot_expects_is_what_it_pays_on_the_simulated_cluster(world: Tiny) -> None:
    paid = [paid_by_the_best(world, path) for path in world.paths]

    assert optimum(world) == pytest.approx(np.mean(paid))


@pytest.mark.parametrize("world", TINY)
def test_lies_between_the_clairvoyant_and_the_best_of_all_pilots(world: Tiny) -> None:
    days, penalty = days_of(world), fitted(world)

    plain = np.mean([clairvoyant(day, (world.pool,), world.prices, STEP_S, world.steps).usd for day in days])
    free, charged, best = expected(at_no_charge(penalty), days), expected(penalty, days), optimum(world)

    assert plain <= free + 1e-6
    assert free + 0.1 * (best - free) < charged < best


@pytest.mark.parametrize("world", TINY[:1])
def test_no_pilot_expects_less_than_the_best(world: Tiny) -> None:
    places = World((world.pool,), step_s=STEP_S)
    weather = Weather.calm(places.pools, world.steps, STEP_S)

    for pilot in ALL_PILOTS:
        paid = [tried(places, day, pilot, world.prices, weather).total_usd for day in days_of(world)]
        assert np.mean(paid) >= optimum(world) - 1e-6


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([0.1, 1.0, 10.0]))
def test_charges_of_any_size_make_no_bound_that_is_wrong(seed: int, scale: float) -> None:
    world, rng = TINY[0], np.random.default_rng(seed)
    penalty = fitted(world)
    wild = replace(penalty, theta=penalty.theta + scale * rng.standard_normal(penalty.theta.shape))

    assert expected(wild, days_of(world)) <= optimum(world) + 1e-6


# what cannot be known


def test_of_what_is_known_nothing_surprises_and_of_what_comes_nothing_does_on_average() -> None:
    world = TINY[2]
    setting, levels, days = setting_of(world), fitted(world).levels, days_of(world)

    told = np.array([surprise(setting, levels, day, days) for day in days])

    by_first = told.reshape(3, 9, *told.shape[1:])  # days with the same first arrival
    assert told.mean(axis=0) == pytest.approx(0.0, abs=1e-9)
    assert by_first[..., 0, :, 1:5, :].mean(axis=1) == pytest.approx(0.0, abs=1e-9)  # after it, of what is there
    assert by_first[..., 1, :, 4:8, :].mean(axis=1) == pytest.approx(0.0, abs=1e-9)  # of what was asked for after it
    assert by_first[..., 2, :, :1, :].mean(axis=1) == pytest.approx(0.0, abs=1e-9)  # of what is kept then
    assert np.abs(told[:, 1, :, :3]).max() > 0.1  # asked for before


@settings(max_examples=6, deadline=None)
@given(
    leads=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    speeds=st.sampled_from([(1.0, 1.0), (1.0, 0.5)]),
    churn=st.sampled_from([0.0, 1.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_is_below_what_pilots_of_any_whim_expect_who_cannot_know(
    leads: tuple[int, int], speeds: tuple[float, float], churn: float, seed: int
) -> None:
    rng, steps = np.random.default_rng(seed), 9
    pools = tuple(
        PoolTerms(name, 1, 3, gpus_per_node=2, price_usd_per_gpu_hour=2.0, speed=speed, lead_s=lead * STEP_S)
        for name, lead, speed in zip("xy", leads, speeds, strict=True)
    )
    prices = Prices(waiting_usd_per_gpu_hour=6.0, churn_usd_per_node=churn)
    batches = [
        [[(0, at, rng.uniform(0.3, 5), int(rng.integers(1, 3))) for _ in range(n)] for n in (0, 3)] for at in (1, 3, 5)
    ]
    paths = [(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)]
    days = [
        table([job for batch, n in zip(batches, path, strict=True) for job in batch[n]], unit_s=STEP_S)
        for path in paths
    ]
    setting = Setting(pools, prices, STEP_S, steps, stretch_s=STEP_S)

    penalty = fit(setting, days, days, slack=0.0)
    wild = replace(penalty, theta=penalty.theta + 0.3 * rng.standard_normal(penalty.theta.shape))
    paid = _whims(pools, prices, days, paths, rng)

    assert expected(penalty, days) >= expected(at_no_charge(penalty), days) - 1e-6
    assert expected(penalty, days) <= paid.mean() + 1e-6
    assert expected(wild, days) <= paid.mean() + 1e-6


def _whims(
    pools: tuple[PoolTerms, ...],
    prices: Prices,
    days: list[JobTable],
    paths: Sequence[tuple[int, ...]],
    rng: np.random.Generator,
) -> Floats:
    """(N,) USD of a pilot whose whims are the same for as long as days are."""
    seed = int(rng.integers(2**31))
    paid = []
    for day, path in zip(days, paths, strict=True):
        run = World(pools, step_s=STEP_S).begin(day, Weather.calm(pools, 9, STEP_S))
        usd = 0.0
        for step in range(9):
            known = [n for n, at in zip(path, (1, 3, 5), strict=True) if at <= step]
            whim = np.random.default_rng([seed, step, len(known), *known]).integers(0, 4, (1, 2))
            usd += float(bill(run.step(whim), rates(pools, ("a",), prices)).sum())
        paid.append(usd)
    return np.array(paid)


# days that are drawn

PROFILE = (TrainingProfile("a", 150.0, median_s=900.0, sigma=1.0, longest_s=7_200.0),)


def source(days: float = 0.125) -> Memoryless:
    return Memoryless(generate(PROFILE, 5, np.random.default_rng(0)), 5.0, days)


def test_days_without_memory_have_the_rate_and_the_jobs_of_each_hour() -> None:
    jobs = table(
        [(0, 0.5, 1.0, 1), (0, 24.2, 1.0, 2), (0, 3.1, 2.0, 8)]
    )  # two days: two jobs before one, one after three
    drawn = [Memoryless(jobs, 2.0)(np.random.default_rng(seed)) for seed in range(400)]

    hours = np.concatenate([day.submit_s // 3_600 for day in drawn])
    gpus = np.concatenate([day.gpus for day in drawn])

    assert set(hours) == {0.0, 3.0}
    assert set(gpus[hours == 3.0]) == {8}
    assert set(gpus[hours == 0.0]) == {1, 2}
    assert (hours == 0.0).sum() / 400 == pytest.approx(1.0, abs=0.15)
    assert (hours == 3.0).sum() / 400 == pytest.approx(0.5, abs=0.12)
    assert all((np.diff(day.submit_s) >= 0).all() for day in drawn)


def test_the_same_seed_gives_the_same_bound_and_it_is_below_what_a_pilot_pays() -> None:
    pool = PoolTerms("pool", nodes=2, max_nodes=20, lead_s=900.0)
    prices = Prices(waiting_usd_per_gpu_hour=10.0, churn_usd_per_node=2.0)
    setting = Setting((pool,), prices, 300.0, 36)

    one, again = (
        penalised(setting, source(), np.random.default_rng(7), fitted=6, judged=4, others=8) for _ in range(2)
    )

    low, high = one.interval
    world, weather = World((pool,)), Weather.calm((pool,), 36)
    pilots = (*ALL_PILOTS, Threshold(target=0.95))
    paid = np.array([[tried(world, day, pilot, prices, weather).total_usd for day in one.days] for pilot in pilots])
    cheapest = paid.mean(axis=1).min()
    assert low < one.usd == again.usd < high
    assert (one.clairvoyant <= paid).all()  # on each day
    assert one.clairvoyant.mean() < one.usd < cheapest  # on the same days
    assert one.usd > cheapest / 2


def test_the_example_in_the_docs_runs(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = [block.split("```")[0] for block in DOCS.read_text(encoding="utf-8").split("```python\n")[1:]]
    example = next(block for block in blocks if "envs.penalty" in block)

    exec(compile(example, str(DOCS), "exec"), {})

    assert re.match(r"\d+ USD who knows all; \d+ who does not \(\d+", capsys.readouterr().out)
