"""A trace's file as an Arrow table, or what is wrong with it: parquet or CSV, read with pyarrow."""

from __future__ import annotations

import csv as rows_of_text
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from forecasting.demand.parquet_file import is_parquet, parquet_table
from gyropilot.errors import SettingsError

DELIMITERS = {";": "semicolon", "\t": "tab", "|": "bar"}
"""What parts the columns of files that call themselves CSV, beside a comma."""

_IN_NO_TEXT = frozenset(range(32)) - frozenset(b"\t\n\r\f")
"""Bytes that no CSV begins with."""


def opened(path: Path) -> Any:
    """The file as an Arrow table; what it is, its first bytes tell and not its name. Raises SettingsError."""
    import pyarrow as pa

    try:
        if is_parquet(path):
            return parquet_table(path)
        return _csv(path)
    except OSError as problem:
        raise SettingsError(
            f"{path} cannot be read: {problem.strerror or problem}; give --trace a parquet or CSV file"
        ) from problem
    except pa.ArrowException as problem:
        raise SettingsError(f"{path} is neither parquet nor CSV: {' '.join(str(problem).split())}") from problem


def _csv(path: Path) -> Any:
    import pyarrow as pa
    from pyarrow import csv

    _refuse_no_text(path)
    try:
        table = csv.read_csv(path)
    except pa.ArrowInvalid as problem:
        if "Empty CSV" in str(problem):
            raise SettingsError(f"{path} is empty; a trace has one row per queue and moment") from problem
        if "UTF8" in str(problem):
            raise _not_utf8(path) from problem
        misfit = _misfit(path)
        if misfit:
            raise SettingsError(f"{path} {misfit}") from problem
        raise
    _refuse_other_text(path, table)
    _refuse_other_delimiters(path, table)
    return table


def _refuse_no_text(path: Path) -> None:
    """Raises SettingsError where the file begins as no CSV does; one that is compressed is looked into."""
    import pyarrow as pa

    with pa.input_stream(path) as file:
        first = file.read(1024)
    if first.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) or b"\0" in first[:2]:
        raise _not_utf8(path)
    if not _IN_NO_TEXT.isdisjoint(first):
        raise SettingsError(f"{path} is neither parquet nor CSV: it is no text; give --trace a parquet or CSV file")


def _misfit(path: Path) -> str:
    """What is said of the first row that has more or fewer cells than the header; empty: none has."""
    import pyarrow as pa

    with pa.input_stream(path) as file, TextIOWrapper(file, "utf-8", "replace", newline="") as text:
        rows = _filled(text)
        names = len(next(rows, []))
        for nth, row in enumerate(rows, start=1):
            if len(row) == names:
                continue
            cells = f"data row {nth} has {len(row)} of {names} cells"
            if len(row) < names and next(rows, None) is None:
                return f"is cut off: {cells}, and is the last one; write or copy it again, or drop that row"
            return f"is CSV whose rows differ: {cells}; give each row one for each name in the first line"
    return ""


def _filled(text: TextIOWrapper) -> Iterator[list[str]]:
    """Its rows, but for empty lines, up to what can be no row."""
    try:
        yield from (row for row in rows_of_text.reader(text) if row)
    except rows_of_text.Error:
        return


def _refuse_other_text(path: Path, table: Any) -> None:
    """Raises SettingsError where the name of a column is not UTF-8, or a value, as Arrow keeps those as bytes."""
    import pyarrow as pa

    try:
        types = {field.name: field.type for field in table.schema}
    except UnicodeDecodeError as problem:
        raise _not_utf8(path) from problem
    if any(pa.types.is_binary(each) for each in types.values()):
        raise _not_utf8(path)


def _not_utf8(path: Path) -> SettingsError:
    return SettingsError(f"{path} is CSV that is not UTF-8; save it as UTF-8 (in a spreadsheet: CSV UTF-8)")


def _refuse_other_delimiters(path: Path, table: Any) -> None:
    """Raises SettingsError where another delimiter than a comma parts the columns."""
    only = table.column_names[0]
    found = next((name for mark, name in DELIMITERS.items() if mark in only), None)
    if len(table.column_names) == 1 and found:
        raise SettingsError(
            f"{path} seems to part its columns with a {found}: it has one column, {only!r}; part them with commas"
        )
