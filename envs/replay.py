"""What becomes of jobs on a cluster: an exact replay, first come first served, with quotas and borrowing.

Follows Kueue's rules for queues without preemption:

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
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from envs.workloads import Floats, Ints, JobTable

if TYPE_CHECKING:
    from envs.compiled.quotas import Ledger, Rules

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


@dataclass(frozen=True, slots=True)
class Cluster:
    """What jobs run on."""

    shares: Shares
    cohorts: Mapping[str, str] = field(default_factory=dict)  # by queue: queues of one cohort lend to each other
    installed: Mapping[str, int] = field(default_factory=dict)  # GPUs on nodes by flavor; not named: as many as quotas
    strict: frozenset[str] = frozenset()  # queues whose head blocks those behind it: StrictFIFO
    keeps_rights: bool = True  # as Kueue; False: heads that do not fit keep nothing from others

    @property
    def flavors(self) -> tuple[str, ...]:
        """Those on nodes as they are told, then what only shares name."""
        shared = (flavor for by_flavor in self.shares.values() for flavor in by_flavor)
        return tuple(dict.fromkeys((*self.installed, *shared)))


@dataclass(frozen=True, eq=False, slots=True)
class Replay:
    """When each job of a table ran, and where: one entry per job."""

    jobs: JobTable
    flavors: tuple[str, ...]
    start_s: Floats  # inf: not within the replay
    end_s: Floats
    flavor: Ints  # along `flavors`; NOWHERE: never started

    def running_gpus(self, at_s: Floats) -> Floats:
        """(Q, F, T) GPUs in use by queue and flavor at moments in ascending order."""
        cells = self.jobs.queue * len(self.flavors) + self.flavor
        shape = (len(self.jobs.queues), len(self.flavors), len(at_s))
        ran = self.flavor != NOWHERE
        return _levels(cells[ran], self.start_s[ran], self.end_s[ran], self.jobs.gpus[ran], at_s, shape)

    def pending_gpus(self, at_s: Floats) -> Floats:
        """(Q, T) GPUs asked for and not yet given, by queue."""
        shape = (len(self.jobs.queues), len(at_s))
        return _levels(self.jobs.queue, self.jobs.submit_s, self.start_s, self.jobs.gpus, at_s, shape)

    def running_at(self, moment_s: float) -> Ints:
        """Rows of the jobs that run then, oldest start first."""
        rows = np.nonzero((self.start_s <= moment_s) & (moment_s < self.end_s))[0]
        return rows[np.argsort(self.start_s[rows], kind="stable")]

    def waiting_at(self, moment_s: float) -> Ints:
        """Rows of the jobs that wait then, in order of submission."""
        return np.nonzero((self.jobs.submit_s <= moment_s) & (moment_s < self.start_s))[0]


def _levels(cell: Ints, from_s: Floats, until_s: Floats, gpus: Ints, at_s: Floats, shape: tuple[int, ...]) -> Floats:
    """GPUs held per cell at each moment, by jobs that hold theirs from (inclusive) until (exclusive)."""
    moments = len(at_s)
    change = np.zeros((int(np.prod(shape[:-1])), moments + 1))
    np.add.at(change, (cell, np.searchsorted(at_s, from_s, "left")), gpus)
    np.add.at(change, (cell, np.searchsorted(at_s, until_s, "left")), -gpus)
    return np.cumsum(change[:, :moments], axis=1).reshape(shape)


def replay(jobs: JobTable, cluster: Cluster, until_s: float) -> Replay:
    """Run the jobs until a moment. Queues without shares start nothing; a job too large for its queue waits on."""
    from envs.compiled import quotas

    in_line = np.lexsort((jobs.submit_s, -jobs.priority))
    place = np.argsort(in_line)
    rules, ledger = tables(jobs.queues, cluster)
    work = quotas.Work(jobs.submit_s, jobs.queue, jobs.gpus, place, in_line)
    state = quotas.beginning(work, jobs.duration_s, ledger, -np.inf)
    quotas.advance(work, rules, state, until_s)
    runs = state.runs
    return Replay(jobs, cluster.flavors, runs.start_s, runs.start_s + jobs.duration_s, runs.flavor)


def tables(queues: Sequence[str], cluster: Cluster) -> tuple[Rules, Ledger]:
    """A cluster in numbers, with nothing in use."""
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
    speed = np.ones(len(flavors))
    rules = Rules(order, nominal, most, kept, cohort, strict, speed, cluster.keeps_rights)
    return rules, Ledger(np.zeros_like(nominal), free, idle)
