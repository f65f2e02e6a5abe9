"""What a service is asked for over time: requests, or tokens, a second, from a file or made up.

A file is parquet or CSV in steps of equal length. It has `t_s` (seconds) or `timestamp`, and a column of what is asked
for: a rate (its name ends with `_per_s`, `_rps` or `_tps`) or, where it is called `requests` or `tokens`, how many in
each step; or a row for each request (`read_log`). Where it holds several series, `queue` tells them apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from envs.table_file import read_frame
from envs.workloads import DAY_S, MONDAY_S, Floats, Rhythm, slow_noise
from gyropilot.errors import SettingsError

if TYPE_CHECKING:
    import pandas as pd

RATES = ("_per_s", "_rps", "_tps")
COUNTS = ("requests", "tokens")
MADE_STEP_S = 60.0
MOST = 1e13
"""Of what is asked for in a step, or of seconds by any clock: what is more is a slip."""

OFFICE = Rhythm(peak_hour=14.0, swing=0.5, weekend_share=0.8)


@dataclass(frozen=True, eq=False, slots=True)
class Load:
    """So much is asked for in each step, the first of which begins at 0."""

    step_s: float
    per_s: Floats  # (T,) requests, or tokens

    @property
    def end_s(self) -> float:
        return self.step_s * len(self.per_s)

    @property
    def times_s(self) -> Floats:
        """(T,) at which steps begin."""
        times_s: Floats = self.step_s * np.arange(len(self.per_s), dtype=np.float64)
        return times_s

    @property
    def asked(self) -> float:
        """Of all steps together."""
        return float(self.per_s.sum() * self.step_s)

    def times(self, factor: float, at_s: float = 0.0, lasts_s: float = np.inf) -> Load:
        """So many times as much in steps that begin within a while."""
        within = (at_s <= self.times_s) & (self.times_s < at_s + lasts_s)
        return Load(self.step_s, np.where(within, factor * self.per_s, self.per_s))

    def cut(self, from_s: float, lasts_s: float) -> Load:
        """What is asked for from a moment on, for a while, in whole steps; that moment is the new beginning."""
        within = (from_s <= self.times_s) & (self.times_s < from_s + lasts_s)
        return Load(self.step_s, self.per_s[within])


@dataclass(frozen=True, slots=True)
class MadeLoad:
    """A load that follows the day and the week, wanders a little, and bursts now and then."""

    per_s: float  # mean over a working day, bursts left aside
    days: float
    rhythm: Rhythm = OFFICE
    noise: float = 0.06  # relative, forgotten within a few hours
    bursts_per_day: float = 0.0
    burst_times: float = 2.0  # as much as else, while one lasts
    burst_s: float = 600.0  # how long one lasts on average

    def drawn(self, rng: np.random.Generator, began_s: float = MONDAY_S) -> Load:
        """By the minute; `began_s`, in seconds of the epoch, says which day and hour it begins."""
        steps = max(1, round(self.days * DAY_S / MADE_STEP_S))
        times_s = MADE_STEP_S * np.arange(steps, dtype=np.float64)
        wander = slow_noise(-(-steps // 5) + 1, rng)  # unit variance, every five minutes
        level = 1.0 + self.noise * np.interp(np.arange(steps) / 5.0, np.arange(len(wander)), wander)
        busy = self.per_s * self.rhythm.at(began_s + times_s) * np.maximum(0.0, level)
        return Load(MADE_STEP_S, busy * self._bursts(times_s, rng))

    def _bursts(self, times_s: Floats, rng: np.random.Generator) -> Floats:
        """(T,) how many times as much is asked for."""
        factor = np.ones(len(times_s))
        for _ in range(rng.poisson(self.bursts_per_day * self.days)):
            begin_s = rng.uniform(0.0, self.days * DAY_S)
            end_s = begin_s + rng.exponential(self.burst_s)
            factor[(begin_s <= times_s) & (times_s < end_s)] = self.burst_times
        return factor


def read_load(path: Path, column: str | None = None, series: str | None = None) -> Load:
    """The load in a file. Raises SettingsError naming what is missing, or the first step that is."""
    frame = _of_series(path, _rows(path), series)
    name = _column(path, frame, column)
    times_s = times_of(path, frame)
    order = np.argsort(times_s, kind="stable")
    step_s = _step(path, times_s[order])
    per_s = numbers_of(path, frame, name)[order]
    return Load(step_s, per_s / step_s if name in COUNTS else per_s)


def read_log(path: Path, bin_s: float, column: str | None = None, series: str | None = None) -> Load:
    """The load of a file with a row for each request, counted in bins; with a column as much as it says of each."""
    frame = _of_series(path, _rows(path), series)
    times_s = times_of(path, frame)
    since_s = times_s - times_s.min()
    bins = int(since_s.max() // bin_s)  # the last one is not over
    if not bins:
        raise SettingsError(f"{path} tells of {since_s.max():g} s; give a load.bin_s that is less than that")
    if column is not None and column not in frame:
        raise SettingsError(f"{path} has no column {column}; there are {', '.join(map(str, frame.columns))}")
    weights = None if column is None else numbers_of(path, frame, column)
    counts = np.bincount((since_s // bin_s).astype(np.int64), weights=weights)[:bins]
    return Load(bin_s, counts / bin_s)


def _rows(path: Path) -> pd.DataFrame:
    frame = read_frame(path, "a parquet or CSV file of a load").reset_index(drop=True)
    if not len(frame):
        raise SettingsError(f"{path} holds no rows; give a file of a load")
    return frame


def _of_series(path: Path, frame: pd.DataFrame, series: str | None) -> pd.DataFrame:
    there = sorted(frame["queue"].astype(str).unique()) if "queue" in frame else []
    if series is None and len(there) < 2:
        return frame
    if series not in there:
        told = f"holds no series {series}" if series is not None else f"holds {len(there)} series"
        names = f"by its column queue: {', '.join(there[:8])}" if there else "and has no column queue"
        raise SettingsError(f"{path} {told}, {names}; name one of them as load.series, or none")
    return frame[frame["queue"].astype(str) == series]


def _column(path: Path, frame: pd.DataFrame, column: str | None) -> str:
    """Whose values are taken: the one that is told, or the only one that can be meant."""
    if column is not None and column in frame:
        return column
    meant = [name for name in map(str, frame.columns) if name in COUNTS or name.endswith(RATES)]
    if column is None and len(meant) == 1:
        return meant[0]
    found = ", ".join(map(str, frame.columns))
    why = f"has no column {column}" if column else f"has {len(meant)} columns that may be meant"
    raise SettingsError(
        f"{path} {why}; name one as load.column: a rate a second, or {' or '.join(COUNTS)} in each step ({found})"
    )


def times_of(path: Path, frame: pd.DataFrame) -> Floats:
    """(T,) seconds: by `timestamp` where it is known of all rows, else by `t_s`; in whichever letters.

    Those of a clock count from the first. Raises SettingsError.
    """
    import pandas as pd

    names = {str(name).lower(): name for name in reversed(frame.columns)}
    known = [names[name] for name in ("timestamp", "t_s") if name in names and frame[names[name]].notna().all()]
    if not known:
        raise SettingsError(f"{path} has neither t_s nor a timestamp in every row; tell when each begins")
    if pd.api.types.is_numeric_dtype(frame[known[0]]):
        return numbers_of(path, frame, known[0], least=-np.inf)
    try:
        moments = pd.to_datetime(frame[known[0]], utc=True, format="ISO8601")
    except ValueError as problem:
        raise SettingsError(
            f"{path}: {known[0]} is {_no_moment(frame[known[0]])!r}, which is no time; give ISO 8601, such as "
            "2026-03-02T12:00Z, or seconds"
        ) from problem
    since: Floats = (moments - moments.min()).dt.total_seconds().to_numpy(dtype=np.float64)
    return since


def _no_moment(told: pd.Series) -> object:
    """The first that is none."""
    import pandas as pd

    return told[pd.to_datetime(told, utc=True, format="ISO8601", errors="coerce").isna()].iloc[0]


def _step(path: Path, times_s: Floats) -> float:
    """How long each step is. Raises SettingsError where one is missing, or told twice."""
    if len(times_s) < 2:
        raise SettingsError(f"{path} holds {len(times_s)} steps; a load has two at least, that tell how long one is")
    apart = np.diff(times_s)
    lengths, many = np.unique(apart[apart > 0].round(3), return_counts=True)
    step_s = float(lengths[many.argmax()]) if len(lengths) else 0.0
    uneven = np.flatnonzero(np.abs(apart - step_s) > 1e-3 * step_s)
    if not step_s or len(uneven):
        nth = int(uneven[0]) if len(uneven) else 0
        raise SettingsError(
            f"{path}: steps are {step_s:g} s long, but from {times_s[nth]:g} s to {times_s[nth + 1]:g} s are "
            f"{apart[nth]:g} s; fill the gap, leave what is told twice out, or cut the file there"
        )
    return step_s


def numbers_of(path: Path, frame: pd.DataFrame, name: str, least: float = 0.0) -> Floats:
    """(T,) values of a column. Raises SettingsError naming the first row that has no such number."""
    import pandas as pd

    values = np.asarray(pd.to_numeric(frame[name], errors="coerce"), dtype=np.float64)
    wrong = np.flatnonzero(~np.isfinite(values) | (values < least) | (values > MOST))
    if len(wrong):
        row = int(wrong[0])
        raise SettingsError(
            f"{path}: {name} is {frame[name].iloc[row]} in data row {frame.index[row] + 1}; give a number, zero or "
            "more, and none beyond all bounds"
        )
    return values
