"""What a learner sees of a simulated cluster, what it may want, and what it is rewarded with: for many at once.

It does not pick numbers of nodes from nowhere. Each pool has a base target, what a plain autoscaler would want of it,
and the learner chooses a factor of that. Observations are shares of what a pool or the cluster may have at most, so
that a policy means the same on a larger cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from agents import encoding
from envs.faults import Bools, Day, Surprises, surprised
from envs.terms import HOUR_S, Flows, Prices, Rates, bill, prices_at, rates, rates_at
from envs.words import counted
from envs.workloads import DAY_S, MONDAY_S, Amounts, Floats, Ints, JobTable, TrainingProfile, generate
from envs.world import Run, Weather, World

FACTORS = encoding.FACTORS
"""Of a pool's base target; the one in the middle changes nothing."""

DAYS = 1.0
"""Length of an episode."""

KEPT = 6
"""Steps for which a pool is not given back after it was wanted: half an hour."""

LAGS_H = (1.0, 6.0, 24.0)
"""Means of each queue's demand that are seen, in hours back."""

MOST = 8.0
"""No number that is seen is larger: a backlog of that many clusters is as hopeless as any."""

Source = Callable[[np.random.Generator], JobTable]
"""The jobs of an episode, drawn anew for each."""


@dataclass(frozen=True, eq=False, slots=True)
class Drawn:
    """A source of jobs for as long as an episode lasts, or as is told."""

    draw: Callable[[np.random.Generator, float], JobTable]  # of so many days
    days: float | None = None  # None: the task's

    def __call__(self, rng: np.random.Generator, days: float = DAYS) -> JobTable:
        return self.draw(rng, days if self.days is None else self.days)


@dataclass(frozen=True, slots=True)
class Task:
    """A world, what it costs, and where its days come from."""

    world: World
    queues: tuple[str, ...]
    prices: Prices
    source: Source
    days: float = DAYS
    surprises: Surprises | None = None  # that meet episodes; None: nothing goes wrong but what the pools' terms say

    def day(self, rng: np.random.Generator) -> Day:
        """An episode: its jobs, its weather and what goes wrong, each by a chance of its own."""
        jobs, weather, wrong = rng.spawn(3)
        came = self.source(jobs, self.days) if isinstance(self.source, Drawn) else self.source(jobs)
        drawn = Weather.drawn(self.world.pools, self.steps, weather, self.world.step_s)
        return surprised(self.surprises, self.world, came, drawn, wrong)

    @property
    def steps(self) -> int:
        return round(self.days * DAY_S / self.world.step_s)

    @property
    def rates(self) -> Rates:
        """Of all steps of an episode, where they change."""
        at_s: Floats = self.world.step_s * np.arange(self.steps, dtype=np.float64)
        return rates(self.world.pools, self.queues, self.prices, at_s, self.world.homes)

    @property
    def width(self) -> int:
        """Numbers in an observation."""
        return 4 + 4 * len(self.world.pools) + (2 + len(LAGS_H)) * len(self.queues)


@dataclass(eq=False, slots=True)
class Fleet:
    """B clusters in step, each by a chance of its own; all episodes begin and end together."""

    task: Task
    count: int
    rng: np.random.Generator | Sequence[np.random.Generator]  # one for each cluster, or what they come of
    run: Run = field(init=False)
    dark: Bools = field(init=False)  # (B, T + 1) whether nothing is seen at the beginning of each step
    shown: Floats = field(init=False)  # (B, W) last
    demand: Floats = field(init=False)  # (B, Q, T + 1) GPUs at the beginning of each step
    recent: Ints = field(init=False)  # (B, P, KEPT) base targets
    scale_usd: float = field(init=False)
    costs: Rates = field(init=False)
    usd: Floats = field(init=False)  # (T, P) per GPU-hour, as each step begins

    def __post_init__(self) -> None:
        # What the largest cluster costs in a step: rewards are some tenths of one.
        self.costs, pools = self.task.rates, self.task.world.pools
        self.usd = prices_at(pools, self.task.world.step_s * np.arange(self.task.steps, dtype=np.float64))
        most = np.max(self.costs.there @ np.array([pool.max_gpus for pool in pools]))
        self.scale_usd = max(1e-9, float(most) * self.task.world.step_s / HOUR_S)

    def begin(self) -> Floats:
        """(B, W) what is seen as new days begin."""
        task, own = self.task, self.rng
        chances = own.spawn(self.count) if isinstance(own, np.random.Generator) else [rng.spawn(1)[0] for rng in own]
        days = [task.day(chance) for chance in chances]
        self.run = task.world.begin_all([day.jobs for day in days], [day.weather for day in days])
        self.dark = np.pad([day.dark for day in days], ((0, 0), (0, 1)))
        self.shown = np.zeros((self.count, task.width))
        self.demand = np.zeros((self.count, len(task.queues), task.steps + 1))
        self.recent = np.zeros((self.count, len(task.world.pools), KEPT), dtype=np.int64)
        return self.seen()

    def step(self, factors: Ints) -> tuple[Floats, Floats, Flows]:
        """A step with `factors` (B, P) of FACTORS: what is seen then, (B,) rewards, and what happened.

        Where nothing is seen nothing is decided: everything stays as it is. Raises ValueError for what is no factor.
        """
        self._refuse_strange(factors)
        nth, nodes = int(self.run.nth[0]), self.run.sites.nodes
        wanted = np.rint(self.base() * np.array(FACTORS)[factors]).astype(np.int64)
        self.recent = np.concatenate([self.recent[:, :, 1:], self._plain()[:, :, None]], axis=2)
        wanted = np.where(self.dark[:, nth, None], self.run.staying + nodes.coming, wanted)
        costs = rates_at(self.costs, nth)
        flows = self.run.step(wanted)
        rewards: Floats = -bill(flows, costs).sum(axis=-1) / self.scale_usd
        return self.seen(), rewards, flows

    def _refuse_strange(self, factors: Ints) -> None:
        shape = (self.count, len(self.task.world.pools))
        if factors.shape != shape or factors.dtype.kind not in "iu":
            came = f"{factors.dtype} of shape {factors.shape}"
        elif factors.min() < 0 or factors.max() >= len(FACTORS):
            came = f"{factors.min()} to {factors.max()}"
        else:
            return
        raise ValueError(
            f"an action is a whole number from 0 to {len(FACTORS) - 1} for each of {counted(shape[1], 'pool')} of "
            f"{counted(shape[0], 'cluster')}; {came} came"
        )

    @property
    def over(self) -> bool:
        return bool(self.run.nth[0] >= self.task.steps)

    def base(self) -> Ints:
        """(B, P) nodes for what runs and waits, cheapest pools first, and for what did in the last half hour."""
        most: Ints = np.maximum(self._plain(), self.recent.max(axis=2))
        return most

    def _plain(self) -> Ints:
        """(B, P) nodes for what runs and waits."""
        sites, pools = self.run.sites, self.task.world.pools
        left = self.demand[:, :, self.run.nth[0]].sum(axis=1)
        wanted = np.zeros((self.count, len(pools)), dtype=np.int64)
        usd = self.usd[min(int(self.run.nth[0]), self.task.steps - 1)] / [pool.typical_speed for pool in pools]
        for row in np.argsort(usd, kind="stable").tolist():
            per_node = pools[row].gpus_per_node
            used = sites.nodes.there[:, row] * per_node - self.run.idle[:, row]
            gpus = np.clip(np.maximum(left, used), 0, pools[row].max_gpus)
            wanted[:, row] = np.ceil(gpus / per_node)
            left = np.maximum(0.0, left - wanted[:, row] * per_node)
        return wanted

    def seen(self) -> Floats:
        """(B, W) from 0 to a few; where nothing is seen, what was seen last."""
        nth = int(self.run.nth[0])
        dark, used, waiting = self.dark[:, nth, None], self.run.used.sum(axis=2), self.run.waiting
        self.demand[:, :, nth] = np.where(dark, self.demand[:, :, nth - 1], used + waiting)
        self.shown = np.where(dark, self.shown, self._table(nth, used, waiting))
        return self.shown

    def _table(self, nth: int, used: Amounts, waiting: Amounts) -> Floats:
        sites, task = self.run.sites, self.task
        most = np.array([max(1, pool.max_gpus) for pool in task.world.pools])
        per_node = sites.terms.per_node / self.run.parts
        there, coming = (nodes * per_node / most for nodes in (self.run.staying, sites.nodes.coming))
        idle = self.run.open / most
        now = rates_at(self.costs, min(nth, task.steps - 1)).there
        price = np.broadcast_to(now / max(1e-9, task.prices.waiting_usd_per_gpu_hour), there.shape)
        everything = max(1, int(most.sum()))
        means = [self._mean(nth, round(hours * HOUR_S / task.world.step_s)) / everything for hours in LAGS_H]
        queues = np.concatenate([used / everything, np.log1p(waiting / everything), *means], axis=1)
        clock = np.broadcast_to(_clock(MONDAY_S + nth * task.world.step_s), (self.count, 4))
        table: Floats = np.concatenate([clock, there, coming, idle, price, queues], axis=1)
        return np.clip(table, -1.0, MOST)

    def _mean(self, nth: int, steps: int) -> Floats:
        recent: Floats = self.demand[:, :, max(0, nth + 1 - steps) : nth + 1].mean(axis=2)
        return recent


def _clock(at_s: float) -> Floats:
    """(4,) where the day and the week are."""
    turns = 2 * np.pi * np.array([at_s / DAY_S, (at_s - MONDAY_S) / (7 * DAY_S)])
    return np.concatenate([np.sin(turns), np.cos(turns)])


def generated(profile: Sequence[TrainingProfile], days: float | None = None) -> Drawn:
    """Jobs of the generator, for as many days as an episode has unless told."""
    return Drawn(lambda rng, length: generate(tuple(profile), length, rng), days)


def cut(jobs: JobTable, days: float | None = None) -> Drawn:
    """Jobs of a table, from a random moment after its first on, for as many days as an episode has unless told."""

    def drawn(rng: np.random.Generator, length: float) -> JobTable:
        first_s, last_s = (float(jobs.submit_s[end]) for end in (0, -1)) if len(jobs) else (0.0, 0.0)
        begin_s = rng.uniform(first_s, max(first_s, last_s - length * DAY_S))
        part = jobs.take((jobs.submit_s >= begin_s) & (jobs.submit_s < begin_s + length * DAY_S))
        part.submit_s[:] -= begin_s
        return part

    return Drawn(drawn, days)
