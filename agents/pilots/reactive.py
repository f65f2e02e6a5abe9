"""Reactive: what node autoscalers do, without their known slips."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

from agents.pilots.past import peak_demand
from agents.pilots.placing import growable, shrink_to, total_supply
from agents.shares import whole
from agents.supply import admissible_pending, offers, room_gpus, serves
from gyropilot.domain import ClusterState, Intent, Pool, Queue, View


@dataclass(frozen=True, slots=True)
class Reactive:
    """Grows for what waits and fits nowhere, shrinks what nobody asked for lately; whole nodes only."""

    scale_down_after: timedelta = timedelta(minutes=10)
    name: str = field(default="reactive", init=False)

    def steer(self, view: View) -> Intent:
        changes: dict[str, int] = {}
        reasons: dict[str, str] = {}
        for resource in view.state.resources:
            plan = self.plan(view.state, resource)
            changes |= plan
            reasons |= {name: self.why(view.state, view.state.pool(name), gpus) for name, gpus in plan.items()}
        return Intent(self.name, pool_gpus=changes, reasons=reasons)

    def plan(self, state: ClusterState, resource: str) -> dict[str, int]:
        """GPUs per pool of one resource: growth if anything waits in vain, else what has long been idle goes."""
        return growth_for_pending(state, resource) or self._shrink(state, resource)

    def why(self, state: ClusterState, pool: Pool, gpus: int) -> str:
        resource = pool.accelerator.resource
        pools = state.pools_of(resource)
        if gpus > 0:
            work = [w for w in _without_node(state, resource, growable(state, pools)) if w.fits(pool)]
            usable = [p for p in pools if any(w.fits(p) for w in work)]
            idle, coming = sum(p.idle_gpus for p in usable), sum(p.coming_gpus for p in usable)
            return f"{_who_waits(state, pool, work)} do not fit in {idle:g} idle and {coming} coming GPUs"
        peak = peak_demand(state, resource, self.scale_down_after) or 0.0
        minutes = self.scale_down_after / timedelta(minutes=1)
        return f"at most {peak:g} of {total_supply(pools)} GPUs were asked for in the last {minutes:g} min"

    def _shrink(self, state: ClusterState, resource: str) -> dict[str, int]:
        peak = peak_demand(state, resource, self.scale_down_after)
        if peak is None:
            return {}
        pools = state.pools_of(resource)
        # Coming GPUs do not count here: they were asked for with a reason, and are not idle yet.
        return shrink_to(pools, state.capacity_gpus(resource), {p.name: whole(peak) for p in pools})


def growth_for_pending(state: ClusterState, resource: str) -> dict[str, int]:
    """Whole nodes, in GPUs per pool, for admissible pending work beyond idle and coming GPUs.

    Each queue's work goes first into what is free in pools that it may use, then into new nodes; what it
    takes is gone for the next. So a GPU that is coming is counted once, and so is one that waits
    (kubernetes/autoscaler#3164). What is admitted and finds no node comes first, for it is next in line at
    the scheduler; then queues with the least choice of pools.
    """
    pools = growable(state, state.pools_of(resource))
    free = {p.name: max(0.0, p.idle_gpus) + p.coming_gpus for p in pools}
    added: dict[str, int] = {}
    for work in _without_node(state, resource, pools):
        usable = [p for p in pools if work.fits(p)]
        missing = _fill(free, usable, work.gpus)
        for pool in usable:
            nodes = math.ceil(min(missing, room_gpus(pool) - added.get(pool.name, 0)) / (pool.gpus_per_node or 1))
            if nodes > 0:
                gpus = nodes * pool.gpus_per_node
                added[pool.name] = added.get(pool.name, 0) + gpus
                free[pool.name] += gpus
                missing = _fill(free, [pool], missing)
    return added


class _Work(NamedTuple):
    """GPUs of a queue that are on no node: admitted for a flavor already, or waiting within quota."""

    queue: Queue
    gpus: float
    flavor: str = ""
    admitted: bool = False

    def fits(self, pool: Pool) -> bool:
        return serves(pool, self.queue) and offers(pool, self.flavor)


def _without_node(state: ClusterState, resource: str, pools: list[Pool]) -> list[_Work]:
    pending = admissible_pending(state, resource)
    unplaced = [
        _Work(q, gpus, flavor, admitted=True)
        for q in state.queues
        if q.active
        for flavor, gpus in q.unplaced_gpus.get(resource, {}).items()
    ]
    waiting = [_Work(q, gpus) for q in state.queues if (gpus := pending.get(q.name, 0.0)) > 0]
    return sorted(
        [*unplaced, *waiting], key=lambda w: (not w.admitted, sum(w.fits(p) for p in pools), w.queue.name, w.flavor)
    )


def _who_waits(state: ClusterState, pool: Pool, work: list[_Work]) -> str:
    unplaced = sum(w.gpus for w in work if w.admitted)
    within = sum(w.gpus for w in work if not w.admitted)
    waiting = (q for q in state.queues if q.active and serves(pool, q))
    everything = sum(q.pending_gpus.get(pool.accelerator.resource, 0.0) for q in waiting)
    if unplaced:
        others = f" {within:g} wait within quota; they" if within else ""
        return f"{unplaced:g} admitted GPUs find no node and{others}"
    if within == everything:
        return f"{everything:g} GPUs wait and"
    return f"{everything:g} GPUs wait, of which the {within:g} within quota"


def _fill(free: dict[str, float], pools: list[Pool], gpus: float) -> float:
    """Take GPUs from what is free, pool by pool; answers with what did not fit."""
    for pool in pools:
        taken = min(gpus, free[pool.name])
        free[pool.name] -= taken
        gpus -= taken
    return gpus
