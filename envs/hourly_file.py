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


LATEST_S = 366 * 24 * HOUR_S
"""Of a first row: what is later is a clock's time, and not told since the file begins."""


def read_hours(path: Path, column: str, where: Mapping[str, str], from_h: float = 0.0) -> tuple[float, ...]:
    """The mean of each hour from hour `from_h` of the file on, to its last row, of rows that are as `where` says.

    Hours count from the file's first moment where it tells timestamps, from 0 where it tells seconds, whatever rows are
    picked; before the first of these its value holds. Raises SettingsError naming what is wrong.
    """
    frame = read_frame(path, WANTED).reset_index(drop=True)
    if not len(frame):
        raise SettingsError(f"{path} has {counted(0, 'row')}; give {WANTED}")
    if column not in frame:
        raise SettingsError(
            f"{path} has no column {column}; name one of {', '.join(map(str, frame.columns))} as column"
        )
    times_s, mine = times_of(path, frame), _picked(path, frame, where)
    _refuse_another_clock(path, times_s)
    last_h = int(times_s.max() // HOUR_S)
    if from_h > last_h:
        raise SettingsError(f"{path} ends in its hour {last_h}; give a from_h that is not more than {last_h}")
    edges_s = HOUR_S * np.arange(from_h, last_h + 1.5)
    sums = _sums(times_s[mine.index], numbers_of(path, mine, column), edges_s)
    return tuple(np.round(np.diff(sums) / HOUR_S, 9).tolist())


def _refuse_another_clock(path: Path, times_s: Floats) -> None:
    first_s = times_s.min()
    if not 0 <= first_s <= LATEST_S:
        raise SettingsError(
            f"{path}: its first row is at {first_s:.15g} s; give seconds since the file begins, or times such as "
            "2026-03-02T12:00Z as timestamp"
        )


def _picked(path: Path, frame: pd.DataFrame, where: Mapping[str, str]) -> pd.DataFrame:
    """The rows whose columns say what is wanted of them. Raises SettingsError where there are none."""
    for name, wanted in where.items():
        if name not in frame:
            raise SettingsError(f"{path} has no column {name} to pick rows by; name one of {', '.join(frame.columns)}")
        told = frame[name].astype(str).str.strip()
        if not (told == wanted).any():
            some = sorted(told.unique())
            more = f" and {len(some) - 8} more" if len(some) > 8 else ""
            raise SettingsError(f"{path} has no row whose {name} is {wanted}; pick one of {', '.join(some[:8])}{more}")
        frame = frame[told == wanted]
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
