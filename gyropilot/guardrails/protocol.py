"""What a guardrail may know, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from gyropilot.domain import Action, ClusterState, Dial, Turn


@dataclass(frozen=True, eq=False)
class Situation:
    """Everything that a guardrail may weigh an action against."""

    now: datetime
    state: ClusterState
    recent: tuple[Turn, ...] = ()  # turns of the last budget window and cooldown, oldest first
    approved: tuple[Action, ...] = ()  # in this review so far: they count against what follows
    entitled_gpus: Mapping[str, int] | None = None  # QUEUE_QUOTA target -> quota before Gyropilot ever turned it


class Guardrail(Protocol):
    """A reason to hold still."""

    @property
    def name(self) -> str:
        """As docs and reports spell it."""
        ...

    @property
    def dials(self) -> tuple[Dial, ...]:
        """That it watches; empty: all."""
        ...

    def objection(self, action: Action, situation: Situation) -> str | None:
        """One sentence why `action` must not be taken now, or None."""
        ...


@runtime_checkable
class Pairing(Protocol):
    """A guardrail that looks once more when all are judged, because some actions rest on others."""

    @property
    def name(self) -> str: ...

    def unpaired(self, situation: Situation) -> tuple[Action, str] | None:
        """One of the approved actions that must not be taken without what was held back, and why; None: all may."""
        ...
