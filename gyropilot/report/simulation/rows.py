"""What became of jobs, row by row: the same columns with pilots and without."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from envs.job_file import JobFile
from envs.tally import in_time
from envs.workloads import Amounts, Floats, Ints

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """Of the jobs of a file, (N,); times by its clock, inf: never, or not before all was over."""

    file: JobFile
    start_s: Floats
    end_s: Floats
    held: Amounts  # GPUs
    stops: Ints
    where: Mapping[str, Any]  # by name of the column: nodes, or the flavor, and what took those

    @property
    def frame(self) -> pd.DataFrame:
        """Each job as a row, in order of submission."""
        import pandas as pd

        jobs = self.file.table
        start_s, end_s = (np.where(np.isfinite(at_s), at_s, np.nan) for at_s in (self.start_s, self.end_s))
        return pd.DataFrame(
            {
                "job_id": self.file.ids,
                "queue": np.array(jobs.queues)[jobs.queue],
                "gpus": jobs.gpus,
                "held_gpus": self.held,
                "submit_s": jobs.submit_s,
                "start_s": start_s,
                "end_s": end_s,
                "wait_s": start_s - jobs.submit_s,
                "preemptions": self.stops,
                **self._deadlines(),
                **self.where,
            }
        )

    def _deadlines(self) -> dict[str, Any]:
        """Empty for jobs that have none; no columns where nobody has."""
        import pandas as pd

        jobs = self.file.table
        due = np.isfinite(jobs.deadline_s)
        if not due.any():
            return {}
        kept = pd.array(in_time(jobs, self.end_s), dtype="boolean")
        kept[~due] = pd.NA
        return {"due_s": np.where(due, jobs.submit_s + jobs.deadline_s, np.nan), "in_time": kept}


def named(flavors: tuple[str, ...], which: Ints) -> Any:
    """(N,) names of flavors; None of jobs that wait, which have the index -1."""
    return np.array([*flavors, None], dtype=object)[which]
