"""A simulation job by job, as parquet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gyropilot.errors import SettingsError
from gyropilot.report.simulation.result import Simulation

if TYPE_CHECKING:
    import pandas as pd


def write_jobs(path: Path, found: Simulation) -> None:
    """Each job as a row of parquet, in order of submission. Raises SettingsError where that cannot be written."""
    import pandas as pd

    jobs = found.file.table
    start_s, end_s = (np.where(np.isfinite(s), s, np.nan) for s in (found.start_s, found.end_s))
    frame = pd.DataFrame(
        {
            "job_id": found.file.ids,
            "queue": np.array(jobs.queues)[jobs.queue],
            "gpus": jobs.gpus,
            "held_gpus": found.held,
            "submit_s": jobs.submit_s,
            "start_s": start_s,
            "end_s": end_s,
            "wait_s": start_s - jobs.submit_s,
            "preemptions": np.zeros(len(jobs), dtype=np.int64),  # nobody is, in these worlds
            **found.where,
        }
    )
    write_frame(path, frame)


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """As parquet. Raises SettingsError where that cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.to_parquet(path, index=False)
    except OSError as problem:
        raise SettingsError(f"{path} cannot be written: {problem}; give another --jobs-out") from problem
