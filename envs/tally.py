"""What came of a replay, in figures: how long jobs waited, and how well GPUs were used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envs.workloads import Floats, JobTable

HOUR_S = 3_600.0


@dataclass(frozen=True, slots=True)
class Waits:
    """Of some jobs; times are of those that started."""

    queue: str | None  # None: of all queues
    jobs: int
    never_started: int
    gpu_hours: float  # run
    p50_s: float
    p95_s: float
    mean_s: float
    longest_s: float


@dataclass(frozen=True, slots=True)
class Tally:
    """Of a replay."""

    waits: tuple[Waits, ...]  # of all queues, then of each
    provisioned_gpu_hours: float  # from the first submission to the last end
    used_gpu_hours: float

    @property
    def utilisation(self) -> float:
        """Share of what was there that was used; 0 where nothing was."""
        return self.used_gpu_hours / self.provisioned_gpu_hours if self.provisioned_gpu_hours else 0.0


def tally(jobs: JobTable, start_s: Floats, gpus: int) -> Tally:
    """Of jobs that started at `start_s` (N,), inf: never, on so many GPUs."""
    started = np.isfinite(start_s)
    work = np.where(started, jobs.gpu_seconds / HOUR_S, 0.0)
    waits = waits_of(jobs, start_s)
    last_s = (start_s + jobs.duration_s)[started].max(initial=0.0)
    span_s = float(last_s - jobs.submit_s.min()) if started.any() else 0.0
    return Tally(tuple(waits), gpus * span_s / HOUR_S, float(work.sum()))


def waits_of(jobs: JobTable, start_s: Floats) -> list[Waits]:
    """Of all queues, then of each that has jobs."""
    started = np.isfinite(start_s)
    waited = np.where(started, start_s - jobs.submit_s, np.nan)
    work = np.where(started, jobs.gpu_seconds / HOUR_S, 0.0)
    of = [jobs.queue == n for n in range(len(jobs.queues))]
    queues = [_waits(name, waited[mine], work[mine]) for name, mine in zip(jobs.queues, of, strict=True) if mine.any()]
    return [_waits(None, waited, work), *queues]


def _waits(queue: str | None, waited: Floats, work: Floats) -> Waits:
    known = waited[np.isfinite(waited)]
    never = len(waited) - len(known)
    if not len(known):
        return Waits(queue, len(waited), never, 0.0, 0.0, 0.0, 0.0, 0.0)
    p50, p95 = np.quantile(known, (0.5, 0.95))
    spans = (float(p50), float(p95), float(known.mean()), float(known.max()))
    return Waits(queue, len(waited), never, float(work.sum()), *spans)
