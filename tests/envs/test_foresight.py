"""A plan that knew everything lies above the bound and below all who did not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.pilots import ALL_PILOTS
from envs.bound import clairvoyant
from envs.foresight import Known, foreseen
from envs.terms import PoolTerms, Prices, bill, rates
from envs.trial import tried
from envs.workloads import Ints, JobTable
from envs.world import STEP_S, Weather, World
from tests.envs.test_bound import elastic, table

ROUNDING = 1 + 1e-6  # of the solver
WAITS = Prices(waiting_usd_per_gpu_hour=10.0)
POOL = PoolTerms("pool", nodes=0, max_nodes=3, lead_s=2 * STEP_S)


def known(jobs: JobTable, pools: tuple[PoolTerms, ...], steps: int = 24, prices: Prices = WAITS) -> Known:
    return Known(World(pools), jobs, prices, Weather.calm(pools, steps))


def bound_of(all_: Known) -> float:
    pools = all_.world.pools
    return clairvoyant(all_.jobs, pools, all_.prices, STEP_S, all_.steps).usd


def test_one_job_on_one_node_is_where_bound_and_plan_meet() -> None:
    job = table([(0, 6, 12, 8)], unit_s=STEP_S)
    all_ = known(job, (POOL,))
    bound = clairvoyant(job, (POOL,), WAITS, STEP_S, all_.steps)

    plan = foreseen(all_, bound)

    assert bound.usd == pytest.approx(20.0)  # an hour of eight GPUs at 2.50
    assert plan.usd == pytest.approx(20.0)
    assert plan.nodes[:, 0].tolist() == [0] * 4 + [1] * 14 + [0] * 6  # asked for two steps before


def test_it_finds_that_a_short_job_had_better_wait_for_the_node_that_is_there() -> None:
    pools = (PoolTerms("pool", nodes=1, max_nodes=2, min_nodes=1, gpus_per_node=8, lead_s=0.0),)
    jobs = table([(0, 0, 2, 8), (0, 1, 12, 8)], unit_s=STEP_S)
    all_ = known(jobs, pools, steps=14, prices=replace(WAITS, waiting_usd_per_gpu_hour=1.0))

    plan = foreseen(all_, clairvoyant(jobs, pools, all_.prices, STEP_S, 14))

    # 14 steps of eight GPUs at 2.50, and eight GPUs wait a step at 1: a second node would have cost more
    assert plan.usd == pytest.approx(14 / 12 * 20.0 + 8 / 12)


def test_what_it_paid_is_what_anybody_pays_who_does_the_same() -> None:
    jobs = table([(0, n, 5 + n, 1 + n % 8) for n in range(12)], unit_s=STEP_S)
    all_ = known(jobs, (POOL,))
    plan = foreseen(all_, clairvoyant(jobs, (POOL,), WAITS, STEP_S, all_.steps))
    run = all_.world.begin(jobs, all_.weather)

    usd = [bill(run.step(nodes[None]), rates((POOL,), jobs.queues, WAITS)).sum() for nodes in plan.nodes]

    assert sum(usd) == pytest.approx(plan.usd)


def test_a_dial_that_does_not_turn_stays() -> None:
    fixed = replace(POOL, nodes=2, min_nodes=2, max_nodes=2)
    jobs = table([(0, 0, 5, 8)] * 3, unit_s=STEP_S)
    all_ = known(jobs, (fixed,))

    plan = foreseen(all_, clairvoyant(jobs, (fixed,), WAITS, STEP_S, all_.steps))

    assert plan.usd == pytest.approx(24 * 2 * 8 * 2.5 / 12 + 10.0 * 8 * 5 / 12)


pool_terms = st.builds(
    PoolTerms,
    name=st.just("x"),
    nodes=st.integers(0, 2),
    max_nodes=st.integers(2, 4),
    gpus_per_node=st.sampled_from([1, 4]),
    price_usd_per_gpu_hour=st.sampled_from([0.5, 2.5]),
    speed=st.sampled_from([1.0, 1.0, 0.5, {"training": 2.0}]),
    lead_s=st.sampled_from([0.0, 2 * STEP_S, 3.5 * STEP_S]),
    lead_sigma=st.sampled_from([0.0, 0.3]),
    billed_at_least_s=st.sampled_from([0.0, 4 * STEP_S]),
    watts_idle_per_gpu=st.sampled_from([0.0, 2_000.0]),
    watts_busy_per_gpu=st.sampled_from([1_000.0, 9_000.0]),
    interruptions_per_day=st.sampled_from([0.0, 5.0]),
    mass_losses_per_day=st.sampled_from([0.0, 10.0]),
)
rows = st.lists(st.tuples(st.integers(0, 1), st.floats(0, 15), st.floats(0.2, 9), st.integers(1, 6)), max_size=10)


@settings(max_examples=12, deadline=None)
@given(
    pools=st.tuples(pool_terms, pool_terms),
    jobs=rows.map(lambda r: table(r, ("a", "b"), STEP_S)).flatmap(elastic),
    waiting=st.sampled_from([1.0, 10.0, 100.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_nobody_is_below_the_bound_and_the_plan_not_above_anybody_it_was_told(
    pools: tuple[PoolTerms, ...], jobs: JobTable, waiting: float, seed: int
) -> None:
    rng, steps = np.random.default_rng(seed), 24
    named = tuple(replace(pool, name=name) for pool, name in zip(pools, "xy", strict=True))
    prices = Prices(waiting_usd_per_gpu_hour=waiting, churn_usd_per_node=1.0, usd_per_kwh=0.5)
    all_ = Known(World(named), jobs, prices, Weather.drawn(named, steps, rng))
    bound = clairvoyant(jobs, named, prices, STEP_S, steps)

    whims = rng.integers(0, 5, (steps, 2))
    trials = [tried(all_.world, jobs, pilot, prices, all_.weather) for pilot in ALL_PILOTS]
    plan = foreseen(all_, bound, [whims, *(trial.nodes for trial in trials)])

    others = [_paid_by_whim(all_, whims, rng), float(all_.paid([whims]).sum()), *(trial.total_usd for trial in trials)]
    assert bound.usd <= min(plan.usd, *others) * ROUNDING + 1e-6
    assert plan.usd <= float(all_.paid([whims]).sum()) + 1e-6
    assert all(plan.usd <= float(all_.paid([trial.nodes]).sum()) + 1e-6 for trial in trials)


def _paid_by_whim(all_: Known, nodes: Ints, rng: np.random.Generator) -> float:
    """USD of a pilot that also stops jobs as it pleases."""
    run, costs = all_.world.begin(all_.jobs, all_.weather), rates(all_.world.pools, all_.jobs.queues, all_.prices)
    backs = np.where(rng.random((len(nodes), 1, 2)) < 0.2, 1.0, 0.0)
    return sum(float(bill(run.step(n[None], back), costs).sum()) for n, back in zip(nodes, backs, strict=True))
