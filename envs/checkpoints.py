"""What it takes jobs to write their checkpoints: they halt for each of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from envs.workloads import KINDS, JobTable
from gyropilot.domain import WorkloadKind


def with_halts(jobs: JobTable, halt_s: float) -> JobTable:
    """The same work in a longer time: with an interval c it goes on at c / (c + halt) of its speed while it runs.

    From one checkpoint to the next it takes as much longer. Inference writes none, though it loses little.
    """
    if halt_s == 0:
        return jobs
    writes = (jobs.checkpoint_s > 0) & np.isfinite(jobs.checkpoint_s)
    writes &= jobs.kind != KINDS.index(WorkloadKind.INFERENCE)
    every_s = np.where(writes, jobs.checkpoint_s, np.inf)
    return replace(
        jobs,
        duration_s=jobs.duration_s + jobs.duration_s * halt_s / every_s,
        checkpoint_s=jobs.checkpoint_s + np.where(writes, halt_s, 0.0),
    )
