"""Reactive: what node autoscalers do, without their known slips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from agents.once import once
from agents.pilots.gathering import Gathering, Work
from agents.pilots.past import peak_demand
from agents.pilots.placing import open_pools, shrink_to, total_supply
from agents.shares import whole
from agents.supply import admissible_pending, open_gpus, removable_gpus, serves
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
        gathering = gathered(state, resource)
        return gathering.added or self._shrink(state, resource, gathering)

    def why(self, state: ClusterState, pool: Pool, gpus: int) -> str:
        resource = pool.accelerator.resource
        pools = state.pools_of(resource)
        if gpus > 0:
            work = [w for w in _without_node(state, resource, open_pools(state, resource)) if w.fits(pool)]
            usable = [p for p in pools if any(w.fits(p) for w in work)]
            idle, coming = sum(p.idle_gpus for p in usable), sum(p.coming_gpus for p in usable)
            what = f"{_who_waits(state, pool, work)} do not fit in {idle:g} idle and {coming} coming GPUs"
            fits = sum(w.gpus for w in work) <= idle + coming
            gang = max(w.gang for w in work)
            return f"{what}: a gang of {gang:g} runs in one flavor" if fits and gang else what
        peak = peak_demand(state, resource, self.scale_down_after) or 0.0
        minutes = self.scale_down_after / timedelta(minutes=1)
        return f"at most {peak:g} of {total_supply(pools)} GPUs were asked for in the last {minutes:g} min"

    def _shrink(self, state: ClusterState, resource: str, gathering: Gathering) -> dict[str, int]:
        # Room that waits for the rest of a gang's is idle, and not to spare.
        spare = {p.name: gathering.spare_gpus(p) for p in state.pools_of(resource)}
        going = [p for p in state.pools_of(resource) if min(spare[p.name], removable_gpus(p)) > 0]
        peak = peak_demand(state, resource, self.scale_down_after) if going else None
        if peak is None:
            return {}
        # Coming GPUs do not count here: they were asked for with a reason, and are not idle yet.
        return shrink_to(going, state.capacity_gpus(resource), {p.name: whole(peak) for p in going}, spare)


@once
def gathered(state: ClusterState, resource: str) -> Gathering:
    """What grows for admissible pending work, and what is free and claimed by none of it.

    Each queue's work goes first into what is free in pools that it may use, then into new nodes; what it
    takes is gone for the next. So a GPU that is coming is counted once, and so is one that waits
    (kubernetes/autoscaler#3164). What is admitted and finds no node comes first, for it is next in line at
    the scheduler; then queues with the least choice of pools.
    """
    pools = open_pools(state, resource)
    gathering = Gathering.of(pools)
    for work in _without_node(state, resource, pools):
        gathering.place(work, pools)
    return gathering


def _without_node(state: ClusterState, resource: str, pools: Sequence[Pool]) -> list[Work]:
    pending = admissible_pending(state, resource)
    unplaced = [
        Work(q, gpus, flavor, admitted=True)
        for q in state.queues
        if q.active and q.unplaced_gpus
        for flavor, gpus in q.unplaced_gpus.get(resource, {}).items()
    ]
    waiting = [
        Work(
            q,
            gpus,
            gang=_largest(q, resource),
            pending=q.pending_gpus[resource],
            open_gpus=open_gpus(state, q, resource),
        )
        for q in state.queues
        if (gpus := pending.get(q.name, 0.0)) > 0
    ]
    return sorted(
        [*unplaced, *waiting], key=lambda w: (not w.admitted, sum(w.fits(p) for p in pools), w.queue.name, w.flavor)
    )


def _largest(queue: Queue, resource: str) -> float:
    """As the queue tells; a reading of all that waits may be older, and less."""
    return min(queue.largest_pending_gpus.get(resource, 0.0), queue.pending_gpus[resource])


def _who_waits(state: ClusterState, pool: Pool, work: list[Work]) -> str:
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
