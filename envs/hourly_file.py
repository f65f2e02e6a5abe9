"""What changes with time where a pool is, from a file: a spot market's prices, or a grid's carbon, as hours.

A row tells what holds from its moment on, until the next: `t_s` (seconds) or `timestamp`, and a column of values.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from envs.loads import numbers_of, times_of
from envs.table_file import read_frame
from envs.terms import HOUR_S
from envs.words import counted
from envs.workloads import Floats
from gyropilot.errors import SettingsError

if TYPE_CHECKING:
    import pandas as pd

WANTED = "a table with t_s or timestamp, and a column of what holds from then on"


def read_hours(path: Path, column: str, where: Mapping[str, str], from_h: float = 0.0) -> tuple[float, ...]:
    """The mean of each hour from hour `from_h` of the file on, up to its last row, of rows that are as `where` says.

    Hours count from the file's first such moment where it tells timestamps, from 0 where it tells seconds; before the
    first row its value holds. Raises SettingsError naming what is wrong.
    """
    frame = _picked(path, read_frame(path, WANTED).reset_index(drop=True), where)
    if column not in frame:
        raise SettingsError(f"{path} has no column {column}; there are {', '.join(map(str, frame.columns))}")
    times_s, values = times_of(path, frame), numbers_of(path, frame, column)
    if (times_s < 0).any():
        raise SettingsError(f"{path}: t_s is {times_s.min():g}; give seconds since the file begins, zero or more")
    last_h = int(times_s.max() // HOUR_S)
    if from_h > last_h:
        raise SettingsError(f"{path} ends in its hour {last_h}; give a from_h that is not more than {last_h}")
    edges_s = HOUR_S * np.arange(from_h, last_h + 1.5)
    return tuple(np.round(np.diff(_sums(times_s, values, edges_s)) / HOUR_S, 9).tolist())


def _picked(path: Path, frame: pd.DataFrame, where: Mapping[str, str]) -> pd.DataFrame:
    """The rows whose columns say what is wanted of them. Raises SettingsError where there are none."""
    for name, wanted in where.items():
        if name not in frame:
            raise SettingsError(f"{path} has no column {name} to pick rows by; it has {', '.join(frame.columns)}")
        told = frame[name].astype(str).str.strip()
        if not (told == wanted).any():
            some = sorted(told.unique())
            more = f" and {len(some) - 8} more" if len(some) > 8 else ""
            raise SettingsError(f"{path} has no row whose {name} is {wanted}; there are {', '.join(some[:8])}{more}")
        frame = frame[told == wanted]
    if not len(frame):
        raise SettingsError(f"{path} has {counted(0, 'row')}; give {WANTED}")
    return frame


def _sums(times_s: Floats, values: Floats, edges_s: Floats) -> Floats:
    """(E,) the integral from 0 to each edge of what holds from each of `times_s` on; of one moment the last row."""
    order = np.argsort(times_s, kind="stable")
    begins_s, held = np.append(0.0, times_s[order]), np.append(values[order[0]], values[order])
    ends_s = np.append(begins_s[1:], max(edges_s[-1], begins_s[-1]))
    table: Floats = np.interp(
        edges_s, np.append(begins_s, ends_s[-1]), np.append(0.0, np.cumsum(held * (ends_s - begins_s)))
    )
    return table
