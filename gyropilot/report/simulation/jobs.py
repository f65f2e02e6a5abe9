"""A simulation job by job, as a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from envs.table_file import write_frame
from gyropilot.report.simulation.result import Simulation

if TYPE_CHECKING:
    import pandas as pd


def write_jobs(path: Path, found: Simulation) -> None:
    """Each job as a row, in order of submission. Raises SettingsError where that cannot be written."""
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
    write_frame(_flat(frame) if path.suffix == ".csv" else frame, path, "--jobs-out")


def _flat(frame: pd.DataFrame) -> pd.DataFrame:
    """Lists as numbers parted by spaces, for what has no lists."""
    if "nodes" not in frame:
        return frame
    return frame.assign(nodes=[" ".join(map(str, nodes)) for nodes in frame["nodes"]])
