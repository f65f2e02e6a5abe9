"""How like a real trace generated jobs are: statistic by statistic, with a distance for each.

Both tables count their seconds from a Monday, midnight; without that, hours and weekends mean nothing. A distance is
the difference of shares and correlations, and the number of doublings between durations, sizes and burstiness
(1: twice or half). A statistic of fewer than ENOUGH jobs on either side is left out: it would say nothing.

Burstiness is the index of dispersion of counts: the variance of the jobs per minute, ten minutes or hour over their
mean, 1 for a Poisson process (Cox and Lewis, "The Statistical Analysis of Series of Events", 1966).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from envs.workloads import DAY_S, ENDINGS, Amounts, Floats, Ints, JobTable

CLASSES = ((1, "1 GPU"), (2, "2-4 GPUs"), (5, "5-8 GPUs"), (9, "9-32 GPUs"), (33, "over 32 GPUs"))
"""Classes of gangs, each by its smallest."""

ENOUGH = 20
QUANTILES = (0.1, 0.5, 0.9, 0.99)
BINS = ((60.0, "1 min"), (600.0, "10 min"), (3600.0, "1 h"))
SWEEP_JOBS, SWEEP_GAP_S = 5, 60.0
"""A sweep: so many jobs in a row, of one queue, user and size, none longer than this after the one before."""


class Measure(StrEnum):
    """What a distance counts."""

    DIFFERENCE = "difference"
    DOUBLINGS = "doublings"


@dataclass(frozen=True, slots=True)
class Statistic:
    """One number of a table of jobs."""

    name: str
    value: float
    measure: Measure = Measure.DIFFERENCE


@dataclass(frozen=True, slots=True)
class Row:
    """One statistic of both tables, and how far they are apart."""

    statistic: str
    generated: float
    real: float
    distance: float
    measure: Measure


def fidelity(generated: JobTable, real: JobTable) -> tuple[Row, ...]:
    """Each statistic that both tables tell, in the same order; the shape of the day, which takes both, is last."""
    known = {each.name: each.value for each in statistics(generated)}
    rows = [
        Row(
            each.name, known[each.name], each.value, _distance(known[each.name], each.value, each.measure), each.measure
        )
        for each in statistics(real)
        if each.name in known
    ]
    alike = float(np.corrcoef(_by_hour(generated), _by_hour(real))[0, 1])
    return (*rows, Row("hour of day, correlation of shapes", alike, 1.0, 1.0 - alike, Measure.DIFFERENCE))


def statistics(jobs: JobTable) -> Iterator[Statistic]:
    """What one table tells of itself."""
    yield from _sizes(jobs)
    yield from _durations(jobs)
    yield from _calendar(jobs)
    yield from _bursts(jobs)
    yield from _people(jobs)
    yield from _endings(jobs)


def sweeps(jobs: JobTable) -> tuple[Ints, Ints]:
    """(N,) which run of equal jobs each belongs to, and (R,) how many jobs each run has."""
    order = np.lexsort((jobs.submit_s, jobs.user, jobs.queue))
    queue, user, gpus, submit_s = (
        getattr(jobs, name)[order].astype(np.float64) for name in ("queue", "user", "gpus", "submit_s")
    )
    parts = np.zeros(len(jobs), dtype=bool)
    for column in (queue, user, gpus):
        parts |= np.diff(column, prepend=column[:1]) != 0
    parts |= np.diff(submit_s, prepend=submit_s[:1]) > SWEEP_GAP_S
    run = np.empty(len(jobs), dtype=np.int64)
    run[order] = np.cumsum(parts)
    return run, np.bincount(run)


def swept(jobs: JobTable) -> NDArray[np.bool_]:
    """(N,) which jobs are part of a sweep."""
    run, size = sweeps(jobs)
    return size[run] >= SWEEP_JOBS


def gang_class(gpus: Amounts) -> Ints:
    """(N,) along CLASSES; who takes part of a GPU counts to those of one."""
    found: Ints = np.searchsorted([smallest for smallest, _ in CLASSES], np.maximum(1, gpus), side="right") - 1
    return found


def _sizes(jobs: JobTable) -> Iterator[Statistic]:
    of, work = gang_class(jobs.gpus), jobs.gpu_seconds
    for index, (_, name) in enumerate(CLASSES):
        yield Statistic(f"share of jobs, {name}", float((of == index).mean()))
    for index, (_, name) in enumerate(CLASSES):
        yield Statistic(f"share of GPU-hours, {name}", float(work[of == index].sum() / work.sum()))
    yield Statistic("jobs a day", len(jobs) / _days(jobs), Measure.DOUBLINGS)
    yield Statistic("GPU-hours a day", float(work.sum()) / 3600 / _days(jobs), Measure.DOUBLINGS)


def _durations(jobs: JobTable) -> Iterator[Statistic]:
    of = gang_class(jobs.gpus)
    for index, (_, name) in enumerate(CLASSES):
        some = jobs.duration_s[of == index]
        if len(some) < ENOUGH:
            continue
        for quantile in QUANTILES:
            value = max(float(np.quantile(some, quantile)), 1.0)
            yield Statistic(f"duration p{quantile * 100:g} s, {name}", value, Measure.DOUBLINGS)


def _calendar(jobs: JobTable) -> Iterator[Statistic]:
    hours = _by_hour(jobs)
    yield Statistic("hour of day, swing", float(2 * np.abs(np.fft.rfft(hours)[1]) / 24))
    if _days(jobs) >= 7:
        weekend = jobs.submit_s // DAY_S % 7 >= 5
        yield Statistic("share of jobs at the weekend", float(weekend.mean()))


def _bursts(jobs: JobTable) -> Iterator[Statistic]:
    since_s = jobs.submit_s - jobs.submit_s[0]
    for width_s, name in BINS:
        count = np.bincount((since_s // width_s).astype(np.int64))
        yield Statistic(f"burstiness, {name}", max(float(count.var() / count.mean()), 1e-9), Measure.DOUBLINGS)
    yield Statistic("share of jobs in sweeps", float(swept(jobs).mean()))


def _people(jobs: JobTable) -> Iterator[Statistic]:
    """Only where users are known: where there are several."""
    _, who = np.unique(np.stack([jobs.queue, jobs.user]), axis=1, return_inverse=True)
    by_user = np.sort(np.bincount(who.ravel()))[::-1]
    if not (np.diff(jobs.user) != 0).any():
        return
    yield Statistic("share of jobs of the top user", float(by_user[0] / by_user.sum()))
    yield Statistic("share of jobs of the top 3 users", float(by_user[:3].sum() / by_user.sum()))
    yield Statistic("jobs of the size that the user asked for last", recurrence(jobs))


def recurrence(jobs: JobTable) -> float:
    """The share of jobs, without first ones, that take as many GPUs as their user's job before; nan: there are none."""
    order = np.lexsort((jobs.submit_s, jobs.user, jobs.queue))
    gpus, user, queue = jobs.gpus[order], jobs.user[order], jobs.queue[order]
    next_one = (np.diff(user) == 0) & (np.diff(queue) == 0)
    return float((np.diff(gpus) == 0)[next_one].mean()) if next_one.any() else float("nan")


def _endings(jobs: JobTable) -> Iterator[Statistic]:
    """Only where they are told: where not all pass."""
    if not jobs.ending.any():
        return
    work = jobs.gpu_seconds
    for index, ending in enumerate(ENDINGS):
        yield Statistic(f"share of jobs that are {ending}", float((jobs.ending == index).mean()))
        yield Statistic(f"share of GPU-hours {ending}", float(work[jobs.ending == index].sum() / work.sum()))


def _by_hour(jobs: JobTable) -> Floats:
    """(24,) how many jobs come in each hour of the day, over their mean."""
    hour = (jobs.submit_s % DAY_S // 3600).astype(np.int64)
    shape: Floats = np.bincount(hour, minlength=24) / len(jobs) * 24
    return shape


def _days(jobs: JobTable) -> float:
    return max(float(jobs.submit_s[-1] - jobs.submit_s[0]), 3600.0) / DAY_S


def _distance(one: float, other: float, measure: Measure) -> float:
    return abs(float(np.log2(one / other))) if measure is Measure.DOUBLINGS else abs(one - other)
