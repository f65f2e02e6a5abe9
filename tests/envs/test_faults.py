"""What goes wrong in a simulated cluster, and that nothing else changes with it."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.faults import (
    Bias,
    Blind,
    Demand,
    Fault,
    Outage,
    Stuck,
    Surprises,
    blind,
    crowded,
    misled,
    surprised,
    weathered,
)
from envs.terms import PoolTerms
from envs.workloads import MONDAY_S, JobTable
from envs.world import STEP_S, Weather, World
from forecasting.forecasters.naive import Naive
from forecasting.registry import make
from gyropilot.domain import ALL_QUEUES, DemandHistory, Line, Window
from tests.envs.test_replay import table

POOLS = (
    PoolTerms("owned", 4, 4, 4, lead_s=2 * STEP_S),
    PoolTerms("bought", 0, 8, lead_s=2 * STEP_S),
)


def calm(steps: int = 12) -> Weather:
    return Weather.calm(POOLS, steps)


def jobs(count: int = 400) -> JobTable:
    return table([("ab"[n % 2], 60.0 * n, 600.0, 1) for n in range(count)])


def test_an_outage_takes_nodes_when_it_begins_and_lets_none_come_until_it_is_over() -> None:
    outage = Outage(at_s=3 * STEP_S, lasts_s=4 * STEP_S, pool="bought", share=0.5)

    weather = weathered([outage], calm(), POOLS, STEP_S)

    assert weather.loss[1].tolist() == [0, 0, 0, 0.5, 0, 0, 0, 0, 0, 0, 0, 0]
    assert weather.lead[1].tolist() == [2, 6, 5, 4, 3, 2, 2, 2, 2, 2, 2, 2]
    assert (weather.loss[0] == 0).all()
    assert (weather.lead[0] == 2).all()


def test_what_provisioning_is_stuck_with_comes_all_at_once_when_it_is_over() -> None:
    stuck = Stuck(at_s=1 * STEP_S, lasts_s=5 * STEP_S)
    run = World(POOLS).begin(jobs(1), weathered([stuck], calm(), POOLS, STEP_S))

    there = []
    for wanted in (1, 2, 3, 3, 3, 3, 3):
        run.step(np.array([[4, wanted]]))
        there.append(int(run.sites.nodes.there[0, 1]))

    assert there == [0, 0, 0, 0, 0, 0, 3]


def test_after_an_outage_owned_nodes_come_back_by_themselves() -> None:
    outage = Outage(at_s=STEP_S, lasts_s=3 * STEP_S, pool="owned")
    run = World(POOLS).begin(jobs(1), weathered([outage], calm(), POOLS, STEP_S))

    there = []
    for _ in range(6):
        run.step(np.array([[4, 0]]))
        there.append(int(run.sites.nodes.there[0, 0]))

    assert there == [4, 0, 0, 0, 4, 4]


@pytest.mark.parametrize("times", [0.0, 0.4, 1.0, 2.5])
def test_a_burst_multiplies_the_jobs_of_its_queue_while_it_lasts(times: float) -> None:
    burst = Demand(at_s=6_000.0, lasts_s=12_000.0, times=times, queue="a")
    before = jobs()

    after, origin = crowded([burst], before, np.random.default_rng(0))

    def within(told: JobTable, queue: str) -> int:
        row = told.queues.index(queue)
        return int(((told.queue == row) & (told.submit_s >= 6_000) & (told.submit_s <= 18_000)).sum())

    assert within(after, "a") == pytest.approx(times * within(before, "a"), abs=20)
    assert within(after, "b") == within(before, "b")
    assert (before.gpus[origin] == after.gpus).all()
    assert len(after) - within(after, "a") == len(before) - within(before, "a")


def test_a_shift_of_demand_lasts() -> None:
    after, _ = crowded([Demand(at_s=12_000.0, times=2.0)], jobs(), np.random.default_rng(0))

    assert (after.submit_s < 12_000).sum() == 200
    assert (after.submit_s >= 12_000).sum() == 400


@given(st.floats(0, 3), st.floats(0, 30_000), st.floats(60, 30_000), st.integers(0, 5))
@settings(max_examples=60)
def test_jobs_stay_in_order_and_no_other_job_moves(times: float, at_s: float, lasts_s: float, seed: int) -> None:
    before = jobs(100)

    after, origin = crowded([Demand(at_s=at_s, lasts_s=lasts_s, times=times)], before, np.random.default_rng(seed))

    untouched = (before.submit_s < at_s) | (before.submit_s > at_s + lasts_s)
    assert (np.diff(after.submit_s) >= 0).all()
    assert set(np.flatnonzero(untouched)) <= set(origin.tolist())
    kept = untouched[origin]
    assert (after.submit_s[kept] == before.submit_s[origin[kept]]).all()


def test_forecasts_say_too_much_while_a_bias_lasts() -> None:
    line, steps = Line("a", "nvidia.com/gpu"), np.arange(-288, 1) * 300
    past = DemandHistory((line,), (MONDAY_S + steps).astype(np.int64), np.full((1, 289), 8.0), np.zeros((1, 289)))
    window = Window(timedelta(0), timedelta(hours=1))

    wrong = misled([Bias(times=1.5, at_s=-600.0, lasts_s=3_600.0)], Naive())
    later = misled([Bias(times=1.5, at_s=600.0)], Naive())

    assert wrong.predict(past, [window], [0.5]) == pytest.approx(12.0)
    assert later.predict(past, [window], [0.5]) == pytest.approx(8.0)


def test_forecasts_of_one_queue_may_be_wrong_and_those_of_totals_are_by_as_much() -> None:
    lines = (Line("a", "gpu"), Line("b", "gpu"), Line("b", "tpu"))
    running = np.array([[8.0] * 289, [4.0] * 289, [6.0] * 289])
    queues = DemandHistory(lines, 300 * np.arange(289), running, np.zeros((3, 289)))
    past, window = queues.with_totals(), Window(timedelta(0), timedelta(hours=1))
    known = Naive().fit(past)

    right = known.predict(past, [window], [0.1, 0.5, 0.9])
    wrong = misled([Bias(times=2.0, queue="a")], known, began_s=0.0).predict(past, [window], [0.1, 0.5, 0.9])

    total, other = past.lines.index(Line(ALL_QUEUES, "gpu")), past.lines.index(Line(ALL_QUEUES, "tpu"))
    assert wrong[0] == pytest.approx(2 * right[0])
    assert wrong[[1, 2, other]] == pytest.approx(right[[1, 2, other]])
    assert wrong[total] == pytest.approx(right[total] + right[0])


def test_a_queue_of_which_far_less_is_forecast_leaves_no_total_below_nothing() -> None:
    lines = (Line("a", "gpu"),)
    jumpy = np.array([[0.0, 8.0] * 144 + [0.0]])
    past = DemandHistory(lines, 300 * np.arange(289), jumpy, np.zeros((1, 289))).with_totals()
    known, window = Naive().fit(past), Window(timedelta(0), timedelta(hours=6))

    wrong = misled([Bias(times=0.0, queue="a")], known, began_s=0.0).predict(past, [window], [0.05, 0.5, 0.95])

    assert (wrong >= 0).all()
    assert (np.diff(wrong, axis=-1) >= 0).all()


def test_a_misled_forecaster_is_restored_as_what_it_was() -> None:
    past = DemandHistory((Line("a", "gpu"),), 300 * np.arange(289), np.full((1, 289), 8.0), np.zeros((1, 289)))
    known = misled([Bias(times=1.5)], make("seasonal-naive")).fit(past)

    again = type(known).restored(known.state())

    window = Window(timedelta(0), timedelta(hours=1))
    assert again.predict(past, [window], [0.5]) == pytest.approx(known.predict(past, [window], [0.5]))
    assert type(again.inner) is type(known.inner)  # type: ignore[attr-defined]


def test_a_forecaster_is_left_alone_where_nothing_misleads_it() -> None:
    naive = Naive()

    assert misled([Outage(), Blind()], naive) is naive


def test_nothing_is_seen_while_metrics_are_lost() -> None:
    lost = blind([Blind(at_s=2 * STEP_S, lasts_s=3 * STEP_S)], 8, STEP_S)

    assert lost.tolist() == [False, False, True, True, True, False, False, False]


def test_a_fault_shorter_than_a_step_is_felt_in_the_one_that_begins_after_it_did() -> None:
    at_s, lasts_s = 2 * STEP_S + 60.0, 180.0

    weather = weathered([Outage(at_s=at_s, lasts_s=lasts_s)], calm(), POOLS, STEP_S)
    lost = blind([Blind(at_s=at_s, lasts_s=lasts_s)], 8, STEP_S)

    assert np.flatnonzero(weather.loss[0]).tolist() == [3]
    assert np.flatnonzero(lost).tolist() == [3]


@given(st.floats(-1e5, 1e6), st.floats(0, 1e6), st.integers(1, 500))
def test_a_fault_touches_only_steps_that_exist(at_s: float, lasts_s: float, count: int) -> None:
    first, last = Fault(at_s=max(0.0, at_s), lasts_s=lasts_s).steps(count, STEP_S)

    assert 0 <= first <= count
    assert 0 <= last <= count


def test_the_same_seed_draws_the_same_surprises() -> None:
    drawn = [Surprises(outages=3).drawn(("x",), ("a", "b"), 1.0, np.random.default_rng(4)) for _ in range(2)]

    assert drawn[0] == drawn[1]
    assert len(drawn[0]) > 0


def test_every_kind_of_surprise_is_drawn_as_often_as_told() -> None:
    told = Surprises(outages=0.5, stuck=0.25, bursts=1.0, biases=0.75, blackouts=0.1)

    drawn = told.drawn(("x",), ("a",), 2_000.0, np.random.default_rng(0))

    often = {
        kind: sum(isinstance(fault, kind) for fault in drawn) / 2_000 for kind in (Outage, Stuck, Demand, Bias, Blind)
    }
    assert often == pytest.approx({Outage: 0.5, Stuck: 0.25, Demand: 1.0, Bias: 0.75, Blind: 0.1}, abs=0.07)
    assert all(fault.lasts_s <= 3_600 for fault in drawn if isinstance(fault, Blind))
    assert all(0.5 <= fault.times <= 2 for fault in drawn if isinstance(fault, Bias))
    assert Surprises().often(0.0).drawn(("x",), ("a",), 2_000.0, np.random.default_rng(0)) == []
    assert Surprises().often(3.0).outages == pytest.approx(0.6)


def test_without_surprises_a_time_is_as_it_was_drawn() -> None:
    before, weather = jobs(), calm()

    day = surprised(None, World(POOLS), before, weather, np.random.default_rng(0))

    assert day.faults == ()
    assert day.weather is weather
    assert (day.jobs.submit_s == before.submit_s).all()
    assert not day.dark.any()


def test_a_fault_changes_neither_the_weather_nor_the_jobs_that_it_was_given() -> None:
    weather, before = calm(), jobs()
    told = replace(before, submit_s=before.submit_s.copy())

    weathered([Outage()], weather, POOLS, STEP_S)
    crowded([Demand(times=3.0)], before, np.random.default_rng(0))

    assert (weather.loss == 0).all()
    assert (weather.lead == 2).all()
    assert (before.submit_s == told.submit_s).all()
