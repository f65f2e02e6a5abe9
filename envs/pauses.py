"""Who makes way when GPUs are taken back from a queue: whom the preemptor would choose on a real cluster.

Who moves to another pool is chosen by its rule, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from envs.terms import HOUR_S
from envs.workloads import KINDS, Floats, Ints, JobTable
from gyropilot.domain import WorkloadKind

if TYPE_CHECKING:
    from envs.compiled.site import Site

Bools = NDArray[np.bool_]


def ranks(jobs: JobTable) -> Ints:
    """(N,) lower ones make way first: by priority, and services last."""
    serves = jobs.kind == KINDS.index(WorkloadKind.INFERENCE)
    found = np.unique(np.stack([serves, jobs.priority], axis=1), axis=0, return_inverse=True)[1]
    return found.ravel().astype(np.int64)


def making_way(sites: Site, pause: Floats, now_s: Floats) -> Ints:
    """(B, K) jobs to stop for `pause` (B, Q) parts of GPUs; what is left is filled with NOWHERE."""
    from envs.compiled.handed import one
    from envs.compiled.quotas import NOWHERE

    chosen: list[list[int]] = [[] for _ in pause]
    for b, line in zip(*np.nonzero(pause > 0), strict=True):
        chosen[b] += _of_queue(one(sites, b), int(line), float(pause[b, line]), float(now_s[b])).tolist()
    stop = np.full((len(pause), max(map(len, chosen), default=0)), NOWHERE, dtype=np.int64)
    for row, jobs in zip(stop, chosen, strict=True):
        row[: len(jobs)] = jobs
    return stop


def moving(sites: Site, move: Floats) -> tuple[Ints, Ints]:
    """(B, M) jobs to move for `move` (B, P, P) parts of GPUs from pool to pool, and to which; NOWHERE is nobody."""
    from envs.compiled.handed import one
    from envs.compiled.quotas import NOWHERE

    chosen: list[dict[int, int]] = [{} for _ in move]
    for b, source, target in zip(*np.nonzero((move > 0) & ~np.eye(move.shape[1], dtype=np.bool_)), strict=True):
        jobs = _of_pool(one(sites, b), (int(source), int(target)), float(move[b, source, target]), [*chosen[b]])
        chosen[b].update(dict.fromkeys(jobs.tolist(), int(target)))
    table = np.full((2, len(move), max(map(len, chosen), default=0)), NOWHERE, dtype=np.int64)
    for b, told in enumerate(chosen):
        table[:, b, : len(told)] = [*told], [*told.values()]
    return table[0], table[1]


def _of_pool(site: Site, way: tuple[int, int], need: float, taken: Sequence[int]) -> Ints:
    """Of jobs that run in a pool, and fit into another one by one, those whose restarts cost least work."""
    from envs.compiled.quotas import may_take
    from envs.compiled.victims import victims

    work, clock, runs = site.work, site.state.clock, site.state.runs
    room: Ints = np.zeros(len(site.rules.cohort), dtype=np.int64)
    may_take(way[1], site.rules, site.state.ledger, room)
    running = np.setdiff1d(clock.gangs[: clock.running[0]], np.array(taken, dtype=np.int64))
    mine = running[(runs.flavor[running] == way[0]) & (runs.gpus[running] <= room[work.queue[running]])]
    jobs = mine[np.lexsort((mine, runs.gpus[mine]))]
    hours = site.kinds.restart_s[jobs] * work.gpus[jobs] / HOUR_S
    found: Ints = jobs[victims(int(np.ceil(need)), runs.gpus[jobs], hours, site.kinds.rank[jobs])]
    return found


def _of_queue(site: Site, line: int, need: float, now_s: float) -> Ints:
    from envs.compiled.stops import Course
    from envs.compiled.victims import victims
    from envs.compiled.world import lost_hours

    work, clock, held = site.work, site.state.clock, site.state.runs.gpus
    running = clock.gangs[: clock.running[0]]
    mine = running[(work.queue[running] == line) & _wanted(site, line)[site.state.runs.flavor[running]]]
    jobs = mine[np.lexsort((mine, held[mine]))]
    hours = np.zeros(len(jobs))
    lost_hours(Course(work, site.rules, site.state, site.kinds, site.fates), jobs, now_s, hours)
    stop: Ints = jobs[victims(int(np.ceil(need)), held[jobs], hours, site.kinds.rank[jobs])]
    return stop


def _wanted(site: Site, line: int) -> Bools:
    """(P,) as `agents.borrowing.wanted_flavors`: where the queue borrows and another waits for its own; else all."""
    rules, used = site.rules, site.state.ledger.used
    short = (site.state.meter.waiting > 0) & (used.sum(axis=1) < rules.nominal.sum(axis=1))
    waits = short & (rules.cohort == rules.cohort[line])
    waits[line] = False
    useful = np.isin(np.arange(used.shape[1]), rules.order[waits])
    wanted: Bools = useful & (used[line] > rules.nominal[line])
    return wanted if wanted.any() else ~wanted
