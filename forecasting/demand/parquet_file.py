"""A parquet file as an Arrow table, or what is wrong with it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from gyropilot.errors import SettingsError

PARQUET = b"PAR1"
"""How each such file begins and ends."""


def is_parquet(path: Path) -> bool:
    """Whether it begins so. Raises OSError."""
    with path.open("rb") as file:
        return file.read(len(PARQUET)) == PARQUET


def parquet_table(path: Path) -> Any:
    """All of it. Raises SettingsError where it is cut off or damaged, OSError where it cannot be read."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return parquet.read_table(path)
    except pa.ArrowException as problem:
        if not _ends_as_parquet(path):
            raise SettingsError(f"{path} is parquet that is cut off: its end is missing; write or copy it again") from (
                problem
            )
        raise SettingsError(
            f"{path} is parquet that is damaged: {' '.join(str(problem).split())}; write or copy it again"
        ) from problem


def _ends_as_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        length = file.seek(0, os.SEEK_END)
        file.seek(max(length - len(PARQUET), len(PARQUET)))
        return file.read() == PARQUET
