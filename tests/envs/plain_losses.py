"""A plain cluster that loses nodes, to hold the fast one against: one queue, first pools first, lists and loops."""

from __future__ import annotations

from math import floor

import numpy as np

from envs.losses import CAUSES
from envs.workloads import JobTable
from envs.world import Weather, World
from gyropilot.domain import Market

HOUR_S = 3_600.0
INTERRUPTED, FAILED, OUT = range(len(CAUSES))


class PlainCluster:
    """Jobs of one queue without priorities, whole GPUs and speed 1; whoever fits starts, the oldest first."""

    def __init__(self, world: World, jobs: JobTable, weather: Weather, halt_s: float = 0.0) -> None:
        """Jobs halt so long for each checkpoint."""
        assert weather.harm is not None
        self.world, self.jobs, self.weather, self.harm = world, jobs, weather, weather.harm
        self.pace = [1 / (1 + halt_s / float(every)) for every in jobs.checkpoint_s]
        self.pools, count = world.pools, len(jobs)
        self.nth = 0
        self.there = [pool.nodes for pool in self.pools]
        self.due: list[tuple[int, int, int]] = []  # step, pool and nodes
        self.closed = [0] * len(self.pools)  # GPUs on nodes that go
        self.pool_of: list[int | None] = [None] * count
        self.began_s = [np.inf] * count
        self.left_s = [float(work) / pace for work, pace in zip(jobs.duration_s, self.pace, strict=True)]
        self.saved_s, self.stops = [0.0] * count, [0] * count
        self.start_s, self.end_s = [np.inf] * count, [np.inf] * count
        self.line: list[int] = []
        self.came = 0
        self.hits = [[0] * count for _ in CAUSES]
        self.stopped: list[tuple[int, float, float]] = []  # job, and since and until when it ran

    def step(self, wanted: list[int]) -> float:
        """Five minutes on; GPU-hours of work that are lost."""
        now, lost = self.nth * self.world.step_s, 0.0
        for due in [each for each in self.due if each[0] == self.nth]:
            self.there[due[1]] += due[2]
            self.due.remove(due)
        going: list[tuple[int, int, list[tuple[int, float]]]] = []
        for p in range(len(self.pools)):
            lost += self._lose(p, now, going)
        for p, nodes in enumerate(wanted):
            self._turn(p, nodes, sum(n for q, n, _ in going if q == p))
        self._start(now)
        for goes_s in sorted({now + self.pools[p].notice_s for p, _, _ in going}):
            self._until(goes_s)
            for p, nodes, told in going:
                if now + self.pools[p].notice_s == goes_s:
                    lost += self._go(p, nodes, told, goes_s)
            self._start(goes_s)
        self._until(now + self.world.step_s)
        self.nth += 1
        return lost

    def _lose(self, p: int, now: float, going: list[tuple[int, int, list[tuple[int, float]]]]) -> float:
        t, there, pool, lost = self.nth, self.there[p], self.pools[p], 0.0
        taken = floor(there * self.weather.loss[p, t] + self.weather.chance[p, t]) + int(self.harm.recorded[p, t])
        taken = min(there, taken)
        out = min(there - taken, floor(there * self.harm.outage[p, t] + self.weather.chance[p, t]))
        failed = min(there - taken - out, floor(there * self.harm.failing[p, t] + self.harm.chance[p, t]))
        if out:
            lost += self._cut(p, out, now, OUT)
        if failed:
            lost += self._fail(p, failed, now)
        if taken and pool.notice_s > 0:
            hit = [(job, self.began_s[job]) for job in self._youngest(p, self._hit_gpus(p, taken))]
            self.closed[p] = taken * pool.gpus_per_node
            going.append((p, taken, hit))
        elif taken:
            lost += self._cut(p, taken, now, INTERRUPTED)
        return lost

    def _cut(self, p: int, nodes: int, now: float, cause: int) -> float:
        lost = sum([self._stop(job, now, cause) for job in self._youngest(p, self._hit_gpus(p, nodes))])
        self.there[p] -= nodes
        return lost

    def _fail(self, p: int, nodes: int, now: float) -> float:
        """Jobs are hit by their GPUs."""
        per_node, lost, lot = self.pools[p].gpus_per_node, 0.0, float(self.harm.whom[p, self.nth])
        gpus, all_ = nodes * per_node, self.there[p] * per_node
        left = floor(gpus * (all_ - self._idle(p)) / all_ + lot)
        while left > 0 or self._idle(p) < gpus:
            lot = (lot * 997.0 + 0.6180339887498949) % 1.0
            job = self._at(p, lot * (all_ - self._idle(p)))
            if job is None:
                break
            left -= int(self.jobs.gpus[job])
            lost += self._stop(job, now, FAILED)
        self.there[p] -= nodes
        if self.pools[p].market is Market.RESERVED:
            back = self.nth + round(self.pools[p].repair_h * HOUR_S / self.world.step_s)
            self.due.append((back, p, nodes))
        return lost

    def _at(self, p: int, number: float) -> int | None:
        """The job that has the GPU of such a number, counted along the table."""
        for job in self._running(p):
            number -= int(self.jobs.gpus[job])
            if number < 0:
                return job
        return None

    def _go(self, p: int, nodes: int, told: list[tuple[int, float]], now: float) -> float:
        pool, lost = self.pools[p], 0.0
        for job in [job for job, since in told if self.pool_of[job] == p and self.began_s[job] == since]:
            lost += self._evict(job, now, pool.notice_s)
        while self._idle(p) < nodes * pool.gpus_per_node:
            lost += self._evict(self._running(p)[-1], now, pool.notice_s)
        self.there[p] -= nodes
        self.closed[p] = 0
        return lost

    def _evict(self, job: int, now: float, notice_s: float) -> float:
        writes = np.isfinite(self.jobs.checkpoint_s[job]) and notice_s >= self.world.checkpoint_write_s
        return self._stop(job, now, INTERRUPTED, writes=bool(writes))

    def _stop(self, job: int, now: float, cause: int, writes: bool = False) -> float:
        """GPU-hours that it has to do again."""
        ran, every = now - self.began_s[job], float(self.jobs.checkpoint_s[job])
        again = self.world.restart_s if self.stops[job] else 0.0
        pace = self.pace[job]
        did = max(0.0, ran - again) * pace
        kept = did if writes else 0.0
        if not writes and np.isfinite(every):
            kept = max(0.0, floor((self.saved_s[job] + did) / every + 1e-9) * every - self.saved_s[job])
        self.stopped.append((job, self.began_s[job], now))
        self.saved_s[job] += kept
        self.stops[job] += 1
        self.hits[cause][job] += 1
        self.left_s[job] = (float(self.jobs.duration_s[job]) - self.saved_s[job]) / pace + self.world.restart_s
        self.pool_of[job], self.end_s[job] = None, np.inf
        self.line.append(job)
        lost_s = (did - kept) / pace + self.world.restart_s - max(0.0, again - ran)
        return lost_s * float(self.jobs.gpus[job]) / HOUR_S

    def _turn(self, p: int, wanted: int, leave: int) -> None:
        pool = self.pools[p]
        target = min(max(wanted, pool.min_nodes), pool.max_nodes)
        more = target - (self.there[p] - leave) - sum(nodes for _, q, nodes in self.due if q == p)
        if more > 0:
            self.due.append((self.nth + int(self.weather.lead[p, self.nth]), p, more))
        fewer = min(self.there[p] - leave - target, (self._idle(p) - self.closed[p]) // pool.gpus_per_node)
        self.there[p] -= max(0, fewer)

    def ran(self) -> dict[int, float]:
        """Jobs that run, and since when."""
        return {job: self.began_s[job] for p in range(len(self.pools)) for job in self._running(p)}

    def _until(self, moment: float) -> None:
        """All that ends and comes until then, that moment included."""
        while True:
            ends = [self.end_s[job] for p in range(len(self.pools)) for job in self._running(p)]
            comes = [float(self.jobs.submit_s[self.came])] if self.came < len(self.jobs) else []
            now = min([*ends, *comes], default=np.inf)
            if now > moment:
                return
            for job, end_s in enumerate(self.end_s):
                if self.pool_of[job] is not None and end_s <= now:
                    self.pool_of[job] = None
            while self.came < len(self.jobs) and self.jobs.submit_s[self.came] <= now:
                self.line.append(self.came)
                self.came += 1
            self._start(now)

    def _start(self, now: float) -> None:
        """Whoever fits, the oldest first, in the first pool in which it does."""
        for job in sorted(self.line):
            gpus = int(self.jobs.gpus[job])
            fitting = [p for p in range(len(self.pools)) if gpus <= self._idle(p) - self.closed[p]]
            if fitting:
                self.line.remove(job)
                self.pool_of[job], self.began_s[job] = fitting[0], now
                self.start_s[job] = min(self.start_s[job], now)
                self.end_s[job] = now + self.left_s[job]

    def _running(self, p: int) -> list[int]:
        return [job for job, where in enumerate(self.pool_of) if where == p]

    def _idle(self, p: int) -> int:
        return self.there[p] * self.pools[p].gpus_per_node - sum(int(self.jobs.gpus[job]) for job in self._running(p))

    def _hit_gpus(self, p: int, nodes: int) -> int:
        """Of GPUs on some nodes those that jobs are on, as far as chance goes."""
        return nodes * self.pools[p].gpus_per_node - self._idle(p) * nodes // self.there[p]

    def _youngest(self, p: int, gpus: int) -> list[int]:
        """So many that they have as many GPUs."""
        found: list[int] = []
        for job in reversed(self._running(p)):
            if gpus > 0:
                found.append(job)
                gpus -= int(self.jobs.gpus[job])
        return found
