"""Where growth goes and what may go away: the same for every pilot, so that they differ only in how much."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from agents.once import once
from agents.supply import merit_order, removable_gpus, serves_somebody, supply_gpus
from gyropilot.domain import ClusterState, Market, Pool


def growable(state: ClusterState, pools: Iterable[Pool]) -> list[Pool]:
    """Those that somebody may use, reserved first, then the cheapest."""
    return merit_order(p for p in pools if serves_somebody(p, state))


@once
def open_pools(state: ClusterState, resource: str) -> tuple[Pool, ...]:
    """Those of one resource that somebody may use, in the same order."""
    return tuple(growable(state, state.pools_of(resource)))


def total_supply(pools: Iterable[Pool]) -> int:
    """GPUs that are ready or coming, each once."""
    return sum(supply_gpus(p) for p in pools)


def stock(pools: Iterable[Pool]) -> str:
    """What there is, in words: "32 are there and 8 coming"."""
    counted = list(pools)
    coming = sum(p.coming_gpus for p in counted)
    return f"{sum(p.gpus for p in counted)} are there" + (f" and {coming} coming" if coming else "")


def shrink_to(
    pools: Iterable[Pool], supply: int, floors: Mapping[str, int], at_most: Mapping[str, int] | None = None
) -> dict[str, int]:
    """GPUs to remove per pool (negative): whole idle nodes, dearest first, while supply stays at the pool's floor.

    Reserved nodes stay: they are paid for either way. `at_most`: GPUs that may go per pool, none where absent.
    """
    removed: dict[str, int] = {}
    above = [p for p in pools if p.market is not Market.RESERVED and supply > floors[p.name]]
    for pool in reversed(merit_order(above)):
        excess = max(0, supply - floors[pool.name])
        allowed = removable_gpus(pool) if at_most is None else min(removable_gpus(pool), at_most.get(pool.name, 0))
        gpus = _whole_nodes(pool, min(excess, allowed))
        if gpus:
            removed[pool.name] = -gpus
            supply -= gpus
    return removed


def _whole_nodes(pool: Pool, gpus: int) -> int:
    return math.floor(gpus / pool.gpus_per_node) * pool.gpus_per_node if pool.gpus_per_node else 0
