"""Holds back pauses that take what is not borrowed, or for nobody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from gyropilot.domain import Action, Dial, Queue, Workload
from gyropilot.guardrails.floors import GuaranteedShare, entitled_gpus
from gyropilot.guardrails.lookup import not_seen, pauses, queue_named, workload_of
from gyropilot.guardrails.protocol import Situation


@dataclass(frozen=True, slots=True)
class Borrowers:
    """YuniKorn's laws of preemption.

    Only a queue that runs more than its own may lose, never below its guarantee, never for itself, only to a queue
    that waits for its own, and only to work of at least the same priority.
    """

    floors: GuaranteedShare

    name: ClassVar[str] = "borrowers"
    dials: ClassVar[tuple[Dial, ...]] = (Dial.WORKLOAD,)

    def objection(self, action: Action, situation: Situation) -> str | None:
        if not pauses(action):
            return None
        gang = workload_of(action, situation.state)
        if gang is None:
            return not_seen(action.target)
        loser = queue_named(gang.queue, situation.state)
        if loser is None:
            return not_seen(f"queue {gang.queue}")
        return self._keeps_its_own(gang, loser, situation) or self._somebody_waits(gang, loser, situation)

    def _keeps_its_own(self, gang: Workload, loser: Queue, situation: Situation) -> str | None:
        resource = gang.accelerator.resource
        runs, own = _runs(loser, resource, situation), self._own(loser, resource, situation)
        if not runs > own:
            return f"{loser.name} borrows nothing: it runs {runs:g} GPUs, {own} are its own"
        floor = self.floors.floor(loser, resource, situation)
        left = _runs(loser, floor.resource, situation) - gang.gpus
        return f"{loser.name} would run {left:g} GPUs, guaranteed {floor.gpus}" if not left >= floor.gpus else None

    def _somebody_waits(self, gang: Workload, loser: Queue, situation: Situation) -> str | None:
        resource = gang.accelerator.resource
        cohort = [q for q in situation.state.queues if loser.cohort and q.cohort == loser.cohort]
        mates = [q for q in cohort if q.name != loser.name and q.active]
        lacks = {queue.name: self._lack(queue, resource, situation) for queue in mates}
        waiting = [queue for queue in mates if lacks[queue.name] > 0]
        if not waiting:
            return f"no other queue waits for {resource} that is its own"
        if sum(_taken_back(resource, situation, queue.name) for queue in cohort) >= sum(lacks.values()):
            return f"what is taken back already covers the {sum(lacks.values()):g} GPUs that other queues lack"
        highest = max(priority for queue in waiting for priority in _waiting_priorities(queue, resource, situation))
        if highest < gang.priority:
            return f"{gang.key} has priority {gang.priority}, what waits has {highest} at most"
        return None

    def _lack(self, queue: Queue, resource: str, situation: Situation) -> float:
        """GPUs of its own that it waits for."""
        waits = queue.pending_gpus.get(resource, 0.0)
        return max(0.0, min(waits, self._own(queue, resource, situation) - _runs(queue, resource, situation)))

    def _own(self, queue: Queue, resource: str, situation: Situation) -> int:
        """What it may run without borrowing; quota that Gyropilot lent it does not count."""
        return min(queue.nominal_gpus(resource), entitled_gpus(queue, resource, situation))


def _runs(queue: Queue, resource: str | None, situation: Situation) -> float:
    """GPUs that run, less what is taken back."""
    running = sum(gpus for name, gpus in queue.running_gpus.items() if resource in (None, name))
    return running - _taken_back(resource, situation, queue.name)


def _taken_back(resource: str | None, situation: Situation, queue: str) -> int:
    """GPUs that this review takes back from a queue, or that are being paused already."""
    taken = [(abs(a.gpus), a.resource, a.queue) for a in situation.approved if pauses(a)]
    taken += [(w.gpus, w.accelerator.resource, w.queue) for w in situation.state.workloads if w.stopping]
    return sum(gpus for gpus, of, whose in taken if resource in (None, of) and queue == whose)


def _waiting_priorities(queue: Queue, resource: str, situation: Situation) -> Iterator[int]:
    """Of the gangs that wait; the queue's own where none of them was seen."""
    gangs = [
        gang.priority
        for gang in situation.state.workloads
        if gang.queue == queue.name and gang.started is None and gang.active and gang.accelerator.resource == resource
    ]
    yield from gangs or [queue.priority]
