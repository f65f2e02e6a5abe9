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
- Jobs end well, are killed by their users or fail (all three papers); `profiles` has the rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from gyropilot.domain import WorkloadKind

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Amounts = NDArray[np.int64] | NDArray[np.float64]
"""Of GPUs: whole ones, or parts where some jobs take part of one."""

KINDS = tuple(WorkloadKind)
"""`JobTable.kind` counts along this."""


class Ending(StrEnum):
    """How a job ended."""

    PASSED = "passed"
    KILLED = "killed"  # by its user
    FAILED = "failed"


ENDINGS = tuple(Ending)
"""`JobTable.ending` counts along this."""

DAY_S = 86_400.0
GRID_S = 300.0
OUTLASTS = 16.0
"""What a replica could do next to what it does until it leaves: it is there until then also on GPUs so much faster."""
MONDAY_S = 4 * DAY_S
"""The first Monday of the epoch, 1970-01-05T00:00Z."""


def _nothing() -> Floats:
    return np.zeros(0)


def _no_amounts() -> Ints:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False, slots=True)
class JobTable:
    """Jobs in order of submission: one array per column, one entry per job."""

    queues: tuple[str, ...]  # names; `queue` counts along this
    queue: Ints
    submit_s: Floats  # since the world began
    duration_s: Floats  # that it runs once started
    gpus: Amounts  # all of them or none
    priority: Ints  # larger goes first
    kind: Ints  # along KINDS
    user: Ints  # within its queue
    checkpoint_s: Floats  # between two checkpoints; inf: writes none
    # What follows need not be told.
    ending: Ints = field(default_factory=_no_amounts)  # along ENDINGS; passed
    least_gpus: Amounts = field(default_factory=_no_amounts)  # that do where `gpus` are not to be had; `gpus`
    scaling: Floats = field(default_factory=_nothing)  # with n GPUs it is (n / gpus) ** scaling as fast; 1
    leaves_s: Floats = field(default_factory=_nothing)  # after submission, done or not, running or waiting; inf
    deadline_s: Floats = field(default_factory=_nothing)  # after submission, to have ended by; inf
    data_gb: Floats = field(default_factory=_nothing)  # that have to be where it runs; 0
    restart_s: Floats = field(
        default_factory=_nothing
    )  # of work that it does again where it was stopped; NaN: as others

    def __post_init__(self) -> None:
        count = len(self)
        untold = {
            "ending": np.zeros(count, np.int64),
            "least_gpus": self.gpus,
            "scaling": np.ones(count),
            "leaves_s": np.full(count, np.inf),
            "deadline_s": np.full(count, np.inf),
            "data_gb": np.zeros(count),
            "restart_s": np.full(count, np.nan),
        }
        for name, values in untold.items():
            if len(getattr(self, name)) != count:
                object.__setattr__(self, name, values)

    def __len__(self) -> int:
        return len(self.submit_s)

    @property
    def stays_s(self) -> Floats:
        """(N,) for which each runs that starts at once and is not stopped, at speed 1."""
        return np.minimum(self.duration_s, self.leaves_s)

    @property
    def gpu_seconds(self) -> Floats:
        """(N,) likewise."""
        work: Floats = self.gpus * self.stays_s
        return work

    def ran_s(self, start_s: Floats) -> Floats:
        """(N,) for which each ran that started then and was not stopped, at speed 1; 0 of those that never did."""
        ran = np.zeros(len(self))
        left, started = self.submit_s + self.leaves_s, np.isfinite(start_s)
        ran[started] = np.minimum(self.duration_s[started], left[started] - start_s[started])
        return ran

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


MOST_PARTS = 100


def parts_of(gpus: Amounts) -> int | None:
    """The fewest equal parts of a GPU of which all amounts are whole numbers: 7 for MIG slices; None: over MOST_PARTS.

    What is written with few digits counts as what is meant: .143 is a seventh.
    """
    if gpus.dtype.kind == "i":
        return 1
    amounts = np.unique(gpus)
    for parts in range(1, MOST_PARTS + 1):
        times = amounts * parts
        if (np.rint(times) >= 1).all() and (np.abs(times - np.rint(times)) <= 0.005).all():
            return parts
    return None


def in_parts(gpus: Amounts) -> tuple[Ints, int]:
    """The amounts in equal parts of a GPU, and how many parts make one. Raises ValueError where there are none."""
    parts = parts_of(gpus)
    if parts is None:
        raise ValueError(f"amounts of GPUs are no multiples of any part down to a {MOST_PARTS}th; round them")
    return np.rint(gpus * parts).astype(np.int64), parts


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
class Runs:
    """How long jobs of so many GPUs or more run: four quantiles, and lines between them on log-normal paper."""

    gpus: int
    p10_s: float
    p50_s: float
    p90_s: float
    p99_s: float

    def at(self, score: Floats) -> Floats:
        """Durations of standard normal scores; beyond the outer quantiles the outer lines go on."""
        knots = np.array([-1.2816, 0.0, 1.2816, 2.3263])
        logs = np.log(np.maximum.accumulate([self.p10_s, self.p50_s, self.p90_s, self.p99_s]))
        line = np.clip(np.searchsorted(knots, score) - 1, 0, len(knots) - 2)
        slope = np.diff(logs) / np.diff(knots)
        runs_s: Floats = np.exp(logs[line] + slope[line] * (score - knots[line]))
        return runs_s


@dataclass(frozen=True, slots=True)
class Ends:
    """How jobs of so many GPUs or more end, as shares of them; the others pass."""

    gpus: int
    killed: float
    failed: float
    killed_stretch: float = 1.0  # how much longer killed jobs have run than those that pass
    failed_stretch: float = 1.0


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
    runs: tuple[Runs, ...] = ()  # by ascending gpus; where given, instead of median_s, growth and sigma
    sweep_runs: tuple[Runs, ...] = ()  # where given, those of sweeps
    sweep_gap_s: float = 1.0  # median from one job of a sweep to the next; 1: exactly that
    sweep_sigma: float = 0.0  # of the logarithm of a sweep's size; 0: Poisson
    user_tilt: float = 1.0  # the n-th user submits in proportion to 1 / n ** user_tilt
    habits: bool = False  # a job that comes again is the user's last one, not one usual job for good
    ends: tuple[Ends, ...] = ()  # by ascending gpus; none: all pass
    elastic: float = 0.0  # share of submissions that run with fewer GPUs too
    elastic_least: float = 0.5  # of their GPUs that do, rounded up
    scaling: float = 0.9  # with a share of its GPUs such a job is share ** scaling as fast
    slack: float | None = None  # a job has to have ended so many times its duration after it came; None: whenever


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


class Source(Protocol):
    """A queue that makes its jobs itself."""

    @property
    def queue(self) -> str: ...

    def jobs(self, queues: tuple[str, ...], days: float, rng: np.random.Generator, began_s: float) -> JobTable: ...


Profile = tuple[TrainingProfile | ServiceProfile | Source, ...]


def generate(profile: Profile, days: float, rng: np.random.Generator, began_s: float = MONDAY_S) -> JobTable:
    """The jobs of all queues over some days. `began_s`, in seconds of the epoch, says which day and hour it begins."""
    queues = tuple(part.queue for part in profile)
    grid_s = np.arange(0.0, days * DAY_S, GRID_S)
    streams = rng.spawn(len(profile))  # one each, so that a change to one queue leaves the others as they were
    tables = []
    for index, part in enumerate(profile):
        if isinstance(part, ServiceProfile):
            tables.append(_service(part, queues, index, part.rhythm.at(began_s + grid_s), streams[index]))
        elif isinstance(part, TrainingProfile):
            tables.append(_training(part, queues, index, part.rhythm.at(began_s + grid_s), streams[index]))
        else:
            tables.append(part.jobs(queues, days, streams[index], began_s))
    return JobTable.join(tables)


def _training(
    part: TrainingProfile, queues: tuple[str, ...], index: int, busy: Floats, rng: np.random.Generator
) -> JobTable:
    """Submissions by a non-homogeneous Poisson process, each by a user with a usual job, some of them sweeps."""
    # What came to the generator later draws from here, so that older profiles stay as they were.
    (later,) = rng.spawn(1)
    submit_s, user, gpus, score, saves = _submitted(part, busy, rng)
    copies, swept = _sweeps(part, gpus, rng, later)
    row = np.repeat(np.arange(len(submit_s)), copies)
    wobble = np.where(swept[row], np.exp(0.15 * rng.normal(size=len(row))), 1.0)
    duration_s, ending = _ended(part, gpus[row], _durations(part, gpus, score, swept)[row] * wobble, later)
    runs_s = np.clip(duration_s, 30.0 if not part.runs else 1.0, part.longest_s)
    jobs = JobTable(
        queues=queues,
        queue=np.full(len(row), index),
        submit_s=submit_s[row] + _after_s(part, copies, later),
        duration_s=runs_s,
        gpus=gpus[row],
        priority=np.full(len(row), part.priority),
        kind=np.where(swept[row], KINDS.index(WorkloadKind.SWEEP), KINDS.index(part.kind)),
        user=user[row],
        checkpoint_s=np.where(saves[row], part.checkpoint_s, np.inf),
        ending=ending,
        deadline_s=np.full(len(row), np.inf) if part.slack is None else part.slack * runs_s,
    )
    if part.elastic:
        jobs = _elastic(part, jobs, (later.random(len(submit_s)) < part.elastic)[row])
    return jobs.take(jobs.submit_s < len(busy) * GRID_S)


class _Submitted(NamedTuple):
    """Submissions (N,), each of one job or of several that are equal."""

    submit_s: Floats
    user: Ints
    gpus: Ints
    score: Floats  # of a duration's logarithm, in standard deviations
    saves: NDArray[np.bool_]  # whether it writes checkpoints


def _submitted(part: TrainingProfile, busy: Floats, rng: np.random.Generator) -> _Submitted:
    submit_s = _arrivals(part.submissions_per_day / DAY_S * busy, rng)
    count = len(submit_s)
    user = rng.choice(part.users, count, p=_zipf(part.users, part.user_tilt))
    again = rng.random(count) < part.recurrence
    gpus, usual = _habitual(part, user, again, rng) if part.habits else _usual(part, user, again, rng)
    # The usual job explains 36 % of the variance of a duration's logarithm, its runs the rest: together sigma.
    score = 0.6 * usual + 0.8 * rng.normal(size=count)
    return _Submitted(submit_s, user, gpus, score, rng.random(count) < part.checkpointing)


def _elastic(part: TrainingProfile, jobs: JobTable, may: NDArray[np.bool_]) -> JobTable:
    """Those that may run with fewer GPUs."""
    least = np.maximum(1, np.ceil(part.elastic_least * jobs.gpus)).astype(np.int64)
    scaling = np.where(may, part.scaling, 1.0)
    return replace(jobs, least_gpus=np.where(may, np.minimum(least, jobs.gpus), jobs.gpus), scaling=scaling)


def _usual(
    part: TrainingProfile, user: Ints, again: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[Ints, Floats]:
    """GPUs and score of each submission, where each user has one usual job for good."""
    gpus = np.where(again, _gangs(part, part.users, rng)[user], _gangs(part, len(user), rng))
    return gpus, np.where(again, rng.normal(size=part.users)[user], rng.normal(size=len(user)))


def _habitual(
    part: TrainingProfile, user: Ints, again: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[Ints, Floats]:
    """GPUs and score of each submission, where a user submits the last job again until there is a new one.

    However few the users, jobs keep the mix and the durations that the profile tells.
    """
    order = np.argsort(user, kind="stable")
    first = np.diff(user[order], prepend=-1) != 0
    at = np.arange(len(user))
    same = np.empty_like(at)
    same[order] = order[np.maximum.accumulate(np.where(first | ~again[order], at, 0))]
    return _gangs(part, len(user), rng)[same], rng.normal(size=len(user))[same]


def _durations(part: TrainingProfile, gpus: Ints, score: Floats, swept: NDArray[np.bool_]) -> Floats:
    if not part.runs:
        # In this order of operations older profiles stay as they were, bit for bit.
        return np.asarray(part.median_s * gpus**part.growth * np.exp(part.sigma * score), dtype=np.float64)
    duration_s = _from_quantiles(part.runs, gpus, score)
    if not part.sweep_runs:
        return duration_s
    of_sweeps = swept & (gpus >= part.sweep_runs[0].gpus)
    return np.where(of_sweeps, _from_quantiles(part.sweep_runs, gpus, score), duration_s)


def _from_quantiles(runs: Sequence[Runs], gpus: Ints, score: Floats) -> Floats:
    duration_s = runs[0].at(score)
    for larger in runs[1:]:
        duration_s = np.where(gpus >= larger.gpus, larger.at(score), duration_s)
    return duration_s


def _ended(part: TrainingProfile, gpus: Ints, duration_s: Floats, rng: np.random.Generator) -> tuple[Floats, Ints]:
    """Durations and endings, job by job; also within a sweep each ends on its own."""
    of = np.searchsorted([ends.gpus for ends in part.ends], gpus, side="right")
    told = [(e.killed, e.failed, e.killed_stretch, e.failed_stretch) for e in part.ends]
    killed, failed, killed_stretch, failed_stretch = np.array([(0.0, 0.0, 1.0, 1.0), *told])[of].T
    luck = rng.random(len(gpus))
    is_killed, is_failed = luck < killed, luck >= 1.0 - failed
    stretch = np.where(is_killed, killed_stretch, np.where(is_failed, failed_stretch, 1.0))
    ending = np.select([is_killed, is_failed], [ENDINGS.index(Ending.KILLED), ENDINGS.index(Ending.FAILED)], 0)
    return duration_s * stretch, ending


def _arrivals(rate_per_s: Floats, rng: np.random.Generator) -> Floats:
    """Moments of a Poisson process whose rate is constant within each step of the grid."""
    step = np.repeat(np.arange(len(rate_per_s)), rng.poisson(rate_per_s * GRID_S))
    return np.sort((step + rng.random(len(step))) * GRID_S)


def _zipf(count: int, tilt: float) -> Floats:
    weight = np.power(np.arange(1, count + 1, dtype=np.float64), -tilt)
    share: Floats = weight / weight.sum()
    return share


def _gangs(part: TrainingProfile, count: int, rng: np.random.Generator) -> Ints:
    sizes, weights = (np.array(column) for column in zip(*part.gang_mix, strict=True))
    drawn: Ints = rng.choice(sizes, count, p=weights / weights.sum())
    return drawn


def _sweeps(
    part: TrainingProfile, gpus: Ints, rng: np.random.Generator, later: np.random.Generator
) -> tuple[Ints, NDArray[np.bool_]]:
    """How many equal jobs each submission is, and which are sweeps."""
    swept = (rng.random(len(gpus)) < part.sweep_share) & (gpus <= part.sweep_max_gpus)
    sigma = part.sweep_sigma
    size = np.exp(sigma * later.normal(size=len(gpus)) - sigma**2 / 2) if sigma else 1.0
    return np.where(swept, 1 + rng.poisson((part.sweep_jobs - 1.0) * size, len(gpus)), 1), swept


def _after_s(part: TrainingProfile, copies: Ints, rng: np.random.Generator) -> Floats:
    """When each job of a submission comes after its first: a loop submits one a second, people are less regular."""
    count, firsts = int(copies.sum()), np.cumsum(copies) - copies
    if part.sweep_gap_s == 1.0:
        return (np.arange(count) - np.repeat(firsts, copies)).astype(np.float64)
    since = np.cumsum(part.sweep_gap_s * np.exp(rng.normal(size=count)))
    after_s: Floats = since - np.repeat(since[firsts], copies)
    return after_s


def _service(
    part: ServiceProfile, queues: tuple[str, ...], index: int, busy: Floats, rng: np.random.Generator
) -> JobTable:
    """One job per replica and stretch of time for which the load needs it; the newest replica goes first.

    It leaves when that is over, however late it started.
    """
    load = part.replicas * busy * (1.0 + part.noise * slow_noise(len(busy), rng))
    wanted = _held(np.ceil(load).astype(np.int64), round(part.calm_s / GRID_S))
    begins, ends = stretches(wanted)
    order = np.argsort(begins, kind="stable")
    begins, ends = begins[order], ends[order]
    # What is still up at the end of the grid stays up: the world does not end there.
    stays_s = np.float64(GRID_S) * (ends - begins) + np.where(ends == len(busy), DAY_S, 0.0)
    return JobTable(
        queues=queues,
        queue=np.full(len(begins), index),
        submit_s=np.float64(GRID_S) * begins,
        duration_s=OUTLASTS * stays_s,
        gpus=np.full(len(begins), part.gpus_per_replica),
        priority=np.full(len(begins), part.priority),
        kind=np.full(len(begins), KINDS.index(WorkloadKind.INFERENCE)),
        user=np.zeros(len(begins), np.int64),
        checkpoint_s=np.full(len(begins), np.inf),
        leaves_s=stays_s,
    )


def slow_noise(count: int, rng: np.random.Generator) -> Floats:
    """Unit variance, forgotten within a few hours: an average of white noise over two hours."""
    width = 24
    noise: Floats = np.convolve(rng.normal(size=count + width - 1), np.full(width, width**-0.5), "valid")
    return noise


def _held(wanted: Ints, steps: int) -> Ints:
    """The largest of the last `steps` values: growth at once, shrinking only after a calm while."""
    padded = np.concatenate([np.full(max(steps, 1) - 1, wanted[0]), wanted])
    held: Ints = np.lib.stride_tricks.sliding_window_view(padded, max(steps, 1)).max(axis=1)
    return held


def stretches(wanted: Ints) -> tuple[Ints, Ints]:
    """Steps at which each stretch of each replica begins and ends (as many as there are: not yet), by replica."""
    up = wanted[None, :] > np.arange(wanted.max())[:, None]
    edge = np.diff(np.pad(up.astype(np.int64), ((0, 0), (1, 1))), axis=1)
    return np.nonzero(edge == 1)[1], np.nonzero(edge == -1)[1]
