from __future__ import annotations

import math
from dataclasses import replace

from agents.supply import (
    admissible_gpus,
    admissible_pending,
    cohorts,
    merit_order,
    quota_gpus,
    removable_gpus,
    room_gpus,
    served,
    served_by_any,
    serves,
    serves_somebody,
    supply_gpus,
)
from gyropilot.domain import Dial, Market
from tests.fakes import GPU, pool, queue, state


def test_reserved_gpus_cost_nothing_more() -> None:
    assert pool(market=Market.RESERVED, price_usd_per_gpu_hour=4.0).running_price_usd_per_gpu_hour == 0.0
    assert pool(market=Market.SPOT, price_usd_per_gpu_hour=0.8).running_price_usd_per_gpu_hour == 0.8


def test_reserved_comes_before_anything_cheaper() -> None:
    pools = [
        pool("spot", market=Market.SPOT, price_usd_per_gpu_hour=0.8),
        pool("bought", market=Market.RESERVED, price_usd_per_gpu_hour=4.0),
        pool("gift", price_usd_per_gpu_hour=0.0),
    ]

    assert [p.name for p in merit_order(pools)] == ["bought", "gift", "spot"]


def test_coming_gpus_are_supply_once() -> None:
    assert supply_gpus(pool(ready_nodes=4, nodes=5, dial_value=6)) == 48


def test_room_is_what_lies_between_asked_for_and_most() -> None:
    assert room_gpus(pool(nodes=4, dial_value=6, max_nodes=8)) == 16
    assert room_gpus(pool(max_nodes=None)) == math.inf


def test_a_pool_without_a_dial_has_no_room_and_loses_nothing() -> None:
    fixed = pool(dial=None, max_nodes=None)

    assert (room_gpus(fixed), removable_gpus(fixed)) == (0.0, 0)


def test_only_whole_idle_nodes_above_the_least_may_go() -> None:
    assert removable_gpus(pool(idle_gpus=20.0)) == 16
    assert removable_gpus(pool(idle_gpus=32.0, min_nodes=3)) == 8


def test_a_queue_runs_where_name_region_and_flavor_allow() -> None:
    here = pool("h100", region="eu-west-1")

    assert serves(here, queue())
    assert not serves(here, queue(allowed_pools=("a100",)))
    assert not serves(here, queue(regions=("us-east-1",)))
    assert not serves(replace(here, flavors=("a100",)), queue())


def test_a_region_that_is_not_known_is_nobodys_data_region() -> None:
    assert not serves(pool(region=""), queue(regions=("eu-west-1",)))


def test_a_flavor_that_is_not_known_forbids_nothing() -> None:
    assert serves(pool(flavors=()), queue())
    assert serves(pool(), queue(quotas=()))


def test_cohorts_leave_out_stopped_queues_and_part_those_without_cohort() -> None:
    seen = state(
        queues=[
            queue("a"),
            queue("b", cohort=None),
            queue("c", cohort=None),
            queue("d", active=False),
            queue("e"),
        ]
    )

    assert [[q.name for q in group] for group in cohorts(seen)] == [["a", "e"], ["b"], ["c"]]


def test_quotas_bound_what_a_cohort_may_run() -> None:
    assert quota_gpus([queue("a", 16), queue("b", 8)], GPU) == 24


def test_a_cohort_that_runs_more_than_its_quotas_has_a_quota_that_is_not_seen() -> None:
    assert quota_gpus([queue("a", 16, running=24), queue("b", 0)], GPU) == math.inf


def test_a_cohort_whose_queues_have_no_quota_of_their_own_is_not_bound() -> None:
    assert quota_gpus([queue("a", 0), queue("b", 0)], GPU) == math.inf


def test_without_kueue_nothing_is_bound() -> None:
    seen = state(queues=[queue("team", quotas=(), cohort=None)])

    assert admissible_gpus(seen, GPU) == math.inf


def test_a_queue_for_other_resources_does_not_unbind_the_rest() -> None:
    seen = state(queues=[queue("gpus", 16), queue("cpus", quotas=(), cohort=None)])

    assert admissible_gpus(seen, GPU) == 16


def test_pending_work_counts_as_far_as_quota_admits_it() -> None:
    seen = state(queues=[queue("a", 16, running=12, pending=10), queue("b", 8, running=8, pending=6)])

    assert admissible_pending(seen, GPU) == {"a": 4.0, "b": 0.0}


def test_pending_work_of_a_stopped_queue_does_not_count() -> None:
    seen = state(queues=[queue("a", 16, pending=10, active=False)])

    assert admissible_pending(seen, GPU) == {}


def test_a_limit_is_not_a_wanted_size() -> None:
    karpenter = pool(dial=Dial.POOL_LIMIT, dial_value=64, nodes=4, max_nodes=8)

    assert (supply_gpus(karpenter), room_gpus(karpenter)) == (32, 32)


def test_a_pool_serves_the_queues_whose_flavors_regions_and_names_it_meets() -> None:
    own, foreign = pool("own", flavors=("h100",), region="eu"), pool("foreign", flavors=("spot",), region="us")
    anywhere = queue("anywhere", quotas=())
    tenants = [queue("research"), anywhere, replace(anywhere, name="private", regions=("eu",), active=False)]
    seen = state([own, foreign], tenants)

    told = {name: [q.name for q in queues] for name, queues in served(seen).items()}

    assert told == {"own": ["research", "anywhere", "private"], "foreign": ["anywhere"]}
    assert [q.name for q in served_by_any(seen, [foreign])] == ["anywhere"]
    assert [q.name for q in served_by_any(seen, [foreign, own])] == ["research", "anywhere", "private"]


def test_pools_that_serve_the_same_queues_have_the_same_tuple_of_them() -> None:
    seen = state([pool("a"), pool("b"), pool("spot", flavors=("spot",))], [queue("research"), queue("free", quotas=())])

    assert served(seen)["a"] is served(seen)["b"]
    assert [q.name for q in served(seen)["spot"]] == ["free"]


def test_a_pool_whose_queues_are_all_stopped_serves_nobody() -> None:
    free = queue("free", quotas=(), active=False)
    seen = state([pool("x", flavors=("spot",))], [queue("research"), free])

    assert [q.name for q in served(seen)["x"]] == ["free"]
    assert not serves_somebody(seen.pool("x"), seen)
    assert serves_somebody(pool("x"), state([pool("x")], []))
