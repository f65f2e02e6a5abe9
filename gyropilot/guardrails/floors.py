"""Holds back what would take a queue's quota below its floor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from gyropilot.domain import Action, Dial, Queue, Quota
from gyropilot.guardrails.lookup import not_seen, quota_of
from gyropilot.guardrails.protocol import Situation
from gyropilot.settings import QueueSettings


class Floor(NamedTuple):
    """GPUs that a queue keeps: of one resource, or (None) over all that it has."""

    gpus: int
    resource: str | None


@dataclass(frozen=True, slots=True)
class GuaranteedShare:
    """A queue keeps what it is guaranteed: the GPUs told for it, else a share of what it was entitled to."""

    share: float
    queues: Mapping[str, QueueSettings]

    name: ClassVar[str] = "guaranteed-share"
    dials: ClassVar[tuple[Dial, ...]] = (Dial.QUEUE_QUOTA,)

    def objection(self, action: Action, situation: Situation) -> str | None:
        if action.after >= action.before:
            return None
        found = quota_of(action, situation.state)
        if found is None:
            return not_seen(action.target)
        queue, quota = found
        if self.protects(queue.name):
            return f"{queue.name} is protected; its quota is never lowered"
        floor = self.floor(queue, quota.accelerator.resource, situation)
        left = queue.nominal_gpus(floor.resource) - _given(queue, floor.resource, situation) + action.delta
        return f"{queue.name} would drop to {left} GPUs, guaranteed {floor.gpus}" if left < floor.gpus else None

    def protects(self, queue: str) -> bool:
        return queue in self.queues and self.queues[queue].protected

    def floor(self, queue: Queue, resource: str, situation: Situation) -> Floor:
        """What the queue keeps, whoever asks."""
        told = [queue.guaranteed_gpus, self.queues[queue.name].guaranteed_gpus if queue.name in self.queues else None]
        guaranteed = [gpus for gpus in told if gpus is not None]
        if guaranteed:
            return Floor(max(guaranteed), None)
        # Rounded up, but 0.1 * 30 is 3, not a hair above it.
        return Floor(math.ceil(self.share * entitled_gpus(queue, resource, situation) - 1e-9), resource)


def entitled_gpus(queue: Queue, resource: str, situation: Situation) -> int:
    """Quota of one resource before Gyropilot ever turned it, over the queue's flavors."""
    return sum(entitled(quota, situation) for quota in queue.quotas if quota.accelerator.resource == resource)


def entitled(quota: Quota, situation: Situation) -> int:
    """One quota before Gyropilot ever turned it; as it is, where it never did."""
    journalled = (situation.entitled_gpus or {}).get(quota.dial_target, quota.entitled_gpus)
    return quota.nominal_gpus if journalled is None else journalled


def _given(queue: Queue, resource: str | None, situation: Situation) -> int:
    """GPUs of quota that this review has taken from the queue; raises do not count, they may yet be refused."""
    return -sum(
        action.delta
        for action in situation.approved
        if action.dial is Dial.QUEUE_QUOTA and action.queue == queue.name and resource in (None, action.resource)
        if action.delta < 0
    )
