"""Holds back what would cost more than is granted for a rolling window of time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from gyropilot.domain import Action, ClusterState, Dial
from gyropilot.guardrails.lookup import before_it, in_words, pauses, pool_of
from gyropilot.guardrails.protocol import Situation

POOLS = (Dial.POOL_SIZE, Dial.POOL_LIMIT)


@dataclass(frozen=True, slots=True)
class Budget:
    """GPUs moved, USD added and GPU-hours of work lost, each summed over the window.

    Growth of a pool counts as far as it goes beyond the most that the pool had within the window: to come back costs
    nothing. Else pools that shrink by night would spend the budget that they need to grow by day.
    """

    window: timedelta
    max_moved_gpus: int
    max_added_usd: float
    max_lost_gpu_hours: float

    name: ClassVar[str] = "budget"
    dials: ClassVar[tuple[Dial, ...]] = ()

    def objection(self, action: Action, situation: Situation) -> str | None:
        before = list(before_it(situation, situation.now - self.window))
        state = situation.state
        overruns = (
            _overrun(before, action, moved_gpus, self.max_moved_gpus, "{:g} GPUs would be moved"),
            _overrun(
                before, action, lambda a: self._added_usd(a, state), self.max_added_usd, "{:.0f} USD would be added"
            ),
            _overrun(before, action, lost_gpu_hours, self.max_lost_gpu_hours, "{:.1f} GPU-hours of work would be lost"),
        )
        told = [overrun for overrun in overruns if overrun]
        return f"{'; '.join(told)} within {in_words(self.window)}" if told else None

    def _added_usd(self, actions: Sequence[Action], state: ClusterState) -> float:
        """What growth costs if it stays for the whole window."""
        return sum(self._cost(of_pool, state) for of_pool in _by_pool(actions))

    def _cost(self, of_pool: Sequence[Action], state: ClusterState) -> float:
        pool = pool_of(of_pool[0], state)
        if pool is None:  # turned before, gone since
            return sum(max(0.0, action.expected.usd.high) for action in of_pool if action.gpus > 0)
        return grown_gpus(of_pool) * pool.running_price_usd_per_gpu_hour * (self.window / timedelta(hours=1))


def moved_gpus(actions: Sequence[Action]) -> float:
    """Quota moved, pools shrunk, work paused, each time; what pools grew beyond what they had."""
    taken = sum(
        abs(a.gpus) for a in actions if a.dial is Dial.QUEUE_QUOTA or (a.dial in POOLS and a.gpus < 0) or pauses(a)
    )
    return taken + sum(map(grown_gpus, _by_pool(actions)))


def grown_gpus(of_pool: Iterable[Action]) -> int:
    """The most by which one pool was larger than before the first of these turns."""
    most = now = 0
    for action in of_pool:
        now += action.gpus
        most = max(most, now)
    return most


def lost_gpu_hours(actions: Sequence[Action]) -> float:
    """Work thrown away; what is not a number stays none, and no budget covers it."""
    return sum(0.0 if a.expected.lost_gpu_hours < 0 else a.expected.lost_gpu_hours for a in actions if pauses(a))


def _by_pool(actions: Sequence[Action]) -> Iterable[list[Action]]:
    turned = [action for action in actions if action.dial in POOLS]
    return ([a for a in turned if a.target == target] for target in dict.fromkeys(a.target for a in turned))


def _overrun(
    before: Sequence[Action], action: Action, cost: Callable[[Sequence[Action]], float], limit: float, words: str
) -> str | None:
    """Only an action that costs something is held back by a budget that is spent."""
    total = cost([*before, action])
    if total <= limit or total == cost(before):
        return None
    return f"{words.format(total)}, {limit:g} allowed"
