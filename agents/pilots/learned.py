"""Learned: another pilot's wishes, each pool's times a factor that a trained network chooses.

The network never decides from nothing. It is clipped to half and double of what its base wants, it buys nothing that
quotas forbid to use, it takes no room from what waits, and what it does not know it leaves to the base. With a factor
of 1 everywhere it is the base.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from agents.encoding import FACTORS, Encoded, Rows, encode
from agents.pilots.gathering import gathered
from agents.pilots.present import present_demand
from agents.protocols import Pilot
from agents.supply import admissible_gpus, merit_order, removable_gpus, room_gpus, supply_gpus
from gyropilot.domain import ClusterState, Intent, Pool, View

Network = Callable[[Rows], NDArray[np.float32]]
"""(P, F) rows in, (P, len(FACTORS)) scores out; the largest of a row is taken."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What the base wants, as far as a network agrees."""

    base: Pilot
    network: Network
    name: str = field(default="learned", init=False)

    def steer(self, view: View) -> Intent:
        wanted = self.base.steer(view)
        return replace(scaled(view, wanted, self._factors(encode(view, wanted))), pilot=self.name)

    def _factors(self, seen: Encoded) -> dict[str, float]:
        """By pool; NaN where the network gives no number."""
        if not seen.pools:
            return {}
        scores = self.network(seen.rows)
        return {name: _factor(row) for name, row in zip(seen.pools, scores, strict=True)}


def _factor(scores: NDArray[np.float32]) -> float:
    return FACTORS[int(np.argmax(scores))] if np.isfinite(scores).all() else math.nan


def scaled(view: View, wanted: Intent, factors: Mapping[str, float]) -> Intent:
    """The same with each pool's target times its factor, cheapest pools first. 1 and NaN leave a pool to the base."""
    changes, reasons = dict(wanted.pool_gpus), dict(wanted.reasons)
    moved = [p for p in view.state.pools if factors.get(p.name, 1.0) != 1.0]
    usable = _usable(view.state, wanted) if moved else {}
    spare = {p.name: _spare_gpus(view.state, p) for p in moved}
    for pool in merit_order(moved):
        factor, base, resource = factors[pool.name], wanted.pool_gpus.get(pool.name, 0), pool.accelerator.resource
        gpus = base if math.isnan(factor) else resized(pool, base, factor, usable[resource], spare[pool.name])
        usable[resource] -= max(0, gpus - base)
        changes.pop(pool.name, None)
        reasons.pop(pool.name, None)
        if gpus:
            changes[pool.name] = gpus
            reasons[pool.name] = _why(pool, wanted, factor)
    return replace(wanted, pool_gpus=changes, reasons=reasons)


def _spare_gpus(state: ClusterState, pool: Pool) -> int:
    """Idle GPUs that nobody waits for; below 0 those that are missing for what waits."""
    gathering = gathered(state, pool.accelerator.resource)
    return gathering.spare_gpus(pool) or -gathering.added.get(pool.name, 0)


def resized(pool: Pool, change: int, factor: float, usable: float, spare: int) -> int:
    """GPUs to add or remove where the base wants `change`: whole nodes, within what can come, go and be used.

    What somebody waits for, of `spare` idle GPUs or beside them, does not go; what is missing for them, where that is
    below 0, is bought as the base would. Nothing is added to what is coming.
    """
    supply = supply_gpus(pool)
    nodes = math.floor(min(max(factor, FACTORS[0]), FACTORS[-1]) * (supply + change) / pool.gpus_per_node + 0.5)
    gpus = max(nodes * pool.gpus_per_node - supply, min(change, -spare) if spare < 0 else -supply)
    if gpus < 0:
        idle = min(removable_gpus(pool), max(spare, -change))
        return -min(-gpus, int(_whole_nodes(pool, idle)))
    more = 0.0 if pool.coming_gpus else _whole_nodes(pool, usable)
    most = max(0, change, min(room_gpus(pool), change + more))
    return int(min(gpus, most))


def _usable(state: ClusterState, wanted: Intent) -> dict[str, float]:
    """GPUs by resource that may be had beyond what the base wants: as far as quotas let somebody use them.

    And as far as there is demand for half of all, now or by the base: looks that each ask for twice as much end there.
    """
    more = {p.name: supply_gpus(p) + wanted.pool_gpus.get(p.name, 0) for p in state.pools}
    usable: dict[str, float] = {}
    for resource in state.resources:
        node = max((p.gpus_per_node for p in state.pools_of(resource)), default=0)
        have = sum(more[p.name] for p in state.pools_of(resource))
        grows = any(wanted.pool_gpus.get(p.name, 0) > 0 for p in state.pools_of(resource))
        most = max(FACTORS[-1] * max(present_demand(state, resource), have if grows else 0), node)
        usable[resource] = max(0.0, min(admissible_gpus(state, resource), most) - have)
    return usable


def _whole_nodes(pool: Pool, gpus: float) -> float:
    return gpus if math.isinf(gpus) else gpus // pool.gpus_per_node * pool.gpus_per_node


def _why(pool: Pool, wanted: Intent, factor: float) -> str:
    target = supply_gpus(pool) + wanted.pool_gpus.get(pool.name, 0)
    said = "gave no number" if math.isnan(factor) else f"{factor:g} x"
    because = wanted.why(pool.name)
    return f"{wanted.pilot} wanted {target}, the network {said}" + (f"; {because}" if because else "")
