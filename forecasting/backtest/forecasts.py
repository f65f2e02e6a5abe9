"""Every forecast of a backtest as parquet, so that anyone can score it by a rule of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from forecasting.backtest.protocol import QUANTILES
from forecasting.backtest.run import Answer
from gyropilot.errors import SettingsError

ROWS_AT_ONCE = 500_000
"""Kept in memory before they are written: about 50 MB."""


@dataclass(slots=True)
class Forecasts:
    """Takes answers one by one and writes them in groups of rows."""

    writer: Any
    schema: Any
    kept: list[Any] = field(default_factory=list)

    def __call__(self, answer: Answer) -> None:
        """Keeps an answer to be written; what a model did not answer has no rows."""
        self.kept.append(_table(answer, self.schema))
        if sum(table.num_rows for table in self.kept) >= ROWS_AT_ONCE:
            self.write()

    def write(self) -> None:
        import pyarrow as pa

        if self.kept:
            self.writer.write_table(pa.concat_tables(self.kept))
        self.kept = []


@contextmanager
def forecasts_to(path: Path) -> Iterator[Forecasts]:
    """A file that is there whole when all went well, and not at all otherwise."""
    from pyarrow import parquet

    schema = _schema()
    try:
        place = _place(path)
        unfinished = place.with_name(place.name + ".part")
        writer = parquet.ParquetWriter(unfinished, schema, compression="zstd")
    except OSError as problem:
        raise SettingsError(
            f"{path} cannot be written: {problem.strerror or problem}; give another --forecasts-out"
        ) from problem
    try:
        with writer:
            forecasts = Forecasts(writer, schema)
            yield forecasts
            forecasts.write()
        unfinished.replace(place)
    finally:
        unfinished.unlink(missing_ok=True)


def _place(path: Path) -> Path:
    """Where the file will lie, behind links, so that they stay links; its folder is made. Raises SettingsError."""
    if path.is_dir():
        raise SettingsError(f"--forecasts-out {path} is a folder; give a file, such as {path / 'forecasts.parquet'}")
    if path.exists() and not path.is_file():
        raise SettingsError(f"--forecasts-out {path} is no regular file, and would be replaced by one; give a file")
    place = Path(os.path.realpath(path))
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def _schema() -> Any:
    import pyarrow as pa

    name = pa.dictionary(pa.int32(), pa.string())
    return pa.schema(
        [
            ("origin", pa.timestamp("us")),  # UTC
            ("queue", name),
            ("model", name),
            ("start_s", pa.int64()),
            ("end_s", pa.int64()),
            ("quantile", pa.float64()),
            ("value", pa.float64()),
        ]
    )


def _table(answer: Answer, schema: Any) -> Any:
    """An answer as rows: queue by queue, window by window, quantile by quantile."""
    import pyarrow as pa

    lines, windows, quantiles = answer.gpus.shape
    line, window, quantile = (index.ravel() for index in np.indices((lines, windows, quantiles)))
    given = np.isfinite(answer.gpus).ravel()
    start_s, end_s = (
        np.array([round(getattr(w, edge).total_seconds()) for w in answer.windows], dtype=np.int64)
        for edge in ("start", "end")
    )
    queues = pa.DictionaryArray.from_arrays(
        pa.array(line[given], pa.int32()), pa.array([each.queue for each in answer.lines], pa.string())
    )
    model = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(given.sum(), np.int32)), pa.array([answer.model], pa.string())
    )
    origin = pa.array(np.full(given.sum(), np.datetime64(answer.origin.replace(tzinfo=None), "us")))
    columns = [origin, queues, model, start_s[window[given]], end_s[window[given]]]
    levels = np.array(QUANTILES)[quantile[given]]
    return pa.table([*columns, levels, answer.gpus.ravel()[given]], schema=schema)
