"""A profile for the generator, measured on real jobs.

What is measured per queue: submissions a day (a sweep is one), the first harmonic of their day, the weekend, the mix of
gangs, quantiles of durations by size, sweeps, how uneven users are, how often they ask for the same again, and how jobs
end. The table counts its seconds from a Monday, midnight.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from envs.fidelity import CLASSES, ENOUGH, SWEEP_JOBS, gang_class, recurrence, sweeps
from envs.workloads import DAY_S, ENDINGS, Ending, Ends, Floats, Ints, JobTable, Rhythm, Runs, TrainingProfile

RUNS_FROM = (1, 2, 3, 5, 9, 33)
"""Durations are measured for gangs from each of these sizes to the next: two GPUs are often a test, four are not."""

SMALLEST_SHARE = 0.004  # of a queue's submissions; rarer sizes are left out of its mix


def calibrated(jobs: JobTable, days: float, least_jobs: int = 100) -> tuple[TrainingProfile, ...]:
    """One part per queue of at least so many jobs, in order of their names."""
    of_queue = [np.flatnonzero(jobs.queue == index) for index in range(len(jobs.queues))]
    kept = [(name, rows) for name, rows in zip(jobs.queues, of_queue, strict=True) if len(rows) >= least_jobs]
    return tuple(_queue(name, jobs.take(rows), days) for name, rows in kept)


def _queue(name: str, jobs: JobTable, days: float) -> TrainingProfile:
    run, size = sweeps(jobs)
    is_sweep = size >= SWEEP_JOBS
    rows = _submissions(run, is_sweep)
    asked, sizes, of_sweeps = jobs.take(rows), size[is_sweep], is_sweep[run[rows]]
    in_sweep, passed = is_sweep[run], _passed(jobs)
    widest = int(np.quantile(jobs.gpus[in_sweep], 0.95)) if in_sweep.any() else 1
    users, tilt = _users(asked)
    mix = _mix(np.ceil(asked.gpus).astype(np.int64))
    return TrainingProfile(
        str(name),
        submissions_per_day=_two_digits(len(asked) / _working_days(asked, days)),
        rhythm=_rhythm(asked, days),
        gang_mix=mix,
        runs=_runs(jobs.take(~in_sweep & passed)),
        sweep_runs=_runs(jobs.take(in_sweep & passed)) if (in_sweep & passed).sum() >= ENOUGH else (),
        longest_s=float(np.ceil(jobs.duration_s.max() / DAY_S) * DAY_S),
        users=users,
        user_tilt=tilt,
        habits=True,
        recurrence=_recurrence(asked, mix) if users > 1 else 0.7,
        sweep_share=_two_digits(float(of_sweeps.sum() / max((asked.gpus <= widest).sum(), 1))),
        sweep_jobs=_two_digits(float(sizes.mean())) if len(sizes) else 1.0,
        sweep_sigma=round(float(np.log(sizes).std()), 1) if len(sizes) else 0.0,
        sweep_gap_s=_gap_s(jobs, run, is_sweep),
        sweep_max_gpus=widest,
        ends=_ends(jobs, stretched=not passed.all()),
    )


def _submissions(run: Ints, is_sweep: NDArray[np.bool_]) -> Ints:
    """Rows of jobs that were submitted: of a sweep its first, of shorter runs each."""
    _, first = np.unique(run, return_index=True)
    return np.union1d(first[is_sweep[run[first]]], np.flatnonzero(~is_sweep[run]))


def _passed(jobs: JobTable) -> NDArray[np.bool_]:
    """(N,) Where too few passed to tell quantiles by, all: they run alike, however they end."""
    passed = jobs.ending == ENDINGS.index(Ending.PASSED)
    return passed if passed.sum() >= 3 * ENOUGH else np.ones_like(passed)


def _rhythm(asked: JobTable, days: float) -> Rhythm:
    turn = np.exp(2j * np.pi * (asked.submit_s % DAY_S) / DAY_S).mean()
    return Rhythm(
        peak_hour=round(float(np.angle(turn) / (2 * np.pi) * 24) % 24, 1),
        swing=round(min(2 * float(abs(turn)), 1.0), 2),
        weekend_share=round(_weekend_share(asked, days), 2),
    )


def _weekend_share(asked: JobTable, days: float) -> float:
    """Of a working day's submissions, how many a day of the weekend sees."""
    weekend = asked.submit_s // DAY_S % 7 >= 5
    free = float((np.arange(int(asked.submit_s[0] // DAY_S), int(asked.submit_s[0] // DAY_S + days)) % 7 >= 5).sum())
    busy = days - free
    return float(weekend.sum() / max(free, 1.0)) / max(float((~weekend).sum() / busy), 1e-9)


def _working_days(asked: JobTable, days: float) -> float:
    """How many working days would see as many submissions."""
    weekend = asked.submit_s // DAY_S % 7 >= 5
    free = float((np.arange(int(days)) % 7 >= 5).sum())
    return (days - free) * len(asked) / max(int((~weekend).sum()), 1)


def _mix(gpus: Ints) -> tuple[tuple[int, float], ...]:
    sizes, counts = np.unique(gpus, return_counts=True)
    share = counts / counts.sum()
    return tuple((int(g), _two_digits(float(s))) for g, s in zip(sizes, share, strict=True) if s >= SMALLEST_SHARE)


def _runs(jobs: JobTable) -> tuple[Runs, ...]:
    """By size of gangs; sizes with too few jobs are left to those below."""
    found = []
    for smallest, next_one in zip(RUNS_FROM, (*RUNS_FROM[1:], np.inf), strict=True):
        some = jobs.duration_s[(jobs.gpus >= smallest) & (jobs.gpus < next_one)]
        if len(some) >= ENOUGH:
            found.append(Runs(smallest, *_quantiles(some)))
    return tuple(found) or (Runs(1, *_quantiles(jobs.duration_s)),)


def _quantiles(duration_s: Floats) -> Sequence[float]:
    return [max(_two_digits(float(q)), 1.0) for q in np.quantile(duration_s, (0.1, 0.5, 0.9, 0.99))]


def _users(asked: JobTable) -> tuple[int, float]:
    """How many there are, and the tilt that gives the first of them the share which it has."""
    count = np.sort(np.bincount(asked.user))[::-1]
    count = count[count > 0]
    if len(count) == 1:
        return 1, 1.0
    tilts = np.linspace(0.0, 4.0, 81)
    top = np.array([1.0 / (np.arange(1, len(count) + 1) ** -t).sum() for t in tilts])
    return len(count), round(float(tilts[np.abs(top - count[0] / count.sum()).argmin()]), 2)


def _recurrence(asked: JobTable, mix: Sequence[tuple[int, float]]) -> float:
    """The share that are the last job again, of those with the same size some of which are new and equal by chance."""
    share = np.array([s for _, s in mix]) / sum(s for _, s in mix)
    by_chance = float((share**2).sum())
    return round(min(max((recurrence(asked) - by_chance) / (1 - by_chance), 0.0), 1.0), 2) if by_chance < 1 else 0.7


def _gap_s(jobs: JobTable, run: Ints, is_sweep: NDArray[np.bool_]) -> float:
    """Median from one job of a sweep to the next."""
    order = np.lexsort((jobs.submit_s, run))
    within = (np.diff(run[order]) == 0) & is_sweep[run[order][1:]]
    return max(_two_digits(float(np.median(np.diff(jobs.submit_s[order])[within]))), 0.5) if within.any() else 1.0


def _ends(jobs: JobTable, stretched: bool) -> tuple[Ends, ...]:
    """By class of gangs, of those with enough jobs; nothing where all pass."""
    if not jobs.ending.any():
        return ()
    of = gang_class(jobs.gpus)
    found = []
    for index, (smallest, _) in enumerate(CLASSES):
        some = jobs.take(of == index)
        if len(some) >= ENOUGH:
            share = [round(float((some.ending == ENDINGS.index(e)).mean()), 2) for e in (Ending.KILLED, Ending.FAILED)]
            stretch = [_stretch(some, e) if stretched else 1.0 for e in (Ending.KILLED, Ending.FAILED)]
            found.append(Ends(smallest, *share, *stretch))
    return tuple(found)


def _stretch(jobs: JobTable, ending: Ending) -> float:
    """How much longer jobs that end so have run than those that pass: the ratio of means, 1 of too few."""
    these, those = (jobs.duration_s[jobs.ending == ENDINGS.index(e)] for e in (ending, Ending.PASSED))
    return _two_digits(float(these.mean() / those.mean())) if min(len(these), len(those)) >= ENOUGH else 1.0


def _two_digits(value: float) -> float:
    return float(f"{value:.2g}")
