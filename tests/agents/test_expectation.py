from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from agents.expectation import expected_effect, with_effects, with_joint_effects
from gyropilot.domain import Action, ClusterState, Dial, Effect, Interval, Market, Objection, Verdict, View
from tests.fakes import GPU, NOW, action, forecast, pool, queue, state, workload


def at_once(**changes: object) -> ClusterState:
    """32 GPUs, more of which come at once; a queue that wants them."""
    return state([pool(lead_time=timedelta(0), idle_gpus=0.0, **changes)], [queue(nominal=64, running=32)])  # type: ignore[arg-type]


def grow(nodes: int = 1) -> Effect:
    return _grow(at_once(), nodes)


def _grow(seen: ClusterState, nodes: int, median: float = 48.0, spread: float = 0.0) -> Effect:
    turn = action(Dial.POOL_SIZE, before=4, after=4 + nodes)
    return expected_effect(View(seen, forecast({"research": median}, spread)), turn)


def all_alike(value: float) -> Interval:
    return Interval(value, value, value)


def same(found: Interval, wanted: Interval) -> bool:
    return (found.low, found.mid, found.high) == pytest.approx(
        (wanted.low, wanted.mid, wanted.high), rel=1e-3, abs=0.05
    )


def test_a_node_more_costs_its_price_for_a_day() -> None:
    assert grow().usd == all_alike(8 * 24 * 2.0)


def test_a_node_more_serves_what_waited() -> None:
    assert same(grow().waiting_gpu_hours, all_alike(-8 * 24))


def test_gpus_that_serve_draw_busy_watts() -> None:
    effect = grow()

    assert same(effect.kwh, all_alike(8 * 24 * 0.9))
    assert same(effect.kg_co2, all_alike(8 * 24 * 0.9 * 0.4))


def test_gpus_that_serve_nobody_draw_idle_watts() -> None:
    effect = _grow(at_once(), 1, median=32.0)

    assert same(effect.waiting_gpu_hours, all_alike(0))
    assert same(effect.kwh, all_alike(8 * 24 * 0.1))


def test_only_what_was_short_is_served() -> None:
    assert same(_grow(at_once(), 3, median=40.0).waiting_gpu_hours, all_alike(-8 * 24))


def test_waiting_falls_only_after_the_lead_time() -> None:
    slow = state([pool(lead_time=timedelta(hours=6), idle_gpus=0.0)], [queue(nominal=64, running=32)])

    # The grid of five minutes begins growth half a step early: a third of a GPU-hour.
    assert _grow(slow, 1).waiting_gpu_hours.mid == pytest.approx(-8 * 18, abs=0.34)
    assert _grow(slow, 1).usd == all_alike(8 * 24 * 2.0)


def test_coming_gpus_serve_first() -> None:
    coming = at_once(dial_value=6)

    assert same(_grow(coming, 1, median=48.0).waiting_gpu_hours, all_alike(0))


def test_uncertain_demand_makes_an_interval() -> None:
    # p10 of 36 with a spread of 0.25 is 28.8, p90 is 43.2: none, 4 and 8 GPUs are short.
    effect = _grow(at_once(), 1, median=36.0, spread=0.25)

    assert same(effect.waiting_gpu_hours, Interval(-8 * 24, -4 * 24, 0))


def test_a_node_less_saves_money_and_idle_power() -> None:
    effect = _grow(at_once(), -1, median=16.0)

    assert effect.usd == all_alike(-8 * 24 * 2.0)
    assert same(effect.kwh, all_alike(-8 * 24 * 0.1))
    assert same(effect.waiting_gpu_hours, all_alike(0))


def test_a_node_less_makes_wait_what_it_would_have_served() -> None:
    effect = _grow(at_once(), -1, median=28.0)

    assert same(effect.waiting_gpu_hours, all_alike(4 * 24))
    assert same(effect.kwh, all_alike(-(4 * 0.1 + 4 * 0.9) * 24))


def test_reserved_gpus_cost_nothing_more() -> None:
    assert _grow(at_once(market=Market.RESERVED), 1).usd == all_alike(0)


def test_a_limit_costs_only_what_demand_fills() -> None:
    target = f"nodepools.karpenter.sh/h100/{GPU}"
    seen = at_once(dial=Dial.POOL_LIMIT, dial_target=target, dial_value=32)
    turn = action(Dial.POOL_LIMIT, before=32, after=48, gpus=16)

    effect = expected_effect(View(seen, forecast({"research": 36.0})), turn)

    assert same(effect.usd, all_alike(4 * 24 * 2.0))
    assert same(effect.kwh, all_alike(4 * 24 * 0.9))


def test_quota_that_is_wanted_spares_waiting_and_costs_nothing() -> None:
    seen = state([pool()], [queue(nominal=16)])
    turn = action(before=16, after=20)

    effect = expected_effect(View(seen, forecast({"research": 18.0})), turn)

    assert same(effect.waiting_gpu_hours, all_alike(-2 * 24))
    assert effect.usd == all_alike(0)


def test_quota_that_is_not_wanted_is_not_missed() -> None:
    seen = state([pool()], [queue(nominal=16)])

    effect = expected_effect(View(seen, forecast({"research": 6.0})), action(before=16, after=12))

    assert effect.waiting_gpu_hours == all_alike(0)


def pause(poor_wants: float, rich_wants: float) -> Effect:
    """What pausing eight of the 24 GPUs of queue research, with an hour of work at risk, is expected to do."""
    gang = workload(last_checkpoint=NOW - timedelta(minutes=55))
    seen = state([pool()], [queue(nominal=8, running=24), queue("poor", nominal=16, running=8, pending=8)], [gang])
    turn = action(Dial.WORKLOAD, before=1, after=0, gpus=-8)
    return expected_effect(View(seen, forecast({"research": rich_wants, "poor": poor_wants})), turn)


def test_a_pause_loses_work_worth_its_gpu_hours() -> None:
    effect = pause(poor_wants=16.0, rich_wants=24.0)

    assert effect.lost_gpu_hours == pytest.approx(8.0)
    assert same(effect.usd, all_alike(8.0 * 2.0))


def test_a_pause_moves_waiting_from_one_to_the_other() -> None:
    assert same(pause(poor_wants=16.0, rich_wants=24.0).waiting_gpu_hours, all_alike(0))


def test_a_pause_of_work_that_would_end_anyway_saves_waiting() -> None:
    assert same(pause(poor_wants=16.0, rich_wants=16.0).waiting_gpu_hours, all_alike(-8 * 24))


def test_a_queue_that_is_not_forecast_is_claimed_nothing_for() -> None:
    seen = View(state([pool()], [queue(nominal=16)]), forecast({}))

    effect = expected_effect(seen, action(before=16, after=20))

    assert effect.waiting_gpu_hours == all_alike(0)


def test_what_is_not_in_the_view_is_expected_nothing_of() -> None:
    seen = View(state(), forecast({}))

    for dial in Dial:
        assert expected_effect(seen, action(dial, before=1, after=0)) == Effect()


def test_an_action_keeps_everything_else() -> None:
    turn = action(Dial.POOL_SIZE, before=4, after=5)
    seen = View(at_once(), forecast({"research": 48.0}))

    (told,) = with_effects(seen, [turn])

    assert replace(told, expected=Effect()) == turn
    assert told.expected == grow()


def test_two_nodes_do_not_serve_the_same_work_twice() -> None:
    seen = at_once()
    turns = [action(Dial.POOL_SIZE, before=4, after=5), action(Dial.POOL_SIZE, before=4, after=5)]

    first, second = with_effects(View(seen, forecast({"research": 44.0})), turns)

    assert same(first.expected.waiting_gpu_hours, all_alike(-8 * 24))
    assert same(second.expected.waiting_gpu_hours, all_alike(-4 * 24))


def test_two_pauses_do_not_serve_the_same_work_twice() -> None:
    gangs = [workload(name, last_checkpoint=NOW) for name in ("a", "b")]
    tenants = [queue(nominal=8, running=24), queue("poor", nominal=16, running=8, pending=8)]
    turns = [action(Dial.WORKLOAD, 1, 0, gpus=-8, target=f"research/{name}") for name in ("a", "b")]
    demand = forecast({"research": 0.0, "poor": 20.0})

    first, second = with_effects(View(state([pool()], tenants, gangs), demand), turns)

    assert same(first.expected.waiting_gpu_hours, all_alike(-8 * 24))
    assert same(second.expected.waiting_gpu_hours, all_alike(-4 * 24))


def test_growth_does_not_serve_what_another_resource_lacks() -> None:
    other = replace(pool("tpu"), accelerator=replace(pool().accelerator, resource="google.com/tpu"), dial_target="t")
    seen = state([pool(lead_time=timedelta(0), idle_gpus=0.0), other], [queue(nominal=64, running=32)])
    turn = action(Dial.POOL_SIZE, before=4, after=5, target="t", resource="google.com/tpu")

    effect = expected_effect(View(seen, forecast({"research": 48.0})), turn)

    assert same(effect.waiting_gpu_hours, all_alike(0))


def _limit(before: int, after: int, wanted: float) -> Effect:
    """Of turning the limit of a pool that has 32 GPUs, all of them in use."""
    target = f"nodepools.karpenter.sh/h100/{GPU}"
    seen = at_once(dial=Dial.POOL_LIMIT, dial_target=target, dial_value=before)
    turn = action(Dial.POOL_LIMIT, before=before, after=after, gpus=after - before)
    return expected_effect(View(seen, forecast({"research": wanted})), turn)


def test_a_lower_limit_removes_no_gpu() -> None:
    assert _limit(64, 40, wanted=32.0) == Effect()
    assert _limit(64, 24, wanted=32.0) == Effect()


def test_a_lower_limit_makes_wait_what_would_have_come() -> None:
    effect = _limit(64, 40, wanted=48.0)

    assert same(effect.waiting_gpu_hours, all_alike(8 * 24))
    assert same(effect.usd, all_alike(-8 * 24 * 2.0))


def test_a_higher_limit_claims_nothing_that_the_old_one_allowed() -> None:
    assert same(_limit(40, 48, wanted=44.0).waiting_gpu_hours, all_alike(-4 * 24))
    assert same(_limit(40, 48, wanted=40.0).waiting_gpu_hours, all_alike(0))


def scarce() -> View:
    """Research wants 40 GPUs on a quota and on nodes of 32, and may not borrow from an idle mate."""
    fixed = replace(queue(nominal=32, running=32).quotas[0], borrowing_limit_gpus=0)
    tenants = [queue(nominal=32, running=32, quotas=(fixed,)), queue("idle", nominal=16)]
    seen = state([pool(lead_time=timedelta(0), idle_gpus=0.0)], tenants)
    return View(seen, forecast({"research": 40.0, "idle": 0.0}))


NODE = action(Dial.POOL_SIZE, before=4, after=5)
QUOTA = action(before=32, after=40)


def test_a_node_without_quota_and_quota_without_a_node_serve_nothing() -> None:
    assert same(expected_effect(scarce(), NODE).waiting_gpu_hours, all_alike(0))
    assert same(expected_effect(scarce(), QUOTA).waiting_gpu_hours, all_alike(0))


@pytest.mark.parametrize("plan", [(NODE, QUOTA), (QUOTA, NODE)])
def test_node_and_quota_do_not_spare_the_same_waiting_twice(plan: tuple[Action, ...]) -> None:
    total = sum((a.expected for a in with_effects(scarce(), plan)), Effect())

    assert same(total.waiting_gpu_hours, all_alike(-8 * 24))


def test_quota_within_what_may_be_borrowed_spares_nothing() -> None:
    seen = state([pool()], [queue(nominal=16), queue("idle", nominal=16)])

    effect = expected_effect(View(seen, forecast({"research": 18.0, "idle": 0.0})), action(before=16, after=20))

    assert same(effect.waiting_gpu_hours, all_alike(0))


def test_quota_that_the_whole_cohort_lacks_makes_wait() -> None:
    seen = state([pool(idle_gpus=0.0)], [queue(nominal=8), queue("mate", nominal=8)])

    effect = expected_effect(View(seen, forecast({"research": 8.0, "mate": 8.0})), action(before=8, after=6))

    assert same(effect.waiting_gpu_hours, all_alike(2 * 24))


def test_what_is_held_back_is_expected_on_top_of_what_is_approved() -> None:
    held = Verdict(NODE, (Objection("freeze-windows", "frozen"),))

    first, second = with_joint_effects(scarce(), [held, Verdict(QUOTA)])

    assert same(second.action.expected.waiting_gpu_hours, all_alike(0))
    assert same(first.action.expected.waiting_gpu_hours, all_alike(-8 * 24))
    assert (first.objections, second.approved) == (held.objections, True)


def test_a_pause_spares_no_waiting_that_a_new_node_spares() -> None:
    gang = workload(last_checkpoint=NOW)
    tenants = [queue(nominal=8, running=24), queue("poor", nominal=16, running=8, pending=8)]
    seen = state([pool(lead_time=timedelta(0), idle_gpus=0.0)], tenants, [gang])
    turn = action(Dial.WORKLOAD, before=1, after=0, gpus=-8)

    effect = expected_effect(View(seen, forecast({"research": 16.0, "poor": 16.0})), turn, taken=[NODE])

    assert same(effect.waiting_gpu_hours, all_alike(0))
