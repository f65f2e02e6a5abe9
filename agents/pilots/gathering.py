"""Room for what waits: what is free is given to it, and what is missing is grown.

A gang runs in one flavor or not at all: eighty idle GPUs of one and forty of another are no room for a hundred and
twenty. So the largest gang of each queue is placed first, in the pools of one flavor; what waits besides goes anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from agents.supply import offers, room_gpus, serves
from gyropilot.domain import Pool, Queue


class Work(NamedTuple):
    """GPUs of a queue that are on no node: admitted for a flavor already, or waiting within quota."""

    queue: Queue
    gpus: float
    flavor: str = ""
    admitted: bool = False
    gang: float = 0.0  # the largest that waits, and runs whole or not at all; 0: not known
    pending: float = 0.0  # all that waits, within quota or not
    open_gpus: Mapping[str, float] | None = None  # what quotas still admit, by flavor; None: not known

    def fits(self, pool: Pool) -> bool:
        return serves(pool, self.queue) and offers(pool, self.flavor)

    def admits_gang(self, flavors: Sequence[str]) -> bool:
        """Whether quotas let its gang run in one of the flavors; those that are not known forbid nothing."""
        if self.open_gpus is None or not flavors:
            return True
        return any(self.open_gpus.get(flavor, 0.0) >= self.gang for flavor in flavors)


@dataclass(eq=False, slots=True)
class Gathering:
    """What is free and what is to be added, while work is given its place."""

    free: dict[str, float]  # GPUs by pool: idle and coming, and not yet given to anybody
    added: dict[str, int] = field(default_factory=dict)  # GPUs of whole nodes by pool

    @classmethod
    def of(cls, pools: Sequence[Pool]) -> Self:
        return cls({p.name: max(0.0, p.idle_gpus) + p.coming_gpus for p in pools})

    def place(self, work: Work, pools: Sequence[Pool]) -> None:
        """Gives work what is free in pools that it may use, in their order, then what they grow by."""
        usable = [p for p in pools if work.fits(p)]
        if work.gang <= work.gpus:
            # A gang for which no flavor has room, now or ever, waits in vain: nothing is bought for it.
            self._gather(work.gang, self._home(work.gang, [p for p in usable if work.admits_gang(p.flavors)]))
            self._gather(work.gpus - work.gang, usable)
        else:  # no quota admits it, and those beside it may start
            self._gather(min(work.gpus, work.pending - work.gang), usable)

    def spare_gpus(self, pool: Pool) -> int:
        """Idle GPUs that nobody waits for; those that come do not make up for them, as work would have to wait."""
        left = self.free.get(pool.name, pool.idle_gpus + pool.coming_gpus)
        return max(0, math.floor(left - pool.coming_gpus - self.added.get(pool.name, 0)))

    def _home(self, gang: float, usable: Sequence[Pool]) -> Sequence[Pool]:
        """Pools of one flavor with room for a gang: those where it is free, else the first where it may be grown."""
        together: dict[tuple[str, ...], list[Pool]] = {}
        for pool in usable:
            together.setdefault(pool.flavors, []).append(pool)
        now = (pools for pools in together.values() if sum(self.free[p.name] for p in pools) >= gang)
        later = (p for p in together.values() if sum(self.free[q.name] + self._room(q) for q in p) >= gang)
        return next(now, None) or next(later, [])

    def _gather(self, gpus: float, pools: Sequence[Pool]) -> None:
        missing = self._fill(pools, gpus)
        for pool in pools:
            nodes = math.ceil(min(missing, self._room(pool)) / (pool.gpus_per_node or 1))
            if nodes > 0:
                grown = nodes * pool.gpus_per_node
                self.added[pool.name] = self.added.get(pool.name, 0) + grown
                self.free[pool.name] += grown
                missing = self._fill([pool], missing)

    def _room(self, pool: Pool) -> float:
        return room_gpus(pool) - self.added.get(pool.name, 0)

    def _fill(self, pools: Sequence[Pool], gpus: float) -> float:
        """Takes GPUs from what is free, pool by pool; answers with what did not fit."""
        for pool in pools:
            taken = min(gpus, self.free[pool.name])
            self.free[pool.name] -= taken
            gpus -= taken
        return gpus
