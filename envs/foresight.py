"""A plan that knows all jobs and all weather: together with the bound it brackets what is possible at all.

The bound is of a linear programme that may split jobs and nodes; this is whole nodes on the dials of the simulated
cluster, run through it step by step as any pilot's are. So what it paid can be paid, and the best that anybody can do
lies between the two. Only pool sizes are its dials.

It begins with the cheapest of a few guesses: the programme's own capacity rounded up, what jobs would use if each
started at once, and what others wanted who are told to it. Then stretches of time, hours first, then minutes, are tried
with a node more and a node less. Those that are far enough apart are tried in one run, for what a node costs or saves
shows from then until the next; all that pay are done together, or the better part of them, if that is cheaper.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from envs.bound import Bound
from envs.terms import PoolTerms, Prices, bill, rates, rates_at
from envs.workloads import Amounts, Floats, Ints, JobTable
from envs.world import Weather, World

STRETCHES_S = (3_600.0, 300.0)
"""In which nodes more and nodes less are tried, one after the other."""

SWEEPS = 2
LEAST_GAIN = 0.005
"""So often that is gone through at most, and again only if it saved that share."""

APART = 4
"""Every so many stretches one is changed in the same run."""

SLACK = (1.0, 1.15, 1.5)
"""What the programme's capacity is stretched by: it forgets that gangs run whole."""

TOGETHER = 16
"""Runs in one loop."""


@dataclass(frozen=True, eq=False, slots=True)
class Plan:
    """What somebody did who knew everything."""

    nodes: Ints  # (T, P) wanted
    usd: float
    usd_by_kind: Floats  # (K,) along terms.KINDS


@dataclass(frozen=True, eq=False, slots=True)
class Known:
    """All that such a plan knows."""

    world: World
    jobs: JobTable
    prices: Prices
    weather: Weather

    @property
    def steps(self) -> int:
        return int(self.weather.lead.shape[1])

    def paid(self, plans: Sequence[Ints]) -> Floats:
        """(B, T, K) USD of each plan, all run side by side."""
        chunks = [plans[begin : begin + TOGETHER] for begin in range(0, len(plans), TOGETHER)]
        return np.concatenate([self._paid(chunk) for chunk in chunks])

    def _paid(self, plans: Sequence[Ints]) -> Floats:
        run = self.world.begin_all([self.jobs] * len(plans), [self.weather] * len(plans))
        at_s: Floats = self.world.step_s * np.arange(self.steps, dtype=np.float64)
        costs = rates(self.world.pools, self.jobs.queues, self.prices, at_s, self.world.homes)
        wanted = np.array(plans)
        return np.stack([bill(run.step(wanted[:, step]), rates_at(costs, step)) for step in range(self.steps)], axis=1)


def foreseen(known: Known, bound: Bound, others: Sequence[Ints] = ()) -> Plan:
    """The cheapest plan found; never dearer than those of `others`, each (T, P) nodes wanted."""
    plans = [*_guesses(known, bound), *others]
    paid = known.paid(plans)
    best = int(paid.sum(axis=(1, 2)).argmin())
    plan, usd = plans[best], paid[best]
    for _ in range(SWEEPS):
        before = usd.sum()
        for stretch_s in STRETCHES_S:
            plan, usd = _improved(known, plan, usd, max(1, round(stretch_s / known.world.step_s)))
        if usd.sum() > before * (1 - LEAST_GAIN):
            break
    return Plan(plan, float(usd.sum()), usd.sum(axis=0))


# guesses


def _guesses(known: Known, bound: Bound) -> list[Ints]:
    """Of nodes that should be there, asked for in time."""
    pools = known.world.pools
    per_node = np.array([[pool.gpus_per_node] for pool in pools])
    there = [np.ceil(bound.gpus * slack / per_node - 1e-6).T.astype(np.int64) for slack in SLACK]
    most = np.broadcast_to([pool.max_nodes for pool in pools], (known.steps, len(pools)))
    return [_in_time(known, nodes) for nodes in [*there, _used(known, most)]]


def _used(known: Known, plan: Ints) -> Ints:
    """(T, P) nodes that jobs fill under a plan, where none is stopped."""
    run = known.world.begin(known.jobs, known.weather)
    for wanted in plan:
        run.step(wanted[None])
    runs, pools, step_s = run.sites.state.runs, known.world.pools, known.world.step_s
    used = np.zeros((known.steps, len(pools)), dtype=np.int64)
    for row, pool in enumerate(pools):
        mine = (runs.flavor[0] == row) & (runs.start_s[0] < known.steps * step_s)
        gpus = _peaks(runs.start_s[0][mine], runs.end_s[0][mine], run.held[0][mine], step_s, known.steps)
        used[:, row] = -(-gpus // pool.gpus_per_node)
    return used


def _peaks(start_s: Floats, end_s: Floats, gpus: Amounts, step_s: float, steps: int) -> Ints:
    """(T,) most GPUs in use in each step; what ends goes before what starts at the same moment."""
    at_s = np.concatenate([end_s, start_s])
    order = np.argsort(at_s, kind="stable")
    level = np.ceil(np.cumsum(np.concatenate([-gpus, gpus])[order]) - 1e-6).astype(np.int64)  # GPUs may be parts
    at_s = at_s[order]
    inside = at_s < steps * step_s
    peaks = np.zeros(steps, dtype=np.int64)
    np.maximum.at(peaks, (at_s[inside] // step_s).astype(np.int64), level[inside])
    begins = np.searchsorted(at_s, np.arange(steps) * step_s, side="right") - 1
    return np.maximum(peaks, np.where(begins >= 0, level[begins], 0)) if len(level) else peaks


def _in_time(known: Known, there: Ints) -> Ints:
    """(T, P) what has to be wanted so that as much is there: also for as long as it takes to come."""
    wanted = there.copy()
    for row in range(there.shape[1]):
        lead = int(np.median(known.weather.lead[row]))
        for ahead in range(1, min(lead, known.steps - 1) + 1):
            wanted[:-ahead, row] = np.maximum(wanted[:-ahead, row], there[ahead:, row])
    return wanted


# better ones


@dataclass(frozen=True, slots=True)
class _Change:
    """Nodes more or fewer of a pool, in every so many stretches."""

    row: int
    nodes: int
    phase: int

    def of(self, plan: Ints, pool: PoolTerms, length: int) -> Ints:
        changed = plan.copy()
        mine = (np.arange(len(plan)) // length) % APART == self.phase
        changed[mine, self.row] = np.clip(plan[mine, self.row] + self.nodes, pool.min_nodes, pool.max_nodes)
        return changed


def _improved(known: Known, plan: Ints, usd: Floats, length: int) -> tuple[Ints, Floats]:
    """Cheaper, or as it was: the plan and (T, K) what it paid."""
    changes = list(_changes(known.world.pools, plan))
    if not changes:
        return plan, usd
    pools = known.world.pools
    paid = known.paid([change.of(plan, pools[change.row], length) for change in changes])
    gains = [_gains(usd, after, change.phase * length, length) for change, after in zip(changes, paid, strict=True)]
    together = _together(plan, pools, list(zip(changes, gains, strict=True)), length)
    after = known.paid(together)
    best = int(after.sum(axis=(1, 2)).argmin())
    return (together[best], after[best]) if after[best].sum() < usd.sum() else (plan, usd)


def _changes(pools: Sequence[PoolTerms], plan: Ints) -> Iterator[_Change]:
    """Of one node, and of some where there are many."""
    for row, pool in enumerate(pools):
        if pool.min_nodes < pool.max_nodes:
            for nodes in sorted({1, max(1, round(float(plan[:, row].mean()) / 8))}):
                yield from (_Change(row, way * nodes, phase) for way in (-1, 1) for phase in range(APART))


def _gains(before: Floats, after: Floats, begin: int, length: int) -> Floats:
    """USD saved by each stretch of a change, told by what was paid until the next of them begins."""
    saved = (before - after).sum(axis=1)[begin:]
    starts = np.arange(0, len(saved), APART * length)
    return np.add.reduceat(saved, starts) if len(saved) else np.zeros(0)


def _together(
    plan: Ints, pools: Sequence[PoolTerms], tried: Sequence[tuple[_Change, Floats]], length: int
) -> list[Ints]:
    """Plans of all stretches that paid, and of the better half and quarter of them."""
    best = np.zeros((len(pools), -(-len(plan) // length)))
    nodes = np.zeros(best.shape, dtype=np.int64)
    for change, gains in tried:
        where = (change.row, slice(change.phase, None, APART))
        nodes[where] = np.where(gains > best[where], change.nodes, nodes[where])
        best[where] = np.maximum(gains, best[where])
    least, most = (np.array([getattr(pool, name) for pool in pools]) for name in ("min_nodes", "max_nodes"))
    paying = best[best > 0]
    plans = []
    for share in (0.0, 0.5, 0.75, 0.95):
        floor = np.quantile(paying, share) if len(paying) else 0.0
        done = np.where((best > 0) & (best >= floor), nodes, 0)
        plans.append(np.clip(plan + np.repeat(done, length, axis=1)[:, : len(plan)].T, least, most))
    return plans
