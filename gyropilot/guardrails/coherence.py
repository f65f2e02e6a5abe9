"""Holds back an action that does not match what was seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from gyropilot.domain import Action, ClusterState, Dial
from gyropilot.guardrails.lookup import called, not_seen, pauses, pool_of, queue_named, quota_of, workload_of
from gyropilot.guardrails.protocol import Situation


class Seen(NamedTuple):
    """What the state says about the thing that an action turns."""

    value: int | None  # None: not set
    queue: str  # empty: no tenant's
    gpus: int  # that one step of the dial stands for
    lost_gpu_hours: float = 0.0  # if it is taken back


@dataclass(frozen=True, slots=True)
class Coherence:
    """The other guardrails trust an action's own figures; this one makes sure that they are true."""

    name: ClassVar[str] = "coherence"
    dials: ClassVar[tuple[Dial, ...]] = ()

    def objection(self, action: Action, situation: Situation) -> str | None:
        if action.after == action.before:
            return f"{called(action)} is {action.before} already; there is nothing to turn"
        if action.after < 0 or (action.dial is Dial.WORKLOAD and action.after > 1):
            return f"{called(action)} cannot be set to {action.after}"
        seen = _seen(action, situation.state)
        if seen is None:
            return not_seen(action.target)
        return _value(action, seen) or _tenant(action, seen, situation.state) or _figures(action, seen)


def _seen(action: Action, state: ClusterState) -> Seen | None:
    if action.dial is Dial.QUEUE_QUOTA:
        found = quota_of(action, state)
        return Seen(found[1].nominal_gpus, found[0].name, 1) if found else None
    if action.dial is Dial.WORKLOAD:
        gang = workload_of(action, state)
        return Seen(int(gang.active), gang.queue, gang.gpus, gang.lost_gpu_hours(state.seen_at)) if gang else None
    pool = pool_of(action, state)
    return Seen(pool.dial_value, "", pool.gpus_per_node if action.dial is Dial.POOL_SIZE else 1) if pool else None


def _value(action: Action, seen: Seen) -> str | None:
    if seen.value is None:
        return f"{called(action)} had no {action.dial} set when it was seen; set one for it to be turned"
    if seen.value != action.before:
        return f"{called(action)} was seen at {seen.value}, the action expects {action.before}"
    return None


def _tenant(action: Action, seen: Seen, state: ClusterState) -> str | None:
    if seen.queue and action.queue != seen.queue:
        return f"{called(action)} belongs to {seen.queue}, the action says {action.queue or 'no queue'}"
    if action.queue and queue_named(action.queue, state) is None:
        return not_seen(f"queue {action.queue}")
    return None


def _figures(action: Action, seen: Seen) -> str | None:
    """Budgets count what an action says that it costs: it may not say less than it does."""
    if action.gpus != action.delta * seen.gpus:
        return f"{called(action)} would change by {action.delta * seen.gpus} GPUs, the action says {action.gpus}"
    if pauses(action) and not action.expected.lost_gpu_hours >= seen.lost_gpu_hours * 0.99:
        return (
            f"{called(action)} would lose {seen.lost_gpu_hours:.1f} GPU-hours of work, "
            f"the action says {action.expected.lost_gpu_hours:.1f}"
        )
    return None
