"""Holds back pauses of work that must not be touched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from gyropilot.domain import Action, Dial, Workload, WorkloadKind
from gyropilot.guardrails.lookup import in_words, not_seen, pauses, workload_of
from gyropilot.guardrails.protocol import Situation


@dataclass(frozen=True, slots=True)
class Protected:
    """Work that its owner, its namespace, its priority, its youth or its history protects is not paused."""

    namespaces: tuple[str, ...]
    queues: frozenset[str]
    priority: int
    min_runtime: timedelta
    max_preemptions: int

    name: ClassVar[str] = "protected"
    dials: ClassVar[tuple[Dial, ...]] = (Dial.WORKLOAD,)

    def objection(self, action: Action, situation: Situation) -> str | None:
        if not pauses(action):
            return None
        gang = workload_of(action, situation.state)
        if gang is None:
            return not_seen(action.target)
        reasons = [*self._owner(gang), *self._work(gang, situation)]
        return f"{gang.key} {', and '.join(reasons)}" if reasons else None

    def _owner(self, gang: Workload) -> Iterator[str]:
        if gang.protected is not None:
            yield f"is protected: {gang.protected}" if gang.protected else "is protected"
        if gang.namespace in self.namespaces:
            yield f"is in the protected namespace {gang.namespace}"
        if gang.queue in self.queues:
            yield f"is in the protected queue {gang.queue}"
        if gang.priority >= self.priority:
            yield f"has priority {gang.priority}, protected from {self.priority}"

    def _work(self, gang: Workload, situation: Situation) -> Iterator[str]:
        if gang.kind is WorkloadKind.INFERENCE:
            yield "serves requests, which a pause would drop"
        if gang.started is None:
            yield "does not run, so there is nothing to take back"
        elif situation.now - gang.started < self.min_runtime:
            yield f"runs for {in_words(situation.now - gang.started)} only, protected for {in_words(self.min_runtime)}"
        taken_back = max(gang.preemptions, _pauses_of(gang, situation))
        if taken_back >= self.max_preemptions:
            yield f"was taken back {taken_back} times, at most {self.max_preemptions} allowed"


def _pauses_of(gang: Workload, situation: Situation) -> int:
    """Own pauses lately, which the cluster may not have counted yet."""
    return sum(pauses(turn.action) and turn.action.target == gang.dial_target for turn in situation.recent)
