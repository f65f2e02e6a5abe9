"""Who runs more than its own, and on which flavors: quota is kept per flavor, so only that can be given back."""

from __future__ import annotations

import math
from collections.abc import Mapping

from gyropilot.domain import ClusterState, Queue


def borrowed_gpus(queue: Queue, resource: str) -> int:
    """Whole GPUs that a queue runs above its nominal quota; none where it has no quota to exceed."""
    if not flavors(queue, resource):
        return 0
    return max(0, math.floor(queue.running_gpus.get(resource, 0.0)) - queue.nominal_gpus(resource))


def borrowed_by_flavor(queue: Queue, resource: str) -> Mapping[str, int]:
    """Whole GPUs above the nominal quota of each flavor that the queue exceeds."""
    quotas = (q for q in queue.quotas if q.accelerator.resource == resource)
    return {q.flavor: over for q in quotas if (over := math.floor(q.used_gpus) - q.nominal_gpus) > 0}


def flavors(queue: Queue, resource: str) -> set[str]:
    return {q.flavor for q in queue.quotas if q.accelerator.resource == resource}


def waits_for_its_own(queue: Queue, resource: str) -> bool:
    """Whether work waits although the queue runs less than its quota."""
    unused = queue.nominal_gpus(resource) - queue.running_gpus.get(resource, 0.0)
    return queue.active and unused > 0 and queue.pending_gpus.get(resource, 0.0) > 0


def wanted_flavors(state: ClusterState, borrower: Queue, resource: str) -> set[str]:
    """Flavors on which the borrower exceeds its quota and a queue of its cohort waits for its own.

    Empty where no flavor is both: then no flavor is better than another.
    """
    waiting = [
        q
        for q in state.queues
        if borrower.cohort and q.cohort == borrower.cohort and q is not borrower and waits_for_its_own(q, resource)
    ]
    useful = {flavor for q in waiting for flavor in flavors(q, resource)}
    return useful & set(borrowed_by_flavor(borrower, resource))
