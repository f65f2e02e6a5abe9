"""The migrator: which workloads go on in another pool, least lost work first."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from agents.expectation import with_effects
from agents.preemptor import pause, victims
from agents.supply import offers, serves
from gyropilot.domain import Action, ClusterState, Intent, Line, Pool, Queue, View, Way, Workload, WorkloadKind


@dataclass(frozen=True, slots=True)
class Migrator:
    """Pauses workloads of one pool for which there is room in another: when they are resumed they start there.

    Where a workload starts is for Kueue to say, which tries a queue's flavors in their order. So only those move whose
    queue tries the other pool first, has quota of its own left there, and may be paused at all; services stay. From
    lines of which GPUs are taken back nothing moves: one thing at a time.
    """

    name: str = field(default="migrator", init=False)

    def propose(self, view: View, intent: Intent) -> list[Action]:
        actions = [
            pause(workload, view.state.seen_at, intent.why(way))
            for way, gpus in sorted(intent.move_gpus.items())
            for workload in movers(_without(view.state, intent), way, gpus)
        ]
        return with_effects(view, list({action.target: action for action in actions}.values()))


def movers(state: ClusterState, way: Way, need: int) -> list[Workload]:
    """The workloads to move: as the preemptor would pause them, those for all of which there is room."""
    pools = {pool.name: pool for pool in state.pools}
    source, target = pools.get(way.source), pools.get(way.target)
    if source is None or target is None or source.accelerator != target.accelerator:
        return []
    here = tuple(replace(w, queue=str(way)) for w in _movable(state, source, target))
    chosen = {w.key for w in victims(replace(state, workloads=here), Line(str(way), source.accelerator.resource), need)}
    return list(_fitting([w for w in state.workloads if w.key in chosen], state, target))


def _without(state: ClusterState, intent: Intent) -> ClusterState:
    """What is left where GPUs are taken back from some lines."""
    kept = (w for w in state.workloads if not intent.reclaim_gpus.get(Line(w.queue, w.accelerator.resource)))
    return replace(state, workloads=tuple(kept)) if intent.reclaim_gpus else state


def _movable(state: ClusterState, source: Pool, target: Pool) -> Iterator[Workload]:
    """Those that run in one pool, and of which it is known that they would start in the other."""
    queues = {queue.name: queue for queue in state.queues}
    for workload in state.workloads:
        queue = queues.get(workload.queue)
        runs_here = workload.flavor in source.flavors and workload.flavor not in target.flavors
        if not runs_here or queue is None or workload.kind is WorkloadKind.INFERENCE:
            continue
        if serves(target, queue) and _room(queue, workload, target) >= workload.gpus <= target.idle_gpus:
            yield workload


def _room(queue: Queue, workload: Workload, target: Pool) -> int:
    """GPUs of its own quota that a queue has left in a pool, if it is tried before the one where its workload runs."""
    for quota in queue.quotas:
        if quota.flavor == workload.flavor:
            return 0
        if quota.accelerator == workload.accelerator and quota.flavor and offers(target, quota.flavor):
            return max(0, quota.nominal_gpus - math.ceil(quota.used_gpus))
    return 0


def _fitting(chosen: list[Workload], state: ClusterState, target: Pool) -> Iterator[Workload]:
    """Those that fit beside the ones before them, large ones first."""
    queues = {queue.name: queue for queue in state.queues}
    idle, used = target.idle_gpus, dict.fromkeys(queues, 0)
    for workload in sorted(chosen, key=lambda w: (-w.gpus, w.key)):
        room = _room(queues[workload.queue], workload, target) - used[workload.queue]
        if workload.gpus <= min(idle, room):
            idle -= workload.gpus
            used[workload.queue] += workload.gpus
            yield workload
