"""What becomes of jobs on a cluster: an exact replay, first come first served, with quotas and borrowing.

Follows Kueue's rules:

- A queue uses a flavor up to its nominal quota, and beyond it up to its borrowing limit, of what others of its cohort
  leave unused and lend. What lies above a queue's lending limit is kept for itself.
- A job takes the first flavor, in its queue's order, in which all of it fits; borrowing does not count against one.
- Each round looks at the head of every queue: those that need not borrow first, then by priority, then by age. A head
  that fits nowhere steps aside until something is freed, and the next in line becomes the head (BestEffortFIFO); in a
  strict queue it stays the head, and those behind it wait (StrictFIFO).
- A head that does not fit, though its queue's own quota would suffice, keeps those behind it in the round from what it
  has a right to. In a strict queue it does so until it starts.
- A job starts only where so many GPUs are free on nodes, where that is told (Kueue's topology-aware scheduling);
  quotas may well promise more than there is. How nodes are fragmented is not looked at.
- Where `Preemption` lets them, jobs that fit nowhere stop others: those of other queues that borrow first, then those
  of lower priority, then those that started last; no more than are needed. What they did since their last checkpoint is
  lost. They wait where they would had they never run. Until they have stopped, all others that can start do.
- Who leaves, running or waiting, is gone at that moment: what it held is free, and in a strict queue whoever stood
  behind it is the head.
- With fair sharing the heads of queues that borrow least, by their weights, come first, and jobs of other queues stop
  where that brings shares closer to each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from numpy.typing import NDArray

from envs.leaving import exits, leavers
from envs.terms import Speed, speeds
from envs.workloads import KINDS, Amounts, Floats, Ints, JobTable, in_parts
from gyropilot.errors import SettingsError

if TYPE_CHECKING:
    from envs.compiled.quotas import Ledger, Paces, Rules, Work
    from envs.compiled.stops import Contest

Bools = NDArray[np.bool_]

NOWHERE = -1
UNLIMITED = 1 << 60
"""GPUs."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one queue may use of one flavor, in GPUs."""

    nominal: int
    borrowing_limit: int | None = None  # None: all that others lend
    lending_limit: int | None = None  # None: all that lies unused

    @property
    def kept(self) -> int:
        """Never lent to others."""
        return 0 if self.lending_limit is None else max(0, self.nominal - self.lending_limit)


Shares = Mapping[str, Mapping[str, Share]]
"""By queue, then by flavor in the order in which they are tried."""


RESTART_S = 300.0
"""Of work that a job that had to stop does again, beside what it lost."""

LIGHTEST = 1e-6
"""Weight but for 0."""

ROOM = 1_024
"""Spells of jobs that were stopped, beside one of each, that are written down before they are taken away."""

Within = Literal["never", "lower_priority", "lower_or_newer_equal_priority"]
Reclaim = Literal["never", "lower_priority", "any"]
Borrow = Literal["never", "lower_priority"]
FairRule = Literal["less_than_or_equal_to_final_share", "less_than_initial_share"]


@dataclass(frozen=True, slots=True)
class Preemption:
    """Whom the jobs of a queue may stop to start."""

    within: Within = "never"  # jobs of the same queue
    reclaim: Reclaim = "never"  # jobs of queues that use more than their quota
    borrow: Borrow = "never"  # those even where the queue borrows then
    borrow_up_to: int | None = None  # of which priority at most; None: any that is lower

    def __post_init__(self) -> None:
        if self.borrow != "never" and self.reclaim == "never":
            raise SettingsError("a queue that stops others to borrow has to reclaim; set preemption.reclaim too")
        if self.borrow == "never" and self.borrow_up_to is not None:
            raise SettingsError("preemption.borrow_up_to is for preemption.borrow: lower_priority; set that too")


FAIR: tuple[FairRule, ...] = ("less_than_or_equal_to_final_share", "less_than_initial_share")
"""Kueue's own rules for whom fair sharing stops, in order."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """What jobs run on."""

    shares: Shares
    cohorts: Mapping[str, str] = field(default_factory=dict)  # by queue: queues of one cohort lend to each other
    installed: Mapping[str, int] = field(default_factory=dict)  # GPUs on nodes by flavor; not named: as many as quotas
    strict: frozenset[str] = frozenset()  # queues whose head blocks those behind it: StrictFIFO
    keeps_rights: bool = True  # as Kueue; False: heads that do not fit keep nothing from others
    preemption: Mapping[str, Preemption] = field(default_factory=dict)  # by queue; not named: stops nobody
    fair_sharing: tuple[FairRule, ...] = ()  # rules for whom it stops; none: shares do not count
    weights: Mapping[str, float] = field(default_factory=dict)  # by queue, of its fair share; not named: 1
    restart_s: float = RESTART_S  # of work that a job that was stopped does again beside what it lost, unless it tells
    speed: Mapping[str, Speed] = field(default_factory=dict)  # by flavor; not named: 1

    def __post_init__(self) -> None:
        if self.fair_sharing not in {(), FAIR, FAIR[:1], FAIR[1:]}:
            raise SettingsError(f"fair sharing knows {' then '.join(FAIR)}, or one of them")
        borrowing = sorted(queue for queue, policy in self.preemption.items() if policy.borrow != "never")
        if self.fair_sharing and borrowing:
            raise SettingsError(
                f"queue {borrowing[0]} stops others to borrow, which fair sharing leaves out; drop preemption.borrow"
            )
        for queue, weight in self.weights.items():
            if weight != 0 and not LIGHTEST <= weight < np.inf:
                raise SettingsError(f"queue {queue} has weight {weight:g}; give 0, or {LIGHTEST:g} and more")

    @property
    def contested(self) -> bool:
        """Whether jobs may stop others, or shares count."""
        return bool(self.fair_sharing) or any(policy != Preemption() for policy in self.preemption.values())

    @property
    def flavors(self) -> tuple[str, ...]:
        """Those on nodes as they are told, then what only shares name."""
        shared = (flavor for by_flavor in self.shares.values() for flavor in by_flavor)
        return tuple(dict.fromkeys((*self.installed, *shared)))


@dataclass(frozen=True, eq=False, slots=True)
class Spells:
    """Times for which jobs ran, earliest start first."""

    job: Ints  # row
    flavor: Ints
    gpus: Amounts  # that they held
    start_s: Floats
    end_s: Floats

    @classmethod
    def none(cls) -> Self:
        return cls(*np.zeros((3, 0), dtype=np.int64), *np.zeros((2, 0)))

    @classmethod
    def join(cls, parts: Sequence[Spells]) -> Self:
        """All of them, in order."""
        names = ("job", "flavor", "gpus", "start_s", "end_s")
        columns = [np.concatenate([getattr(part, name) for part in parts]) for name in names]
        every = cls(*columns)
        return every.of(np.lexsort((every.job, every.start_s)))

    def of(self, rows: Bools | Ints) -> Self:
        return type(self)(self.job[rows], self.flavor[rows], self.gpus[rows], self.start_s[rows], self.end_s[rows])


@dataclass(frozen=True, eq=False, slots=True)
class Replay:
    """When each job of a table ran, and where: one entry per job."""

    jobs: JobTable
    flavors: tuple[str, ...]
    start_s: Floats  # first; inf: not within the replay
    end_s: Floats  # or left; inf: it waits, or waits again
    flavor: Ints  # along `flavors`, in which it ran last; NOWHERE: it waits
    gpus: Amounts  # that it held last; 0: it waits
    several: Spells | None = None  # all times for which jobs ran, where some may have been stopped

    def running_gpus(self, at_s: Floats) -> Floats:
        """(Q, F, T) GPUs in use by queue and flavor at moments in ascending order."""
        ran = self.spells
        cells = self.jobs.queue[ran.job] * len(self.flavors) + ran.flavor
        shape = (len(self.jobs.queues), len(self.flavors), len(at_s))
        return _levels(cells, ran.start_s, ran.end_s, ran.gpus, at_s, shape)

    def pending_gpus(self, at_s: Floats) -> Floats:
        """(Q, T) GPUs asked for and not given, by queue."""
        shape = (len(self.jobs.queues), len(at_s))
        if self.several is None:
            waited_s = np.minimum(self.start_s, self.end_s)  # who never starts waits until he leaves
            return _levels(self.jobs.queue, self.jobs.submit_s, waited_s, self.jobs.gpus, at_s, shape)
        there = _levels(self.jobs.queue, self.jobs.submit_s, self.end_s, self.jobs.gpus, at_s, shape)
        ran = self.several
        running = _levels(self.jobs.queue[ran.job], ran.start_s, ran.end_s, self.jobs.gpus[ran.job], at_s, shape)
        waiting: Floats = there - running
        return waiting

    def running_at(self, moment_s: float) -> Ints:
        """Rows of the jobs that run then, oldest start first."""
        ran = self.spells
        now = ran.of((ran.start_s <= moment_s) & (moment_s < ran.end_s))
        return now.job[np.lexsort((now.job, now.start_s))]

    def waiting_at(self, moment_s: float) -> Ints:
        """Rows of the jobs that wait then, in order of submission."""
        there = (self.jobs.submit_s <= moment_s) & (moment_s < self.end_s)
        return np.setdiff1d(np.nonzero(there)[0], self.running_at(moment_s))

    @property
    def spells(self) -> Spells:
        """All times for which jobs ran; those that have not ended yet, until they would."""
        if self.several is not None:
            return self.several
        ran = np.nonzero(self.flavor != NOWHERE)[0]
        return Spells(ran, self.flavor[ran], self.gpus[ran], self.start_s[ran], self.end_s[ran])


def _levels(cell: Ints, from_s: Floats, until_s: Floats, gpus: Amounts, at_s: Floats, shape: tuple[int, ...]) -> Floats:
    """GPUs held per cell at each moment, by jobs that hold theirs from (inclusive) until (exclusive)."""
    moments = len(at_s)
    change = np.zeros((int(np.prod(shape[:-1])), moments + 1))
    np.add.at(change, (cell, np.searchsorted(at_s, from_s, "left")), gpus)
    np.add.at(change, (cell, np.searchsorted(at_s, until_s, "left")), -gpus)
    return np.cumsum(change[:, :moments], axis=1).reshape(shape)


def replay(jobs: JobTable, cluster: Cluster, until_s: float) -> Replay:
    """Run the jobs until a moment. Queues without shares start nothing; a job too large for its queue waits on."""
    from envs.compiled import events, quotas
    from envs.compiled.stops import Course, Fates, Kinds
    from envs.contests import contest

    count, none, nobody = len(jobs), np.zeros(0), np.zeros(0, dtype=np.int64)
    parts = parts_of_all([jobs])
    rules, ledger = tables(jobs.queues, cluster, parts)
    work = asked(jobs, parts)
    checkpoint_s = np.where(jobs.checkpoint_s > 0, jobs.checkpoint_s, np.inf)
    restart_s = np.where(np.isnan(jobs.restart_s), cluster.restart_s, jobs.restart_s)
    kinds = Kinds(jobs.duration_s, checkpoint_s, restart_s, none, nobody, paces(jobs, cluster))
    leaving = exits(jobs) if leavers(jobs) else None
    fates = Fates(np.zeros(count), np.zeros(count, dtype=np.int64), none, nobody, np.zeros(1, dtype=np.int64), leaving)
    met = contest(jobs, cluster, rules, ledger, room=count + ROOM)
    state = quotas.beginning(work, jobs.duration_s, ledger, -np.inf)
    course, runs, stopped = Course(work, rules, state, kinds, fates), state.runs, []
    while not events.replay(course, met, until_s) and met is not None:
        stopped.append(_taken(met, parts))
    held = whole(np.where(runs.flavor == NOWHERE, 0, runs.gpus), parts)
    if met is None:
        return Replay(jobs, cluster.flavors, runs.start_s, runs.end_s, runs.flavor, held)
    ran = np.nonzero(runs.flavor != NOWHERE)[0]
    last = Spells(ran, runs.flavor[ran], held[ran], runs.began_s[ran], runs.end_s[ran])
    spells = Spells.join([*stopped, _taken(met, parts), last])
    return Replay(jobs, cluster.flavors, runs.start_s, runs.end_s, runs.flavor, held, spells)


def parts_of_all(jobs: Sequence[JobTable]) -> int:
    """The parts of a GPU in which all jobs are counted. Raises ValueError where there are none."""
    amounts = [gpus for each in jobs for gpus in (each.gpus, each.least_gpus)]
    if all(gpus.dtype.kind == "i" for gpus in amounts):
        return 1
    return in_parts(np.concatenate([gpus.astype(np.float64) for gpus in amounts]))[1]


def asked(jobs: JobTable, parts: int) -> Work:
    """What jobs ask for, in so many parts of a GPU."""
    from envs.compiled.quotas import Work

    in_line = np.lexsort((jobs.submit_s, -jobs.priority))
    gpus, least = (_counted(amounts, parts) for amounts in (jobs.gpus, jobs.least_gpus))
    return Work(
        jobs.submit_s,
        jobs.queue,
        gpus,
        np.argsort(in_line),
        in_line,
        np.minimum(least, gpus),
    )


def _counted(amounts: Amounts, parts: int) -> Ints:
    whole_gpus = amounts.dtype.kind == "i" and parts == 1
    return amounts.astype(np.int64) if whole_gpus else np.rint(amounts * parts).astype(np.int64)


def paces(jobs: JobTable, cluster: Cluster) -> Paces:
    """How fast jobs go on a cluster."""
    from envs.compiled.quotas import Paces

    speed = np.ones((len(KINDS), len(cluster.flavors)))
    for column, name in enumerate(cluster.flavors):
        speed[:, column] = speeds(cluster.speed.get(name, 1.0))
    return Paces(speed, jobs.kind, jobs.scaling)


def whole(amounts: Amounts, parts: int) -> Amounts:
    """In GPUs what is counted in parts of one."""
    return amounts if parts == 1 else amounts / parts


def _taken(met: Contest, parts: int) -> Spells:
    """What is written down, which makes room for more."""
    spells = met.spells
    written = slice(int(spells.noted[0]))
    spells.noted[0] = 0
    job, flavor, gpus = (each[written].copy() for each in (spells.job, spells.flavor, spells.gpus))
    start_s, end_s = (each[written].copy() for each in (spells.start_s, spells.end_s))
    return Spells(job, flavor, whole(gpus, parts), start_s, end_s)


def tables(queues: Sequence[str], cluster: Cluster, parts: int = 1) -> tuple[Rules, Ledger]:
    """A cluster in numbers, with nothing in use; GPUs are counted in so many parts of one."""
    from envs.compiled.quotas import Ledger, Rules

    flavors = cluster.flavors
    nominal, most, kept = np.zeros((3, len(queues), len(flavors)), dtype=np.int64)
    order = np.full((len(queues), len(flavors)), NOWHERE)
    # A queue without a cohort is alone in one of its own.
    names = [("cohort", cluster.cohorts[q]) if q in cluster.cohorts else ("queue", q) for q in queues]
    cohort = np.unique([" ".join(name) for name in names], return_inverse=True)[1].astype(np.int64)
    free = np.zeros((len(queues), len(flavors)), dtype=np.int64)
    for row, queue in enumerate(queues):
        for nth, (name, share) in enumerate(cluster.shares.get(queue, {}).items()):
            column = flavors.index(name)
            order[row, nth], nominal[row, column], kept[row, column] = column, share.nominal, share.kept
            limit = share.borrowing_limit
            most[row, column] = UNLIMITED if limit is None else share.nominal + limit
            free[cohort[row], column] += share.nominal - share.kept
    idle = np.array([cluster.installed.get(name, UNLIMITED) for name in flavors], dtype=np.int64)
    strict = np.array([queue in cluster.strict for queue in queues], dtype=np.bool_)
    most, idle = (np.minimum(limits, UNLIMITED // parts) * parts for limits in (most, idle))
    rules = Rules(order, nominal * parts, most, kept * parts, cohort, strict, cluster.keeps_rights, parts)
    return rules, Ledger(np.zeros_like(nominal), free * parts, idle)
