"""The best that a pilot can do who does not know what comes, by dynamic programming, in a world small enough for it.

Jobs of one GPU come every so many steps, equally likely as many as each of `sizes`; nodes of one GPU come after a lead
time and leave when they are idle. A step is the simulated cluster's: nodes come, the dial is turned, jobs start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np

from envs.terms import HOUR_S, PoolTerms, Prices, bill, rates
from envs.workloads import JobTable
from envs.world import Weather, World
from tests.envs.test_bound import table

STEP_S = 900.0


class Now(NamedTuple):
    """What a pilot sees when it turns the dial."""

    step: int
    there: int  # nodes
    coming: tuple[int, ...]  # nodes that come in the next steps, the last asked for in the last step
    waiting: int  # jobs
    running: tuple[int, ...]  # jobs that have 1, 2, ... steps to go


@dataclass(frozen=True)
class Tiny:
    """One pool and one queue."""

    lead: int  # steps
    waiting_usd: float  # per GPU-hour
    churn_usd: float  # per node asked for
    sizes: tuple[int, ...]
    every: int = 4  # steps from one arrival to the next
    runs: int = 4  # steps that a job runs
    steps: int = 13
    node_usd: float = 2.0  # per hour
    most: int = 4  # nodes

    @property
    def pool(self) -> PoolTerms:
        return PoolTerms(
            "pool",
            nodes=0,
            max_nodes=self.most,
            gpus_per_node=1,
            price_usd_per_gpu_hour=self.node_usd,
            lead_s=self.lead * STEP_S,
        )

    @property
    def prices(self) -> Prices:
        return Prices(waiting_usd_per_gpu_hour=self.waiting_usd, churn_usd_per_node=self.churn_usd)

    @property
    def paths(self) -> list[tuple[int, ...]]:
        """All that can come, equally likely."""
        return list(product(self.sizes, repeat=len(range(0, self.steps, self.every))))

    def jobs(self, path: Sequence[int]) -> JobTable:
        return table(
            [(0, nth * self.every, self.runs, 1) for nth, n in enumerate(path) for _ in range(n)], ("a",), STEP_S
        )

    def begun(self, arrived: int) -> Now:
        return Now(0, 0, (0,) * (self.lead - 1), arrived, (0,) * self.runs)

    def turned(self, now: Now, wanted: int) -> tuple[float, Now]:
        """What a step costs, and what is seen after it, before anything arrives."""
        there = now.there - max(0, min(now.there - wanted, now.there - sum(now.running)))
        asked = max(0, wanted - now.there - sum(now.coming))
        starts = min(now.waiting, there - sum(now.running))
        hours = STEP_S / HOUR_S
        waits = now.waiting - starts
        usd = there * self.node_usd * hours + waits * self.waiting_usd * hours + asked * self.churn_usd
        comes, *coming = (*now.coming, asked)
        running = (*now.running[1:-1], now.running[-1] + starts, 0)
        return usd, Now(now.step + 1, there + comes, tuple(coming), waits, running)

    def arrivals(self, step: int) -> tuple[int, ...]:
        return self.sizes if step % self.every == 0 else (0,)


@cache
def best(world: Tiny, now: Now) -> tuple[float, int]:
    """USD expected from now on, and the node target that it takes."""
    return min((_after(world, now, wanted), wanted) for wanted in range(world.most + 1))


def _after(world: Tiny, now: Now, wanted: int) -> float:
    usd, then = world.turned(now, wanted)
    if then.step == world.steps:
        return usd
    came = world.arrivals(then.step)
    return usd + sum(best(world, then._replace(waiting=then.waiting + n))[0] for n in came) / len(came)


def optimum(world: Tiny) -> float:
    """USD expected of the best of all pilots."""
    return float(np.mean([best(world, world.begun(n))[0] for n in world.arrivals(0)]))


def paid_by_the_best(world: Tiny, path: Sequence[int]) -> float:
    """What it pays in the simulated cluster."""
    jobs, now = world.jobs(path), world.begun(path[0])
    run = World((world.pool,), step_s=STEP_S).begin(jobs, Weather.calm((world.pool,), world.steps, STEP_S))
    usd = 0.0
    while True:
        wanted = best(world, now)[1]
        usd += float(bill(run.step(np.array([[wanted]])), rates((world.pool,), jobs.queues, world.prices)).sum())
        now = world.turned(now, wanted)[1]
        if now.step == world.steps:
            return usd
        came = path[now.step // world.every] if now.step % world.every == 0 else 0
        now = now._replace(waiting=now.waiting + came)
