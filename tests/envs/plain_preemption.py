"""Kueue's rules for queues whose jobs may stop others', in plain Python.

What `envs.compiled.contest` is held against, and what the rules are easiest read from. Nothing is kept that can be
reckoned anew from who runs where. Written after Kueue 0.19 with its defaults, and held against it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import floor, inf, isfinite, isnan

import numpy as np

from envs.replay import NOWHERE, Cluster, Preemption, Replay, Share, Spells
from envs.workloads import JobTable
from tests.envs.plain_quotas import pace

PATIENCE = 100
"""How often those who run may be told to stop at one moment."""

NO_TARGETS, WITHIN, RECLAIM = 1, 2, 3  # what a flavor would take, from the worst; one in which a job fits is best

Key = tuple[float, ...]
"""Smaller comes first."""


@dataclass(slots=True)
class Run:
    """A job that runs."""

    flavor: int
    gpus: int
    began_s: float
    ends_s: float


@dataclass(slots=True)
class Head:
    """The first in line of a queue, and how it would start."""

    row: int
    queue: int
    flavor: int
    gpus: int
    fits: bool
    targets: tuple[int, ...]  # rows of those that would have to stop
    borrows: bool


@dataclass(slots=True)
class Past:
    """What a job has behind it."""

    saved_s: float = 0.0
    stops: int = 0


def plain_replay(jobs: JobTable, cluster: Cluster, until_s: float, latest_stops: bool = True) -> Replay:
    """Run the jobs until a moment, as `envs.replay.replay` does.

    Of those that started at the same moment the last of the table stops first, or else the first: Kueue's rules do not
    tell.
    """
    return _lived(jobs, cluster, until_s, latest_stops).replay()


def restless_s(jobs: JobTable, cluster: Cluster, until_s: float) -> float:
    """The first moment at which jobs would stop each other for ever; inf where all come to rest until a moment."""
    return _lived(jobs, cluster, until_s).restless_s


def _lived(jobs: JobTable, cluster: Cluster, until_s: float, latest_stops: bool = True) -> _World:
    world = _World.of(jobs, cluster)
    world.latest_stops = latest_stops
    row = 0
    while True:
        now_s = min([jobs.submit_s[row]] if row < len(jobs) else [inf])
        now_s = min([now_s, *(run.ends_s for run in world.running.values()), *world.leaving()])
        if now_s > until_s or now_s == inf:
            break
        ended = world.end_due(now_s)
        while row < len(jobs) and jobs.submit_s[row] <= now_s:
            world.ready[jobs.queue[row]].append(row)
            world.blocked.discard(int(jobs.queue[row]))
            row += 1
        if world.leave_due(now_s) or ended:
            world.recall()
        world.settle(now_s)
    return world


@dataclass(slots=True)
class _World:
    """Who runs, who waits."""

    jobs: JobTable
    cluster: Cluster
    shares: list[dict[int, Share]]  # by queue and flavor, in the order tried
    cohort: list[int]  # by queue
    running: dict[int, Run] = field(default_factory=dict)  # by row
    evicted: set[int] = field(default_factory=set)  # of those that run: told to stop
    ready: list[list[int]] = field(default_factory=list)  # by queue: rows to look at
    aside: list[list[int]] = field(default_factory=list)  # by queue: those that could not start when last looked at
    blocked: set[int] = field(default_factory=set)  # strict queues whose head could not
    kept: dict[tuple[int, int], int] = field(default_factory=dict)  # by queue and flavor: in this round
    past: list[Past] = field(default_factory=list)
    start_s: list[float] = field(default_factory=list)
    spells: list[tuple[int, int, int, float, float]] = field(default_factory=list)
    gone: dict[int, float] = field(default_factory=dict)  # by row: when it left, or ended
    latest_stops: bool = True
    restless_s: float = inf  # when patience ended first

    @classmethod
    def of(cls, jobs: JobTable, cluster: Cluster) -> _World:
        flavors, queues = cluster.flavors, jobs.queues
        shares = [{flavors.index(f): s for f, s in cluster.shares.get(q, {}).items()} for q in queues]
        names = [f"cohort {cluster.cohorts[q]}" if q in cluster.cohorts else f"queue {q}" for q in queues]
        cohort = [sorted(set(names)).index(name) for name in names]
        world = cls(jobs, cluster, shares, cohort)
        world.ready, world.aside = [[] for _ in queues], [[] for _ in queues]
        world.past, world.start_s = [Past() for _ in range(len(jobs))], [inf] * len(jobs)
        return world

    # What is asked of quotas

    def used(self, queue: int, flavor: int, without: Iterable[int] = ()) -> int:
        """GPUs of those that run, and what is kept in this round."""
        run = (row for row in self.running if self.jobs.queue[row] == queue and self.running[row].flavor == flavor)
        return sum(self.running[row].gpus for row in run if row not in without) + self.kept.get((queue, flavor), 0)

    def available(self, queue: int, flavor: int, without: Iterable[int] = ()) -> float:
        """GPUs that a queue may still take of a flavor."""
        share, used = self.shares[queue][flavor], self.used(queue, flavor, without)
        lent, idle = 0, float(self.cluster.installed.get(self.cluster.flavors[flavor], inf))
        for other, cohort in enumerate(self.cohort):
            taken = self.used(other, flavor, without)
            idle -= taken
            if cohort == self.cohort[queue] and flavor in self.shares[other]:
                theirs = self.shares[other][flavor]
                lent += theirs.nominal - theirs.kept - max(0, taken - theirs.kept)
        if share.borrowing_limit is not None:
            lent = min(lent, share.nominal + share.borrowing_limit - max(used, share.kept))
        return min(idle, max(0, share.kept - used) + lent)

    def largest(self, queue: int, flavor: int) -> float:
        """GPUs that a queue could have of a flavor if nobody else had any."""
        share = self.shares[queue][flavor]
        lent = sum(
            self.shares[other][flavor].nominal - self.shares[other][flavor].kept
            for other in self._cohort(queue)
            if flavor in self.shares[other]
        )
        limit = inf if share.borrowing_limit is None else share.nominal + share.borrowing_limit
        return min(share.kept + lent, limit)

    def over(self, queue: int, flavor: int, more: int = 0, without: Iterable[int] = ()) -> bool:
        """Whether a queue uses more than its quota."""
        share = self.shares[queue].get(flavor)
        return self.used(queue, flavor, without) + more > (share.nominal if share else 0)

    def _cohort(self, queue: int) -> list[int]:
        return [other for other, cohort in enumerate(self.cohort) if cohort == self.cohort[queue]]

    def alone(self, queue: int) -> bool:
        return self.jobs.queues[queue] not in self.cluster.cohorts

    def policy(self, queue: int) -> Preemption:
        return self.cluster.preemption.get(self.jobs.queues[queue], Preemption())

    def strict(self, queue: int) -> bool:
        return self.jobs.queues[queue] in self.cluster.strict

    # What happens at a moment

    def end_due(self, now_s: float) -> bool:
        due = [row for row, run in self.running.items() if run.ends_s <= now_s]
        for row in due:
            run = self.running.pop(row)
            self.spells.append((row, run.flavor, run.gpus, run.began_s, run.ends_s))
            self.gone[row] = run.ends_s
        return bool(due)

    def leaves_s(self, row: int) -> float:
        return float(self.jobs.submit_s[row] + self.jobs.leaves_s[row])

    def leaving(self) -> list[float]:
        """When jobs leave that are not gone yet."""
        return [self.leaves_s(row) for row in range(len(self.jobs)) if row not in self.gone]

    def leave_due(self, now_s: float) -> bool:
        """Whether any of those that leave ran."""
        freed = False
        for row in range(len(self.jobs)):
            if row in self.gone or self.leaves_s(row) > now_s:
                continue
            self.gone[row], queue = now_s, int(self.jobs.queue[row])
            if row in self.running:
                run, freed = self.running.pop(row), True
                self.spells.append((row, run.flavor, run.gpus, run.began_s, now_s))
                continue
            for waiting in (self.ready[queue], self.aside[queue]):
                if row in waiting:
                    waiting.remove(row)
            self.blocked.discard(queue)
        return freed

    def recall(self) -> None:
        for queue, aside in enumerate(self.aside):
            self.ready[queue] += aside
            aside.clear()
        self.blocked.clear()

    def settle(self, now_s: float) -> None:
        """Rounds until nothing moves; then those that were told to stop have stopped, and all look again."""
        stopped, times = False, 0
        while True:
            moving = True
            while moving and any(self.ready):
                moving = self.round(now_s, may_evict=times < PATIENCE)
            if self.evicted:
                for row in sorted(self.evicted):
                    self.stop(row, now_s)
                stopped, times = True, times + 1
                self.restless_s = min(self.restless_s, now_s if times == PATIENCE else inf)
            elif stopped:
                self.recall()
                stopped = False
            else:
                return

    def round(self, now_s: float, may_evict: bool) -> bool:
        """The head of each queue starts, has others stop, keeps what it has a right to, or steps aside."""
        before = sum(map(len, self.aside)) + len(self.blocked)
        heads = [head for queue in range(len(self.ready)) if (head := self.nominated(queue)) is not None]
        moving = sum(map(len, self.aside)) + len(self.blocked) > before
        victims: set[int] = set()
        for head in self.in_order(heads):
            if head.fits:
                if head.gpus <= self.available(head.queue, head.flavor, victims):
                    self.start(head, now_s)
                    moving = True
            elif not head.targets:
                self.keep(head, self.right(head))
            elif may_evict and self.can_stop(head, victims):
                victims.update(head.targets)
                moving = moving or not self.evicted.issuperset(head.targets)
                self.evicted.update(head.targets)
                self.keep(head, head.gpus)
        self.kept.clear()
        return moving

    def can_stop(self, head: Head, victims: set[int]) -> bool:
        """Whether nobody else has those stop in this round who would have to for a head, and it fits then."""
        if victims.intersection(head.targets):
            return False
        without = victims.union(head.targets)
        return head.gpus <= self.available(head.queue, head.flavor, without)

    def keep(self, head: Head, gpus: int) -> None:
        self.kept[head.queue, head.flavor] = self.kept.get((head.queue, head.flavor), 0) + gpus

    def right(self, head: Head) -> int:
        """GPUs kept for a head that can stop nobody: none where its queue could take them back from anybody."""
        if self.policy(head.queue).reclaim == "any" or not self.cluster.keeps_rights:
            return 0
        share, used, gpus = self.shares[head.queue][head.flavor], self.used(head.queue, head.flavor), head.gpus
        most: float = share.nominal
        if used + gpus > share.nominal:
            most = inf if share.borrowing_limit is None else share.nominal + share.borrowing_limit
        return max(0, int(min(gpus, most - used)))

    def start(self, head: Head, now_s: float) -> None:
        past = self.past[head.row]
        left_s = float(self.jobs.duration_s[head.row]) - past.saved_s + self.again_s(head.row)
        self.ready[head.queue].remove(head.row)
        self.start_s[head.row] = min(self.start_s[head.row], now_s)
        self.running[head.row] = Run(head.flavor, head.gpus, now_s, now_s + left_s / self.pace(head.row, head))

    def pace(self, row: int, where: Head | Run) -> float:
        return pace(self.jobs, self.cluster, row, where.flavor, where.gpus)

    def again_s(self, row: int) -> float:
        """Of work that a job does again that was stopped before."""
        own_s = float(self.jobs.restart_s[row])
        again_s = self.cluster.restart_s if isnan(own_s) else own_s
        return again_s if self.past[row].stops else 0.0

    def stop(self, row: int, now_s: float) -> None:
        """What was done since the last checkpoint is lost."""
        run, past, every_s = self.running.pop(row), self.past[row], float(self.jobs.checkpoint_s[row])
        did_s = (now_s - run.began_s) * self.pace(row, run)
        did_s = max(0.0, did_s - self.again_s(row))
        if every_s > 0 and isfinite(every_s):
            past.saved_s = max(past.saved_s, floor((past.saved_s + did_s) / every_s + 1e-9) * every_s)
        past.stops += 1
        if run.began_s < now_s:
            self.spells.append((row, run.flavor, run.gpus, run.began_s, now_s))
        self.evicted.discard(row)
        queue = int(self.jobs.queue[row])
        self.ready[queue].append(row)
        self.blocked.discard(queue)

    # How a head would start

    def place(self, row: int) -> Key:
        return -float(self.jobs.priority[row]), float(self.jobs.submit_s[row]), row

    def nominated(self, queue: int) -> Head | None:
        if not self.ready[queue]:
            return None
        head = self.entry(queue, min(self.ready[queue], key=self.place))
        if head is None or not (head.fits or head.targets):
            if self.strict(queue):
                self.blocked.add(queue)
            else:
                row = min(self.ready[queue], key=self.place)
                self.ready[queue].remove(row)
                self.aside[queue].append(row)
        return head

    def entry(self, queue: int, row: int) -> Head | None:
        """With all GPUs, or else with the most with which it would start or have others stop, found by halves."""
        asked = int(self.jobs.gpus[row])
        whole, found = self.way_in(queue, row, asked), None
        if whole is not None and (whole.fits or whole.targets):
            return whole
        low, high = 0, asked - int(self.jobs.least_gpus[row]) + 1
        while low < high:
            less = (low + high) // 2
            part = self.way_in(queue, row, asked - less)
            if part is not None and (part.fits or part.targets):
                found, high = part, less
            else:
                low = less + 1
        return found or whole

    def way_in(self, queue: int, row: int, gpus: int) -> Head | None:
        """The first flavor in which it fits, or else the best of those in which it would if others stopped."""
        policy, best = self.policy(queue), (0, False)
        found = None
        stops_to_borrow = policy.borrow != "never" or (self.cluster.fair_sharing and policy.reclaim != "never")
        for flavor, share in self.shares[queue].items():
            if gpus > self.largest(queue, flavor):
                continue
            if gpus <= self.available(queue, flavor):
                borrows = not self.alone(queue) and self.over(queue, flavor, gpus)
                return Head(row, queue, flavor, gpus, True, (), borrows)
            if gpus > share.nominal and not stops_to_borrow:
                continue
            targets = tuple(self.targets(queue, row, flavor, gpus))
            borrows = not self.alone(queue) and self.over(queue, flavor, gpus, targets)
            own = any(self.jobs.queue[target] == queue for target in targets)
            mode = (WITHIN if own else RECLAIM) if targets else NO_TARGETS
            if (mode, not borrows) > best:
                best, found = (mode, not borrows), Head(row, queue, flavor, gpus, False, targets, borrows)
        return found

    def targets(self, queue: int, row: int, flavor: int, gpus: int) -> list[int]:
        """Who would have to stop; nobody where that would not do."""
        if self.cluster.fair_sharing:
            return _Fair(self, queue, row, flavor, gpus).targets()
        return _Classic(self, queue, row, flavor, gpus).targets()

    def candidates(self, queue: int, row: int, flavor: int) -> list[int]:
        """Who may have to stop, in order; of other queues those that use more than their quota."""
        found = []
        for other, run in self.running.items():
            theirs = int(self.jobs.queue[other])
            if run.flavor != flavor or self.cohort[theirs] != self.cohort[queue]:
                continue
            if theirs != queue and not self.over(theirs, flavor):
                continue
            policy = self.policy(queue).within if theirs == queue else self.policy(queue).reclaim
            if self._below(row, other, policy):
                found.append(other)
        return sorted(found, key=lambda other: self.candidate_key(other, queue))

    def _below(self, row: int, other: int, policy: str) -> bool:
        mine, theirs = self.jobs.priority[row], self.jobs.priority[other]
        if policy == "any":
            return True
        if policy == "lower_or_newer_equal_priority" and mine == theirs:
            return bool(self.jobs.submit_s[row] < self.jobs.submit_s[other])
        return bool(policy != "never" and theirs < mine)

    def candidate_key(self, row: int, queue: int) -> Key:
        """Told to stop already, of other queues, of lower priority, started later; then later in the table."""
        own, priority = self.jobs.queue[row] == queue, self.jobs.priority[row]
        tied = -row if self.latest_stops else row
        return row not in self.evicted, bool(own), float(priority), -self.running[row].began_s, tied

    # Whose turn it is

    def in_order(self, heads: list[Head]) -> Iterator[Head]:
        """Those that need not borrow first, then by place; with fair sharing whose queue has the lowest share."""
        if not self.cluster.fair_sharing:
            yield from sorted(heads, key=lambda head: (head.borrows, self.place(head.row)))
            return
        left = list(heads)
        while left:
            first = min(left, key=self._turn)
            left.remove(first)
            yield first

    def _turn(self, head: Head) -> tuple[int, bool, Key, Key]:
        over = not self.alone(head.queue) and self.over(head.queue, head.flavor, head.gpus)
        return self.cohort[head.queue], over, self.share(head.queue, {head.flavor: head.gpus}), self.place(head.row)

    def share(self, queue: int, more: dict[int, int] | None = None, without: Iterable[int] = ()) -> Key:
        """What a queue borrows of all that its cohort lends, by its weight; of weight zero, more than any other."""
        if self.alone(queue):
            return 0.0, 0.0
        flavors = range(len(self.cluster.flavors))
        over = sum(
            max(0, self.used(queue, f, without) + (more or {}).get(f, 0) - share.nominal)
            for f, share in self.shares[queue].items()
        )
        lends = sum(
            self.shares[o][f].nominal - self.shares[o][f].kept
            for o in self._cohort(queue)
            for f in flavors
            if f in self.shares[o]
        )
        ratio = over * 1000.0 / lends if over and lends else 0.0
        weight = self.cluster.weights.get(self.jobs.queues[queue], 1.0)
        if weight == 0:
            return (1.0, ratio) if over else (0.0, 0.0)
        return 0.0, ratio / weight

    def replay(self) -> Replay:
        count = len(self.jobs)
        end_s, flavor, held = np.full(count, inf), np.full(count, NOWHERE), np.zeros(count, dtype=np.int64)
        for row, where, gpus, _, until_s in sorted(self.spells, key=lambda spell: spell[4]):
            end_s[row], flavor[row], held[row] = until_s, where, gpus
        for row in (*(row for queue in (*self.ready, *self.aside) for row in queue), *self.running):
            end_s[row], flavor[row], held[row] = inf, NOWHERE, 0
        for row, until_s in self.gone.items():
            if until_s != end_s[row]:  # it left while it waited
                end_s[row], flavor[row], held[row] = until_s, NOWHERE, 0
        for row, run in self.running.items():
            end_s[row], flavor[row], held[row] = run.ends_s, run.flavor, run.gpus
            self.spells.append((row, run.flavor, run.gpus, run.began_s, run.ends_s))
        ran = sorted(self.spells, key=lambda spell: (spell[3], spell[0]))
        columns = [np.array([spell[nth] for spell in ran], dtype=kind) for nth, kind in enumerate("iiidd")]
        return Replay(self.jobs, self.cluster.flavors, np.array(self.start_s), end_s, flavor, held, Spells(*columns))


@dataclass(slots=True)
class _Classic:
    """Whom a job would stop to start in a flavor, by priority and by what others borrow."""

    world: _World
    queue: int
    row: int
    flavor: int
    gpus: int

    def targets(self) -> list[int]:
        candidates = self.world.candidates(self.queue, self.row, self.flavor)
        for may_borrow in self._attempts(candidates):
            if (found := self._attempt(candidates, may_borrow)) is not None:
                return found
        return []

    def _attempts(self, candidates: list[int]) -> tuple[bool, ...]:
        """Whether to borrow while others stop: in which order it is tried."""
        others = any(self._of_other(row) for row in candidates)
        never = self.world.policy(self.queue).borrow == "never"
        nominal = self.world.shares[self.queue][self.flavor].nominal
        if not others or (never and self.world.used(self.queue, self.flavor) >= nominal):
            return (True,)
        return (False, True) if never and not self._has_right() else (True, False)

    def _attempt(self, candidates: list[int], may_borrow: bool) -> list[int] | None:
        stopped: list[int] = []
        for row in candidates:
            if self._of_other(row):
                theirs = int(self.world.jobs.queue[row])
                if not self.world.over(theirs, self.flavor, without=stopped):
                    continue
                if may_borrow and not self._even_to_borrow(row):
                    continue
            stopped.append(row)
            if self._fits(stopped, may_borrow):
                return self._filled_back(stopped, may_borrow)
        return None

    def _filled_back(self, stopped: list[int], may_borrow: bool) -> list[int]:
        """Without those that need not stop after all, the last one first; the very last is needed."""
        for row in stopped[-2::-1]:
            if self._fits(fewer := [other for other in stopped if other != row], may_borrow):
                stopped = fewer
        return stopped

    def _fits(self, stopped: list[int], may_borrow: bool) -> bool:
        if not may_borrow and self.world.over(self.queue, self.flavor, self.gpus, stopped):
            return False
        return self.gpus <= self.world.available(self.queue, self.flavor, stopped)

    def _has_right(self) -> bool:
        return not self.world.over(self.queue, self.flavor, self.gpus)

    def _of_other(self, row: int) -> bool:
        return int(self.world.jobs.queue[row]) != self.queue

    def _even_to_borrow(self, row: int) -> bool:
        """Whether one of another queue may be stopped for a job that borrows then."""
        policy, theirs = self.world.policy(self.queue), int(self.world.jobs.priority[row])
        if self._has_right():
            return True
        if policy.borrow == "never" or theirs >= self.world.jobs.priority[self.row]:
            return False
        return policy.borrow_up_to is None or theirs <= policy.borrow_up_to


@dataclass(slots=True)
class _Fair:
    """Whom a job would stop to start in a flavor, so that shares of queues come closer to each other."""

    world: _World
    queue: int
    row: int
    flavor: int
    gpus: int
    lists: dict[int, list[int]] = field(default_factory=dict)  # by queue: candidates in order
    dropped: set[int] = field(default_factory=set)  # queues

    def targets(self) -> list[int]:
        candidates = self.world.candidates(self.queue, self.row, self.flavor)
        stopped: list[int] = []
        again: list[int] = []
        strategies = self.world.cluster.fair_sharing
        done = self._first(candidates, strategies[0], stopped, again)
        if not done and len(strategies) > 1:
            done = self._second(again, stopped)
        if not done:
            return []
        for row in stopped[-2::-1]:
            if self._fits(fewer := [other for other in stopped if other != row]):
                stopped = fewer
        return stopped

    def _first(self, candidates: list[int], strategy: str, stopped: list[int], again: list[int]) -> bool:
        within = not self.world.over(self.queue, self.flavor, self.gpus)
        self._list(candidates)
        while (queue := self._next(stopped)) is not None:
            mine, theirs = self._mine(stopped), self.world.share(queue, without=stopped)
            while self.lists[queue]:
                row = self.lists[queue].pop(0)
                after = self.world.share(queue, without=[*stopped, row])
                fair = mine <= after if strategy == "less_than_or_equal_to_final_share" else mine < theirs
                if queue == self.queue or within or fair:
                    stopped.append(row)
                    if self._fits(stopped):
                        return True
                    break
                again.append(row)
        return False

    def _second(self, candidates: list[int], stopped: list[int]) -> bool:
        """One of each queue whose share is larger."""
        self._list(candidates)
        while (queue := self._next(stopped)) is not None:
            if self._mine(stopped) < self.world.share(queue, without=stopped):
                stopped.append(self.lists[queue].pop(0))
                if self._fits(stopped):
                    return True
            self.dropped.add(queue)
        return False

    def _list(self, candidates: list[int]) -> None:
        self.lists, self.dropped = {}, set()
        for row in candidates:
            self.lists.setdefault(int(self.world.jobs.queue[row]), []).append(row)

    def _next(self, stopped: list[int]) -> int | None:
        """The queue with the largest share of those that borrow, or the own one; then by whose first is first."""
        left = []
        for queue, rows in self.lists.items():
            share = self._mine(stopped) if queue == self.queue else self.world.share(queue, without=stopped)
            if queue != self.queue and share == (0.0, 0.0):
                self.dropped.add(queue)
            if rows and queue not in self.dropped:
                key = self.world.candidate_key(rows[0], self.queue)
                left.append((tuple(-part for part in share), key, queue))
        return min(left)[2] if left else None

    def _mine(self, stopped: list[int]) -> Key:
        return self.world.share(self.queue, {self.flavor: self.gpus}, stopped)

    def _fits(self, stopped: list[int]) -> bool:
        return self.gpus <= self.world.available(self.queue, self.flavor, stopped)
