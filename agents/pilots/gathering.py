"""Room for what waits: what is free is given to it, and what is missing is grown.

A gang runs in one flavor or not at all: eighty idle GPUs of one and forty of another are no room for a hundred and
twenty. So the largest gang of each queue is placed first, in the pools of one flavor; what waits besides goes anywhere.
Neither takes more of a flavor than quotas admit: what is free of it then, or could be grown, is of no use to them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from agents.allowances import Allowance, allowances
from agents.asked import asked
from agents.once import once
from agents.pilots.placing import open_pools
from agents.supply import admissible_pending, offers, room_gpus, serves
from gyropilot.domain import ClusterState, Pool, Queue


class Work(NamedTuple):
    """GPUs of a queue that are on no node: admitted for a flavor already, or waiting within quota."""

    queue: Queue
    gpus: float
    flavor: str = ""
    admitted: bool = False
    gang: float = 0.0  # the largest that waits, and runs whole or not at all; 0: not known
    pending: float = 0.0  # all that waits, within quota or not
    allowance: Allowance | None = None  # None: quotas do not bind, or are not known

    def fits(self, pool: Pool) -> bool:
        return serves(pool, self.queue) and offers(pool, self.flavor)

    def allowed(self, pool: Pool) -> float:
        """GPUs that quotas let it take in a pool."""
        return math.inf if self.allowance is None else self.allowance.gpus(pool)

    def take(self, pool: Pool, gpus: float) -> None:
        if self.allowance is not None:
            self.allowance.take(pool, gpus)


@dataclass(eq=False, slots=True)
class Gathering:
    """What is free and what is to be added, while work is given its place."""

    free: dict[str, float]  # GPUs by pool: idle and coming, and not yet given to anybody
    added: dict[str, int] = field(default_factory=dict)  # GPUs of whole nodes by pool

    @classmethod
    def of(cls, pools: Sequence[Pool]) -> Self:
        return cls({p.name: max(0.0, p.idle_gpus) + p.coming_gpus for p in pools})

    def place(self, work: Work, pools: Sequence[Pool]) -> None:
        """Gives work what is free in pools that it may use, in their order, then what they grow by."""
        usable = [p for p in pools if work.fits(p)]
        if work.gang <= work.gpus:
            # A gang for which no flavor has room, now or ever, waits in vain: nothing is bought for it.
            self._gather(work, work.gang, self._home(work, [p for p in usable if work.allowed(p) >= work.gang]))
            self._gather(work, work.gpus - work.gang, usable)
        else:  # no quota admits it, and those beside it may start
            self._gather(work, min(work.gpus, work.pending - work.gang), usable)

    def spare_gpus(self, pool: Pool) -> int:
        """Idle GPUs that nobody waits for; those that come do not make up for them, as work would have to wait."""
        coming = pool.coming_gpus
        left = self.free.get(pool.name, pool.idle_gpus + coming)
        return max(0, math.floor(left - coming - self.added.get(pool.name, 0)))

    def _home(self, work: Work, usable: Sequence[Pool]) -> Sequence[Pool]:
        """Pools of one flavor with room for a gang: those where it is free, else the first where it may be grown."""
        together: dict[tuple[str, ...], list[Pool]] = {}
        for pool in usable:
            together.setdefault(pool.flavors, []).append(pool)
        now = (pools for pools in together.values() if sum(self.free[p.name] for p in pools) >= work.gang)
        later = (p for p in together.values() if sum(self.free[q.name] + self._room(q) for q in p) >= work.gang)
        return next(now, None) or next(later, [])

    def _gather(self, work: Work, gpus: float, pools: Sequence[Pool]) -> None:
        missing = self._fill(work, gpus, pools)
        for pool in pools:
            wanted = min(missing, self._room(pool), work.allowed(pool))
            nodes = math.ceil(wanted / (pool.gpus_per_node or 1))
            if nodes > 0:
                more = nodes * pool.gpus_per_node
                self.added[pool.name] = self.added.get(pool.name, 0) + more
                self.free[pool.name] += more
                missing = self._fill(work, missing, [pool])

    def _room(self, pool: Pool) -> float:
        return room_gpus(pool) - self.added.get(pool.name, 0)

    def _fill(self, work: Work, gpus: float, pools: Sequence[Pool]) -> float:
        """Takes GPUs from what is free, pool by pool; answers with what did not fit."""
        for pool in pools:
            taken = min(gpus, self.free[pool.name], work.allowed(pool))
            self.free[pool.name] -= taken
            work.take(pool, taken)
            gpus -= taken
        return gpus


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
    for work in without_node(state, resource):
        gathering.place(work, pools)
    return gathering


def without_node(state: ClusterState, resource: str) -> list[Work]:
    """In the order in which it is given its place."""
    unplaced = [
        Work(q, gpus, flavor, admitted=True)
        for q in state.queues
        if q.unplaced_gpus and q.active
        for flavor, gpus in q.unplaced_gpus.get(resource, {}).items()
    ]
    work, pools = [*unplaced, *_waiting(state, resource)], open_pools(state, resource)
    return sorted(work, key=lambda w: (not w.admitted, sum(w.fits(p) for p in pools), w.queue.name, w.flavor))


def _waiting(state: ClusterState, resource: str) -> list[Work]:
    if not asked(state, resource).pending:
        return []
    pending = admissible_pending(state, resource)
    waits = [q for q in state.queues if pending.get(q.name, 0.0) > 0]
    allowed = allowances(state, resource) if waits else {}
    return [
        Work(
            q,
            pending[q.name],
            gang=_largest(q, resource),
            pending=q.pending_gpus[resource],
            allowance=allowed.get(q.name),
        )
        for q in waits
    ]


def _largest(queue: Queue, resource: str) -> float:
    """As the queue tells; a reading of all that waits may be older, and less."""
    return min(queue.largest_pending_gpus.get(resource, 0.0), queue.pending_gpus[resource])


def why_grown(state: ClusterState, pool: Pool) -> str:
    """What waits for a pool to grow, in words."""
    resource = pool.accelerator.resource
    pools = state.pools_of(resource)
    work = [w for w in without_node(state, resource) if w.fits(pool)]
    usable = [p for p in pools if any(w.fits(p) for w in work)]
    idle, coming = sum(p.idle_gpus for p in usable), sum(p.coming_gpus for p in usable)
    what = f"{_who_waits(state, pool, work)} do not fit in {idle:g} idle and {coming} coming GPUs"
    fits = sum(w.gpus for w in work) <= idle + coming
    gang = max(w.gang for w in work)
    return f"{what}: a gang of {gang:g} runs in one flavor" if fits and gang else what


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
