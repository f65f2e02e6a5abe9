"""The cheapest of all that can be done with two jobs, tick by tick: stopping and moving them included, nothing lost."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs.terms import HOUR_S, Flows, PoolTerms, Rates, bill, speeds
from envs.workloads import Floats, JobTable

WAITS = -1


@dataclass(frozen=True, eq=False, slots=True)
class Schedules:
    """All that one job can do; S of them."""

    used: Floats  # (S, P, ticks) GPUs that must be free
    busy: Floats  # (S, P) GPU-ticks
    waiting: Floats  # (S,) ticks


def cheapest(jobs: JobTable, pools: Sequence[PoolTerms], rates: Rates, tick_s: float, ticks: int) -> float:
    """USD of two jobs, on pools whose nodes come after whole ticks, go at once, and cost nothing to ask for.

    Until the lead time is over none comes: a node that was let go by then is not there again before.
    """
    hours = tick_s / HOUR_S
    one, two = (_schedules(jobs, row, pools, tick_s, ticks) for row in (0, 1))
    per_node = np.array([pool.gpus_per_node for pool in pools])[:, None]
    nodes = np.ceil((one.used[:, None] + two.used[None]) / per_node)
    nodes = np.maximum(nodes, np.array([[pool.min_nodes] for pool in pools]))
    for row, pool in enumerate(pools):
        first = int(np.ceil(pool.lead_s / tick_s))
        needed = nodes[..., row, :first]
        nodes[..., row, :first] = np.maximum.accumulate(needed[..., ::-1], axis=-1)[..., ::-1]
    most = [[pool.nodes if tick * tick_s < pool.lead_s else pool.max_nodes for tick in range(ticks)] for pool in pools]
    fits = (nodes <= np.array(most)).all(axis=(2, 3))
    shape = fits.shape
    waiting, waiting_jobs = (np.zeros((*shape, len(jobs.queues))) for _ in range(2))
    for row, waits in enumerate((one.waiting[:, None], two.waiting[None])):
        waiting[..., jobs.queue[row]] += waits * jobs.gpus[row] * hours
        waiting_jobs[..., jobs.queue[row]] += waits * hours
    flows = Flows(
        there=(nodes * per_node).sum(axis=3) * hours,
        busy=(one.busy[:, None] + two.busy[None]) * hours,
        waiting=waiting,
        waiting_jobs=waiting_jobs,
        lost=np.zeros(shape),
        asked=np.zeros((*shape, len(pools))),
    )
    usd: Floats = bill(flows, rates).sum(axis=-1)
    return float(usd[fits].min())


def _schedules(jobs: JobTable, row: int, pools: Sequence[PoolTerms], tick_s: float, ticks: int) -> Schedules:
    submit, work = round(jobs.submit_s[row] / tick_s), jobs.duration_s[row] / tick_s
    gone = int(min(ticks, submit + jobs.leaves_s[row] / tick_s))
    choices = itertools.product(range(WAITS, len(pools)), repeat=max(0, gone - submit))
    fast = [float(speeds(pool.speed)[jobs.kind[row]]) for pool in pools]
    told = [_follow(np.array([WAITS] * submit + list(choice)), submit, work, fast) for choice in choices]
    over = ((0, 0), (0, 0), (0, max(0, ticks - max(submit, gone))))
    used, busy, waiting = (np.array(part) for part in zip(*told, strict=True))
    return Schedules(np.pad(used, over) * jobs.gpus[row], busy * jobs.gpus[row], waiting)


def _follow(choice: NDArray[np.int64], submit: int, work: float, fast: Sequence[float]) -> tuple[Floats, Floats, float]:
    """What a job of one GPU does that is told where to run in each tick, until it is done."""
    used, busy, waits = np.zeros((len(fast), len(choice))), np.zeros(len(fast)), 0.0
    for tick in range(submit, len(choice)):
        if work <= 0:
            break
        pool = choice[tick]
        if pool == WAITS:
            waits += 1.0
            continue
        share = min(1.0, work / fast[pool])
        used[pool, tick] = 1.0
        busy[pool] += share
        work -= share * fast[pool]
    return used, busy, waits
