"""Kueue's rules for queues with quotas and borrowing, in plain Python.

What `envs.compiled.quotas` is held against, and what the rules are easiest read from.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from envs.replay import NOWHERE, Cluster, Replay, Share
from envs.terms import speeds
from envs.workloads import JobTable


def plain_replay(jobs: JobTable, cluster: Cluster, until_s: float) -> Replay:
    """Run the jobs until a moment. Queues without shares start nothing; a job too large for its queue waits on."""
    ledger = _Ledger.of(jobs.queues, cluster)
    lines = _Lines.of(jobs, [queue in cluster.strict for queue in jobs.queues])
    start_s, end_s = np.full((2, len(jobs)), np.inf)
    flavor, gpus = np.full(len(jobs), NOWHERE), np.zeros(len(jobs), dtype=np.int64)
    leave_s = (jobs.submit_s + jobs.leaves_s).tolist()
    running: list[tuple[float, int]] = []  # heap of (end, row)
    for now_s, arrived in _moments(jobs.submit_s.tolist(), leave_s, running, until_s):
        while running and running[0][0] <= now_s:
            row = heapq.heappop(running)[1]
            ledger.give_back(lines.queue[row], int(flavor[row]), int(gpus[row]))
            lines.look_again = True
        lines.join(arrived)
        for row in (row for row in range(len(jobs)) if leave_s[row] == now_s and end_s[row] > now_s):
            if np.isfinite(start_s[row]):
                running.remove((end_s[row], row))
                heapq.heapify(running)
                ledger.give_back(lines.queue[row], int(flavor[row]), int(gpus[row]))
                lines.look_again = True
            else:
                lines.leave(row)
            end_s[row] = now_s
        for row, chosen, held in lines.admit(ledger):
            start_s[row], flavor[row], gpus[row] = now_s, chosen, held
            end_s[row] = now_s + float(jobs.duration_s[row]) / pace(jobs, cluster, row, chosen, held)
            heapq.heappush(running, (float(end_s[row]), row))
    return Replay(jobs, cluster.flavors, start_s, end_s, flavor, gpus)


def pace(jobs: JobTable, cluster: Cluster, row: int, flavor: int, held: int) -> float:
    """Work per second of a job that holds so many GPUs of a flavor."""
    speed = float(speeds(cluster.speed.get(cluster.flavors[flavor], 1.0))[jobs.kind[row]])
    share = held / int(jobs.gpus[row])
    return speed * share ** float(jobs.scaling[row]) if share < 1 else speed


def _moments(
    submit_s: list[float], leave_s: list[float], running: list[tuple[float, int]], until_s: float
) -> Iterator[tuple[float, range]]:
    """Each moment at which a job arrives, ends or leaves, with the rows that arrive; `running` may change between."""
    row, count, leaving = 0, len(submit_s), sorted(set(leave_s) - {np.inf}, reverse=True)
    while row < count or running or leaving:
        now_s = min(submit_s[row] if row < count else np.inf, running[0][0] if running else np.inf)
        if leaving and leaving[-1] <= now_s:
            now_s = leaving.pop()
        if now_s > until_s:
            return
        first = row
        while row < count and submit_s[row] <= now_s:
            row += 1
        yield now_s, range(first, row)


@dataclass(slots=True)
class _Ledger:
    """What is used now, and what a queue may still take."""

    shares: list[list[tuple[int, Share]]]  # by queue: (flavor, share) in the order tried
    cohort: list[int]  # by queue
    used: list[list[int]]  # by queue and flavor
    free: list[list[int]]  # by cohort and flavor: lendable quota that nobody uses
    idle: list[float]  # by flavor: GPUs on nodes that nobody uses

    @classmethod
    def of(cls, queues: Sequence[str], cluster: Cluster) -> _Ledger:
        flavors = cluster.flavors
        shares = [[(flavors.index(f), share) for f, share in cluster.shares.get(q, {}).items()] for q in queues]
        # A queue without a cohort is alone in one of its own.
        names = [("cohort", cluster.cohorts[q]) if q in cluster.cohorts else ("queue", q) for q in queues]
        cohort = [sorted(set(names)).index(name) for name in names]
        free = [[0] * len(flavors) for _ in set(names)]
        for queue, row in enumerate(shares):
            for flavor, share in row:
                free[cohort[queue]][flavor] += share.nominal - share.kept
        idle = [cluster.installed.get(name, np.inf) for name in flavors]
        return cls(shares, cohort, [[0] * len(flavors) for _ in queues], free, idle)

    def choose(self, queue: int, gpus: int) -> tuple[int, bool] | None:
        """The first flavor in which so many GPUs fit, and whether the queue borrows for them; None: nowhere."""
        for flavor, share in self.shares[queue]:
            if gpus <= min(self.idle[flavor], self.room(queue, flavor, share)):
                return flavor, self.used[queue][flavor] + gpus > share.nominal
        return None

    def right(self, queue: int, gpus: int) -> tuple[int, bool] | None:
        """The first flavor of which the queue's own quota would do, if others gave it back; best without borrowing."""
        rights = [
            (self.used[queue][flavor] + gpus > share.nominal, nth, flavor)
            for nth, (flavor, share) in enumerate(self.shares[queue])
            if gpus <= share.nominal
        ]
        return (min(rights)[2], min(rights)[0]) if rights else None

    def keep(self, queue: int, flavor: int, gpus: int) -> int:
        """Keeps from others what a queue has a right to: as much as it may have, though it may not be there."""
        share, used = self._share(queue, flavor), self.used[queue][flavor]
        if used + gpus <= share.nominal:
            most = share.nominal
        else:
            most = share.nominal + share.borrowing_limit if share.borrowing_limit is not None else used + gpus
        kept = max(0, min(gpus, most - used))
        self._move(queue, flavor, share, kept)
        return kept

    def room(self, queue: int, flavor: int, share: Share) -> int:
        """GPUs that quotas let a queue still take of a flavor."""
        used = self.used[queue][flavor]
        shared = self.free[self.cohort[queue]][flavor]
        if share.borrowing_limit is not None:
            shared = min(shared, share.nominal + share.borrowing_limit - max(used, share.kept))
        return max(0, share.kept - used) + shared

    def take(self, queue: int, flavor: int, gpus: int) -> bool:
        """Take so many GPUs, all or none."""
        share = self._share(queue, flavor)
        if gpus > min(self.idle[flavor], self.room(queue, flavor, share)):
            return False
        self._move(queue, flavor, share, gpus)
        return True

    def give_back(self, queue: int, flavor: int, gpus: int) -> None:
        self._move(queue, flavor, self._share(queue, flavor), -gpus)

    def _share(self, queue: int, flavor: int) -> Share:
        return next(share for f, share in self.shares[queue] if f == flavor)

    def _move(self, queue: int, flavor: int, share: Share, gpus: int) -> None:
        before = self.used[queue][flavor]
        self.used[queue][flavor] = before + gpus
        self.idle[flavor] -= gpus
        self.free[self.cohort[queue]][flavor] -= max(0, before + gpus - share.kept) - max(0, before - share.kept)


Place = tuple[int, float, int]
"""In line: larger priority first, then older, then as in the table."""


@dataclass(slots=True)
class _Lines:
    """Who waits in each queue."""

    queue: list[int]
    gpus: list[int]
    least: list[int]  # GPUs that do where those are not to be had
    place: list[Place]  # of each job
    ready: list[list[Place]]  # by queue: a heap of those to look at
    aside: list[list[Place]]  # by queue: those that fitted nowhere when last looked at
    strict: list[bool]  # by queue: all behind such a head step aside with it
    look_again: bool = False  # something was freed since

    @classmethod
    def of(cls, jobs: JobTable, strict: list[bool]) -> _Lines:
        place = list(zip((-jobs.priority).tolist(), jobs.submit_s.tolist(), range(len(jobs)), strict=True))
        empty: list[list[Place]] = [[] for _ in jobs.queues]
        asked = jobs.queue.tolist(), jobs.gpus.tolist(), jobs.least_gpus.tolist()
        return cls(*asked, place, empty, [[] for _ in jobs.queues], strict)

    def join(self, rows: Iterable[int]) -> None:
        for row in rows:
            queue = self.queue[row]
            if self.strict[queue]:  # whoever comes may be the head now, or stand behind the one that blocks
                self._recall_one(queue)
            heapq.heappush(self.ready[queue], self.place[row])

    def leave(self, row: int) -> None:
        """It waits no longer. Who stood behind it in a strict queue may be the head."""
        queue = self.queue[row]
        for waiting in (self.ready[queue], self.aside[queue]):
            if self.place[row] in waiting:
                waiting.remove(self.place[row])
                heapq.heapify(waiting)
        if self.strict[queue]:
            self._recall_one(queue)

    def admit(self, ledger: _Ledger) -> Iterator[tuple[int, int, int]]:
        """Rounds until no head fits: each job that starts, its flavor, and with how many GPUs."""
        if self.look_again:
            self._recall()
        moving = True  # or the same heads would lose to the same right for ever
        while moving and any(self.ready):
            kept: list[tuple[int, int, int]] = []
            before = sum(map(len, self.aside))
            heads = sorted(self._heads(ledger))
            moving = sum(map(len, self.aside)) > before
            for _, place, flavor, fits, gpus in heads:
                queue, row = self.queue[place[2]], place[2]
                if not fits:
                    kept.append((queue, flavor, ledger.keep(queue, flavor, gpus)))
                elif ledger.take(queue, flavor, gpus):
                    moving = True
                    yield row, flavor, gpus
                else:
                    heapq.heappush(self.ready[queue], place)
            for queue, flavor, so_many in kept:
                ledger.give_back(queue, flavor, so_many)

    def _recall(self) -> None:
        self.look_again = False
        for queue in range(len(self.aside)):
            self._recall_one(queue)

    def _recall_one(self, queue: int) -> None:
        self.ready[queue] += self.aside[queue]
        heapq.heapify(self.ready[queue])
        self.aside[queue].clear()

    def _heads(self, ledger: _Ledger) -> Iterator[tuple[bool, Place, int, bool, int]]:
        """The head of each queue that fits somewhere, or has a right to.

        Whether it borrows, its place, the flavor, whether it fits, and with how many GPUs.
        """
        for queue, ready in enumerate(self.ready):
            if not ready and not (self.strict[queue] and self.aside[queue]):
                continue
            place = heapq.heappop(ready) if ready else min(self.aside[queue])
            gpus = self.gpus[place[2]]
            most, choice = gpus, ledger.choose(queue, gpus)
            while choice is None and most > self.least[place[2]]:
                most -= 1
                choice = ledger.choose(queue, most)
            if choice is not None and place not in self.aside[queue]:
                yield choice[1], place, choice[0], True, most
                continue
            if place not in self.aside[queue]:
                self.aside[queue].append(place)
            if self.strict[queue]:
                self.aside[queue] += ready
                ready.clear()
            right = ledger.right(queue, gpus)
            if right is not None:
                yield right[1], place, right[0], False, gpus
