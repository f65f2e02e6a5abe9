"""The bound, below everything that can be done: by hand, beside every schedule, beside pilots of all tempers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.bound import clairvoyant, natural
from envs.bound_demand import by_duration, rectangles
from envs.bound_program import Program
from envs.terms import PoolTerms, Prices, bill, rates
from envs.workloads import JobTable
from gyropilot.domain import Market
from gyropilot.errors import SettingsError
from tests.envs.every_schedule import cheapest
from tests.envs.plain_pilot import Pilot, World, of, run

HOUR_S = 3_600.0
TICK_S = 150.0
ROUNDING = 1 + 1e-6  # of the solver
WAITS = Prices(waiting_usd_per_gpu_hour=10.0)
Row = tuple[int, float, float, int]


def table(rows: Sequence[Row], queues: tuple[str, ...] = ("a",), unit_s: float = HOUR_S) -> JobTable:
    """Jobs as (queue, submitted, duration, gpus), times in hours unless told otherwise."""
    queue, submit, duration, gpus = np.array(sorted(rows, key=lambda row: row[1]), dtype=np.float64).reshape(-1, 4).T
    none = np.zeros(len(queue), dtype=np.int64)
    columns = (queue.astype(np.int64), submit * unit_s, duration * unit_s, gpus.astype(np.int64))
    return JobTable(queues, *columns, none, none, none, np.full(len(queue), np.inf))


def node(name: str = "pool", **changes: Any) -> PoolTerms:
    """One node of eight GPUs at 2.50 USD each, that is there when the world begins, and can never be more."""
    return replace(PoolTerms(name, nodes=1, max_nodes=1, lead_s=0.0), **changes)


def free(name: str = "pool", **changes: Any) -> PoolTerms:
    """One GPU that costs nothing: only waiting is paid."""
    return node(name, **{"gpus_per_node": 1, "price_usd_per_gpu_hour": 0.0, **changes})


# by hand


def test_natural_demand_is_the_exact_mean_of_each_step() -> None:
    jobs = table([(0, 0.25, 1.0, 8), (1, 1.5, 9.0, 2)], ("a", "b"))

    demand = natural(jobs, HOUR_S / 2, 4)

    assert demand.tolist() == [[4.0, 8.0, 4.0, 0.0], [0.0, 0.0, 0.0, 2.0]]


def test_of_two_jobs_on_one_node_the_second_waits() -> None:
    jobs = table([(0, 0.0, 1.0, 8), (0, 0.0, 1.0, 8)])

    bound = clairvoyant(jobs, [node()], WAITS, HOUR_S / 4, 16)

    # 16 GPU-hours at 2.50; 8 GPUs wait for an hour at 10
    assert bound.usd_by_kind == pytest.approx([40.0, 80.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert bound.usd == pytest.approx(120.0)
    assert bound.gpus[0] == pytest.approx([8.0] * 7 + [6.0, 2.0] + [0.0] * 7)
    # natural work is 16 GPUs for an hour, done at 8: up to 8 GPU-hours late after an hour, none after two
    assert bound.backlog[0] == pytest.approx([1, 3, 5, 7, 7, 5, 3, 1] + [0] * 8)


def test_a_second_node_is_asked_for_where_it_costs_less_than_waiting() -> None:
    jobs = table([(0, 0.0, 1.0, 8), (0, 0.0, 1.0, 8)])

    bound = clairvoyant(jobs, [node(max_nodes=2)], replace(WAITS, churn_usd_per_node=3.0), HOUR_S / 4, 32)

    assert bound.usd_by_kind == pytest.approx([40.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0])


def test_nobody_runs_before_the_first_node_can_be_there() -> None:
    jobs = table([(0, 0.0, 1.0, 8)])

    bound = clairvoyant(jobs, [node(nodes=0, lead_s=HOUR_S)], WAITS, HOUR_S / 2, 10)

    assert bound.usd_by_kind == pytest.approx([20.0, 80.0, 0.0, 0.0, 0.0, 0.0, 0.0])


def test_a_lead_time_that_varies_may_be_as_short_as_can_be() -> None:
    jobs = table([(0, 0.0, 1.0, 8)])

    bound = clairvoyant(jobs, [node(nodes=0, lead_s=HOUR_S, lead_sigma=0.5)], WAITS, HOUR_S / 2, 10)

    assert bound.usd_by_kind == pytest.approx([20.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])


def test_of_lead_times_that_were_measured_the_bound_takes_the_shortest() -> None:
    jobs = table([(0, 0.0, 1.0, 8)])

    shortest = clairvoyant(jobs, [node(nodes=0, lead_times_s=(9 * HOUR_S, HOUR_S / 2))], WAITS, HOUR_S / 2, 10)
    told = clairvoyant(jobs, [node(nodes=0, lead_s=HOUR_S / 2)], WAITS, HOUR_S / 2, 10)

    assert shortest.usd_by_kind == pytest.approx(told.usd_by_kind)


def test_half_the_speed_is_no_waiting() -> None:
    pools = [free("fast", speed=2.0, nodes=0, lead_s=90 * HOUR_S), free("slow")]

    alone = clairvoyant(table([(0, 0.0, 2.0, 1)]), pools, WAITS, HOUR_S, 8)
    behind = clairvoyant(table([(0, 0.0, 2.0, 1)] * 2), pools, WAITS, HOUR_S, 8)

    assert alone.usd == pytest.approx(0.0, abs=1e-6)
    assert behind.usd == pytest.approx(20.0)  # for the two hours that the first runs


def test_energy_and_carbon_are_of_what_is_there_and_what_is_busy() -> None:
    pool = node(min_nodes=1, watts_idle_per_gpu=100.0, watts_busy_per_gpu=1_100.0)
    prices = Prices(usd_per_kwh=0.1, carbon_usd_per_tonne=100.0, carbon_g_per_kwh=500.0)

    bound = clairvoyant(table([(0, 0.0, 1.0, 4)]), [pool], prices, HOUR_S, 2)

    # 16 GPU-hours idle at 0.1 kWh, of which 4 at 1.1: 1.6 + 4 = 5.6 kWh; half a gram per Wh at 100 USD a tonne
    assert bound.usd_by_kind == pytest.approx([40.0, 0.0, 0.0, 0.0, 0.56, 0.28, 0.0])


def test_job_hours_of_waiting_follow_from_those_of_gpus() -> None:
    jobs = table([(0, 0.0, 1.0, 8), (0, 0.0, 1.0, 8)])

    bound = clairvoyant(jobs, [node()], replace(WAITS, waiting_usd_per_job_hour=7.0), HOUR_S, 4)

    assert bound.usd_by_kind[1] == pytest.approx(87.0)


def test_a_job_hour_is_counted_at_the_largest_gang() -> None:
    jobs = table([(0, 0.0, 1.0, 4), (0, 0.0, 1.0, 4), (0, 0.0, 1.0, 1)])
    prices = Prices(waiting_usd_per_gpu_hour=0.0, waiting_usd_per_job_hour=8.0)

    bound = clairvoyant(jobs, [free(gpus_per_node=4)], prices, HOUR_S / 4, 16)

    # 9 GPUs for an hour, done at 4: 5 GPU-hours late then, none 1.25 h later: 5.625. In truth 3 jobs wait an hour each
    assert bound.usd == pytest.approx(5.625 / 4 * 8.0)


def test_jobs_poured_together_are_taken_for_as_long_as_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envs.bound.CLASSES", (1, 1))

    bound = clairvoyant(table([(0, 0.0, 1.0, 1), (0, 0.0, 3.0, 1)]), [free()], WAITS, HOUR_S / 4, 32)

    # the short one first, and the long one waits for an hour: 1 GPU-hour late from 1 to 3, and up and down: 3, over 3 h
    assert bound.usd == pytest.approx(10.0)


def test_a_world_with_no_jobs_costs_its_least_nodes() -> None:
    pools = [node(nodes=3, max_nodes=5, min_nodes=2), node("reserved", min_nodes=1, market=Market.RESERVED)]

    bound = clairvoyant(table([]), pools, WAITS, HOUR_S, 6)

    assert bound.usd == pytest.approx(2 * 8 * 6 * 2.5)
    assert bound.gpus[0] == pytest.approx([16.0] * 6)


@pytest.mark.parametrize("changes", [{"market": Market.SPOT}, {"interruptions_per_day": 1.0}])
def test_the_least_is_not_counted_on_where_the_market_may_take_nodes(changes: dict[str, Any]) -> None:
    bound = clairvoyant(table([]), [node(min_nodes=1, **changes)], WAITS, HOUR_S, 6)

    assert bound.usd == 0.0


def test_who_leaves_waits_for_as_long_as_it_is_there_and_does_not_run() -> None:
    jobs = leaving(table([(0, 0.0, 5.0, 8), (0, 1.0, 5.0, 8), (0, 1.5, 5.0, 8)]), (2.0, 2.0, 0.5))

    bound = clairvoyant(jobs, [node()], WAITS, HOUR_S / 4, 24)

    # 24 GPU-hours at 2.50: eight GPUs from 0 to 3. Another eight wait from 1 to 2, from 1.5 to 2 eight more
    assert bound.usd_by_kind[:2] == pytest.approx([60.0, 120.0])
    assert bound.usd == pytest.approx(180.0)
    assert bound.backlog.sum() == pytest.approx(12.0)


def test_of_who_may_be_done_before_it_leaves_nothing_is_told() -> None:
    jobs = leaving(table([(0, 0.0, 1.0, 8), (0, 0.0, 1.0, 8)]), (1.5, 1.5))

    bound = clairvoyant(jobs, [node()], WAITS, HOUR_S / 4, 16)

    assert bound.usd == pytest.approx(0.0, abs=1e-6)


def test_who_may_run_nowhere_waits() -> None:
    jobs = table([(0, 0.0, 2.0, 1)])

    bound = clairvoyant(jobs, [free()], WAITS, HOUR_S, 4, eligible={"a": []})

    # waits 4 hours = 40 USD; of the backlog, 2 h late for 2 h and ramping before: (2 + 4) / 2 h
    assert bound.usd == pytest.approx(30.0)


def test_what_a_mass_loss_takes_is_not_there() -> None:
    pool = free(nodes=10, max_nodes=10, lead_s=90 * HOUR_S, mass_loss_share=0.5)
    jobs = table([(0, 0.0, 10.0, 1)] * 10)

    calm = clairvoyant(jobs, [pool], WAITS, HOUR_S, 10)
    struck = clairvoyant(jobs, [pool], WAITS, HOUR_S, 10, interruptions={"pool": [4.5 * HOUR_S]})

    # five jobs really wait for 5.5 hours: 275 USD. Four at least from 6 on, on average of 10 hours of work
    assert calm.usd == pytest.approx(0.0, abs=1e-6)
    assert 30.0 < struck.usd < 275.0


@pytest.mark.parametrize("step", range(8))
def test_a_mass_loss_that_takes_half_of_one_node_takes_none(step: int) -> None:
    pool = free(lead_s=90 * HOUR_S, mass_loss_share=0.5)

    bound = clairvoyant(
        table([(0, 0.0, 8.0, 1)]), [pool], WAITS, HOUR_S, 8, interruptions={"pool": [(step + 0.5) * HOUR_S]}
    )

    assert bound.usd == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("hour", [0.0, 0.5, 1.0, 1.5, 2.5, 7.9])
def test_nothing_waits_until_the_moment_of_a_loss(hour: float) -> None:
    pool = free(nodes=2, max_nodes=2, lead_s=90 * HOUR_S, mass_loss_share=1.0)
    jobs = table([(0, 0.0, hour, 1)] * 2 if hour else [])

    bound = clairvoyant(jobs, [pool], WAITS, HOUR_S, 8, interruptions={"pool": [hour * HOUR_S]})

    assert bound.usd == pytest.approx(0.0, abs=1e-6)


def test_a_cohort_catches_up_no_faster_than_its_jobs_can_run() -> None:
    pool = free(nodes=0, max_nodes=2, lead_s=HOUR_S)
    jobs = table([(0, 0.0, 1.0, 1), (0, 3.0, 1.0, 1)])

    loose, tight = (clairvoyant(jobs, [pool], WAITS, HOUR_S / 12, 60, cohort_s=s).usd for s in (None, HOUR_S))

    # the first waits for an hour. Together two jobs could then do in half an hour what the one of them missed
    assert loose == pytest.approx(7.5)
    assert 9.5 < tight < 10.0  # in truth ten; a step's edges are blurred


# how it moves


def some_world(seed: int) -> tuple[JobTable, list[PoolTerms]]:
    rng = np.random.default_rng(seed)
    rows = [
        (int(rng.integers(2)), rng.uniform(0, 6), rng.exponential(2) + 0.05, int(rng.integers(1, 9))) for _ in range(40)
    ]
    pools = [node("slow", max_nodes=3, speed=0.5, price_usd_per_gpu_hour=1.0), node("fast", nodes=0, max_nodes=2)]
    return table(rows, ("a", "b")), pools


@pytest.mark.parametrize("what", ["waiting_usd_per_gpu_hour", "waiting_usd_per_job_hour", "churn_usd_per_node"])
@pytest.mark.parametrize("seed", range(3))
def test_rises_with_prices(what: str, seed: int) -> None:
    jobs, pools = some_world(seed)

    rising: list[dict[str, Any]] = [{"waiting_usd_per_gpu_hour": 1.0, what: usd} for usd in (1.0, 4.0, 16.0)]

    usd = [clairvoyant(jobs, pools, Prices(**prices), 900.0, 32).usd for prices in rising]

    assert usd == sorted(usd)
    assert usd[0] < usd[2]


@pytest.mark.parametrize("seed", range(3))
def test_rises_with_what_gpus_cost(seed: int) -> None:
    jobs, pools = some_world(seed)
    dearer = [replace(pool, price_usd_per_gpu_hour=2 * pool.price_usd_per_gpu_hour) for pool in pools]

    assert clairvoyant(jobs, pools, WAITS, 900.0, 32).usd < clairvoyant(jobs, dearer, WAITS, 900.0, 32).usd


@pytest.mark.parametrize("seed", range(3))
def test_another_pool_of_a_known_speed_never_raises_it(seed: int) -> None:
    jobs, pools = some_world(seed)
    more = [*pools, node("more", nodes=0, max_nodes=2)]

    before, after = (clairvoyant(jobs, those, WAITS, 900.0, 32).usd for those in (pools, more))

    assert after <= before * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_is_the_same_whether_queues_that_cost_the_same_are_one_or_two(seed: int) -> None:
    jobs, pools = some_world(seed)
    one = replace(jobs, queues=("a",), queue=np.zeros_like(jobs.queue))

    apart, together = (clairvoyant(those, pools, WAITS, 900.0, 32) for those in (jobs, one))

    assert apart.usd == pytest.approx(together.usd)
    assert apart.backlog.sum(axis=0) == pytest.approx(together.backlog[0], abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_shorter_steps_change_little(seed: int) -> None:
    jobs, pools = some_world(seed)

    long, short = (clairvoyant(jobs, pools, WAITS, HOUR_S / per, 8 * per).usd for per in (2, 12))

    assert long == pytest.approx(short, rel=0.05)


# below everything that can be done

prices = st.builds(
    Prices,
    waiting_usd_per_gpu_hour=st.sampled_from([0.1, 0.5, 1.0, 3.0, 10.0, 50.0]),
    waiting_usd_per_job_hour=st.sampled_from([0.0, 5.0]),
    queue_waiting_usd_per_gpu_hour=st.sampled_from([{}, {"b": 2.0}]),
    churn_usd_per_node=st.just(0.0),
    usd_per_kwh=st.sampled_from([0.0, 0.5]),
    carbon_usd_per_tonne=st.sampled_from([0.0, 100.0]),
    carbon_g_per_kwh=st.just(400.0),
)
speeds = st.sampled_from([0.5, 1.0, 2.0, 3.0])
by_kind = st.one_of(speeds, st.fixed_dictionaries({"training": speeds, "sweep": speeds}))


@st.composite
def elastic(draw: st.DrawFn, jobs: JobTable) -> JobTable:
    """The same jobs, of two kinds and one that no pool tells, some of which run with fewer GPUs too."""
    count = len(jobs)
    kind = draw(st.lists(st.sampled_from([0, 2, 4]), min_size=count, max_size=count))
    share = draw(st.lists(st.floats(0, 1), min_size=count, max_size=count))
    least = np.maximum(1, np.rint(np.array(share) * jobs.gpus)).astype(np.int64)
    scaling = np.full(count, draw(st.sampled_from([0.3, 0.8, 1.0])))
    return replace(jobs, kind=np.array(kind, dtype=np.int64), least_gpus=least, scaling=scaling)


@st.composite
def small_pool(draw: st.DrawFn, name: str) -> PoolTerms:
    nodes = draw(st.integers(0, 4))
    return PoolTerms(
        name,
        nodes=nodes,
        max_nodes=draw(st.integers(max(1, nodes), 5)),
        min_nodes=draw(st.sampled_from([0, nodes])),
        gpus_per_node=draw(st.integers(1, 2)),
        market=draw(st.sampled_from([Market.ON_DEMAND, Market.RESERVED])),
        price_usd_per_gpu_hour=draw(st.sampled_from([0.0, 1.0, 2.5])),
        speed=draw(by_kind),
        lead_s=TICK_S * draw(st.integers(0, 12)),
        mass_loss_share=draw(st.sampled_from([0.5, 0.7, 1.0])),
        watts_idle_per_gpu=draw(st.sampled_from([0.0, 500.0])),
        watts_busy_per_gpu=draw(st.sampled_from([0.0, 1000.0])),
    )


def small_jobs(count: st.SearchStrategy[int], latest: int, most_gpus: int) -> st.SearchStrategy[JobTable]:
    row = st.tuples(st.integers(0, 1), st.integers(0, latest), st.integers(1, 12), st.integers(1, most_gpus))
    rows = count.flatmap(lambda n: st.lists(row, min_size=n, max_size=n))
    leaves = st.lists(st.just(np.inf) | st.integers(0, 12), min_size=8, max_size=8)
    return st.builds(lambda r, after: leaving(table(r, ("a", "b"), TICK_S), after, TICK_S), rows, leaves)


def leaving(jobs: JobTable, after: Sequence[float], unit_s: float = HOUR_S) -> JobTable:
    """Done or not: after so many hours, unless told otherwise."""
    return replace(jobs, leaves_s=unit_s * np.array(after[: len(jobs)], dtype=np.float64))


def of_kinds(jobs: JobTable) -> st.SearchStrategy[JobTable]:
    kinds = st.lists(st.sampled_from([0, 2, 4]), min_size=len(jobs), max_size=len(jobs))
    return kinds.map(lambda kind: replace(jobs, kind=np.array(kind)))


cohorts = st.sampled_from([None, TICK_S, 3 * TICK_S])


@settings(max_examples=20, deadline=None)
@given(
    jobs=small_jobs(st.just(2), 2, 2).flatmap(of_kinds),
    pools=st.tuples(small_pool("one"), small_pool("two")),
    prices=prices,
    per_step=st.sampled_from([1, 2, 3, 6]),
    cohort_s=cohorts,
)
def test_is_below_the_cheapest_of_all_schedules(
    jobs: JobTable, pools: tuple[PoolTerms, ...], prices: Prices, per_step: int, cohort_s: float | None
) -> None:
    free_to_ask = [replace(pool, min_nodes=0) for pool in pools]

    bound = clairvoyant(jobs, free_to_ask, prices, per_step * TICK_S, 6 // per_step, cohort_s=cohort_s)

    assert bound.usd <= cheapest(jobs, free_to_ask, rates(pools, jobs.queues, prices), TICK_S, 6) * ROUNDING + 1e-6


@settings(max_examples=12, deadline=None)
@given(data=st.data(), fast=speeds, slow=speeds, per_step=st.sampled_from([1, 2, 3, 6]), cohort_s=cohorts)
def test_is_below_the_least_waiting_on_pools_of_any_speed(
    data: st.DataObject, fast: float, slow: float, per_step: int, cohort_s: float | None
) -> None:
    pools = [
        free(
            name,
            speed=speed,
            nodes=data.draw(st.integers(0, 1)),
            lead_s=TICK_S * data.draw(st.sampled_from([0, 2, 20])),
        )
        for name, speed in (("fast", fast), ("slow", slow))
    ]
    jobs = data.draw(small_jobs(st.just(2), 1, 1))

    bound = clairvoyant(jobs, pools, WAITS, per_step * TICK_S, 6 // per_step, cohort_s=cohort_s)

    assert bound.usd <= cheapest(jobs, pools, rates(pools, jobs.queues, WAITS), TICK_S, 6) * ROUNDING + 1e-6


@settings(max_examples=100, deadline=None)
@given(
    data=st.data(),
    jobs=small_jobs(st.integers(1, 8), 20, 4).flatmap(elastic),
    pools=st.tuples(small_pool("one"), small_pool("two")),
    prices=prices,
    seed=st.integers(0, 2**32 - 1),
)
def test_is_below_what_pilots_of_all_tempers_pay(
    data: st.DataObject, jobs: JobTable, pools: tuple[PoolTerms, ...], prices: Prices, seed: int
) -> None:
    per_step, steps = data.draw(st.integers(2, 5)), data.draw(st.integers(1, 8))
    prices = replace(prices, churn_usd_per_node=data.draw(st.sampled_from([0.0, 1.0])))
    losses = data.draw(st.dictionaries(st.integers(0, 1), st.lists(st.integers(0, 30), max_size=2), max_size=2))
    eligible, open_to = data.draw(st.sampled_from([(None, [[0, 1], [0, 1]]), ({"a": ["two"]}, [[1], [0, 1]])]))
    told = {pools[number].name: [tick * TICK_S for tick in ticks] for number, ticks in losses.items()}
    rng, costs = np.random.default_rng(seed), rates(pools, jobs.queues, prices)

    cohort_s = data.draw(cohorts)

    bound = clairvoyant(jobs, pools, prices, per_step * TICK_S, steps, eligible, told, cohort_s=cohort_s)

    assert bound.usd_by_kind.sum() == pytest.approx(bound.usd, abs=1e-5)  # what is minimised is the one bill
    for haste, unrest, bias in ((1.0, 0.0, 0), (1.0, 0.0, -1), (1.0, 0.0, -2), (1.0, 0.0, -9), (0.5, 0.2, 1)):
        world = World(pools, of(jobs, TICK_S), TICK_S, open_to, losses)
        flows = run(world, Pilot(rng, haste, unrest, bias), per_step * steps, len(jobs.queues))
        assert bound.usd <= float(bill(flows, costs).sum()) * ROUNDING + 1e-6


# parts


@settings(max_examples=50, deadline=None)
@given(begin=st.floats(-2, 9), long=st.floats(0, 9), step=st.sampled_from([0.5, 1.0, 3.0]), steps=st.integers(1, 6))
def test_averages_are_those_of_a_fine_grid(begin: float, long: float, step: float, steps: int) -> None:
    fine = 2_000
    moments = (np.arange(steps * fine) + 0.5) / fine  # in steps
    on = ((moments * step >= begin) & (moments * step < begin + long)) * 2.0
    triangles = [(on * np.maximum(0.0, 1.0 - abs(moments - edge))).sum() / fine for edge in range(steps + 1)]

    row = np.zeros(1, dtype=np.int64)
    flat, under = rectangles(row, np.array([begin]), np.array([begin + long]), np.array([2.0]), step, (1, steps))

    assert flat[0] == pytest.approx(on.reshape(steps, fine).mean(axis=1), abs=0.01)
    assert under[0] == pytest.approx(triangles, abs=0.01)


def test_classes_part_durations_where_it_gives_least_away() -> None:
    seconds = np.array([10.0, 11.0, 100.0, 110.0, 1_000.0, 1_100.0])

    assert by_duration(seconds, np.ones(6), 3).tolist() == [0, 0, 1, 1, 2, 2]
    assert by_duration(seconds, np.ones(6), 9).tolist() == [0, 1, 2, 3, 4, 5]
    assert by_duration(np.full(4, 7.0), np.ones(4), 4).tolist() == [0, 0, 0, 0]


# refusals


def test_says_what_to_do_where_time_does_not_suffice() -> None:
    jobs, pools = some_world(0)

    with pytest.raises(SettingsError, match=r"no optimum .*Time limit reached.* within 0 s; give more time"):
        clairvoyant(jobs, pools, WAITS, 60.0, 480, time_limit_s=0.0)


def test_says_what_to_do_where_it_would_be_too_large() -> None:
    with pytest.raises(SettingsError, match="give fewer or longer steps"):
        clairvoyant(table([(0, 0.0, 1.0, 1)]), [node()], WAITS, 0.01, 4_000_000)


def test_a_programme_without_a_solution_is_refused() -> None:
    program = Program()
    program.put(program.add_rows((1,), lower=2.0), program.add_columns((1,), upper=1.0), 1.0)

    with pytest.raises(SettingsError, match="Infeasible"):
        program.solve(10.0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pools": []}, "0 pools"),
        ({"steps": 0}, "0 steps"),
        ({"prices": Prices(waiting_usd_per_gpu_hour=-1.0)}, "must not be negative"),
        ({"pools": [node(speed=0.0)]}, "does no work"),
        ({"eligible": {"a": ["elsewhere"]}}, "elsewhere is no pool; there are pool"),
        ({"interruptions": {"elsewhere": [1.0]}}, "elsewhere is no pool"),
    ],
)
def test_refuses_what_cannot_be(changes: Mapping[str, object], words: str) -> None:
    world = {"jobs": table([]), "pools": [node()], "prices": WAITS, "step_s": HOUR_S, "steps": 4, **changes}

    with pytest.raises(SettingsError, match=words):
        clairvoyant(**world)  # type: ignore[arg-type]
