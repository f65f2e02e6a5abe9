"""The provisioner: which pool, and how many whole nodes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from agents.expectation import with_effects
from agents.step import NO_CAP, Step
from agents.supply import merit_order, removable_gpus, room_gpus, serves_somebody
from gyropilot.domain import Action, ClusterState, Dial, Intent, Market, Pool, View


@dataclass(frozen=True, slots=True)
class Provisioner:
    """Turns GPUs that a pilot wants per pool into sizes and limits of pools.

    Growth is rounded up to whole nodes, removal down, and never beyond whole idle nodes. What a pool has no
    room for goes to the next pool of the same accelerator, reserved first, then the cheapest. It never goes
    from a pool that keeps its nodes to a spot pool: not every workload bears losing its node, and only the
    pilot, which chose the market, may choose spot.
    """

    step: Step = NO_CAP
    name: str = field(default="provisioner", init=False)

    def propose(self, view: View, intent: Intent) -> list[Action]:
        wishes = {p.name: intent.pool_gpus.get(p.name, 0) for p in view.state.pools}
        granted, spilled_from = _spill(view.state, wishes)
        actions = (
            self._action(p, granted[p.name], _why(p, intent, spilled_from)) for p in merit_order(view.state.pools)
        )
        return with_effects(view, (action for action in actions if action))

    def _action(self, pool: Pool, gpus: int, why: str) -> Action | None:
        if not gpus or pool.dial_value is None or not pool.gpus_per_node:
            return None
        if pool.dial is Dial.POOL_LIMIT:
            return self._limit(pool, gpus, why)
        return self._size(pool, gpus, why)

    def _size(self, pool: Pool, gpus: int, why: str) -> Action | None:
        """Wanted nodes, counted from what is asked for now."""
        before = pool.dial_value or 0
        cap = self.step.units(before, pool.gpus_per_node)
        nodes = int(min(math.ceil(abs(gpus) / pool.gpus_per_node), cap))
        if gpus < 0:
            nodes = -min(nodes, _removable(pool, -gpus) // pool.gpus_per_node, max(0, before - pool.min_nodes))
        return _turn(pool, before + nodes, nodes * pool.gpus_per_node, why)

    def _limit(self, pool: Pool, gpus: int, why: str) -> Action | None:
        """GPUs that the pool may grow to, counted from its nodes; no action where the limit is so already."""
        before, there = pool.dial_value or 0, pool.nodes * pool.gpus_per_node
        whole = math.ceil(gpus / pool.gpus_per_node) * pool.gpus_per_node if gpus > 0 else -_removable(pool, -gpus)
        if not whole:
            return None
        wanted = max(before, there + whole) if whole > 0 else min(before, there + whole)
        asked, node = abs(wanted - before), pool.gpus_per_node
        # Whole nodes, and one at least: less would allow nothing.
        step = asked if self.step.units(before) >= asked else min(asked, self._whole_step(before, node))
        after = before + (step if wanted > before else -step)
        says = "a limit only allows growth" if gpus > 0 else "a limit only stops growth and removes no node"
        return _turn(pool, after, after - before, f"{why} ({says})" if why else says)

    def _whole_step(self, before: int, node: int) -> int:
        return int(min(max(node, self.step.units(before)), self.step.max_gpus)) // node * node


def _turn(pool: Pool, after: int, gpus: int, why: str) -> Action | None:
    before = pool.dial_value
    if pool.dial is None or before is None or after == before:
        return None
    return Action(
        dial=pool.dial,
        target=pool.dial_target,
        before=before,
        after=after,
        reason=why,
        subject=pool.name,
        resource=pool.accelerator.resource,
        gpus=gpus,
    )


def _spill(state: ClusterState, wishes: Mapping[str, int]) -> tuple[dict[str, int], dict[str, str]]:
    """What each pool gets after overflow has found room elsewhere, and whose overflow it took; the rest is dropped."""
    granted = {p.name: int(min(wishes[p.name], _room(p))) for p in state.pools}
    taken_from: dict[str, str] = {}
    for pool in merit_order(state.pools):
        overflow = wishes[pool.name] - granted[pool.name]
        for other in _alternatives(state, pool):
            taken = int(min(overflow, _room(other) - granted[other.name]))
            if taken > 0:
                granted[other.name] += taken
                overflow -= taken
                taken_from[other.name] = pool.name
    return granted, taken_from


def _alternatives(state: ClusterState, pool: Pool) -> list[Pool]:
    return merit_order(
        p
        for p in state.pools
        if p.name != pool.name
        and p.accelerator == pool.accelerator
        and serves_somebody(p, state)
        and (p.market is not Market.SPOT or pool.market is Market.SPOT)
    )


def _room(pool: Pool) -> float:
    # A size that cannot be read cannot be turned; a limit that is not set allows growth already.
    readable = pool.dial_value is not None or pool.dial is Dial.POOL_LIMIT
    return room_gpus(pool) if readable else 0.0


def _removable(pool: Pool, gpus: int) -> int:
    """GPUs on as many whole idle nodes as were asked back."""
    return min(gpus, removable_gpus(pool)) // pool.gpus_per_node * pool.gpus_per_node


def _why(pool: Pool, intent: Intent, spilled_from: Mapping[str, str]) -> str:
    own = intent.why(pool.name)
    if pool.name not in spilled_from:
        return own
    origin = spilled_from[pool.name]
    full = f"pool {origin} has no room: {intent.why(origin)}".removesuffix(": ")
    return f"{own}; {full}" if own else full
