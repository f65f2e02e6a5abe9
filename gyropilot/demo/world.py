"""The demo's world: the story, played out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from envs.replay import Cluster, Replay, Shares, replay
from envs.workloads import KINDS, JobTable, generate
from gyropilot.demo.story import (
    COHORTS,
    DEMO_NOW,
    EARLIER_NIGHTS,
    HISTORY,
    LAST_NIGHT,
    POOLS,
    PROFILE,
    SHARES,
    DemoPool,
    Told,
)


@dataclass(frozen=True, eq=False, slots=True)
class World:
    """What happened until `now`, and what is."""

    now: datetime
    replay: Replay
    cluster: Cluster
    pools: tuple[DemoPool, ...]

    @property
    def shares(self) -> Shares:
        return self.cluster.shares

    @property
    def began(self) -> datetime:
        return self.now - HISTORY

    @property
    def now_s(self) -> float:
        """Seconds since the world began."""
        return HISTORY.total_seconds()

    def moment(self, since_begin_s: float) -> datetime:
        return self.began + timedelta(seconds=round(since_begin_s))

    def pool(self, flavor: str) -> DemoPool:
        return next(p for p in self.pools if p.name == flavor)


def demo_world(now: datetime, seed: int) -> World:
    """The same story for every `now`; the same jobs for every `seed`."""
    began_s = (DEMO_NOW - HISTORY).timestamp()
    jobs = generate(PROFILE, HISTORY / timedelta(days=1), np.random.default_rng(seed), began_s)
    told = JobTable.join([jobs, _story(jobs.queues)])
    installed = {pool.name: pool.gpus for pool in POOLS}
    cluster = Cluster(SHARES, COHORTS, installed, keeps_rights=False)  # the story was told without
    return World(now, replay(told, cluster, HISTORY.total_seconds()), cluster, POOLS)


def _story(queues: tuple[str, ...]) -> JobTable:
    return JobTable.join([_equal_jobs(told, queues) for told in (*EARLIER_NIGHTS, *LAST_NIGHT)])


def _equal_jobs(told: Told, queues: Sequence[str]) -> JobTable:
    count = told.jobs
    begin_s = (HISTORY - told.ago).total_seconds()
    save_s = told.checkpoint.total_seconds() if told.checkpoint else np.inf
    return JobTable(
        queues=tuple(queues),
        queue=np.full(count, queues.index(told.queue)),
        submit_s=begin_s + np.arange(count, dtype=np.float64),
        duration_s=np.full(count, told.lasts.total_seconds()),
        gpus=np.full(count, told.gpus),
        priority=np.full(count, told.priority),
        kind=np.full(count, KINDS.index(told.kind)),
        user=np.zeros(count, np.int64),
        checkpoint_s=np.full(count, save_s),
    )
