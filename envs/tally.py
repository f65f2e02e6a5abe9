"""What came of a replay, in figures: how long jobs waited, and how well GPUs were used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from envs.replay import Replay, Spells
from envs.workloads import Amounts, Floats, JobTable

Bools = NDArray[np.bool_]

HOUR_S = 3_600.0

AT_LEAST = 0.1
"""Of the GPUs that were ever in use at once: while fewer are, and nobody comes any more, a cluster runs out."""


@dataclass(frozen=True, slots=True)
class Waits:
    """Of some jobs.

    Who never started waits on when all is over: until then it has waited at least. Times that depend on how long it
    would have gone on are lower bounds, and said to be. Who left before it started counts in none of them.
    """

    queue: str | None  # None: of all queues
    jobs: int
    never_started: int
    gpu_hours: float  # run
    p50_s: float
    p95_s: float
    mean_s: float
    longest_s: float
    due: int = 0  # that have a deadline
    in_time: int = 0  # of those, that were done by then
    left_waiting: int = 0  # before they started, and not among those that never did
    p50_is_least: bool = False  # it is that or more
    p95_is_least: bool = False
    beyond_p95: int = 0  # waited longer; of few jobs not one in twenty, as the quantile lies between two waits

    @property
    def started(self) -> int:
        return self.jobs - self.never_started - self.left_waiting

    @property
    def waited(self) -> int:
        """Of how many jobs times are: none but those that left."""
        return self.jobs - self.left_waiting

    @property
    def others_are_least(self) -> bool:
        """Whether the mean and the longest wait are those or more."""
        return self.never_started > 0

    @property
    def in_time_share(self) -> float | None:
        """None where nothing was due."""
        return self.in_time / self.due if self.due else None


@dataclass(frozen=True, slots=True)
class Tally:
    """Of a replay."""

    waits: tuple[Waits, ...]  # of all queues, then of each
    provisioned_gpu_hours: float  # from the first submission until `counted_s`
    used_gpu_hours: float
    counted_s: float  # after the first submission; what follows says nothing of how well a cluster was used
    lasted_s: float  # from the first submission to the last end

    @property
    def utilisation(self) -> float:
        """Share of what was there that was used; 0 where nothing was."""
        return self.used_gpu_hours / self.provisioned_gpu_hours if self.provisioned_gpu_hours else 0.0


class Ran(NamedTuple):
    """When jobs (N,) started first and ended, and all times for which they ran."""

    start_s: Floats  # inf: never
    end_s: Floats  # inf: not yet, or it waits again
    spells: Spells  # several of a job that was stopped in between

    @classmethod
    def once(cls, start_s: Floats, end_s: Floats, held: Amounts) -> Self:
        """Of jobs none of which was ever stopped, on so many GPUs (N,) each."""
        ran = np.flatnonzero(np.isfinite(start_s))
        return cls(start_s, end_s, Spells(ran, np.zeros_like(ran), held[ran], start_s[ran], end_s[ran]))

    @classmethod
    def of(cls, replayed: Replay) -> Self:
        """Of jobs that may have stopped others."""
        return cls(replayed.start_s, replayed.end_s, replayed.spells)

    @property
    def gpu_hours(self) -> Floats:
        """(N,) 0 of those that never started."""
        ran = self.spells
        hours = (ran.end_s - ran.start_s) * ran.gpus / HOUR_S
        return np.asarray(np.bincount(ran.job, hours, len(self.start_s)), dtype=np.float64)


def tally(jobs: JobTable, ran: Ran, gpus: int) -> Tally:
    """Of jobs that ran so on so many GPUs."""
    waits, spells = waits_of(jobs, ran.start_s, ran.end_s, ran.gpu_hours), ran.spells
    if not len(spells.job):
        return Tally(tuple(waits), 0.0, 0.0, 0.0, 0.0)
    began_s, last_s = float(jobs.submit_s.min()), float(jobs.submit_s[spells.job].max())
    until_s = in_use_until_s(spells.start_s, spells.end_s, spells.gpus, last_s)
    work = spells.gpus * np.maximum(0.0, np.minimum(spells.end_s, until_s) - spells.start_s)
    counted_s = until_s - began_s
    lasted_s = float(spells.end_s.max()) - began_s
    return Tally(tuple(waits), gpus * counted_s / HOUR_S, float(work.sum()) / HOUR_S, counted_s, lasted_s)


def in_use_until_s(start_s: Floats, end_s: Floats, gpus: Amounts, last_s: float) -> float:
    """When jobs (N,) had left less than AT_LEAST of their peak in use for good, the last of which came at `last_s`.

    One job that runs for months after all others is no reason to count months of idle GPUs.
    """
    times_s = np.concatenate([end_s, start_s])  # who ends at a moment makes room for who starts at it
    order = np.argsort(times_s, kind="stable")
    used = np.cumsum(np.concatenate([-gpus, gpus])[order])
    busy = np.flatnonzero(used >= AT_LEAST * used.max(initial=0.0))
    falls = min(int(busy[-1]) + 1, len(used) - 1) if used.max(initial=0.0) > 0 else len(used) - 1
    return max(last_s, float(times_s[order[falls]]))


def waits_of(
    jobs: JobTable, start_s: Floats, end_s: Floats, gpu_hours: Floats | None = None, over_s: float = np.inf
) -> list[Waits]:
    """Of all queues, then of each that has jobs; those that started count as run, at their size, unless told.

    Nobody looks any more after `over_s`, or when the last job came, began or ended: what starts or ends then does not
    count, and who waits still has waited until then.
    """
    start_s, end_s = (np.where(at_s <= over_s, at_s, np.inf) for at_s in (start_s, end_s))
    started = np.isfinite(start_s)
    until_s = np.where(started, start_s, _last_s(jobs.submit_s, start_s, end_s) if np.isinf(over_s) else over_s)
    left = ~started & np.isfinite(end_s)
    waited = np.where(left, np.nan, np.maximum(0.0, until_s - jobs.submit_s))
    work = jobs.gpus * jobs.ran_s(start_s) / HOUR_S if gpu_hours is None else gpu_hours
    told = _Told(waited, started, work, np.isfinite(jobs.deadline_s), in_time(jobs, end_s), left)
    of = [jobs.queue == n for n in range(len(jobs.queues))]
    queues = [_waits(name, told.of(mine)) for name, mine in zip(jobs.queues, of, strict=True) if mine.any()]
    return [_waits(None, told), *queues]


def _last_s(*times_s: Floats) -> float:
    """Of those that are known; 0 where none is."""
    return max((float(some[np.isfinite(some)].max(initial=-np.inf)) for some in times_s if len(some)), default=0.0)


def in_time(jobs: JobTable, end_s: Floats) -> Bools:
    """(N,) whether each that has a deadline had ended by then; who left undone, or never ended, had not."""
    by_s, left_s = jobs.submit_s + jobs.deadline_s, jobs.submit_s + jobs.leaves_s
    done: Bools = np.isfinite(by_s) & (end_s <= by_s) & (end_s < left_s)
    return done


class _Told(NamedTuple):
    """Of some jobs, (N,)."""

    waited: Floats  # so far, where it never started; NaN: it left before it did
    started: Bools
    gpu_hours: Floats
    due: Bools
    in_time: Bools
    left: Bools  # before it started

    def of(self, rows: Bools) -> _Told:
        spans = (self.waited[rows], self.started[rows], self.gpu_hours[rows])
        return _Told(*spans, self.due[rows], self.in_time[rows], self.left[rows])


def _waits(queue: str | None, told: _Told) -> Waits:
    waited, ended = told.waited[~told.left], told.started[~told.left]
    jobs, counts = len(told.waited), (int(told.due.sum()), int(told.in_time.sum()), int(told.left.sum()))
    if not len(waited):
        return Waits(queue, jobs, 0, 0.0, 0.0, 0.0, 0.0, 0.0, *counts)
    p50, p95 = np.quantile(waited, (0.5, 0.95))
    spans = (float(p50), float(p95), float(waited.mean()), float(waited.max()))
    least = (_is_least(0.5, waited, ended), _is_least(0.95, waited, ended))
    beyond = int((waited > p95).sum())
    return Waits(queue, jobs, int((~ended).sum()), float(told.gpu_hours.sum()), *spans, *counts, *least, beyond)


def _is_least(quantile: float, waited: Floats, ended: Bools) -> bool:
    """Whether a quantile of waits would be longer, had those that did not end then gone on for ever.

    That needs no assumption on them, as the product-limit estimate (Kaplan and Meier, 1958) does: that they would have
    started like others, which a gang too large for its quota does not.
    """
    rank = quantile * (len(waited) - 1)
    near = [int(np.floor(rank)), int(np.ceil(rank))]
    longest = np.sort(np.where(ended, waited, np.inf))[near]
    return bool((np.sort(waited)[near] != longest).any())
