"""Holds back quota that nobody has given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gyropilot.domain import Action, Dial, Queue, Quota
from gyropilot.guardrails.lookup import not_seen, quota_of
from gyropilot.guardrails.protocol import Situation


@dataclass(frozen=True, slots=True)
class CohortTotal:
    """A cohort's quota of a flavor is moved, not made: a raise needs as much given before it, or GPUs that are there.

    Without it, a taker's raise would pass although the giver's was held back, and quota would promise GPUs that do
    not exist. GPUs count once their nodes are ready: those that a pool is still growing may never come.
    """

    name: ClassVar[str] = "cohort-total"
    dials: ClassVar[tuple[Dial, ...]] = (Dial.QUEUE_QUOTA,)

    def objection(self, action: Action, situation: Situation) -> str | None:
        if action.after <= action.before:
            return None
        found = quota_of(action, situation.state)
        if found is None:
            return not_seen(action.target)
        queue, quota = found
        mates = [q for q in situation.state.queues if q is queue or (queue.cohort and q.cohort == queue.cohort)]
        seen = _total(mates, quota)
        wanted = seen + _turned(mates, quota, situation) + action.delta
        if wanted <= seen or self._there(action, quota, situation):
            return None
        whose = f"cohort {queue.cohort}" if queue.cohort else queue.name
        return f"{whose} would have {wanted} GPUs of quota on {quota.flavor}, {seen} now, and no GPUs to cover it"

    def _there(self, action: Action, quota: Quota, situation: Situation) -> bool:
        """Whether the flavor's ready GPUs cover the quota of everybody who shares it, the raise included."""
        everybody = situation.state.queues
        promised = _total(everybody, quota) + _turned(everybody, quota, situation) + action.delta
        pools = situation.state.pools_of(quota.accelerator.resource)
        return promised <= sum(pool.gpus for pool in pools if quota.flavor in pool.flavors)


def _same(quota: Quota, other: Quota) -> bool:
    return (quota.flavor, quota.accelerator.resource) == (other.flavor, other.accelerator.resource)


def _total(queues: tuple[Queue, ...] | list[Queue], quota: Quota) -> int:
    return sum(other.nominal_gpus for queue in queues for other in queue.quotas if _same(quota, other))


def _turned(queues: tuple[Queue, ...] | list[Queue], quota: Quota, situation: Situation) -> int:
    """What this review has approved on the same flavor, given and taken."""
    targets = {other.dial_target for queue in queues for other in queue.quotas if _same(quota, other)}
    return sum(a.delta for a in situation.approved if a.dial is Dial.QUEUE_QUOTA and a.target in targets)
