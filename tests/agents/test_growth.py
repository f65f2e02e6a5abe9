from __future__ import annotations

from agents.pilots.growth import Room
from gyropilot.domain import Pool
from tests.fakes import pool, queue, state


def room(*pools: Pool, nominal: int) -> Room:
    seen = state(pools, [queue(nominal=nominal, running=16, cohort=None)])
    return Room.of(seen, pools, seen.queues)


def test_quotas_count_once_for_all_pools_of_the_same_flavors() -> None:
    pools = (pool("own", flavors=("h100",)), pool("more", flavors=("h100",)))
    left = room(*pools, nominal=96)  # of which 64 are there

    left.take("own", 24.0)

    assert (left.gpus("own"), left.gpus("more")) == (8.0, 8.0)


def test_what_pools_of_other_flavors_grow_by_takes_nothing_away() -> None:
    pools = (pool("own", flavors=("h100",)), pool("other", flavors=("l4",)))
    seen = state(pools, [queue(nominal=96, running=16, cohort=None)])
    left = Room.of(seen, pools, None)

    left.take("other", 24.0)

    assert (left.gpus("own"), left.gpus("other")) == (96.0, 72.0)


def test_a_pool_does_not_grow_beyond_its_own_limit_whatever_quotas_admit() -> None:
    left = room(pool("own", flavors=("h100",), max_nodes=5), nominal=1_000)

    left.take("own", 4.0)

    assert left.gpus("own") == 4.0
