"""What ran and what waited over time, from when jobs came, began and ended."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envs.workloads import Floats, Ints
from gyropilot.report.courses import LAYERS, Course
from gyropilot.report.simulation.result import Simulation
from gyropilot.report.stairs import Stair


def stacked(found: Simulation) -> list[list[int]]:
    """Which queues make a layer: those that used most, each its own, and the others together."""
    jobs = found.file.table
    work = jobs.gpus * jobs.ran_s(found.start_s)
    used = np.bincount(jobs.queue, weights=work, minlength=len(jobs.queues))
    order = [nth for nth in np.argsort(-used, kind="stable").tolist() if used[nth] > 0]
    own, rest = (order, []) if len(order) <= LAYERS else (order[: LAYERS - 1], order[LAYERS - 1 :])
    return [*([nth] for nth in own), *([rest] if rest else [])] or [[]]


def layer_names(found: Simulation) -> list[str]:
    """What a layer is called: its queue, or how many."""
    queues = found.file.table.queues
    return [queues[layer[0]] if len(layer) == 1 else f"{len(layer)} smaller queues" for layer in stacked(found)]


def course_of(found: Simulation) -> Course:
    """In GPUs, at every moment at which a job came, began or ended."""
    events = _events(found)
    waiting = events.summed(events.waiting)
    running = [events.summed(events.running * np.isin(events.queue, layer)) for layer in stacked(found)]
    sums = np.cumsum(running, axis=0)
    over_s = float(events.moments_s[-1])
    return Course(
        "Running and waiting",
        tuple(Stair(events.moments_s, row, over_s) for row in sums),
        Stair(events.moments_s, sums[-1] + waiting, over_s),
        Stair(events.moments_s, waiting, over_s),
        np.empty(0),
        float(found.gpus),
    )


@dataclass(frozen=True, eq=False, slots=True)
class _Events:
    """In order of time, (E,)."""

    times_s: Floats
    queue: Ints
    waiting: Floats  # GPUs by which more wait from then on
    running: Floats

    @property
    def last(self) -> Ints:
        """(T,) of those at the same moment, which is the last."""
        return np.flatnonzero(np.diff(self.times_s, append=np.inf) > 0)

    @property
    def moments_s(self) -> Floats:
        return self.times_s[self.last]

    def summed(self, changes: Floats) -> Floats:
        """(T,) GPUs after each moment."""
        after: Floats = np.cumsum(changes)[self.last]
        return after


def _events(found: Simulation) -> _Events:
    """A job comes and waits, begins and runs, ends; or leaves while it waits."""
    jobs, ends_s = found.file.table, found.end_s
    came, started = np.arange(len(jobs)), np.isfinite(found.start_s)
    began, left = np.flatnonzero(started), np.flatnonzero(~started & np.isfinite(ends_s))
    times_s = np.concatenate([jobs.submit_s, found.start_s[began], ends_s[began], ends_s[left]])
    which = np.concatenate([came, began, began, left])
    changes = [(1.0, 0.0), (-1.0, 1.0), (0.0, -1.0), (-1.0, 0.0)]
    waits, runs = np.repeat(changes, [len(came), len(began), len(began), len(left)], axis=0).T
    order = np.argsort(times_s, kind="stable")
    of = which[order]
    return _Events(times_s[order], jobs.queue[of], waits[order] * jobs.gpus[of], runs[order] * found.held[of])
