"""What came of a replay, in figures: how long jobs waited, and how well GPUs were used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envs.fixed import FixedCluster, Runs
from envs.workloads import Floats

HOUR_S = 3_600.0


@dataclass(frozen=True, slots=True)
class Waits:
    """Of some jobs."""

    queue: str | None  # None: of all queues
    jobs: int
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


def tally(runs: Runs, cluster: FixedCluster) -> Tally:
    """The figures of a replay."""
    jobs, waited, work = runs.jobs, runs.wait_s, runs.jobs.gpu_seconds / HOUR_S
    everybody = _waits(None, waited, work)
    queues = [_waits(name, waited[jobs.queue == n], work[jobs.queue == n]) for n, name in enumerate(jobs.queues)]
    span_s = float(runs.end_s.max() - jobs.submit_s.min()) if len(jobs) else 0.0
    some = tuple(queue for queue in queues if queue.jobs)
    return Tally((everybody, *some), cluster.gpus * span_s / HOUR_S, float(work.sum()))


def _waits(queue: str | None, waited: Floats, work: Floats) -> Waits:
    if not len(waited):
        return Waits(queue, 0, 0.0, 0.0, 0.0, 0.0, 0.0)
    p50, p95 = np.quantile(waited, (0.5, 0.95))
    return Waits(
        queue, len(waited), float(work.sum()), float(p50), float(p95), float(waited.mean()), float(waited.max())
    )
