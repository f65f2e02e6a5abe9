"""What runs where it is dear goes on where it is cheap: as many GPUs as free a whole node, while nobody waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from math import ceil

from agents.asked import asked
from agents.reasons import Words
from agents.supply import merit_order
from gyropilot.domain import ClusterState, Market, Pool, Way

CHEAPER = 0.8
"""Of the price where work runs, at most: less is not worth a restart, and prices that change would call it back."""

Moves = dict[Way, int]


def moves(state: ClusterState, growth: Mapping[str, int]) -> tuple[Moves, dict[str, Words]]:
    """GPUs per way between pools of one accelerator, given the growth that is wanted, and why."""
    found: Moves = {}
    why: dict[str, Words] = {}
    for resource in state.resources:
        if not asked(state, resource).pending:
            for way in _ways(merit_order(state.pools_of(resource)), growth, found):
                why[str(way)] = partial(_why, state, way, found[way])
    return found, why


def _ways(pools: Sequence[Pool], growth: Mapping[str, int], found: Moves) -> Sequence[Way]:
    """From the dearest pools on; each pool gives to one other, the cheapest that has room."""
    idle = {pool.name: int(pool.idle_gpus) for pool in pools}
    ways: list[Way] = []
    for source in reversed(pools):
        if source.market is Market.RESERVED or growth.get(source.name, 0) > 0 or not source.gpus_per_node:
            continue
        for target in pools:
            gpus = _freeing(source, idle[target.name])
            if gpus and _is_cheaper(target, source) and growth.get(target.name, 0) >= 0:
                way = Way(source.name, target.name)
                found[way], idle[target.name] = gpus, idle[target.name] - gpus
                ways.append(way)
                break
    return ways


def _is_cheaper(target: Pool, source: Pool) -> bool:
    """By enough, of one kind and place."""
    alike = target.accelerator == source.accelerator and target.region == source.region
    owned = target.market is Market.RESERVED
    cheap = target.running_price_usd_per_gpu_hour <= CHEAPER * source.running_price_usd_per_gpu_hour
    return alike and target.name != source.name and (owned or cheap)


def _freeing(source: Pool, room: int) -> int:
    """GPUs that have to go for as many whole nodes of a pool as there is room for; 0: for none."""
    used = ceil(source.gpus - source.idle_gpus)
    last = used % source.gpus_per_node or min(used, source.gpus_per_node)
    if not used or last > room:
        return 0
    return min(used, last + (room - last) // source.gpus_per_node * source.gpus_per_node)


def _why(state: ClusterState, way: Way, gpus: int) -> str:
    source, target = state.pool(way.source), state.pool(way.target)
    prices = (p.running_price_usd_per_gpu_hour for p in (source, target))
    dear, cheap = (f"{price:.2f} USD per GPU-hour" for price in prices)
    return (
        f"{gpus} GPUs in use in {source.name} at {dear} would fit into {target.name} at {cheap}, where "
        f"{target.idle_gpus:g} are idle, and nobody waits for them"
    )
