from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np

from agents.pilots import Reactive
from gyropilot.domain import Dial, Market
from tests.fakes import GPU, history, pool, queue, state, view


def test_holds_still_while_everything_fits() -> None:
    seen = state([pool(idle_gpus=8.0)], [queue(nominal=64, running=24, pending=8)])

    assert Reactive().steer(view(seen)).pool_gpus == {}


def test_grows_by_whole_nodes_for_what_does_not_fit() -> None:
    seen = state([pool(idle_gpus=4.0)], [queue(nominal=64, running=28, pending=14)])

    intent = Reactive().steer(view(seen))

    assert intent.pool_gpus == {"h100": 16}
    assert intent.why("h100") == "14 GPUs wait and do not fit in 4 idle and 0 coming GPUs"


def test_does_not_ask_again_while_nodes_are_coming() -> None:
    seen = state([pool(dial_value=6, idle_gpus=0.0)], [queue(nominal=64, running=32, pending=16)])

    assert Reactive().steer(view(seen)).pool_gpus == {}


def test_two_queues_do_not_share_one_coming_node() -> None:
    waiting = [queue("a", 64, running=32, pending=8), queue("b", 64, pending=8)]
    seen = state([pool(dial_value=5, idle_gpus=0.0)], waiting)

    assert Reactive().steer(view(seen)).pool_gpus == {"h100": 8}


def test_the_rest_of_a_new_node_serves_the_next_queue() -> None:
    waiting = [queue("a", 64, running=32, pending=4), queue("b", 64, pending=4)]
    seen = state([pool(idle_gpus=0.0)], waiting)

    assert Reactive().steer(view(seen)).pool_gpus == {"h100": 8}


def test_fills_reserved_then_the_cheapest() -> None:
    seen = state(
        [
            pool("dear", price_usd_per_gpu_hour=4.0, flavors=("h100",), idle_gpus=0.0),
            pool("cheap", price_usd_per_gpu_hour=1.0, flavors=("h100",), max_nodes=5, idle_gpus=0.0),
            pool("bought", market=Market.RESERVED, flavors=("h100",), max_nodes=5, idle_gpus=0.0),
        ],
        [queue(nominal=256, running=96, pending=24)],
    )

    assert Reactive().steer(view(seen)).pool_gpus == {"bought": 8, "cheap": 8, "dear": 8}


def test_buys_only_where_the_waiting_queue_may_run() -> None:
    near = pool("near", region="eu-west-1", price_usd_per_gpu_hour=4.0, flavors=("h100",), idle_gpus=0.0)
    far = pool("far", region="us-east-1", price_usd_per_gpu_hour=1.0, flavors=("h100",), idle_gpus=32.0)
    seen = state([near, far], [queue(nominal=64, running=32, pending=8, regions=("eu-west-1",))])

    assert Reactive().steer(view(seen)).pool_gpus == {"near": 8}


def test_buys_nothing_for_work_that_no_quota_admits() -> None:
    seen = state([pool(idle_gpus=0.0)], [queue(nominal=32, running=32, pending=16)])

    assert Reactive().steer(view(seen)).pool_gpus == {}


def test_says_how_much_of_what_waits_quota_admits() -> None:
    seen = state([pool(idle_gpus=0.0)], [queue(nominal=40, running=32, pending=20)])

    assert Reactive().steer(view(seen)).why("h100") == (
        "20 GPUs wait, of which the 8 within quota do not fit in 0 idle and 0 coming GPUs"
    )


def test_grows_for_admitted_work_that_finds_no_node() -> None:
    admitted = queue(nominal=64, running=48, unplaced_gpus={GPU: {"h100": 16.0}})

    intent = Reactive().steer(view(state([pool(idle_gpus=0.0)], [admitted])))

    assert intent.pool_gpus == {"h100": 16}
    assert intent.why("h100") == "16 admitted GPUs find no node and do not fit in 0 idle and 0 coming GPUs"


def test_admitted_work_takes_what_is_idle_and_coming_before_what_waits() -> None:
    admitted = queue("a", 64, running=40, unplaced_gpus={GPU: {"h100": 16.0}})
    seen = state([pool(idle_gpus=8.0, dial_value=5)], [admitted, queue("b", 64, pending=8)])

    intent = Reactive().steer(view(seen))

    assert intent.pool_gpus == {"h100": 8}
    assert intent.why("h100") == (
        "16 admitted GPUs find no node and 8 wait within quota; they do not fit in 8 idle and 8 coming GPUs"
    )


def test_admitted_work_that_the_scheduler_is_about_to_place_buys_nothing() -> None:
    admitted = queue(nominal=64, running=32, unplaced_gpus={GPU: {"h100": 8.0}})

    assert Reactive().steer(view(state([pool(idle_gpus=8.0)], [admitted]))).pool_gpus == {}


def test_grows_the_pools_of_the_flavor_that_was_admitted_and_counts_no_others() -> None:
    both = queue(nominal=64, running=40, unplaced_gpus={GPU: {"h100": 8.0}})
    flavors = (*both.quotas, replace(both.quotas[0], flavor="a100"))
    a100 = pool("a100", price_usd_per_gpu_hour=1.0, idle_gpus=32.0)

    intent = Reactive().steer(view(state([pool(idle_gpus=0.0), a100], [replace(both, quotas=flavors)])))

    assert intent.pool_gpus == {"h100": 8}
    assert intent.why("h100") == "8 admitted GPUs find no node and do not fit in 0 idle and 0 coming GPUs"


def test_a_pool_s_reason_speaks_of_the_work_that_may_use_it() -> None:
    admitted = queue("a", 64, running=40, unplaced_gpus={GPU: {"h100": 8.0}})
    elsewhere = replace(queue("b", 64, pending=16), allowed_pools=("other",))
    pools = [pool(idle_gpus=0.0), pool("other", flavors=("h100",), idle_gpus=8.0)]

    intent = Reactive().steer(view(state(pools, [replace(admitted, allowed_pools=("h100",)), elsewhere])))

    assert intent.pool_gpus == {"h100": 8, "other": 8}
    assert intent.why("h100") == "8 admitted GPUs find no node and do not fit in 0 idle and 0 coming GPUs"
    assert intent.why("other") == "16 GPUs wait and do not fit in 8 idle and 0 coming GPUs"


def test_admitted_work_of_no_known_flavor_goes_to_the_cheapest_pool() -> None:
    admitted = queue(nominal=64, running=40, unplaced_gpus={GPU: {"": 8.0}})
    pools = [
        pool(idle_gpus=0.0),
        pool("cheap", flavors=("h100",), price_usd_per_gpu_hour=1.0, idle_gpus=0.0, dial_value=4),
    ]

    assert Reactive().steer(view(state(pools, [admitted]))).pool_gpus == {"cheap": 8}


def test_a_stopped_queue_gets_no_nodes_for_what_it_had_admitted() -> None:
    stopped = queue(nominal=64, running=48, unplaced_gpus={GPU: {"h100": 16.0}}, active=False)

    assert Reactive().steer(view(state([pool(idle_gpus=0.0)], [stopped, queue("b")]))).pool_gpus == {}


def test_buys_nothing_where_nothing_can_be_turned() -> None:
    seen = state([pool(dial=None, idle_gpus=0.0)], [queue(nominal=64, running=32, pending=16)])

    assert Reactive().steer(view(seen)).pool_gpus == {}


def test_a_limit_grows_like_a_size() -> None:
    seen = state(
        [pool(dial=Dial.POOL_LIMIT, dial_value=32, max_nodes=None, idle_gpus=0.0)],
        [queue(nominal=64, running=32, pending=9)],
    )

    assert Reactive().steer(view(seen)).pool_gpus == {"h100": 16}


def idle_since(minutes: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Demand of 32 GPUs, and of 10 in the last minutes."""
    return np.where(np.arange(288) < 288 - minutes // 5, 32.0, 10.0)


def test_shrinks_what_was_idle_for_long_enough() -> None:
    seen = state([pool(idle_gpus=22.0)], [queue(running=10)], history=history({"research": idle_since(10).tolist()}))

    intent = Reactive(timedelta(minutes=10)).steer(view(seen))

    assert intent.pool_gpus == {"h100": -16}
    assert intent.why("h100") == "at most 10 of 32 GPUs were asked for in the last 10 min"


def test_keeps_what_was_busy_a_moment_ago() -> None:
    seen = state([pool(idle_gpus=22.0)], [queue(running=10)], history=history({"research": idle_since(5).tolist()}))

    assert Reactive(timedelta(minutes=10)).steer(view(seen)).pool_gpus == {}


def test_shrinks_the_dearest_first_and_never_what_is_reserved() -> None:
    seen = state(
        [
            pool("bought", market=Market.RESERVED, price_usd_per_gpu_hour=9.0),
            pool("cheap", price_usd_per_gpu_hour=1.0),
            pool("dear", price_usd_per_gpu_hour=4.0),
        ],
        [queue(running=8)],
    )

    assert Reactive().steer(view(seen)).pool_gpus == {"cheap": -32, "dear": -32}


def test_keeps_what_is_asked_for_now_although_the_history_does_not_show_it_yet() -> None:
    seen = state([pool()], [queue(running=16)], history=history({"research": [8.0] * 288}))

    assert Reactive().steer(view(seen)).pool_gpus == {"h100": -16}


def test_zero_demand_is_a_number() -> None:
    seen = state([pool(min_nodes=1)], [queue()])

    assert Reactive().steer(view(seen)).pool_gpus == {"h100": -24}


def test_demand_that_was_not_seen_is_not_zero() -> None:
    unseen = [0.0] * 287 + [np.nan]
    seen = state([pool()], [queue()], history=history({"research": unseen}))

    assert Reactive().steer(view(seen)).pool_gpus == {}


def test_a_history_too_short_to_know_shrinks_nothing() -> None:
    seen = state([pool()], [queue()], history=history({"research": [0.0]}))

    assert Reactive().steer(view(seen)).pool_gpus == {}


def test_a_queue_that_is_gone_does_not_block_shrinking() -> None:
    gone = {"research": [0.0] * 288, "gone": [4.0] * 144 + [np.nan] * 144}
    seen = state([pool()], [queue()], history=history(gone))

    assert Reactive().steer(view(seen)).pool_gpus == {"h100": -32}


def test_nodes_that_are_not_ready_are_not_idle() -> None:
    seen = state([pool(ready_nodes=2, idle_gpus=16.0)], [queue(running=0)])

    assert Reactive().steer(view(seen)).pool_gpus == {"h100": -16}


def test_resources_are_kept_apart() -> None:
    amd = replace(pool().accelerator, resource="amd.com/gpu")
    seen = state([pool(idle_gpus=0.0), pool("mi300", accelerator=amd)], [queue(nominal=64, running=32, pending=8)])

    assert GPU in seen.resources
    assert Reactive().steer(view(seen)).pool_gpus == {"h100": 8}
