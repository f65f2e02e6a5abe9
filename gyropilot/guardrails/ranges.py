"""Holds back what would take a pool below its least or above its most nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from gyropilot.domain import Action, Dial, Pool
from gyropilot.guardrails.lookup import not_seen, pool_of
from gyropilot.guardrails.protocol import Situation
from gyropilot.settings import PoolSettings


@dataclass(frozen=True, slots=True)
class PoolRange:
    """Never fewer nodes than the least, never more than the most: the stricter of what is told and what was read.

    A step back towards the range is free, so that a pool that someone else took out of it can return.
    """

    pools: Mapping[str, PoolSettings]

    name: ClassVar[str] = "pool-range"
    dials: ClassVar[tuple[Dial, ...]] = (Dial.POOL_SIZE, Dial.POOL_LIMIT)

    def objection(self, action: Action, situation: Situation) -> str | None:
        pool = pool_of(action, situation.state)
        if pool is None:
            return not_seen(action.target)
        per_node = 1 if action.dial is Dial.POOL_SIZE else pool.gpus_per_node
        least, most = self._least(pool) * per_node, self._most(pool)
        if action.after < min(least, action.before):
            return f"{pool.name} would drop to {action.after} {action.dial.unit}, at least {least} are to stay"
        if most is not None and action.after > max(most * per_node, action.before):
            return f"{pool.name} would grow to {action.after} {action.dial.unit}, at most {most * per_node} are allowed"
        return None

    def _least(self, pool: Pool) -> int:
        told = self.pools[pool.name].min_nodes if pool.name in self.pools else None
        return max(pool.min_nodes, told or 0)

    def _most(self, pool: Pool) -> int | None:
        told = self.pools[pool.name].max_nodes if pool.name in self.pools else None
        limits = [limit for limit in (pool.max_nodes, told) if limit is not None]
        return min(limits, default=None)
