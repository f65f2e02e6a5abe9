"""Holds back what would cost more than is granted for a rolling window of time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from gyropilot.domain import Action, ClusterState, Dial
from gyropilot.guardrails.floors import entitled
from gyropilot.guardrails.lookup import before_it, in_words, pauses, pool_of, quota_of
from gyropilot.guardrails.protocol import Situation

Cost = Callable[[Sequence[Action]], float]

POOLS = (Dial.POOL_SIZE, Dial.POOL_LIMIT)


@dataclass(frozen=True, slots=True)
class Budget:
    """GPUs moved, USD added and GPU-hours of work lost, each summed over the window.

    Quota, pools and pauses have a budget of GPUs each, so that none starves the others. Quota counts once, when it
    leaves its owner or comes to a borrower; to go home costs nothing, else a spent budget would keep it away.
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
        state, most = situation.state, self.max_moved_gpus
        costs: tuple[tuple[Cost, float, str], ...] = (
            (lambda a: moved_quota_gpus(a, situation), most, "{:g} GPUs of quota would be moved"),
            (resized_gpus, most, "{:g} GPUs of pools would be added or removed"),
            (paused_gpus, most, "{:g} GPUs would be taken back"),
            (lambda a: self._added_usd(a, state), self.max_added_usd, "{:.0f} USD would be added"),
            (lost_gpu_hours, self.max_lost_gpu_hours, "{:.1f} GPU-hours of work would be lost"),
        )
        told = [overrun for cost in costs if (overrun := _overrun(before, action, *cost))]
        return f"{'; '.join(told)} within {in_words(self.window)}" if told else None

    def _added_usd(self, actions: Sequence[Action], state: ClusterState) -> float:
        """What growth costs if it stays for the whole window."""
        return sum(self._cost(of_pool, state) for of_pool in _by_pool(actions))

    def _cost(self, of_pool: Sequence[Action], state: ClusterState) -> float:
        pool = pool_of(of_pool[0], state)
        if pool is None:  # turned before, gone since
            return sum(max(0.0, action.expected.usd.high) for action in of_pool if action.gpus > 0)
        return grown_gpus(of_pool) * pool.running_price_usd_per_gpu_hour * (self.window / timedelta(hours=1))


def moved_quota_gpus(actions: Sequence[Action], situation: Situation) -> float:
    """Quota that left its owners, or came to others if that is more: one GPU from here to there is one."""
    turned = [action for action in actions if action.dial is Dial.QUEUE_QUOTA]
    away = [(action, _own(action, situation)) for action in turned]
    left = sum(max(0, min(a.before, own) - a.after) for a, own in away)
    came = sum(max(0, a.after - max(a.before, own)) for a, own in away)
    return max(left, came)


def _own(action: Action, situation: Situation) -> int:
    """What the queue is entitled to; of a quota that is gone, what it had before."""
    found = quota_of(action, situation.state)
    return entitled(found[1], situation) if found else action.before


def resized_gpus(actions: Sequence[Action]) -> float:
    """What pools shed, each time, and what they grew beyond what they had."""
    shed = sum(-a.gpus for a in actions if a.dial in POOLS and a.gpus < 0)
    return shed + sum(map(grown_gpus, _by_pool(actions)))


def paused_gpus(actions: Sequence[Action]) -> float:
    return sum(abs(action.gpus) for action in actions if pauses(action))


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


def _overrun(before: Sequence[Action], action: Action, cost: Cost, limit: float, words: str) -> str | None:
    """Only an action that costs something is held back by a budget that is spent."""
    total = cost([*before, action])
    if total <= limit or total == cost(before):
        return None
    return f"{words.format(total)}, {limit:g} allowed"
