"""A simulated cluster as pilots see a real one, and what they want of it as its dials."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, Generic, TypeVar

import numpy as np

from agents.rebalancer import Rebalancer
from envs.described import GPU, Described
from envs.foretelling import Foretelling, Glance
from envs.recorded import Record
from envs.terms import Prices, carbon_g_per_kwh, prices_at
from envs.workloads import MONDAY_S, Amounts, Floats, Ints
from envs.world import Run
from forecasting.forecasters.naive import Naive
from forecasting.protocol import Forecaster
from gyropilot.domain import ClusterState, DemandHistory, Dial, Intent, Pool, Queue, View

NOBODY_GONE = DemandHistory.empty()

MADE = 4_096
"""Pools, and queues, that are remembered: what was said of one row by some numbers will be said by them again."""

Value = TypeVar("Value")
Numbers = tuple[Any, ...]


@dataclass(eq=False, slots=True)
class Kept(Generic[Value]):
    """A value per row that follows from some numbers, and is asked for anew only when these have changed."""

    make: Callable[..., Value]
    numbers: list[Numbers] = field(default_factory=list)
    values: tuple[Value, ...] = ()

    def of(self, rows: list[Numbers]) -> tuple[Value, ...]:
        if len(rows) != len(self.values):
            self.values = tuple([self.make(nth, *row) for nth, row in enumerate(rows)])
        elif rows != self.numbers:
            pairs = enumerate(zip(rows, self.numbers, self.values, strict=True))
            self.values = tuple([self.make(nth, *now) if now != then else same for nth, (now, then, same) in pairs])
        self.numbers = rows
        return self.values


@dataclass(eq=False, slots=True)
class Seen:
    """What a pilot has seen of one run so far."""

    run: Run
    prices: Prices
    forecaster: Forecaster = field(default_factory=Naive)
    began_s: float = MONDAY_S  # seconds of the epoch at which the world begins
    record: Record = field(init=False)
    foretelling: Foretelling = field(init=False)
    hourly: Floats = field(init=False)  # (T + 1, 2, P) USD per GPU-hour and g CO2e per kWh, step by step
    pools: Kept[Pool] = field(init=False)
    queues: Kept[Queue] = field(init=False)

    def __post_init__(self) -> None:
        run = self.run
        self.record = Record.blank(run.queues, GPU.resource, run.steps, self.began_s, run.world.step_s)
        self.foretelling = Foretelling.of(self.record, self.forecaster)
        pools, at_s = run.world.pools, run.world.step_s * np.arange(run.steps + 1, dtype=np.float64)
        self.hourly = np.stack([prices_at(pools, at_s), carbon_g_per_kwh(pools, self.prices, at_s)], axis=1)
        described = Described(run.world, run.queues, self.prices)
        self.pools, self.queues = Kept(lru_cache(MADE)(described.pool)), Kept(lru_cache(MADE)(described.queue))

    def view(self) -> View:
        """The cluster now, and a forecast that is at most FORECAST_S old. Both are put together when looked at."""
        nth, run = self.nth, self.run
        used, pending = run.used[0], run.waiting[0]
        running = np.add.reduce(used, axis=1)
        self.record.note(nth, running, pending)
        return Glance.of(partial(self._state, nth, used, running, pending), self.foretelling.by(nth))

    def _state(self, nth: int, used: Amounts, running: Amounts, pending: Amounts) -> ClusterState:
        if nth != self.nth:
            raise ValueError("the cluster is not what it was; look at a view before the next step")
        run, nodes = self.run, self.run.sites.nodes
        pools = self.pools.of(_rows(run.staying[0], nodes.coming[0], run.open[0], *self.hourly[nth]))
        quoted = [*map(tuple, np.hstack((run.nominal[0], used)).tolist())] if run.world.shares else [()] * len(used)
        waits = pending.tolist()
        largest = [self._largest(row) if gpus else 0.0 for row, gpus in enumerate(waits)]
        queues = self.queues.of([*zip(running.tolist(), waits, largest, quoted, strict=True)])
        state = ClusterState(self.record.at(nth), pools, queues, (), self.record.of_queues(nth), gone=NOBODY_GONE)
        vars(state)["resources"] = (GPU.resource,)  # of all pools and lines: known without looking through them
        return state

    def look_away(self) -> None:
        """What is now is never known."""
        self.record.miss(self.nth)

    def dials(self, intent: Intent) -> tuple[Ints, Floats | None]:
        """(1, P) nodes and (1, Q) GPUs to take back, if any. For one GPU more a node comes; for one less none goes."""
        wanted = self.asked
        for row, pool in enumerate(self.run.world.pools):
            if gpus := intent.pool_gpus.get(pool.name, 0):
                wanted[row] += math.ceil(gpus / pool.gpus_per_node) if gpus > 0 else -(-gpus // pool.gpus_per_node)
        return wanted[None], self._taken_back(intent) if intent.reclaim_gpus else None

    def _taken_back(self, intent: Intent) -> Floats:
        back = np.zeros((1, len(self.run.queues)))
        for line, gpus in intent.reclaim_gpus.items():
            if line.resource == GPU.resource and line.queue in self.run.queues:
                back[0, self.run.queues.index(line.queue)] = gpus
        return back

    def moved_quotas(self, view: View, intent: Intent) -> int:
        """Moves quota as the rebalancer would; how many quotas changed."""
        return self._requoted(view, intent) if intent.quota_gpus else 0

    def _requoted(self, view: View, intent: Intent) -> int:
        from envs.compiled.handed import one
        from envs.compiled.world import lent
        from envs.contests import requoted

        rules, pools = self.run.sites.rules, [pool.name for pool in self.run.world.pools]
        actions = [a for a in Rebalancer().propose(view, intent) if a.dial is Dial.QUEUE_QUOTA]
        for action in actions:
            queue, flavor = action.target.removesuffix(f"/{GPU.resource}").rsplit("/", 1)
            at = (0, self.run.queues.index(queue), pools.index(flavor))
            after = action.after * self.run.parts
            rules.most[at] += after - rules.nominal[at]
            rules.nominal[at] = after
            lends = self.run.world.shares[queue][flavor].lending_limit
            rules.kept[at] = 0 if lends is None else max(0, after - lends * self.run.parts)
        if actions:
            site = one(self.run.sites, 0)
            lent(site.rules, site.state.ledger)
        if actions and self.run.contests is not None:
            requoted(self.run.contests.policies, rules, 0)
            self.run.stirred = True
        return len(actions)

    @property
    def asked(self) -> Ints:
        """(P,) nodes that are there, and not told that they go, or asked for."""
        asked: Ints = self.run.staying[0] + self.run.sites.nodes.coming[0]
        return asked

    @property
    def nth(self) -> int:
        return int(self.run.nth[0])

    def _largest(self, row: int) -> float:
        """GPUs with which the largest gang in a line would do; 0 where those that wait are held back."""
        work, lines = self.run.sites.work, self.run.sites.state.lines
        first = lines.first[0, row]
        parts = ((lines.ready, lines.readies), (lines.aside, lines.asides))
        places = np.concatenate([part[0, first : first + count[0, row]] for part, count in parts])
        return float(work.least[0, work.at_place[0, places]].max(initial=0)) / self.run.parts


def _rows(*tables: Amounts) -> list[Numbers]:
    """What tables (N, ...) say of each of N."""
    return [*zip(*[table.tolist() for table in tables], strict=True)]
