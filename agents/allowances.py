"""What quotas let queues use of each flavor: growth beyond it would lie idle."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from agents.supply import cohorts, most_gpus, offers, quota_gpus, quotas_bind, serves, unused_by_flavor
from gyropilot.domain import ClusterState, Pool, Queue, Quota


@dataclass(eq=False, slots=True)
class Allowance:
    """GPUs that quotas would still let a queue take, by flavor, while work is given its place."""

    own: dict[str, float]  # with all that it may borrow
    cohort: dict[str, float]  # that its cohort leaves unused: one count for all of its queues

    def gpus(self, pool: Pool) -> float:
        """In a pool. Where its flavors are not known, nothing is forbidden."""
        return sum([self._open(flavor) for flavor in pool.flavors]) if pool.flavors else math.inf

    def take(self, pool: Pool, gpus: float) -> None:
        """What one queue of a cohort takes is gone for the others."""
        for flavor in pool.flavors:
            taken = min(gpus, self._open(flavor))
            if taken > 0:
                self.own[flavor] -= taken
                self.cohort[flavor] -= taken
                gpus -= taken

    def _open(self, flavor: str) -> float:
        return max(0.0, min(self.own.get(flavor, 0.0), self.cohort.get(flavor, 0.0)))


def allowances(state: ClusterState, resource: str) -> dict[str, Allowance]:
    """Of each queue in which work waits, by name; none where quotas do not bind or are not all seen."""
    found: dict[str, Allowance] = {}
    if not quotas_bind(state):
        return found
    for group in cohorts(state):
        waiting = [q for q in group if q.pending_gpus.get(resource, 0.0) > 0]
        if waiting and not math.isinf(quota_gpus(group, resource)):
            unused = unused_by_flavor(group, resource)
            found |= {q.name: Allowance(_left(q, resource), unused) for q in waiting}
    return found


def usable_gpus(state: ClusterState, pool: Pool, queues: Sequence[Queue]) -> float:
    """GPUs of a pool's flavors that quotas let some queues have together, and what stopped queues hold of them.

    Infinite where quotas do not bind or are not all seen, and while no queue is known: at night there may be no pod to
    know one by. 0 where none of the queues may run in the pool.
    """
    if not state.queues:
        return math.inf
    if not quotas_bind(state):
        return math.inf if any(q.active and serves(pool, q) for q in queues) else 0.0
    names = {q.name for q in queues if q.active and serves(pool, q)}
    if not names:
        return 0.0
    usable = sum(quota.used_gpus for q in state.queues if not q.active for quota in _quotas(pool, q))
    for group in cohorts(state):
        mine = [q for q in group if q.name in names]
        if mine and (any(not q.quotas for q in mine) or math.isinf(quota_gpus(group, pool.accelerator.resource))):
            return math.inf
        usable += _together(group, mine, pool)
    return usable


def _together(group: Sequence[Queue], mine: Sequence[Queue], pool: Pool) -> float:
    """GPUs of a pool's flavors that some queues of a cohort may have at once."""
    nominal, most = Counter[str](), dict[str, float]()
    for quota in (quota for q in group for quota in _quotas(pool, q)):
        nominal[quota.flavor] += quota.nominal_gpus
    for quota in (quota for q in mine for quota in _quotas(pool, q)):
        most[quota.flavor] = most.get(quota.flavor, 0.0) + most_gpus(quota)
    return sum(min(nominal[flavor], gpus) for flavor, gpus in most.items())


def _quotas(pool: Pool, queue: Queue) -> list[Quota]:
    """Those under which a queue may run in a pool."""
    return [q for q in queue.quotas if q.accelerator.resource == pool.accelerator.resource and offers(pool, q.flavor)]


def _left(queue: Queue, resource: str) -> dict[str, float]:
    return {q.flavor: most_gpus(q) - q.used_gpus for q in queue.quotas if q.accelerator.resource == resource}
