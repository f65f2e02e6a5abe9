"""The columns of a trace's file as arrays, whatever their types: parquet or CSV, read with pyarrow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.demand.moments import from_dates, from_words, refuse_other_units
from forecasting.demand.opening import opened
from forecasting.demand.parquet_file import is_parquet
from gyropilot.domain import Floats
from gyropilot.errors import SettingsError
from gyropilot.near_names import nearest

ONLY_QUEUE = "all"
"""The name of the one series of a file that has no `queue`."""

SO_LIKE = 0.8
"""A name that is so like one that is missing is that one, mistyped."""

_NOTHING = frozenset((
    "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "N/A", "NA", "NULL", "NaN",
    "n/a", "nan", "null",
))  # fmt: skip
"""Words that stand for no number: Arrow reads them so in CSV, and does not say it."""

NO_ZONE = "timestamp tells no zone: taken as UTC"


@dataclass(frozen=True, eq=False, slots=True)
class Columns:
    """What a file tells, row by row (N,)."""

    times: NDArray[np.int64]  # seconds since the epoch
    queues: tuple[str, ...]  # the names, in order
    queue: NDArray[np.int64]  # index into queues
    running: Floats  # GPUs, or whatever is forecast; NaN: empty
    pending: Floats | None  # GPUs; None: part of `running`
    local: bool = False  # dates tell no zone
    notes: tuple[str, ...] = ()


def read_columns(path: Path, column: str | None = None) -> Columns:
    """The columns that tell demand. Raises SettingsError where a file or a column is not what it should be."""
    table = opened(path)
    if not table.num_rows:
        raise SettingsError(f"{path} holds no rows; a trace has one row per queue and moment")
    file = _File(path, table)
    times, notes = file.times()
    running, pending = file.demand(column)
    read = [column] if column is not None else ["running_gpus", "pending_gpus", "demand_gpus"]
    notes += _blanks(path, table, read)
    return Columns(times, *file.queues(), running, pending, NO_ZONE in notes, tuple(notes))


@dataclass(frozen=True, eq=False, slots=True)
class _File:
    path: Path
    table: Any

    def times(self) -> tuple[NDArray[np.int64], list[str]]:
        """(N,) seconds since the epoch; where only `t_s` tells the time, it counts from 1970."""
        if self._told("timestamp"):
            seconds, zoned = self._moments()
            return self._complete("timestamp", seconds), [] if zoned else [NO_ZONE]
        if self._told("t_s"):
            return self._complete("t_s", self.numbers("t_s", "write seconds")), [
                "the trace has no dates: its times are shown as if t_s = 0 were 1970-01-01 00:00 UTC"
            ]
        raise SettingsError(
            f"{self.path} does not say when: it has no column timestamp and no t_s (seconds), or they are empty; it "
            f"has {', '.join(self.table.column_names)}{self._meant('timestamp', 't_s')}"
        )

    def queues(self) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """The names of the queues in order, and (N,) which of them each row is of."""
        import pyarrow as pa

        if "queue" not in self.table.column_names:
            self._refuse_queue_by_another_name()
            return (ONLY_QUEUE,), np.zeros(self.table.num_rows, dtype=np.int64)
        found = self.table["queue"].cast(pa.string()).combine_chunks().fill_null("").dictionary_encode()
        names, code = np.array(found.dictionary.to_pylist()), found.indices.to_numpy()
        nameless = np.flatnonzero(names[code] == "")
        if len(nameless):
            raise SettingsError(
                f"{self.path}: {_rows(len(nameless), 'names', 'name')} no queue, the first is data row "
                f"{nameless[0] + 1}; fill them in, or leave the column out where all rows are one series"
            )
        rank = np.argsort(np.argsort(names))
        return tuple(str(name) for name in sorted(names)), rank[code].astype(np.int64)

    def demand(self, column: str | None) -> tuple[Floats, Floats | None]:
        """What ran and what waited; the second is None where the first is all."""
        if column is not None:
            return self._seen(column), None
        if self._told("running_gpus") and (self._told("pending_gpus") or not self._told("demand_gpus")):
            has_pending = "pending_gpus" in self.table.column_names
            nothing = np.full(self.table.num_rows, np.nan)
            return self._seen("running_gpus"), self._seen("pending_gpus") if has_pending else nothing
        if self._told("demand_gpus"):
            return self._seen("demand_gpus"), None
        others = ", ".join(self._numeric()) or "none of its columns holds numbers"
        raise SettingsError(
            f"{self.path} tells no demand: running_gpus (with pending_gpus) and demand_gpus are not there, or empty; "
            f"name what is to be forecast with --column: {others}"
            + self._meant("running_gpus", "pending_gpus", "demand_gpus")
        )

    def _seen(self, name: str) -> Floats:
        values = self.numbers(name)
        below = np.flatnonzero(values < 0)
        if len(below):
            raise SettingsError(
                f"{self.path}: {name} is {values[below[0]]:g} in data row {below[0] + 1}, and "
                f"{len(below)} {'times' if len(below) > 1 else 'time'} below zero; demand is zero or more, and empty "
                "where it was not seen"
            )
        if not np.isfinite(values).any() and name != "pending_gpus":
            raise SettingsError(f"{self.path}: {name} is empty in every row; name another column with --column")
        return values

    def _refuse_queue_by_another_name(self) -> None:
        """Raises SettingsError where rows of several queues would be taken for one series."""
        words = [name for name in self.table.column_names if name not in self._numeric()]
        meant = nearest("queue", words, SO_LIKE)
        if meant:
            raise SettingsError(
                f"{self.path} has a column {meant} and none called queue, so that all rows would be one series; call "
                "it queue if that is meant, else leave it out"
            )

    def _meant(self, *missing: str) -> str:
        """Which columns are called nearly as those that are missing, as the rest of a sentence; empty: none is."""
        meant = [(nearest(name, self.table.column_names, SO_LIKE), name) for name in missing]
        renamed = ", ".join(f"{other} {name}" for other, name in meant if other and other != name)
        return f"; call its {renamed}, if that is what it tells" if renamed else ""

    def numbers(self, name: str, instead: str = "name another column with --column") -> Floats:
        """(N,) values, NaN where empty. Raises SettingsError naming the first that is no number, or what to do."""
        import pyarrow as pa

        if name not in self.table.column_names:
            raise SettingsError(
                f"{self.path} has no column {name}; --column takes one of {', '.join(self._numeric()) or 'none'}"
            )
        values = _emptied(self.table[name])
        try:
            numbers = values.cast(pa.float64(), safe=False).to_numpy()
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as problem:
            if _is_text(values):
                raise SettingsError(f"{self.path}: {_first_word(name, values)}") from problem
            raise SettingsError(f"{self.path}: {name} holds {values.type}, not numbers; {instead}") from problem
        endless = np.flatnonzero(np.isinf(numbers))
        if len(endless):
            raise SettingsError(
                f"{self.path}: {name} is {numbers[endless[0]]:g} in data row {endless[0] + 1}, which is no number; "
                "leave it empty where nothing was seen"
            )
        return np.asarray(numbers, dtype=np.float64)

    def _moments(self) -> tuple[Floats, bool]:
        """(N,) seconds of `timestamp`, NaN where empty, and whether it tells a zone; seconds since 1970 need none."""
        import pyarrow as pa

        column = self.table["timestamp"]
        if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
            return from_dates(column)
        if _is_text(column):
            return from_words(self.path, column.to_pylist())
        seconds = self.numbers("timestamp", "write dates, or seconds since 1970")
        refuse_other_units(self.path, seconds)
        return seconds, True

    def _complete(self, name: str, seconds: Floats) -> NDArray[np.int64]:
        unknown = np.flatnonzero(np.isnan(seconds))
        if len(unknown):
            raise SettingsError(
                f"{self.path}: {name} is empty in {_rows(len(unknown))}, the first is data row "
                f"{unknown[0] + 1}; fill them in, or drop those rows"
            )
        return np.round(seconds).astype(np.int64)

    def _told(self, name: str) -> bool:
        """Whether the column is there and holds anything."""
        return name in self.table.column_names and self.table[name].null_count < self.table.num_rows

    def _numeric(self) -> Iterator[str]:
        import pyarrow as pa

        for field in self.table.schema:
            if field.name not in ("timestamp", "t_s") and (
                pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
            ):
                yield field.name


def _blanks(path: Path, table: Any, names: Iterable[str]) -> list[str]:
    """What stands in cells of a CSV that were taken as empty, where that is a word such as n/a."""
    there = [name for name in names if name in table.column_names]
    holed = [name for name in there if table[name].null_count or _is_text(table[name])]
    if not holed or is_parquet(path):
        return []
    return [note for name, column in _as_written(path, holed).items() if (note := _said(name, column))]


def _as_written(path: Path, names: list[str]) -> dict[str, Any]:
    """Columns of a CSV as the text that stands there."""
    import pyarrow as pa
    from pyarrow import csv

    types = dict.fromkeys(names, pa.string())
    options = csv.ConvertOptions(include_columns=names, column_types=types, strings_can_be_null=False)
    table = csv.read_csv(path, convert_options=options)
    return {name: table[name] for name in names}


def _said(name: str, column: Any) -> str | None:
    """How many cells hold a word that stands for nothing, and which; None: there is none."""
    from pyarrow import compute

    counts = compute.value_counts(column.combine_chunks()).to_pylist()
    blank = {each["values"]: each["counts"] for each in counts if each["values"].strip() in _NOTHING}
    if not blank:
        return None
    many = sum(blank.values())
    words = ", ".join(sorted(blank))
    return f"{many:,} cell{'s' * (many != 1)} of {name} {'holds' if many == 1 else 'hold'} {words}: taken as not seen"


def _rows(many: int, one: str = "", several: str = "") -> str:
    """1 row names, 2 rows name; data rows are counted from 1, without the header."""
    return f"{many} row{'s' * (many != 1)} {one if many == 1 else several}".rstrip()


def _is_text(column: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def _emptied(values: Any) -> Any:
    """The same column, null where text is blank or a word that stands for nothing."""
    import pyarrow as pa
    from pyarrow import compute

    if not _is_text(values):
        return values
    words = compute.utf8_trim_whitespace(values.cast(pa.string()))
    return compute.if_else(compute.is_in(words, pa.array(["", *_NOTHING])), None, words)


def _first_word(name: str, words: Any) -> str:
    row, word = next((row, word) for row, word in enumerate(words.to_pylist()) if not _is_number(word))
    return f"{name} is {word!r} in data row {row + 1}, which is no number; leave it empty where nothing was seen"


def _is_number(word: str | None) -> bool:
    """As Arrow reads numbers; what is empty does no harm."""
    import pyarrow as pa

    try:
        pa.scalar(word, pa.string()).cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True
