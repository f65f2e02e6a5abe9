"""What jobs would use if each were served at once, exactly: the natural profile, and the streams the bound pours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.workloads import Floats, Ints, JobTable

Bools = NDArray[np.bool_]

GRAIN = 96
"""Durations are told apart as finely as this many geometric steps from the shortest to the longest."""


@dataclass(frozen=True, eq=False, slots=True)
class Line:
    """Queues whose jobs cost the same to let wait and may run on the same pools, of kinds equally fast there."""

    queues: Ints
    kinds: Ints  # along `workloads.KINDS`
    pools: Ints  # (E,) on which they may run; none: they wait for ever
    speeds: Floats  # (E,)
    waiting_usd: float  # per GPU-hour
    waiting_jobs_usd: float  # per job-hour

    @property
    def fastest(self) -> float:
        return float(self.speeds.max(initial=0.0)) or 1.0

    @property
    def mixed(self) -> float:
        """Seconds that a second of work takes longer on the slowest pool than on the fastest."""
        return 1.0 / float(self.speeds.min()) - 1.0 / self.fastest if len(self.speeds) else 0.0


@dataclass(frozen=True, eq=False, slots=True)
class Stream:
    """Jobs of one line and of like durations, as one fluid. Their GPUs are the fewest that do for each."""

    line: Line
    queues: Ints  # (R,) that have any
    parts: Floats  # (R, T + 1) GPUs of their work at speed 1 that becomes possible, under triangles
    longest_s: float  # of what can be done of one job within the window, at speed 1
    largest_gpus: float
    square_gpu_s: float  # sum of gpus x seconds**2 / longest_s, which an unbalanced mix of speeds may hide
    weight: float  # for each of those GPUs so many are asked for at least
    most: Floats | None = None  # (T + 1,) GPUs of those that have been submitted, under triangles; None: not looked at
    stays: bool = False  # each is there for a while whatever it does; `parts` are the GPUs of those there, of one queue

    @property
    def possible(self) -> Floats:
        """(T + 1,) of all its queues."""
        total: Floats = self.parts.sum(axis=0)
        return total


def ramps(row: Ints, at_s: Floats, height: Floats, step_s: float, shape: tuple[int, int]) -> tuple[Floats, Floats]:
    """Step functions that rise by `height` at `at_s`, added up by row and averaged exactly.

    First over each step, (rows, steps); second under triangles, (rows, steps + 1): each peaks on an edge of the grid
    and falls to nothing a step from there, and nothing counts that lies outside the window. A triangle's average is
    by how much the integral's mean over the step after its edge exceeds that over the step before.
    """
    position = np.maximum(at_s, 0.0) / step_s
    step = np.minimum(np.floor(position), shape[1]).astype(np.int64)
    inside = step < shape[1]
    cell = (row * shape[1] + step)[inside]
    rest = 1.0 - (position - step)[inside]  # share of its step that comes after the rise

    def summed(weight: Floats) -> Floats:
        return np.bincount(cell, weight.astype(np.float64), shape[0] * shape[1]).reshape(shape).astype(np.float64)

    rise = summed(height[inside])
    level = np.cumsum(rise, axis=1) - rise  # where the step begins
    mean = level + summed(height[inside] * rest)
    total = np.cumsum(mean, axis=1) - mean + level / 2 + summed(height[inside] * rest**2 / 2)
    return mean, np.diff(total, axis=1, prepend=0.0, append=mean.sum(axis=1, keepdims=True))


def rectangles(
    row: Ints, begin_s: Floats, end_s: Floats, height: Floats, step_s: float, shape: tuple[int, int]
) -> tuple[Floats, Floats]:
    """As `ramps`, of functions that rise at `begin_s` and fall at `end_s`."""
    at_s, heights = np.concatenate([begin_s, end_s]), np.concatenate([height, -height])
    flat, under_triangles = ramps(np.concatenate([row, row]), at_s, heights, step_s, shape)
    return np.maximum(flat, 0.0), np.maximum(under_triangles, 0.0)  # rounding


def smoothed(begin_s: float, step_s: float, steps: int) -> Floats:
    """(T + 1,) averages under triangles of what is 1 from a moment on."""
    one = np.ones(1)
    share: Floats = ramps(np.zeros(1, np.int64), begin_s * one, one, step_s, (1, steps))[1][0]
    return share


class Pouring(NamedTuple):
    """Into how many streams."""

    classes: int  # of durations in a line, or in each cohort of it
    cohort_s: float | None = None  # those submitted within so many seconds are a cohort; None: all are one


def streams(jobs: JobTable, lines: Sequence[Line], step_s: float, steps: int, pouring: Pouring) -> list[Stream]:
    """All work that can be done within the window, by line, cohort and class of durations."""
    end_s = steps * step_s
    found = []
    for line in lines:
        ours = np.isin(jobs.queue, line.queues) & np.isin(jobs.kind, line.kinds)
        every = jobs.take(ours & (jobs.submit_s < end_s) & (jobs.duration_s > 0))
        stay = _stay(every, line, end_s)
        found += [_there(line, each, step_s, steps) for each in _by_queue(every.take(stay))]
        mine = every.take(~stay & (every.submit_s + every.leaves_s >= end_s))
        submit_s = np.maximum(mine.submit_s, 0.0)
        within_s = np.minimum(mine.duration_s, line.fastest * (end_s - submit_s))
        of = _parted(mine, within_s, pouring)
        for index in np.unique(of):
            some = of == index
            stream = _stream(line, mine.take(some), within_s[some], step_s, steps)
            found.append(stream if pouring.cohort_s is None else _capped(stream, mine.take(some), step_s, steps))
    return found


def _stay(jobs: JobTable, line: Line, end_s: float) -> Bools:
    """(N,) those who leave, or would after the window, and cannot be done before."""
    there_s = np.minimum(jobs.leaves_s, end_s - jobs.submit_s)
    stay: Bools = np.isfinite(jobs.leaves_s) & (jobs.duration_s >= line.fastest * there_s)
    return stay


def _by_queue(jobs: JobTable) -> list[JobTable]:
    return [jobs.take(jobs.queue == queue) for queue in np.unique(jobs.queue)]


def _there(line: Line, jobs: JobTable, step_s: float, steps: int) -> Stream:
    """Those of one queue who stay."""
    rows, gpus = np.zeros(len(jobs), dtype=np.int64), jobs.least_gpus.astype(np.float64)
    until_s = jobs.submit_s + jobs.leaves_s
    _, parts = rectangles(rows, jobs.submit_s, until_s, gpus, step_s, (1, steps))
    weight = float((jobs.gpus / gpus).min())
    return Stream(line, jobs.queue[:1], parts, float(jobs.leaves_s.max()), float(gpus.max()), 0.0, weight, stays=True)


def _parted(jobs: JobTable, within_s: Floats, pouring: Pouring) -> Ints:
    """Which stream each job is of."""
    cohort = np.floor(jobs.submit_s / (pouring.cohort_s or np.inf)).astype(np.int64)
    twofold = np.floor(np.log2(jobs.gpus / jobs.least_gpus)).astype(np.int64)  # how often fewer GPUs may be halved
    _, apart = np.unique(np.stack([cohort, twofold]), axis=1, return_inverse=True)
    apart = apart.ravel().astype(np.int64)
    weight = (jobs.least_gpus * within_s).astype(np.float64)
    of = apart * pouring.classes
    for each in np.unique(apart):
        of[apart == each] += by_duration(within_s[apart == each], weight[apart == each], pouring.classes)
    return of


def _capped(stream: Stream, jobs: JobTable, step_s: float, steps: int) -> Stream:
    """That never uses more GPUs than its jobs ask for."""
    rows, gpus = np.zeros(len(jobs), dtype=np.int64), jobs.least_gpus.astype(np.float64)
    return replace(stream, most=ramps(rows, jobs.submit_s, gpus, step_s, (1, steps))[1][0])


def _stream(line: Line, jobs: JobTable, within_s: Floats, step_s: float, steps: int) -> Stream:
    queues, row = np.unique(jobs.queue, return_inverse=True)
    submit_s = np.maximum(jobs.submit_s, 0.0)
    height = (jobs.least_gpus * line.fastest).astype(np.float64)
    shape = (len(queues), steps)
    _, parts = rectangles(row, submit_s, submit_s + jobs.duration_s / line.fastest, height, step_s, shape)
    longest_s = float(within_s.max())
    square = float((jobs.least_gpus * within_s**2).sum()) / longest_s
    weight = float((jobs.gpus / jobs.least_gpus).min())
    return Stream(line, queues, parts, longest_s, float(jobs.least_gpus.max()), square, weight)


def by_duration(seconds: Floats, weight: Floats, classes: int) -> Ints:
    """The class of each job, such that the weighted sum of duration / longest of its class is as large as can be.

    Exact for the grain: dynamic programming over where the classes end (Bellman, "On the approximation of curves by
    line segments using dynamic programming", CACM 1961).
    """
    if not len(seconds):
        return np.zeros(0, dtype=np.int64)
    edges = np.geomspace(seconds.min(), seconds.max(), GRAIN)[:-1]
    _, cell = np.unique(np.searchsorted(edges, seconds), return_inverse=True)
    ends = np.zeros(cell.max() + 1)
    np.maximum.at(ends, cell, seconds)
    gain = np.concatenate([[0.0], np.cumsum(np.bincount(cell, weight * seconds))])
    cuts = _cuts((gain[None, 1:] - gain[:-1, None]) / ends, classes)
    return np.searchsorted(cuts, cell, side="right")


def _cuts(score: Floats, classes: int) -> list[int]:
    """First cells of all classes but the first; score[i, j] is that of a class of cells i to j."""
    cells = len(score)
    allowed = np.where(np.arange(cells)[:, None] <= np.arange(cells), score, -np.inf)
    best, firsts = allowed[0], []
    for _ in range(min(classes, cells) - 1):
        before = np.concatenate([[-np.inf], best[:-1]])
        table = before[:, None] + allowed
        firsts.append(table.argmax(axis=0))
        best = table.max(axis=0)
    cuts, last = [], cells - 1
    for first in reversed(firsts):
        cuts.append(int(first[last]))
        last = cuts[-1] - 1
    return cuts[::-1]
