"""Trials job by job, as a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from envs.table_file import write_frame
from envs.trial import Trial
from envs.workloads import DAY_S
from gyropilot.report.simulation.rows import Rows, named
from gyropilot.report.trials import losses
from gyropilot.report.trials.result import Trials

if TYPE_CHECKING:
    import pandas as pd


def write_jobs(path: Path, found: Trials) -> None:
    """Each job of each pilot as a row. Raises SettingsError where that cannot be written."""
    import pandas as pd

    frames = [_frame(found, trial) for trial in found.trials]
    write_frame(pd.concat(frames, ignore_index=True), path, "--jobs-out")


def _frame(found: Trials, trial: Trial) -> pd.DataFrame:
    over_s = trial.days * DAY_S
    start_s, end_s = (np.where(s <= over_s, s + found.began_s, np.inf) for s in (trial.start_s, trial.end_s))
    pools = tuple(pool.name for pool in trial.world.pools)
    where = {**losses.columns(trial), "flavor": named(pools, trial.flavor)}
    rows = Rows(found.file, start_s, end_s, trial.held, trial.stops, where)
    frame = rows.frame
    frame.insert(0, "pilot", trial.pilot)
    return frame
