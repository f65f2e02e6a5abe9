"""Holds back steps that are too large to be wrong about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gyropilot.domain import Action, Dial
from gyropilot.guardrails.lookup import called, pool_of
from gyropilot.guardrails.protocol import Situation


@dataclass(frozen=True, slots=True)
class StepCap:
    """A wrong step stays small: a share of the dial's value (one node or GPU at least), and so many GPUs at most."""

    max_share: float
    max_gpus: int

    name: ClassVar[str] = "step-cap"
    dials: ClassVar[tuple[Dial, ...]] = ()

    def objection(self, action: Action, situation: Situation) -> str | None:
        if abs(action.gpus) > self.max_gpus:
            return f"{called(action)} would change by {abs(action.gpus)} GPUs at once, {self.max_gpus} allowed"
        allowed = self.allowed_step(action.before, _least(action, situation))
        if action.dial is not Dial.WORKLOAD and abs(action.delta) > allowed:
            unit = action.dial.unit
            return (
                f"{called(action)} would change by {abs(action.delta)} {unit} at once, "
                f"{allowed} allowed ({self.max_share:.0%} of {action.before})"
            )
        return None

    def allowed_step(self, value: int, least: int = 1) -> int:
        """In the dial's unit, from `value` either way; `least` is always allowed."""
        return max(least, int(self.max_share * value + 1e-9))


def _least(action: Action, situation: Situation) -> int:
    """One unit; of a limit, the GPUs of one node, because less would allow or stop nothing."""
    pool = pool_of(action, situation.state) if action.dial is Dial.POOL_LIMIT else None
    return max(1, pool.gpus_per_node) if pool else 1
