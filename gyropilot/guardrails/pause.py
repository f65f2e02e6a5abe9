"""Holds back everything on request: of the operator for the whole cluster, of an owner for a queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gyropilot.domain import Action, Dial
from gyropilot.guardrails.lookup import queue_named
from gyropilot.guardrails.protocol import Situation


@dataclass(frozen=True, slots=True)
class Pause:
    """Hands off means hands off, undo included."""

    paused: bool

    name: ClassVar[str] = "pause"
    dials: ClassVar[tuple[Dial, ...]] = ()

    def objection(self, action: Action, situation: Situation) -> str | None:
        if self.paused:
            return "the operator paused everything (guardrails.pause)"
        queue = queue_named(action.queue, situation.state)
        if queue is not None and not queue.active:
            return f"{queue.name} is paused or stopped by its owner; hands off"
        return None
