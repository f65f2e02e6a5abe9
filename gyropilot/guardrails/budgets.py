"""Holds back what would cost more than is granted for a rolling window of time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from gyropilot.domain import Action, ClusterState, Dial
from gyropilot.guardrails.lookup import before_it, in_words, pauses, pool_of
from gyropilot.guardrails.protocol import Situation


@dataclass(frozen=True, slots=True)
class Budget:
    """GPUs moved, USD added and GPU-hours of work lost, each summed over the window: nothing earns anything back."""

    window: timedelta
    max_moved_gpus: int
    max_added_usd: float
    max_lost_gpu_hours: float

    name: ClassVar[str] = "budget"
    dials: ClassVar[tuple[Dial, ...]] = ()

    def objection(self, action: Action, situation: Situation) -> str | None:
        actions = [*before_it(situation, situation.now - self.window), action]
        state = situation.state
        overruns = (
            _overrun(actions, moved_gpus, self.max_moved_gpus, "{:g} GPUs would be moved"),
            _overrun(actions, lambda a: self._added_usd(a, state), self.max_added_usd, "{:.0f} USD would be added"),
            _overrun(actions, lost_gpu_hours, self.max_lost_gpu_hours, "{:.1f} GPU-hours of work would be lost"),
        )
        told = [overrun for overrun in overruns if overrun]
        return f"{'; '.join(told)} within {in_words(self.window)}" if told else None

    def _added_usd(self, action: Action, state: ClusterState) -> float:
        """What the growth costs if it stays for the whole window."""
        if action.dial not in (Dial.POOL_SIZE, Dial.POOL_LIMIT) or action.gpus <= 0:
            return 0.0
        pool = pool_of(action, state)
        if pool is None:  # turned before, gone since
            return max(0.0, action.expected.usd.high)
        return action.gpus * pool.price_usd_per_gpu_hour * (self.window / timedelta(hours=1))


def moved_gpus(action: Action) -> float:
    return abs(action.gpus)


def lost_gpu_hours(action: Action) -> float:
    """Work thrown away; what is not a number stays none, and no budget covers it."""
    lost = action.expected.lost_gpu_hours
    return 0.0 if lost < 0 or not pauses(action) else lost


def _overrun(actions: Sequence[Action], cost: Callable[[Action], float], limit: float, words: str) -> str | None:
    """Only an action that costs something is held back by a budget that is spent."""
    total = sum(map(cost, actions))
    if cost(actions[-1]) == 0 or total <= limit:
        return None
    return f"{words.format(total)}, {limit:g} allowed"
