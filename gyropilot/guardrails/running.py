"""Holds back what would pull the floor away from under running work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gyropilot.domain import Action, Dial
from gyropilot.guardrails.lookup import not_seen, pool_of, quota_of
from gyropilot.guardrails.protocol import Situation


@dataclass(frozen=True, slots=True)
class RunningWork:
    """Work is taken back by an action that says so and is budgeted for it, never as a side effect.

    Quota below what runs makes that work borrowed, and Kueue takes borrowed GPUs back on its own; a queue that
    borrows already would have more of its work at risk, so it is no exception. Nodes below what runs are drained.
    """

    name: ClassVar[str] = "running-work"
    dials: ClassVar[tuple[Dial, ...]] = (Dial.QUEUE_QUOTA, Dial.POOL_SIZE)

    def objection(self, action: Action, situation: Situation) -> str | None:
        if action.after >= action.before:
            return None
        return (_quota if action.dial is Dial.QUEUE_QUOTA else _pool)(action, situation)


def _quota(action: Action, situation: Situation) -> str | None:
    found = quota_of(action, situation.state)
    if found is None:
        return not_seen(action.target)
    queue, quota = found
    if not action.after >= quota.used_gpus:
        return f"{queue.name} runs {quota.used_gpus:g} GPUs on {quota.flavor}, its quota would be {action.after}"
    return None


def _pool(action: Action, situation: Situation) -> str | None:
    pool = pool_of(action, situation.state)
    if pool is None:
        return not_seen(action.target)
    busy, left = pool.gpus - pool.idle_gpus, action.after * pool.gpus_per_node
    return f"{pool.name} runs work on {busy:g} GPUs, {left} would be left" if not left >= busy else None
