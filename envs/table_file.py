"""Tables from files and to files."""

from __future__ import annotations

import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from envs.workloads import ENDINGS, KINDS, Amounts, Floats, JobTable
from forecasting.demand.parquet_file import is_parquet, parquet_table
from gyropilot.errors import SettingsError

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".parquet", ".csv")


def read_frame(path: Path, wanted: str) -> pd.DataFrame:
    """Parquet, or CSV where it is none. Raises SettingsError saying what is wanted instead."""
    import pandas as pd

    try:
        frame = parquet_table(path).to_pandas() if is_parquet(path) else _csv(path)
    except OSError as problem:
        raise SettingsError(f"{path} cannot be read: {problem.strerror or problem}; give {wanted}") from problem
    except pd.errors.EmptyDataError as problem:
        raise SettingsError(f"{path} is empty; give {wanted}") from problem
    except (ValueError, UnicodeDecodeError) as problem:  # of pandas and pyarrow both
        raise SettingsError(f"{path} is neither parquet nor CSV: {' '.join(str(problem).split())}") from problem
    _refuse_one_column(path, frame)
    return frame.rename(columns=lambda name: str(name).strip())


def _csv(path: Path) -> pd.DataFrame:
    """Raises ValueError where rows have more cells than there are columns, which would be shifted, or cut off."""
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            return pd.read_csv(path, index_col=False, skipinitialspace=True)
        except pd.errors.ParserWarning as problem:
            raise ValueError("its rows have more cells than its first line has names; name each column") from problem


def _refuse_one_column(path: Path, frame: pd.DataFrame) -> None:
    """Raises SettingsError where all columns are one, as they are parted by something else than commas."""
    names = list(map(str, frame.columns))
    for mark, called in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if len(names) == 1 and mark in names[0]:
            raise SettingsError(f"{path} parts its columns by {called}; part them by commas")


def refuse_other_kinds(path: Path) -> None:
    """Raises SettingsError where a table cannot be written to a file that is called so."""
    if path.suffix not in SUFFIXES:
        raise SettingsError(f"{path} ends with neither {' nor '.join(SUFFIXES)}; give a file that does")


def write_table(jobs: JobTable, path: Path) -> None:
    """Jobs as `job_file` reads them, as parquet or CSV by the file's name: whole, or not at all.

    Raises SettingsError where it cannot be written.
    """
    import pandas as pd

    refuse_other_kinds(path)
    queue = np.array(jobs.queues)[jobs.queue]
    frame = pd.DataFrame(
        {
            "job_id": np.arange(1, len(jobs) + 1).astype(str),
            "queue": queue,
            "submit_s": jobs.submit_s,
            "duration_s": jobs.duration_s,
            "gpus": jobs.gpus,
            "priority": jobs.priority,
            "user": [f"{of}/user-{number}" for of, number in zip(queue, jobs.user, strict=True)],
            "kind": np.array([kind.value for kind in KINDS])[jobs.kind],
            "checkpoint_s": np.where(np.isfinite(jobs.checkpoint_s), jobs.checkpoint_s, np.nan),
            "state": np.array([ending.value for ending in ENDINGS])[jobs.ending],
            **_sizes(jobs),
            **_told("leaves_s", jobs.leaves_s, np.inf),
            **_told("deadline_s", jobs.deadline_s, np.inf),
            **_told("data_gb", jobs.data_gb, 0.0),
            **_told("restart_s", jobs.restart_s, np.nan),
        }
    )
    write_frame(frame, path, "--out")


def write_frame(frame: pd.DataFrame, path: Path, option: str) -> None:
    """As CSV where its name ends so, else as parquet: whole, or not at all. Raises SettingsError where it cannot be."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.to_csv(part, index=False) if path.suffix == ".csv" else frame.to_parquet(part, index=False)
        part.replace(path)
    except OSError as problem:
        raise SettingsError(
            f"{path} cannot be written: {problem.strerror or problem}; give another {option}"
        ) from problem
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _sizes(jobs: JobTable) -> dict[str, Amounts]:
    """How jobs may have fewer GPUs; no columns where none may."""
    elastic = (jobs.least_gpus < jobs.gpus).any()
    return {"min_gpus": jobs.least_gpus, "scaling": jobs.scaling} if elastic else {}


def _told(name: str, values: Floats, untold: float) -> dict[str, Floats]:
    """A column, empty where nothing is told; no column where nothing ever is."""
    told = (values != untold) & ~np.isnan(values)
    return {name: np.where(told, values, np.nan)} if told.any() else {}
