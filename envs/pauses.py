"""Who makes way when GPUs are taken back from a queue: whom the preemptor would choose on a real cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from envs.workloads import KINDS, Floats, Ints, JobTable
from gyropilot.domain import WorkloadKind

if TYPE_CHECKING:
    from envs.compiled.world import Site

Bools = NDArray[np.bool_]


def ranks(jobs: JobTable) -> Ints:
    """(N,) lower ones make way first: by priority, and services last."""
    serves = jobs.kind == KINDS.index(WorkloadKind.INFERENCE)
    found = np.unique(np.stack([serves, jobs.priority], axis=1), axis=0, return_inverse=True)[1]
    return found.ravel().astype(np.int64)


def making_way(sites: Site, pause: Floats, now_s: Floats) -> Ints:
    """(B, K) jobs to stop for `pause` (B, Q) parts of GPUs; what is left is filled with NOWHERE."""
    from envs.compiled.quotas import NOWHERE
    from envs.compiled.world import one

    chosen: list[list[int]] = [[] for _ in pause]
    for b, line in zip(*np.nonzero(pause > 0), strict=True):
        chosen[b] += _of_queue(one(sites, b), int(line), float(pause[b, line]), float(now_s[b])).tolist()
    stop = np.full((len(pause), max(map(len, chosen), default=0)), NOWHERE, dtype=np.int64)
    for row, jobs in zip(stop, chosen, strict=True):
        row[: len(jobs)] = jobs
    return stop


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
