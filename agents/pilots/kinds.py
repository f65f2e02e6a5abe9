"""Pools of one accelerator model, and the share of demand that is theirs.

Demand is forecast per Kubernetes resource, and `nvidia.com/gpu` may be an H100 or an L4. The forecast is
split over models as the work that runs, seeks a node and waits is split now, so that no model is bought
for another's work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agents.once import once
from agents.pilots.placing import open_pools, total_supply
from agents.supply import admissible_pending, offers, serves
from gyropilot.domain import ClusterState, Pool


@dataclass(frozen=True, slots=True)
class Kind:
    """All pools of one accelerator."""

    pools: tuple[Pool, ...]
    share: float  # of its resource's demand, 0..1
    growable: tuple[Pool, ...]  # those of them that somebody may use, reserved first, then the cheapest
    supply_gpus: int  # that are ready or coming, each once
    node_gpus: int  # of the largest node


@once
def kinds(state: ClusterState, resource: str) -> Sequence[Kind]:
    """The pools of a resource by model; the shares sum to one."""
    pools = state.pools_of(resource)
    models = sorted({p.accelerator.model for p in pools})
    if len(models) == 1:
        return (_kind(state, resource, pools, 1.0),)
    demand = _demand_by_model(state, resource)
    # With nothing to go by, demand is expected where the GPUs are, or anywhere.
    supply = {m: float(total_supply(_of_model(pools, m))) for m in models}
    weights = next((w for w in (demand, supply) if sum(w.values()) > 0), dict.fromkeys(models, 1.0))
    total = sum(weights.values())
    return tuple(_kind(state, resource, _of_model(pools, m), weights.get(m, 0.0) / total) for m in models)


def _kind(state: ClusterState, resource: str, pools: tuple[Pool, ...], share: float) -> Kind:
    growable = _of_model(open_pools(state, resource), pools[0].accelerator.model)
    return Kind(pools, share, growable, total_supply(pools), max(p.gpus_per_node for p in pools))


def _of_model(pools: Sequence[Pool], model: str) -> tuple[Pool, ...]:
    return tuple(p for p in pools if p.accelerator.model == model)


def _demand_by_model(state: ClusterState, resource: str) -> dict[str, float]:
    demand: dict[str, float] = {}
    for pool in state.pools_of(resource):
        model = pool.accelerator.model
        demand[model] = demand.get(model, 0.0) + max(0.0, pool.gpus - pool.idle_gpus)
    pools = open_pools(state, resource)
    pending = admissible_pending(state, resource)
    for queue in state.queues:
        needs = {"": pending.get(queue.name, 0.0)}
        for flavor, gpus in queue.unplaced_gpus.get(resource, {}).items():
            needs[flavor] = needs.get(flavor, 0.0) + gpus
        for flavor, gpus in needs.items():
            if gpus > 0 and (first := next((p for p in pools if serves(p, queue) and offers(p, flavor)), None)):
                demand[first.accelerator.model] += gpus
    return demand
