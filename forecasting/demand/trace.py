"""A recorded trace as a `DemandHistory`: parquet or CSV, one row per queue and moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forecasting.demand.counters import Gauged, gauged
from forecasting.demand.trace_file import Columns, read_columns
from gyropilot.domain import DemandHistory, Floats, Line
from gyropilot.errors import SettingsError

GPU = "nvidia.com/gpu"
MAX_READINGS = 100_000_000
"""Queues x steps: what takes a few GB. More than that is nearly always a stray timestamp far away from the rest."""

HOUR_S = 3_600
SUNDAY = 3
"""Days since 1970-01-01, a Thursday, modulo 7."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class Trace:
    """What a trace told, and what has to be said about it."""

    history: DemandHistory
    notes: tuple[str, ...] = ()


def read_trace(path: Path, column: str | None = None) -> Trace:
    """The demand that a trace recorded, a reading that is not there as NaN.

    `column` names what is forecast where that is not GPUs; of a counter, what it rises by in each step.
    Raises SettingsError naming what is wrong and where.
    """
    columns = read_columns(path, column)
    rows = _Rows.of(path, columns)
    grid = _grid(path, rows)
    told = _placed(rows, grid, columns.running)
    running, counter = Gauged(told) if column is None else gauged(column, told)
    grid = grid[-running.shape[1] :]
    pending = np.where(np.isnan(running), np.nan, 0.0)
    if columns.pending is not None:
        recorded = _placed(rows, grid, columns.pending)
        pending = np.where(_never(recorded), pending, recorded)
    lines = tuple(Line(name, column or GPU) for name in rows.queues)
    notes = [
        *columns.notes,
        *counter,
        *_waiting(lines, rows, columns.pending),
        *_order(rows),
        *_gaps(lines, running + pending),
        *(_clocks(grid, running + pending) if columns.local else ()),
    ]
    return Trace(DemandHistory(lines, grid, running, pending), tuple(notes))


@dataclass(frozen=True, eq=False, slots=True)
class _Rows:
    """When and of which queue each row is."""

    times: Ints  # (N,) seconds since the epoch
    queues: tuple[str, ...]  # in order
    queue: Ints  # (N,) index into queues
    order: Ints  # (N,) rows by queue, then by time
    sorted: bool  # in each queue already

    @classmethod
    def of(cls, path: Path, columns: Columns) -> _Rows:
        by_queue = np.argsort(columns.queue, kind="stable")
        order = np.lexsort((columns.times, columns.queue))
        rows = cls(
            times=columns.times,
            queues=columns.queues,
            queue=columns.queue,
            order=order,
            sorted=bool(np.array_equal(columns.times[order], columns.times[by_queue])),
        )
        rows._refuse_twice(path)
        return rows

    def steps_s(self) -> Ints:
        """Seconds between each two neighbours of a queue."""
        same = np.diff(self.queue[self.order]) == 0
        steps: Ints = np.diff(self.times[self.order])[same]
        return steps

    def at(self, row: int) -> str:
        return f"queue {self.queues[self.queue[row]]} at {_told(int(self.times[row]))}"

    def _refuse_twice(self, path: Path) -> None:
        by_queue = self.queue[self.order], self.times[self.order]
        twice = np.flatnonzero((np.diff(by_queue[0]) == 0) & (np.diff(by_queue[1]) == 0))
        if len(twice):
            are = "row is" if len(twice) == 1 else "rows are"
            raise SettingsError(
                f"{path}: {len(twice)} {are} there twice, the first {self.at(self.order[twice[0]])}; keep one "
                "row per queue and moment (add up what is told apart by another column; take UTC where clocks go back)"
            )


def _grid(path: Path, rows: _Rows) -> Ints:
    """(T,) every step from the first reading to the last."""
    steps = rows.steps_s()
    if not len(steps):
        raise SettingsError(f"{path} tells one moment only; a forecast needs a history of at least two")
    step = _commonest(steps)
    phase = rows.times % step
    off = np.flatnonzero(phase != _commonest(phase))
    if len(off):
        raise SettingsError(
            f"{path} is irregular: most readings are {step} s apart, and {len(off)} of {len(rows.times)} do not fit, "
            f"the first {rows.at(int(off[0]))}; resample it to a regular step, e.g. in pandas with "
            f"resample('{step}s').last() per queue"
        )
    first, last = int(rows.times.min()), int(rows.times.max())
    count = (last - first) // step + 1
    if count * len(rows.queues) > MAX_READINGS:
        raise SettingsError(
            f"{path} spans {_told(first)} to {_told(last)} in steps of {step} s: {count} steps of "
            f"{len(rows.queues)} queues are too many; check for a stray timestamp, or resample it to a longer step"
        )
    return np.arange(first, last + 1, step, dtype=np.int64)


def _commonest(values: Ints) -> int:
    found, counts = np.unique(values, return_counts=True)
    return int(found[np.argmax(counts)])


def _placed(rows: _Rows, grid: Ints, values: Floats) -> Floats:
    """(L, T) values where they belong, NaN where there is no row."""
    table = np.full((len(rows.queues), len(grid)), np.nan)
    table[rows.queue, (rows.times - grid[0]) // (grid[1] - grid[0])] = values
    return table


def _never(recorded: Floats) -> NDArray[np.bool_]:
    return np.asarray(np.isnan(recorded).all(axis=1, keepdims=True))


def _waiting(lines: tuple[Line, ...], rows: _Rows, pending: Floats | None) -> Iterator[str]:
    if pending is None:
        return
    known = np.bincount(rows.queue[np.isfinite(pending)], minlength=len(lines)) > 0
    if not known.all():
        which = "" if not known.any() else f" for {int((~known).sum())} of {len(lines)} queues"
        yield f"pending_gpus is not recorded{which}: demand is what ran, a lower bound of what was wanted"


def _order(rows: _Rows) -> Iterator[str]:
    if not rows.sorted:
        yield "rows were not in order of time; they were sorted"


def _gaps(lines: tuple[Line, ...], demand: Floats) -> Iterator[str]:
    missing = np.isnan(demand).sum(axis=1)
    if missing.any():
        worst = int(np.argmax(missing))
        share = 100 * missing.sum() / demand.size
        many = len(lines) > 1 and 2 * missing[worst] > missing.sum()
        most = f", most of them of queue {lines[worst].queue}" if many else ""
        yield (
            f"{int(missing.sum()):,} of {demand.size:,} readings ({share:.2g} %) are missing{most}: "
            "not seen, which is not zero"
        )


def _clocks(grid: Ints, demand: Floats) -> Iterator[str]:
    """Where nothing is there for one hour of a Sunday's first four, as where local clocks go forward."""
    unseen = np.isnan(demand).all(axis=0).astype(np.int8)
    begins, ends = (np.flatnonzero(np.diff(unseen, prepend=0, append=0) == turn) for turn in (1, -1))
    an_hour = (ends - begins) * int(grid[1] - grid[0]) == HOUR_S
    for begin in grid[begins[an_hour]]:
        day, since_midnight = divmod(int(begin), 24 * HOUR_S)
        if day % 7 == SUNDAY and since_midnight < 4 * HOUR_S:
            yield (
                f"no queue has a reading in the hour from {_told(int(begin))} on: if clocks go forward there, its "
                "times are local; take UTC"
            )


def _told(seconds: int) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):  # no calendar reaches as far as that
        return f"{seconds} s"
