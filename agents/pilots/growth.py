"""How the pools of one kind grow: first where work waits that may run there, then where quotas let somebody use it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from agents.allowances import usable_gpus
from agents.pilots.gathering import gathered, why_grown
from agents.pilots.kinds import Kind
from agents.pilots.placing import total_supply
from agents.supply import room_gpus, serves
from gyropilot.domain import ClusterState, Pool, Queue


def awaited(state: ClusterState, kind: Kind, resource: str) -> dict[str, int]:
    """GPUs by which pools have to grow, so that what waits and may run in them finds room."""
    added = gathered(state, resource).added
    return {p.name: added[p.name] for p in kind.growable if p.name in added}


def waits_first(state: ClusterState, resource: str, name: str) -> str:
    """What waits for a pool to grow, before the words on its pilot's own rule; nothing where nothing does."""
    return f"{why_grown(state, state.pool(name))}; " if name in gathered(state, resource).added else ""


def spare(state: ClusterState, kind: Kind, resource: str) -> dict[str, int]:
    """GPUs per pool that are idle and of no use to what waits."""
    return {p.name: gathered(state, resource).spare_gpus(p) for p in kind.pools}


def grown(
    state: ClusterState,
    kind: Kind,
    base: Mapping[str, int],
    targets: Mapping[str, int],
    queues: Sequence[Queue] | None,
) -> dict[str, int]:
    """GPUs to add per pool, those of `base` included, until the supply of all reaches each pool's own target.

    In the order of the targets. With one target for all, a cheap pool fills before the next begins. With targets
    that fall as prices rise, the dearer pool is bought only for the demand that is worth its price. No pool grows
    beyond what quotas let the queues use of it; where none are told, quotas are not asked.
    """
    added, supply = dict(base), kind.supply_gpus + sum(base.values())
    if max(targets.values(), default=0) <= supply:
        return added
    room = Room.of(state, kind.growable, queues)
    for name, gpus in base.items():
        room.take(name, gpus)
    for name, target in targets.items():
        gpus = int(min(max(0, target - supply), room.gpus(name)))
        if gpus > 0:
            room.take(name, gpus)
            added[name] = added.get(name, 0) + gpus
            supply += gpus
    return added


@dataclass(eq=False, slots=True)
class Grown:
    """GPUs by which pools of the same flavors grow together: quotas count them once for all of these pools."""

    gpus: float = 0.0


@dataclass(eq=False, slots=True)
class Room:
    """GPUs by which pools may still grow, within their limits and within what quotas let some queues use there."""

    limits: dict[str, float]  # by pool
    usable: dict[str, float]  # by pool: what quotas admit there beyond what is there
    grown: dict[str, Grown]  # by pool: with all that are like it

    @classmethod
    def of(cls, state: ClusterState, pools: Sequence[Pool], queues: Sequence[Queue] | None) -> Self:
        usable = {p.name: math.inf if queues is None else _usable(state, p, queues) for p in pools}
        together = {p.flavors: Grown() for p in pools}
        return cls({p.name: room_gpus(p) for p in pools}, usable, {p.name: together[p.flavors] for p in pools})

    def gpus(self, name: str) -> float:
        return max(0.0, min(self.limits[name], self.usable[name] - self.grown[name].gpus))

    def take(self, name: str, gpus: float) -> None:
        self.limits[name] -= gpus
        self.grown[name].gpus += gpus


def _usable(state: ClusterState, pool: Pool, queues: Sequence[Queue]) -> float:
    """GPUs that quotas admit beyond those of like pools that are there or coming, and of use to the same queues."""
    usable = usable_gpus(state, pool, queues)
    if math.isinf(usable):
        return usable
    mine = [q for q in queues if serves(pool, q)]
    alike = (p for p in state.pools_of(pool.accelerator.resource) if p.flavors == pool.flavors)
    return usable - total_supply(p for p in alike if any(serves(p, q) for q in mine))
