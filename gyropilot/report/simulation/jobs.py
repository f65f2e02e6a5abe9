"""A simulation job by job, as a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from envs.table_file import write_frame
from gyropilot.report.simulation.result import Simulation
from gyropilot.report.simulation.rows import Rows

if TYPE_CHECKING:
    import pandas as pd


def write_jobs(path: Path, found: Simulation) -> None:
    """Each job as a row, in order of submission. Raises SettingsError where that cannot be written."""
    nobody = np.zeros(len(found.file.table), dtype=np.int64)  # is stopped in these worlds
    frame = Rows(found.file, found.start_s, found.end_s, found.held, nobody, found.where).frame
    write_frame(_flat(frame) if path.suffix == ".csv" else frame, path, "--jobs-out")


def _flat(frame: pd.DataFrame) -> pd.DataFrame:
    """Lists as numbers parted by spaces, for what has no lists."""
    if "nodes" not in frame:
        return frame
    return frame.assign(nodes=[" ".join(map(str, nodes)) for nodes in frame["nodes"]])
