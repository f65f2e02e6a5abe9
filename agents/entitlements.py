"""What of a quota is a queue's own: what it was before Gyropilot ever turned it. The rest is lent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from gyropilot.domain import ClusterState, Queue, Quota


def entitled(quota: Quota) -> int:
    """GPUs of one quota; what was never turned is the queue's own as it is."""
    return quota.nominal_gpus if quota.entitled_gpus is None else quota.entitled_gpus


def entitled_gpus(queue: Queue, resource: str) -> int:
    """GPUs of one resource over the queue's flavors."""
    return sum(entitled(quota) for quota in queue.quotas if quota.accelerator.resource == resource)


def unallocated(state: ClusterState, group: Sequence[Queue], resource: str) -> Counter[str]:
    """GPUs of quota per flavor that a cohort's queues are entitled to and none has: a giver gave, no taker took.

    Queues that are stopped count: what they hold lies with them.
    """
    cohorts = {q.cohort for q in group if q.cohort}
    names = {q.name for q in group}
    left: Counter[str] = Counter()
    for queue in (q for q in state.queues if q.name in names or q.cohort in cohorts):
        for quota in (q for q in queue.quotas if q.accelerator.resource == resource):
            left[quota.flavor] += entitled(quota) - quota.nominal_gpus
    return +left
