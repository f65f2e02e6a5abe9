"""Traces written to files, and what reading them tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from forecasting.demand.trace import Trace, read_trace
from gyropilot.errors import SettingsError


def csv(folder: Path, text: str) -> Path:
    path = folder / "trace.csv"
    path.write_text("\n".join(line.strip() for line in text.strip().splitlines()) + "\n")
    return path


def table(folder: Path, **columns: Any) -> Path:
    path = folder / "trace.parquet"
    parquet.write_table(pa.table(columns), path)
    return path


def demand(trace: Trace) -> dict[str, list[float]]:
    return {line.queue: list(row) for line, row in zip(trace.history.lines, trace.history.demand, strict=True)}


def refusal(path: Path, column: str | None = None) -> str:
    with pytest.raises(SettingsError) as refused:
        read_trace(path, column)
    return str(refused.value).removeprefix(str(path))
