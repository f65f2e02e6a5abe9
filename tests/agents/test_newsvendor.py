from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from agents.pilots import Newsvendor, Reactive
from agents.pilots.prices import critical_ratio, mean_price, waiting_price
from gyropilot.domain import Accelerator, DemandForecast, Market, Pool, Queue, View
from tests.fakes import GPU, HORIZONS, NOW, QUANTILES, forecast, pool, queue, state, view


def wanted(pools: list[Pool], queues: list[Queue], median: float, spread: float = 0.0, **how: Any) -> dict[str, int]:
    """What is wanted of the pools when one queue's demand is forecast flat."""
    seen = View(state(pools, queues), forecast({queues[0].name: median}, spread))
    return dict(Newsvendor(**how).steer(seen).pool_gpus)


def ramp(gpus: list[float]) -> DemandForecast:
    """The same at all quantiles, one value per horizon (5 min, 30 min, 1 h, 6 h, 24 h)."""
    flat = forecast({"research": 0.0})
    table = np.array(gpus)[None, :, None] * np.ones((2, 1, len(QUANTILES)))
    return replace(flat, gpus=table)


def test_the_critical_ratio_is_waiting_over_waiting_and_price() -> None:
    assert critical_ratio(price_usd=2.5, waiting_usd=10.0) == 0.8
    assert critical_ratio(price_usd=2.5, waiting_usd=0.0) == 0.0
    assert critical_ratio(price_usd=0.0, waiting_usd=0.0) == 1.0


def test_waiting_costs_what_it_costs_those_who_want_most() -> None:
    queues = [
        queue("a", running=30, waiting_usd_per_gpu_hour=10.0),
        queue("b", pending=10, waiting_usd_per_gpu_hour=50.0),
        queue("stopped", pending=99, waiting_usd_per_gpu_hour=999.0, active=False),
    ]

    assert waiting_price(queues, GPU) == 20.0
    assert waiting_price([queue(waiting_usd_per_gpu_hour=7.0)], GPU) == 7.0
    assert waiting_price([], GPU) == 0.0


def test_the_mean_price_counts_gpus() -> None:
    assert mean_price([pool(price_usd_per_gpu_hour=1.0, ready_nodes=3), pool(ready_nodes=1)]) == pytest.approx(1.25)
    assert mean_price([]) == 0.0


def test_buys_the_quantile_that_price_and_waiting_imply() -> None:
    # 10 / (10 + 2.5) = 0.8; the 80 % quantile lies at 40 * (1 + 0.5 * 0.3 * 2) = 52.
    one = pool(idle_gpus=0.0, price_usd_per_gpu_hour=2.5)
    seen = View(state([one], [queue(nominal=96, running=32)]), forecast({"research": 40.0}, spread=0.5))

    intent = Newsvendor().steer(seen)

    assert intent.pool_gpus == {"h100": 20}
    assert intent.why("h100") == (
        "forecast p80 demand in 6 min is 52 GPUs, 32 are there; a GPU-hour costs 2.50 USD, waiting 10.00"
    )


def test_says_what_waits_and_what_is_coming() -> None:
    one = pool(idle_gpus=0.0, dial_value=5)
    seen = View(state([one], [queue(nominal=96, running=32, pending=20)]), forecast({"research": 52.0}))

    intent = Newsvendor().steer(seen)

    assert intent.pool_gpus == {"h100": 16}
    assert intent.why("h100") == (
        "20 GPUs wait and do not fit in 0 idle and 8 coming GPUs; forecast p83 demand in 6 min is 52 GPUs, "
        "32 are there and 8 coming; a GPU-hour costs 2.00 USD, waiting 10.00"
    )


def test_grows_the_pool_whose_flavor_was_admitted_although_the_forecast_sees_nothing_of_it() -> None:
    admitted = queue(nominal=128, running=40, unplaced_gpus={GPU: {"h100": 8.0}})
    flavors = (*admitted.quotas, replace(admitted.quotas[0], flavor="a100"))
    a100 = pool("a100", accelerator=Accelerator(GPU, "NVIDIA-A100"), price_usd_per_gpu_hour=1.0, idle_gpus=32.0)
    seen = View(state([pool(idle_gpus=0.0), a100], [replace(admitted, quotas=flavors)]), forecast({"research": 32.0}))

    intent = Newsvendor().steer(seen)

    assert intent.pool_gpus["h100"] == 8
    assert intent.why("h100").startswith("8 admitted GPUs find no node and do not fit in 0 idle and 0 coming GPUs; ")
    assert intent.pool_gpus.get("a100", 0) <= 0


def test_coming_gpus_count_once() -> None:
    assert wanted([pool(dial_value=6, idle_gpus=0.0)], [queue(nominal=96, running=32)], median=48.0) == {}


def test_dear_pools_are_bought_only_for_demand_that_is_worth_their_price() -> None:
    cheap = pool("cheap", price_usd_per_gpu_hour=2.5, max_nodes=5, flavors=("h100",), idle_gpus=0.0)
    dear = pool("dear", price_usd_per_gpu_hour=10.0, flavors=("h100",), nodes=0, ready_nodes=0, dial_value=0)
    tenants = [queue(nominal=200, running=32)]

    # p80 of demand is 64 * 1.3 = 83.2 and cheap may grow by 8; at 10 USD only the median, 64, is worth it.
    assert wanted([cheap, dear], tenants, median=64.0, spread=0.5) == {"cheap": 8, "dear": 24}


def test_reserved_gpus_are_taken_up_to_the_highest_quantile() -> None:
    bought = pool(market=Market.RESERVED, idle_gpus=0.0)

    assert wanted([bought], [queue(nominal=200, running=32)], median=40.0, spread=0.5) == {"h100": 28}


def test_a_dead_band_leaves_small_differences_alone() -> None:
    full, tenants = pool(idle_gpus=0.0), [queue(nominal=96, running=32)]

    assert wanted([full], tenants, median=35.0, dead_band_gpus=4) == {}
    assert wanted([full], tenants, median=36.0, dead_band_gpus=4) == {"h100": 4}


def test_part_of_a_gpu_is_not_worth_a_node() -> None:
    assert wanted([pool(idle_gpus=0.0)], [queue(nominal=96, running=32)], median=32.4) == {}


def test_what_waits_is_bought_for_although_the_forecast_falls() -> None:
    full, tenants = pool(idle_gpus=0.0), [queue(nominal=96, running=32, pending=8)]

    assert wanted([full], tenants, median=0.0) == {"h100": 8}


def test_what_waits_is_bought_for_although_waiting_costs_nothing() -> None:
    full = pool(idle_gpus=0.0)
    tenants = [queue(nominal=96, running=32, pending=8, waiting_usd_per_gpu_hour=0.0)]

    assert wanted([full], tenants, median=40.0, spread=1.0) == {"h100": 8}


def test_growth_is_ahead_by_the_lead_time() -> None:
    slow = pool(idle_gpus=0.0, lead_time=timedelta(hours=6))
    fast = replace(slow, lead_time=timedelta(minutes=5))
    later = ramp([32.0, 32.0, 32.0, 64.0, 64.0])
    tenants = [queue(nominal=96, running=32)]

    assert Newsvendor().steer(View(state([slow], tenants), later)).pool_gpus == {"h100": 32}
    assert Newsvendor(pay_back=timedelta(minutes=55)).steer(View(state([fast], tenants), later)).pool_gpus == {}


def test_growth_is_for_the_mean_of_the_pay_back_not_for_a_moment() -> None:
    short_peak = ramp([32.0, 64.0, 32.0, 32.0, 32.0])
    one = pool(idle_gpus=0.0, lead_time=timedelta(minutes=5))
    seen = View(state([one], [queue(nominal=96, running=32)]), short_peak)

    # The peak of 64 at 30 min rises from 5 and falls till 60 min: the mean over 5..60 min is 48.
    assert Newsvendor(pay_back=timedelta(minutes=55)).steer(seen).pool_gpus == {"h100": 16}


def test_keeps_nodes_that_will_be_missed_although_they_are_idle() -> None:
    morning = ramp([8.0, 8.0, 24.0, 24.0, 8.0])
    seen = state([pool(idle_gpus=24.0)], [queue(nominal=64, running=8)])

    assert Reactive().steer(view(seen)).pool_gpus == {"h100": -24}
    assert Newsvendor().steer(View(seen, morning)).pool_gpus == {"h100": -8}


def test_says_why_nodes_may_go() -> None:
    seen = state([pool(idle_gpus=24.0)], [queue(running=8)])

    intent = Newsvendor().steer(View(seen, forecast({"research": 8.0})))

    assert intent.pool_gpus == {"h100": -24}
    assert intent.why("h100") == (
        "forecast p83 demand within 66 min is 8 GPUs, 32 are there; a GPU-hour costs 2.00 USD, waiting 10.00"
    )


def test_removes_nothing_that_was_busy_a_moment_ago_although_the_forecast_is_low() -> None:
    busy_before = state([pool(idle_gpus=24.0)], [queue(running=8)])
    busy_before.history.running[:, -2] = 32.0

    assert Newsvendor().steer(View(busy_before, forecast({"research": 8.0}))).pool_gpus == {}


def test_buys_no_more_than_quotas_admit() -> None:
    assert wanted([pool(idle_gpus=0.0)], [queue(nominal=40, running=32)], median=80.0) == {"h100": 8}


def test_buys_nothing_for_queues_that_are_stopped() -> None:
    tenants = [
        queue("research", nominal=64, running=16),
        queue("stopped", nominal=64, running=16, pending=48, active=False),
    ]
    seen = View(state([pool(idle_gpus=0.0)], tenants), forecast({"research": 16.0, "stopped": 64.0}))

    assert Newsvendor().steer(seen).pool_gpus == {}


def test_each_accelerator_is_bought_for_its_own_work() -> None:
    l4 = Accelerator(GPU, "NVIDIA-L4")
    big = pool("h100", idle_gpus=0.0)
    small = pool("l4", accelerator=l4, price_usd_per_gpu_hour=0.5, ready_nodes=4, gpus_per_node=2, idle_gpus=8.0)
    seen = View(state([big, small], [queue(nominal=96, running=32)]), forecast({"research": 48.0}))

    grown = {name: gpus for name, gpus in Newsvendor().steer(seen).pool_gpus.items() if gpus > 0}

    assert grown == {"h100": 16}


def test_without_a_forecast_it_does_what_reactive_does() -> None:
    blind = DemandForecast(NOW, (), HORIZONS, QUANTILES, np.empty((0, len(HORIZONS), len(QUANTILES))))
    seen = state([pool(idle_gpus=0.0)], [queue(nominal=96, running=32, pending=8)])

    intent = Newsvendor().steer(View(seen, blind))

    assert intent.pool_gpus == {"h100": 8}
    assert intent.why("h100") == "8 GPUs wait and do not fit in 0 idle and 0 coming GPUs"


def test_an_empty_cluster_wants_nothing() -> None:
    assert Newsvendor().steer(view(state())).pool_gpus == {}


def test_demand_for_two_accelerators_is_split_between_them() -> None:
    big = pool("h100", idle_gpus=0.0)
    other = pool("a100", accelerator=Accelerator(GPU, "NVIDIA-A100"), flavors=("h100",), idle_gpus=0.0)
    seen = View(state([big, other], [queue(nominal=200, running=64)]), forecast({"research": 96.0}))

    assert Newsvendor().steer(seen).pool_gpus == {"a100": 16, "h100": 16}
