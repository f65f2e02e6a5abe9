"""Holds back quota that nobody has given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from gyropilot.domain import Action, Dial, Queue, Quota
from gyropilot.guardrails.floors import entitled
from gyropilot.guardrails.lookup import not_seen, quota_of
from gyropilot.guardrails.protocol import Situation


@dataclass(frozen=True, slots=True)
class CohortTotal:
    """A cohort's quota of a flavor is moved, neither made nor lost.

    A raise needs as much given before it, or entitlements that nobody has, or GPUs that are there. Without it, a
    taker's raise would pass although the giver's was held back, and quota would promise GPUs that do not exist. GPUs
    count once their nodes are ready: those that a pool is still growing may never come. Nor is quota lowered that
    nobody takes: what is given is found by nobody until a later cycle gives it out.
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
        seen, entitled_to = _total(mates, quota), _entitled_to(mates, quota, situation)
        wanted = seen + _turned(mates, quota, situation) + action.delta
        if wanted <= max(seen, entitled_to) or self._there(action, quota, situation):
            return None
        whose = f"cohort {queue.cohort}" if queue.cohort else queue.name
        return f"{whose} would have {wanted} GPUs of quota on {quota.flavor}, {seen} now, and no GPUs to cover it"

    def unpaired(self, situation: Situation) -> tuple[Action, str] | None:
        for moves in _by_flavor(situation):
            net = sum(action.delta for action in moves)
            one = _nearest(moves, net)
            if net < 0:
                return one, f"nobody may take the {-one.delta} GPUs of quota that {one.queue} would give"
            if net > 0:
                others = tuple(a for a in situation.approved if a is not one)
                objection = self.objection(one, replace(situation, approved=others))
                if objection is not None:
                    return one, objection
        return None

    def _there(self, action: Action, quota: Quota, situation: Situation) -> bool:
        """Whether the flavor's ready GPUs cover the quota of everybody who shares it, the raise included."""
        everybody = situation.state.queues
        promised = _total(everybody, quota) + _turned(everybody, quota, situation) + action.delta
        pools = situation.state.pools_of(quota.accelerator.resource)
        return promised <= sum(pool.gpus for pool in pools if quota.flavor in pool.flavors)


def _by_flavor(situation: Situation) -> Iterable[list[Action]]:
    """What of the approved turns the quota of one cohort and flavor."""
    groups: dict[tuple[str, str, str], list[Action]] = {}
    for action in situation.approved:
        found = quota_of(action, situation.state) if action.dial is Dial.QUEUE_QUOTA else None
        if found is not None:
            queue, quota = found
            whose = f"cohort {queue.cohort}" if queue.cohort else f"queue {queue.name}"
            groups.setdefault((whose, quota.flavor, quota.accelerator.resource), []).append(action)
    return groups.values()


def _nearest(moves: Sequence[Action], net: int) -> Action:
    """The move without which the sum is nearest to zero, of those that go the way of the sum; the last if equal."""
    return min((a for a in reversed(moves) if a.delta * net >= 0), key=lambda a: abs(net - a.delta))


def _same(quota: Quota, other: Quota) -> bool:
    return (quota.flavor, quota.accelerator.resource) == (other.flavor, other.accelerator.resource)


def _total(queues: Sequence[Queue], quota: Quota) -> int:
    return sum(other.nominal_gpus for queue in queues for other in queue.quotas if _same(quota, other))


def _entitled_to(queues: Sequence[Queue], quota: Quota, situation: Situation) -> int:
    return sum(entitled(other, situation) for queue in queues for other in queue.quotas if _same(quota, other))


def _turned(queues: Sequence[Queue], quota: Quota, situation: Situation) -> int:
    """What this review has approved on the same flavor, given and taken."""
    targets = {other.dial_target for queue in queues for other in queue.quotas if _same(quota, other)}
    return sum(a.delta for a in situation.approved if a.dial is Dial.QUEUE_QUOTA and a.target in targets)
