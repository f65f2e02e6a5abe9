"""What queues ask for, added up once for each look at a cluster."""

from __future__ import annotations

from typing import NamedTuple

from agents.once import once
from gyropilot.domain import ClusterState, Queue


class Asked(NamedTuple):
    """GPUs of one resource, of all queues together, and the queues in which they are asked for."""

    running: float
    pending: float
    demand: float  # both
    stopped_running: float  # of that, in queues that are stopped
    stopped_pending: float
    by: tuple[Queue, ...]  # in which work runs or waits


@once
def asked(state: ClusterState, resource: str) -> Asked:
    running = pending = demand = stopped_running = stopped_pending = 0.0
    by: list[Queue] = []
    for queue in state.queues:
        runs, waits = queue.running_gpus.get(resource, 0.0), queue.pending_gpus.get(resource, 0.0)
        running += runs
        pending += waits
        demand += runs + waits
        if runs + waits > 0:
            by.append(queue)
        if not queue.active:
            stopped_running += runs
            stopped_pending += waits
    return Asked(running, pending, demand, stopped_running, stopped_pending, tuple(by))
