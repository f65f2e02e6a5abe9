"""Jobs that leave at a moment of their own: replicas that are not needed any more, jobs that their users withdraw."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from envs.workloads import JobTable

if TYPE_CHECKING:
    from envs.compiled.stops import Exits


def exits(jobs: JobTable, room: int = 0) -> Exits:
    """Who leaves and when, and nobody for ever where there is more `room` than that."""
    from envs.compiled.stops import Exits

    leave = np.flatnonzero(np.isfinite(jobs.leaves_s))
    at_s = (jobs.submit_s + jobs.leaves_s)[leave]
    order, more = np.argsort(at_s, kind="stable"), max(0, room - len(leave))
    moments = np.pad(at_s[order], (0, more), constant_values=np.inf)
    return Exits(moments, np.pad(leave[order], (0, more)), np.zeros(1, dtype=np.int64))


def leavers(jobs: JobTable) -> int:
    """How many leave. Raises ValueError where one would before it comes."""
    if (jobs.leaves_s < 0).any():
        raise ValueError(f"a job leaves {-jobs.leaves_s.min():g} s before it comes; give a leaves_s of 0 or more")
    return int(np.isfinite(jobs.leaves_s).sum())
