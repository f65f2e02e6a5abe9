from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np

from agents.pilots import Newsvendor, Reactive, Receding
from gyropilot.domain import Accelerator, DemandForecast, Pool, Queue, View
from tests.fakes import GPU, HORIZONS, NOW, QUANTILES, forecast, pool, queue, state, view

FULL = pool(idle_gpus=0.0)


def wanted(pools: list[Pool], queues: list[Queue], foretold: DemandForecast | float, **how: Any) -> dict[str, int]:
    """What is wanted of the pools when one queue's demand is forecast, flat or by the forecast's horizons."""
    known = foretold if isinstance(foretold, DemandForecast) else forecast({queues[0].name: foretold})
    return dict(Receding(**how).steer(View(state(pools, queues), known)).pool_gpus)


def ramp(*gpus: float) -> DemandForecast:
    """The same at all quantiles, one value per horizon (5 min, 30 min, 1 h, 6 h, 24 h)."""
    table = np.array(gpus)[None, :, None] * np.ones((2, 1, len(QUANTILES)))
    return replace(forecast({"research": 0.0}), gpus=table)


def test_buys_whole_nodes_for_what_is_forecast() -> None:
    assert wanted([FULL], [queue(nominal=96, running=32)], 48.0) == {"h100": 16}
    assert wanted([FULL], [queue(nominal=96, running=32)], 33.0) == {}


def test_part_of_a_node_is_bought_where_waiting_would_cost_more_than_all_of_it() -> None:
    tenants = [queue(nominal=96, running=32)]

    # Waiting costs 10 USD, a node of 8 GPUs 16: two GPUs are worth one, one is not.
    assert wanted([FULL], tenants, 34.0) == {"h100": 8}
    assert wanted([FULL], [replace(tenants[0], waiting_usd_per_gpu_hour=5.0)], 34.0) == {}


def test_buys_only_what_has_to_be_asked_for_now() -> None:
    tenants, slow = [queue(nominal=96, running=32)], replace(FULL, lead_time=timedelta(hours=6))
    later = ramp(32.0, 32.0, 32.0, 64.0, 64.0)

    assert wanted([slow], tenants, later) == {"h100": 32}
    assert wanted([FULL], tenants, later) == {}


def test_buys_nothing_that_waiting_does_not_pay_for() -> None:
    free = queue(nominal=96, running=32, waiting_usd_per_gpu_hour=1.0)

    assert wanted([FULL], [free], 64.0) == {}


def test_a_peak_shorter_than_its_start_is_paid_for_is_waited_out() -> None:
    short = ramp(40.0, 32.0, 32.0, 32.0, 32.0)

    assert wanted([FULL], [queue(nominal=96, running=32)], short, start_up=timedelta(hours=1)) == {}


def test_the_cheaper_pool_first_and_no_further_than_it_goes() -> None:
    cheap = pool("cheap", idle_gpus=0.0, max_nodes=5, flavors=("h100",))
    dear = pool("dear", idle_gpus=0.0, price_usd_per_gpu_hour=4.0, flavors=("h100",))

    assert wanted([cheap, dear], [queue(nominal=256, running=64)], 88.0) == {"cheap": 8, "dear": 16}


def test_a_nearer_pool_is_bought_where_the_cheap_one_comes_too_late() -> None:
    cheap = pool("cheap", idle_gpus=0.0, lead_time=timedelta(hours=5), flavors=("h100",))
    near = pool("near", idle_gpus=0.0, price_usd_per_gpu_hour=4.0, flavors=("h100",))

    # In five hours the cheap one takes over what the dear one is bought for now, and what it has.
    assert wanted([cheap, near], [queue(nominal=256, running=64)], 88.0) == {"cheap": 56, "near": 24}


def test_keeps_idle_nodes_that_would_be_missed_before_others_came() -> None:
    tenants = [queue(nominal=96, running=8)]
    soon = ramp(8.0, 24.0, 24.0, 24.0, 24.0)

    assert wanted([pool(idle_gpus=24.0)], tenants, 8.0) == {"h100": -24}
    assert wanted([pool(idle_gpus=24.0, lead_time=timedelta(minutes=30))], tenants, soon) == {"h100": -8}


def test_gives_nothing_back_that_it_would_ask_for_again_at_once() -> None:
    gap = ramp(8.0, 40.0, 40.0, 40.0, 40.0)
    slow = pool(idle_gpus=24.0, lead_time=timedelta(minutes=30))

    assert wanted([slow], [queue(nominal=96, running=8)], gap, start_up=timedelta(0)) == {"h100": 8}


def test_lets_nothing_go_that_was_busy_a_moment_ago() -> None:
    seen = state([pool(idle_gpus=24.0)], [queue(running=8)])
    seen.history.running[:, -2] = 32.0

    assert Receding().steer(View(seen, forecast({"research": 8.0}))).pool_gpus == {}
    assert Receding(scale_down_after=timedelta(minutes=5)).steer(View(seen, forecast({"research": 8.0}))).pool_gpus


def test_a_dead_band_leaves_small_differences_alone() -> None:
    tenants = [queue(nominal=96, running=32)]

    assert wanted([FULL], tenants, 40.0, dead_band_gpus=9) == {}
    assert wanted([FULL], tenants, 48.0, dead_band_gpus=9) == {"h100": 16}
    assert wanted([pool(idle_gpus=8.0)], [queue(nominal=96, running=24)], 24.0, dead_band_gpus=9) == {}


def test_coming_gpus_count_once_and_quotas_bound_what_is_bought() -> None:
    assert wanted([replace(FULL, dial_value=6)], [queue(nominal=96, running=32)], 48.0) == {}
    assert wanted([FULL], [queue(nominal=40, running=32)], 80.0) == {"h100": 8}


def test_a_gang_that_fits_in_no_one_pool_gets_nodes_in_one() -> None:
    pools = [pool("a", idle_gpus=16.0, flavors=("h100",)), pool("b", idle_gpus=16.0, flavors=("h100",))]
    just_come, waiting = (view(state(pools, [queue(nominal=256, running=32, pending=32)])) for _ in range(2))
    waiting.state.history.running[:] = waiting.state.history.pending[:] = 32.0

    assert Receding().steer(just_come).pool_gpus == {}
    assert Receding().steer(waiting).pool_gpus == {"a": 16}
    assert Reactive().steer(waiting).pool_gpus == {}


def test_a_safer_quantile_buys_more() -> None:
    tenants, unsure = [queue(nominal=256, running=32)], forecast({"research": 48.0}, spread=1.0)

    bought = [sum(wanted([FULL], tenants, unsure, quantile=q).values()) for q in (0.3, 0.5, 0.8)]

    assert bought == sorted(bought)
    assert bought[0] < bought[2]


def test_each_accelerator_is_planned_for_its_own_work() -> None:
    small = pool("l4", accelerator=Accelerator(GPU, "NVIDIA-L4"), ready_nodes=4, gpus_per_node=2, idle_gpus=8.0)

    grown = wanted([FULL, small], [queue(nominal=96, running=32)], 48.0)

    assert {name: gpus for name, gpus in grown.items() if gpus > 0} == {"h100": 16}


def test_without_a_forecast_it_does_what_reactive_does() -> None:
    blind = DemandForecast(NOW, (), HORIZONS, QUANTILES, np.empty((0, len(HORIZONS), len(QUANTILES))))
    seen = View(state([FULL], [queue(nominal=96, running=32, pending=8)]), blind)

    intent = Receding().steer(seen)

    assert intent.pool_gpus == Reactive().steer(seen).pool_gpus == {"h100": 8}
    assert intent.why("h100") == "8 GPUs wait and do not fit in 0 idle and 0 coming GPUs"


def test_moves_quotas_and_takes_back_as_newsvendor_does() -> None:
    tenants = [queue("a", nominal=8, running=24), queue("b", nominal=24, pending=16)]
    seen = view(state([replace(FULL, max_nodes=4)], tenants))

    mine, its = (pilot.steer(seen) for pilot in (Receding(), Newsvendor()))

    assert mine.reclaim_gpus == its.reclaim_gpus != {}
    assert mine.quota_gpus == its.quota_gpus
    assert Receding(preempt=False).steer(seen).reclaim_gpus == {}


def test_says_how_far_it_planned_and_for_what() -> None:
    intent = Receding().steer(View(state([FULL], [queue(nominal=96, running=32)]), forecast({"research": 48.0}, 0.25)))

    assert intent.pool_gpus == {"h100": 24}
    assert type(intent.pool_gpus["h100"]) is int
    assert intent.why("h100") == (
        "the cheapest plan for 4.1 h buys 24 GPUs: demand in 6 min is 38 to 58 GPUs, 32 are there; "
        "a GPU-hour costs 2.00 USD, waiting 10.00"
    )


def test_work_waits_where_that_costs_less_than_a_node() -> None:
    dear, waits = pool(idle_gpus=0.0, price_usd_per_gpu_hour=8.0), queue(nominal=256, running=32, pending=16)

    wanted = {
        usd: Receding().steer(view(state([dear], [replace(waits, waiting_usd_per_gpu_hour=usd)]))).pool_gpus
        for usd in (1.0, 100.0)
    }

    assert wanted == {1.0: {}, 100.0: {"h100": 16}}
