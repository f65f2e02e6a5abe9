"""Pilots, unchanged, in the simulated cluster: what they see, what they turn, and what it costs."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from agents.pilots import ALL_PILOTS, Hold, Newsvendor, Reactive, Static
from agents.protocols import Pilot
from envs.bound import clairvoyant
from envs.described import GPU
from envs.faults import Bias, Blind
from envs.replay import Preemption, Share
from envs.seen import Seen
from envs.terms import KINDS, Hourly, PoolTerms, Prices
from envs.trial import Trial, paired, steps_of, tried
from envs.workloads import JobTable, TrainingProfile, generate
from envs.world import STEP_S, Run, Weather, World
from gyropilot.domain import Dial, Intent, Line
from tests.envs.test_replay import table

POOL = PoolTerms("x", nodes=2, max_nodes=20, gpus_per_node=8, lead_s=2 * STEP_S)
PRICES = Prices(waiting_usd_per_gpu_hour=10.0, usd_per_kwh=0.1, carbon_g_per_kwh=400.0)


def busy(days: float = 2.0, seed: int = 0) -> JobTable:
    profile = tuple(TrainingProfile(name, 100.0) for name in ("a", "b"))
    return generate(profile, days, np.random.default_rng(seed))


def steered(pilot: Pilot, jobs: JobTable, *pools: PoolTerms, prices: Prices = PRICES) -> Trial:
    pools = pools or (POOL,)
    return tried(World(pools), jobs, pilot, prices, Weather.calm(pools, steps_of(jobs)))


def begun(world: World, jobs: JobTable) -> Run:
    return world.begin(jobs, Weather.calm(world.pools, 48))


def test_a_pilot_sees_pools_queues_and_their_past_as_on_a_real_cluster() -> None:
    run = begun(World((POOL,)), table([("a", 10, 3_000, 8), ("b", 20, 3_000, 16)]))
    seen = Seen(run, PRICES)
    seen.view()
    run.step(np.array([[3]]))

    state = seen.view().state

    pool = state.pool("x")
    assert (pool.nodes, pool.coming_gpus, pool.idle_gpus, pool.dial_value) == (2, 8, 8.0, 3)
    assert (pool.dial, pool.lead_time) == (Dial.POOL_SIZE, timedelta(minutes=10))
    assert state.queue("a").running_gpus == {GPU.resource: 8.0}
    assert state.queue("b").pending_gpus == {GPU.resource: 16.0}
    assert state.queue("a").waiting_usd_per_gpu_hour == 10.0
    assert state.history.demand.tolist() == [[0.0, 8.0], [0.0, 16.0]]


def test_what_did_not_change_is_the_same_value() -> None:
    run = begun(World((POOL,)), table([("a", 10, 3_000, 8), ("b", 700, 3_000, 16)]))
    seen = Seen(run, PRICES)
    first = seen.view().state
    run.step(np.array([[2]]))
    second = seen.view().state
    run.step(np.array([[2]]))

    third = seen.view().state

    assert [second.queue(name) is first.queue(name) for name in "ab"] == [False, True]
    assert [third.queue(name) is second.queue(name) for name in "ab"] == [True, True]
    assert third.pool("x") is second.pool("x") is not first.pool("x")
    assert third.queues is second.queues is not first.queues


def test_what_is_again_as_it_was_once_is_the_same_value_again() -> None:
    seen = Seen(begun(World((POOL,)), table([("a", 200, 200, 8), ("b", 700, 9_000, 16)])), PRICES)
    states = []
    for _ in range(3):
        states.append(seen.view().state)
        seen.run.step(np.array([[2]]))

    empty, busy, later = states

    assert [state.queue("a").running_gpus[GPU.resource] for state in states] == [0.0, 8.0, 0.0]
    assert later.queue("a") is empty.queue("a") is not busy.queue("a")
    assert later.pool("x") is empty.pool("x") is not busy.pool("x")


def test_a_view_that_nobody_looked_at_in_its_time_cannot_be_looked_at_later() -> None:
    seen = Seen(begun(World((POOL,)), busy()), PRICES)
    late = seen.view()
    seen.run.step(np.array([[2]]))

    with pytest.raises(ValueError, match="look at a view before the next step"):
        late.state  # noqa: B018
    assert seen.view().state.history.times.size == 2


def test_a_forecast_is_of_every_queue_and_of_all_and_made_before() -> None:
    run = begun(World((POOL,)), busy())
    seen = Seen(run, PRICES)

    first = seen.view().forecast
    run.step(np.array([[2]]))
    second = seen.view().forecast
    run.step(np.array([[2]]))
    run.step(np.array([[2]]))
    third = seen.view().forecast

    assert [line.queue for line in first.lines] == ["a", "b", ""]
    assert second is first
    assert third.made_at == first.made_at + timedelta(minutes=15)


def test_what_a_pilot_wants_is_what_the_dials_show() -> None:
    seen = Seen(begun(World((POOL,)), busy()), PRICES)

    def nodes(gpus: int) -> int:
        return int(seen.dials(Intent("p", pool_gpus={"x": gpus}))[0][0, 0])

    assert [nodes(gpus) for gpus in (0, 1, 8, 9, -1, -8, -15, -16)] == [2, 3, 3, 4, 2, 1, 1, 0]
    back = seen.dials(Intent("p", reclaim_gpus={Line("b", GPU.resource): 4}))[1]
    assert back is not None
    assert back.tolist() == [[0.0, 4.0]]
    assert seen.dials(Intent("p"))[1] is None


def test_quotas_move_as_the_rebalancer_moves_them() -> None:
    shares = {"a": {"x": Share(12)}, "b": {"x": Share(4)}}
    run = begun(World((POOL,), shares, {"a": "all", "b": "all"}), table([("b", 10, 3_000, 16)]))
    seen = Seen(run, PRICES)
    view = seen.view()

    moved = seen.moved_quotas(view, Intent("p", quota_gpus={Line("a", GPU.resource): -4, Line("b", GPU.resource): 4}))

    assert moved == 2
    assert run.sites.rules.nominal[0, :, 0].tolist() == [8, 8]
    assert run.sites.state.ledger.free[0].sum() == 16
    assert seen.view().state.queue("b").quotas[0].nominal_gpus == 8


def test_quota_that_moved_can_be_used_where_its_giver_lends_none() -> None:
    shares = {"a": {"x": Share(16, lending_limit=0)}, "b": {"x": Share(32)}}
    pool = replace(POOL, nodes=6, max_nodes=6)
    run = begun(World((pool,), shares, {"a": "all", "b": "all"}), table([("a", 10, 60, 1), ("b", 10, 3_000, 40)]))
    seen = Seen(run, PRICES)
    view = seen.view()

    seen.moved_quotas(view, Intent("test", quota_gpus={Line("a", GPU.resource): -8, Line("b", GPU.resource): 8}))
    run.step(np.array([[6]]))

    assert run.nominal[0, :, 0].tolist() == [8, 40]
    assert run.used[0, 1, 0] == 40


def test_whoever_has_a_right_by_a_quota_that_moved_stops_those_who_borrow_in_the_next_step() -> None:
    shares = {"a": {"x": Share(8)}, "b": {"x": Share(4)}, "c": {"x": Share(4)}}
    world = World((POOL,), shares, dict.fromkeys("abc", "all"), preemption={"b": Preemption(reclaim="any")})
    jobs = table([("a", 5, 10, 1), ("c", 20, 90_000, 12), ("b", 30, 3_000, 8)], ("a", "b", "c"))
    run = begun(world, jobs)
    seen = Seen(run, PRICES)
    run.step(np.array([[2]]))
    before = run.used[0, :, 0].tolist()

    moved = seen.moved_quotas(
        seen.view(), Intent("p", quota_gpus={Line("a", GPU.resource): -4, Line("b", GPU.resource): 4})
    )
    run.step(np.array([[2]]))

    assert moved == 2
    assert (before, run.used[0, :, 0].tolist()) == ([0, 0, 12], [0, 8, 0])


def test_of_an_elastic_job_pilots_see_what_it_would_do_with() -> None:
    world = World((PoolTerms("x", 0, 1),))
    jobs = replace(table([("a", 10, 3_000, 64)]), least_gpus=np.array([8]))
    run = begun(world, jobs)
    run.step(np.array([[0]]))

    waiting = Seen(run, PRICES).view().state.queue("a")
    trial = tried(world, jobs, Reactive(), PRICES, Weather.calm(world.pools, 48))

    assert waiting.pending_gpus[GPU.resource] == 64
    assert waiting.largest_pending_gpus[GPU.resource] == 8
    assert np.isfinite(trial.start_s).all()


def test_hold_turns_nothing() -> None:
    trial = steered(Hold(), busy())

    assert trial.decisions_per_day == 0
    assert (trial.nodes == 2).all()


def test_reactive_grows_for_what_waits_and_gives_back_what_is_idle() -> None:
    jobs = table([("a", 700, 3_600, 32)])

    trial = steered(Reactive(), jobs, replace(POOL, nodes=0))

    # Seen at 900 s, there at 1,500 s; idle ten minutes after the job's end.
    assert trial.start_s.tolist() == [1_500.0]
    assert trial.nodes.max() == 4
    assert trial.waits[0].p50_s == 800.0
    assert trial.stops.tolist() == [0]


@pytest.mark.parametrize("pilot", ALL_PILOTS, ids=lambda pilot: pilot.name)
@pytest.mark.parametrize("seed", [0, 1])
def test_no_pilot_pays_less_than_the_bound(pilot: Pilot, seed: int) -> None:
    jobs, prices = busy(1.0, seed), replace(PRICES, churn_usd_per_node=0.5, carbon_usd_per_tonne=100.0)
    pools = (
        replace(POOL, price_usd_per_gpu_hour=2.0, lead_s=3_600.0, watts_idle_per_gpu=60.0, watts_busy_per_gpu=400.0),
        replace(POOL, name="y", nodes=0, price_usd_per_gpu_hour=4.0, speed=1.5),
    )

    trial = steered(pilot, jobs, *pools, prices=prices)

    bound = clairvoyant(jobs, pools, prices, STEP_S, steps_of(jobs))
    assert trial.total_usd >= bound.usd * (1 - 1e-9)
    assert bound.usd > 0


def test_costs_add_up_by_kind_and_by_day() -> None:
    trial = steered(Static(), busy(3.0), replace(POOL, watts_idle_per_gpu=60.0, watts_busy_per_gpu=400.0))

    assert sum(trial.by_kind.values()) == pytest.approx(trial.total_usd)
    assert set(trial.by_kind) == set(KINDS)
    assert trial.kwh is not None
    assert trial.by_kind["energy"] == pytest.approx(trial.kwh * 0.1)
    assert trial.kg_co2 == pytest.approx(trial.kwh * 0.4)
    assert len(trial.by_day) == int(trial.days)


def test_a_pilot_that_turns_back_and_forth_is_found_out() -> None:
    trial = steered(Hold(), busy(1.0))
    turns = np.array([[0], [1], [0], [-1], [-1], [3], [0]])

    swaying = replace(trial, turns=turns, usd=trial.usd[:7])

    assert swaying.decisions_per_day * swaying.days == pytest.approx(4)
    assert swaying.reversals_per_day * swaying.days == pytest.approx(2)


def test_pilots_are_compared_on_the_same_days() -> None:
    jobs = busy(6.0)
    reactive, static = (steered(pilot, jobs) for pilot in (Reactive(), Static()))

    low, mid, high = paired(static, reactive, np.random.default_rng(0))

    assert low < mid < high
    free = replace(reactive, usd=np.where(np.arange(len(reactive.usd))[:, None] < 300, 0.0, reactive.usd))
    assert np.isfinite(paired(static, free, np.random.default_rng(0))).all()
    assert np.isnan(paired(static, replace(free, usd=0 * free.usd), np.random.default_rng(0))).all()
    assert mid == pytest.approx(100 * (static.total_usd / reactive.total_usd - 1))
    assert paired(reactive, reactive, np.random.default_rng(0)) == (0.0, 0.0, 0.0)


def test_the_same_jobs_and_weather_give_the_same_bill() -> None:
    jobs = busy(1.0)

    assert steered(Newsvendor(), jobs).total_usd == steered(Newsvendor(), jobs).total_usd


HALF_AND_HALF = Hourly((1.0, 1.0, 4.0, 4.0), usd_per_kwh=(0.05, 0.4), carbon_g_per_kwh=(50.0, 700.0))


@pytest.mark.parametrize("pilot", [Reactive(), Newsvendor()], ids=lambda pilot: pilot.name)
def test_no_pilot_pays_less_than_the_bound_where_prices_change_by_the_hour(pilot: Pilot) -> None:
    pool = replace(POOL, hourly=HALF_AND_HALF, watts_idle_per_gpu=100.0, watts_busy_per_gpu=600.0)
    prices = replace(PRICES, carbon_usd_per_tonne=100.0)
    jobs = busy(1.0, seed=3)

    trial = steered(pilot, jobs, pool, prices=prices)
    bound = clairvoyant(jobs, [pool], prices, STEP_S, steps_of(jobs))

    assert 0 < bound.usd <= trial.total_usd
    assert bound.usd == pytest.approx(bound.usd_by_kind.sum())
    assert trial.kg_co2 is not None
    assert trial.kg_co2 > 0


def test_the_bound_is_the_same_where_every_hour_has_the_same_price() -> None:
    jobs = busy(0.5, seed=4)
    same = replace(POOL, hourly=Hourly((POOL.price_usd_per_gpu_hour,) * 24, (0.1,) * 24, (400.0,) * 24))

    constant, hourly = (clairvoyant(jobs, [pool], PRICES, STEP_S, steps_of(jobs)).usd for pool in (POOL, same))

    assert hourly == pytest.approx(constant)


def test_a_pilot_sees_the_price_of_the_hour() -> None:
    run = begun(World((replace(POOL, hourly=HALF_AND_HALF),)), table([("a", 10, 3_000, 8)]))
    seen = Seen(run, PRICES)
    told = []
    for _ in range(40):
        told.append(seen.view().state.pool("x").price_usd_per_gpu_hour)
        run.step(np.array([[2]]))

    assert told == [1.0] * 24 + [4.0] * 16


def test_nothing_is_turned_while_metrics_are_lost() -> None:
    jobs = busy()
    lost = Blind(at_s=6 * 3_600.0, lasts_s=3 * 3_600.0)

    trial = tried(World((POOL,)), jobs, Reactive(), PRICES, Weather.calm((POOL,), steps_of(jobs)), faults=[lost])

    assert not trial.turns[72:108].any()
    assert trial.turns[:72].any()
    assert trial.turns[108:].any()


def test_a_gap_in_what_is_seen_is_not_a_zero() -> None:
    run = begun(World((POOL,)), table([("a", 10, 30_000, 8)]))
    seen = Seen(run, PRICES)
    for nth in range(6):
        if nth in {2, 3}:
            seen.look_away()
        else:
            seen.view()
        run.step(np.array([[2]]))

    demand = seen.view().state.history.demand[0]

    assert np.isnan(demand[2:4]).all()
    assert demand[[0, 1, 4, 5, 6]].tolist() == [0.0, 8.0, 8.0, 8.0, 8.0]


def test_a_pilot_that_is_misled_buys_more() -> None:
    jobs = busy()
    weather = Weather.calm((POOL,), steps_of(jobs))

    honest = tried(World((POOL,)), jobs, Newsvendor(), PRICES, weather)
    misled = tried(World((POOL,)), jobs, Newsvendor(), PRICES, weather, faults=[Bias(times=3.0)])

    assert misled.provisioned_gpu_hours > 1.1 * honest.provisioned_gpu_hours


def test_parts_of_gpus_share_them() -> None:
    whole = table([("a", 10, 3_000, 1), ("a", 20, 3_000, 1), ("b", 30, 3_000, 1)])
    parts = replace(whole, gpus=np.array([0.5, 0.5, 0.25]))
    one = replace(POOL, nodes=1, max_nodes=1, gpus_per_node=1)

    runs = [begun(World((one,)), jobs) for jobs in (whole, parts)]
    for run in runs:
        used = [run.step(np.array([[1]])).busy.sum() for _ in range(40)]

    assert [run.sites.state.runs.start_s[0].tolist() for run in runs] == [[10, 3_010, 6_010], [10, 20, 3_010]]
    assert sum(used) == pytest.approx((0.5 + 0.5 + 0.25) * 3_000 / 3_600)


def test_a_world_of_parts_is_the_same_world_in_other_numbers() -> None:
    jobs = busy(0.5, seed=5)
    small = replace(jobs, gpus=jobs.gpus / 4)
    shrunk = replace(POOL, gpus_per_node=2)
    shares = {"a": {"x": Share(12, lending_limit=4)}, "b": {"x": Share(8)}}
    smaller = {"a": {"x": Share(3, lending_limit=1)}, "b": {"x": Share(2)}}
    weather = Weather.calm((POOL,), steps_of(jobs))

    in_wholes = tried(World((POOL,), shares, {"a": "all", "b": "all"}), jobs, Hold(), PRICES, weather)
    in_parts = tried(World((shrunk,), smaller, {"a": "all", "b": "all"}), small, Hold(), PRICES, weather)

    assert in_parts.start_s.tolist() == in_wholes.start_s.tolist()
    assert in_parts.flows.waiting.sum() == pytest.approx(in_wholes.flows.waiting.sum() / 4)
    assert in_parts.used_gpu_hours == pytest.approx(in_wholes.used_gpu_hours / 4)


def test_egress_is_billed_beside_the_rest_and_what_leaves_is_bounded() -> None:
    pools = (
        replace(POOL, name="near", nodes=1, max_nodes=1, region="north"),
        replace(POOL, name="far", nodes=2, region="south"),
    )
    told = busy(1.0)
    jobs = replace(told, data_gb=np.full(len(told), 10.0), leaves_s=np.where(told.queue == 0, 3_600.0, np.inf))
    prices = replace(PRICES, egress_usd_per_gb=0.5)
    world = World(pools, homes={"a": "north", "b": "north"})

    trial = tried(world, jobs, Static(), prices, Weather.calm(pools, steps_of(jobs)))

    bound = clairvoyant(jobs, pools, prices, STEP_S, steps_of(jobs))
    assert trial.by_kind["egress"] == pytest.approx(0.5 * trial.flows.sent.sum())
    assert trial.flows.sent[:, 0, 1].sum() > 0
    assert trial.total_usd >= bound.usd * (1 - 1e-9)
    assert (trial.end_s <= jobs.submit_s + jobs.leaves_s).all()
