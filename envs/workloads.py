"""Who submits what and when: a seeded generator of GPU jobs.

Shapes and their sources:

- Arrivals follow the working day and the working week, per queue (Hu et al., "Characterization and Prediction of Deep
  Learning Workloads in Large-Scale GPU Datacenters", SC'21: the Helios traces).
- Durations are log-normal with a heavy tail, and larger gangs run longer (Jeon et al., "Analysis of Large-Scale
  Multi-Tenant GPU Clusters for DNN Training Workloads", ATC'19: the Philly traces. Of its passed jobs a single GPU
  runs a median of 20 minutes and 8 GPUs 7 hours, with a deviation of the logarithm of 1.9 and more).
- Gangs are powers of two: most jobs are small, most GPU-hours belong to large ones (both).
- Few users submit most jobs, mostly the same job again, often many of them at once (Helios, and Weng et al., "MLaaS in
  the Wild", NSDI'22: the PAI traces).
- A service keeps as many replicas as its load of the hour needs; the load is smooth and daily.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from gyropilot.domain import WorkloadKind

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

KINDS = tuple(WorkloadKind)
"""`JobTable.kind` counts along this."""

DAY_S = 86_400.0
GRID_S = 300.0
MONDAY_S = 4 * DAY_S
"""The first Monday of the epoch, 1970-01-05T00:00Z."""


@dataclass(frozen=True, eq=False, slots=True)
class JobTable:
    """Jobs in order of submission: one array per column, one entry per job."""

    queues: tuple[str, ...]  # names; `queue` counts along this
    queue: Ints
    submit_s: Floats  # since the world began
    duration_s: Floats  # that it runs once started
    gpus: Ints  # all of them or none
    priority: Ints  # larger goes first
    kind: Ints  # along KINDS
    user: Ints  # within its queue
    checkpoint_s: Floats  # between two checkpoints; inf: writes none

    def __len__(self) -> int:
        return len(self.submit_s)

    @property
    def gpu_seconds(self) -> Floats:
        work: Floats = self.gpus * self.duration_s
        return work

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> JobTable:
        """The jobs of these rows, in this order."""
        columns = {name: getattr(self, name)[rows] for name in _COLUMNS}
        return replace(self, **columns)

    @classmethod
    def join(cls, tables: Sequence[JobTable]) -> JobTable:
        """Tables of the same queues as one, in order of submission."""
        columns = {name: np.concatenate([getattr(t, name) for t in tables]) for name in _COLUMNS}
        together = cls(tables[0].queues, **columns)
        return together.take(np.argsort(together.submit_s, kind="stable"))


_COLUMNS = tuple(f.name for f in fields(JobTable) if f.name != "queues")


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How busy people are over the day and the week, in UTC; its mean over a working day is 1."""

    peak_hour: float = 13.0
    swing: float = 0.8  # 0: flat; 1: nobody is there half a day from the peak
    weekend_share: float = 0.4  # of a working day's arrivals

    def at(self, epoch_s: Floats) -> Floats:
        """Relative rate at each second of the epoch."""
        hour = epoch_s / 3600.0 % 24.0
        day = 1.0 + self.swing * np.cos((hour - self.peak_hour) * (2.0 * np.pi / 24.0))
        weekend = (epoch_s - MONDAY_S) // DAY_S % 7 >= 5
        rate: Floats = day * np.where(weekend, self.weekend_share, 1.0)
        return rate


@dataclass(frozen=True, slots=True)
class TrainingProfile:
    """A queue of people who submit jobs that end."""

    queue: str
    submissions_per_day: float  # on a working day; a sweep is one submission
    rhythm: Rhythm = Rhythm()
    gang_mix: tuple[tuple[int, float], ...] = ((1, 0.55), (2, 0.12), (4, 0.13), (8, 0.15), (16, 0.04), (32, 0.01))
    median_s: float = 1_800.0  # of a single-GPU job
    growth: float = 0.5  # the median goes with gpus ** growth
    sigma: float = 1.4  # of the logarithm of the duration
    longest_s: float = 2 * DAY_S
    users: int = 12
    recurrence: float = 0.7  # share of submissions that are the user's usual job again
    sweep_share: float = 0.06  # of submissions that are many equal jobs
    sweep_jobs: float = 10.0  # mean size of a sweep
    sweep_max_gpus: int = 4  # larger gangs are not swept
    priority: int = 0
    kind: WorkloadKind = WorkloadKind.TRAINING
    checkpoint_s: float = 1_800.0
    checkpointing: float = 0.8  # share of jobs that write checkpoints at all


@dataclass(frozen=True, slots=True)
class ServiceProfile:
    """A queue of one service that keeps as many replicas as its load needs."""

    queue: str
    replicas: float  # mean over a working day
    gpus_per_replica: int = 1
    rhythm: Rhythm = Rhythm(peak_hour=14.0, swing=0.5, weekend_share=0.8)
    noise: float = 0.06  # relative, of the load, slowly varying
    calm_s: float = 900.0  # a replica is kept at least this long
    priority: int = 1_000


Profile = tuple[TrainingProfile | ServiceProfile, ...]


def generate(profile: Profile, days: float, rng: np.random.Generator, began_s: float = MONDAY_S) -> JobTable:
    """The jobs of all queues over some days. `began_s`, in seconds of the epoch, says which day and hour it begins."""
    queues = tuple(part.queue for part in profile)
    grid_s = np.arange(0.0, days * DAY_S, GRID_S)
    streams = rng.spawn(len(profile))  # one each, so that a change to one queue leaves the others as they were
    tables = []
    for index, part in enumerate(profile):
        busy = part.rhythm.at(began_s + grid_s)
        if isinstance(part, ServiceProfile):
            tables.append(_service(part, queues, index, busy, streams[index]))
        else:
            tables.append(_training(part, queues, index, busy, streams[index]))
    return JobTable.join(tables)


def _training(
    part: TrainingProfile, queues: tuple[str, ...], index: int, busy: Floats, rng: np.random.Generator
) -> JobTable:
    """Submissions by a non-homogeneous Poisson process, each by a user with a usual job, some of them sweeps."""
    submit_s = _arrivals(part.submissions_per_day / DAY_S * busy, rng)
    count = len(submit_s)
    user = rng.choice(part.users, count, p=_zipf(part.users))
    again = rng.random(count) < part.recurrence
    gpus = np.where(again, _gangs(part, part.users, rng)[user], _gangs(part, count, rng))
    # The usual job explains 36 % of the variance of a duration's logarithm, its runs the rest: together sigma.
    usual = np.where(again, rng.normal(size=part.users)[user], rng.normal(size=count))
    spread = part.sigma * (0.6 * usual + 0.8 * rng.normal(size=count))
    duration_s = part.median_s * gpus**part.growth * np.exp(spread)
    saves = rng.random(count) < part.checkpointing

    copies, swept = _sweeps(part, gpus, rng)
    row = np.repeat(np.arange(count), copies)
    after_s = np.arange(len(row)) - np.repeat(np.cumsum(copies) - copies, copies)  # a loop submits one a second
    wobble = np.where(swept[row], np.exp(0.15 * rng.normal(size=len(row))), 1.0)
    jobs = JobTable(
        queues=queues,
        queue=np.full(len(row), index),
        submit_s=submit_s[row] + after_s,
        duration_s=np.clip(duration_s[row] * wobble, 30.0, part.longest_s),
        gpus=gpus[row],
        priority=np.full(len(row), part.priority),
        kind=np.where(swept[row], KINDS.index(WorkloadKind.SWEEP), KINDS.index(part.kind)),
        user=user[row],
        checkpoint_s=np.where(saves[row], part.checkpoint_s, np.inf),
    )
    return jobs.take(jobs.submit_s < len(busy) * GRID_S)


def _arrivals(rate_per_s: Floats, rng: np.random.Generator) -> Floats:
    """Moments of a Poisson process whose rate is constant within each step of the grid."""
    step = np.repeat(np.arange(len(rate_per_s)), rng.poisson(rate_per_s * GRID_S))
    return np.sort((step + rng.random(len(step))) * GRID_S)


def _zipf(count: int) -> Floats:
    weight = 1.0 / np.arange(1, count + 1)
    share: Floats = weight / weight.sum()
    return share


def _gangs(part: TrainingProfile, count: int, rng: np.random.Generator) -> Ints:
    sizes, weights = (np.array(column) for column in zip(*part.gang_mix, strict=True))
    drawn: Ints = rng.choice(sizes, count, p=weights / weights.sum())
    return drawn


def _sweeps(part: TrainingProfile, gpus: Ints, rng: np.random.Generator) -> tuple[Ints, NDArray[np.bool_]]:
    """How many equal jobs each submission is, and which are sweeps."""
    swept = (rng.random(len(gpus)) < part.sweep_share) & (gpus <= part.sweep_max_gpus)
    return np.where(swept, 1 + rng.poisson(part.sweep_jobs - 1.0, len(gpus)), 1), swept


def _service(
    part: ServiceProfile, queues: tuple[str, ...], index: int, busy: Floats, rng: np.random.Generator
) -> JobTable:
    """One job per replica and stretch of time for which the load needs it; the newest replica goes first."""
    load = part.replicas * busy * (1.0 + part.noise * _slow_noise(len(busy), rng))
    wanted = _held(np.ceil(load).astype(np.int64), round(part.calm_s / GRID_S))
    begins, ends = _stretches(wanted)
    order = np.argsort(begins, kind="stable")
    begins, ends = begins[order], ends[order]
    # What is still up at the end of the grid stays up: the world does not end there.
    lasting = np.where(ends == len(busy), DAY_S, 0.0)
    return JobTable(
        queues=queues,
        queue=np.full(len(begins), index),
        submit_s=np.float64(GRID_S) * begins,
        duration_s=np.float64(GRID_S) * (ends - begins) + lasting,
        gpus=np.full(len(begins), part.gpus_per_replica),
        priority=np.full(len(begins), part.priority),
        kind=np.full(len(begins), KINDS.index(WorkloadKind.INFERENCE)),
        user=np.zeros(len(begins), np.int64),
        checkpoint_s=np.full(len(begins), np.inf),
    )


def _slow_noise(count: int, rng: np.random.Generator) -> Floats:
    """Unit variance, forgotten within a few hours: an average of white noise over two hours."""
    width = 24
    noise: Floats = np.convolve(rng.normal(size=count + width - 1), np.full(width, width**-0.5), "valid")
    return noise


def _held(wanted: Ints, steps: int) -> Ints:
    """The largest of the last `steps` values: growth at once, shrinking only after a calm while."""
    padded = np.concatenate([np.full(max(steps, 1) - 1, wanted[0]), wanted])
    held: Ints = np.lib.stride_tricks.sliding_window_view(padded, max(steps, 1)).max(axis=1)
    return held


def _stretches(wanted: Ints) -> tuple[Ints, Ints]:
    """Grid steps at which each stretch of each replica begins and ends (the length of the grid: not yet)."""
    up = wanted[None, :] > np.arange(wanted.max())[:, None]
    edge = np.diff(np.pad(up.astype(np.int64), ((0, 0), (1, 1))), axis=1)
    return np.nonzero(edge == 1)[1], np.nonzero(edge == -1)[1]
