"""What ran and what waited over time, from when jobs came, began and ended."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.workloads import Floats
from gyropilot.report.courses import LAYERS, Course
from gyropilot.report.simulation.result import Simulation
from gyropilot.report.stairs import Stair


def stacked(found: Simulation) -> list[list[int]]:
    """Which queues make a layer: those that used most, each its own, and the others together."""
    jobs = found.file.table
    work = np.where(np.isfinite(found.start_s), jobs.gpu_seconds, 0.0)
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
    jobs = found.file.table
    started = np.isfinite(found.start_s)
    end_s = (found.start_s + jobs.duration_s)[started]
    moments_s = np.unique(np.concatenate([jobs.submit_s, found.start_s[started], end_s]))
    came, began = _sum_until(moments_s, jobs.submit_s, jobs.gpus), _sum_until(moments_s, found.start_s, jobs.gpus)
    over_s = float(moments_s[-1])
    sums = np.cumsum([_running(found, moments_s, layer) for layer in stacked(found)], axis=0)
    running = _running(found, moments_s, list(range(len(jobs.queues))))
    waiting = came - began
    return Course(
        "Running and waiting",
        tuple(Stair(moments_s, row, over_s) for row in sums),
        Stair(moments_s, running + waiting, over_s),
        Stair(moments_s, waiting, over_s),
        np.empty(0),
        float(found.gpus),
    )


def _running(found: Simulation, moments_s: Floats, queues: list[int]) -> Floats:
    jobs = found.file.table
    mine = np.isin(jobs.queue, queues) & np.isfinite(found.start_s)
    start_s, gpus = found.start_s[mine], jobs.gpus[mine]
    return _sum_until(moments_s, start_s, gpus) - _sum_until(moments_s, start_s + jobs.duration_s[mine], gpus)


def _sum_until(moments_s: Floats, times_s: Floats, gpus: NDArray[np.int64]) -> Floats:
    """(T,) of all whose time has come by each moment."""
    order = np.argsort(times_s, kind="stable")
    sums = np.concatenate([[0], np.cumsum(gpus[order])])
    until: Floats = sums[np.searchsorted(times_s[order], moments_s, side="right")].astype(np.float64)
    return until
