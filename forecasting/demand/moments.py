"""`timestamp` as seconds since 1970, whether dates tell it, words or numbers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from gyropilot.domain import Floats
from gyropilot.errors import SettingsError

LATEST_S = 1e11
"""More seconds than that are told in another unit: they would lie 1,000 years ahead."""

UNITS = ((1e14, "milliseconds"), (1e17, "microseconds"), (np.inf, "nanoseconds"))
"""Up to how many since 1970 what is told is likely which."""


def from_dates(column: Any) -> tuple[Floats, bool]:
    """(N,) seconds of Arrow's timestamps or days, and whether they tell a zone; without one they are UTC."""
    import pyarrow as pa

    zone = getattr(column.type, "tz", None)
    micros = column.cast(pa.timestamp("us", zone), safe=False).cast(pa.int64())
    return np.asarray(micros.cast(pa.float64(), safe=False).to_numpy() / 1e6, dtype=np.float64), zone is not None


def from_words(path: Path, words: Sequence[str | None]) -> tuple[Floats, bool]:
    """(N,) seconds of ISO 8601, NaN where empty, and whether they tell a zone. Raises SettingsError where some do."""
    moments = [_moment(path, row, word) for row, word in enumerate(words)]
    without = [row for row, moment in enumerate(moments) if moment and moment.tzinfo is None]
    told = sum(moment is not None for moment in moments)
    if 0 < len(without) < told:
        raise SettingsError(
            f"{path}: timestamp tells a zone in some rows and none in {len(without):,} of {told:,}, the first is data "
            f"row {without[0] + 1} ({words[without[0]]}); write it in all of them, such as +00:00, or in none"
        )
    seconds = [np.nan if moment is None else _utc(moment).timestamp() for moment in moments]
    return np.array(seconds, dtype=np.float64), not without


def refuse_other_units(path: Path, numbers: Floats) -> None:
    """Raises SettingsError where numbers can be no seconds since 1970."""
    largest = numbers[np.nanargmax(np.abs(numbers))]
    if abs(largest) > LATEST_S:
        unit = next(name for most, name in UNITS if abs(largest) <= most)
        raise SettingsError(
            f"{path}: timestamp is {largest:.0f}, too many seconds since 1970; are they {unit}? Divide them, or write "
            "dates"
        )


def _moment(path: Path, row: int, word: str | None) -> datetime | None:
    if not word:
        return None
    try:
        return datetime.fromisoformat(word.strip())
    except ValueError as problem:
        raise SettingsError(
            f"{path}: timestamp is {word!r} in data row {row + 1}; it takes ISO 8601 such as 2026-03-02T12:00:00Z, or "
            "seconds since 1970"
        ) from problem


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
