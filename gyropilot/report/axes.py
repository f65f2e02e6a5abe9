"""Where the ticks of an axis stand and what they say."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from gyropilot.report.words import day

_HOUR = 3600
_STEPS_S = (300, 900, 1800, _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR, 24 * _HOUR, 48 * _HOUR, 168 * _HOUR)

EDGE = 12
"""Pixels: half of a label; nearer to an edge than that it would be cut."""


def gpu_ticks(top: float, about: int = 4) -> list[float]:
    """From zero, in steps of 1, 2 or 5 times a power of ten, never a fraction of a GPU."""
    rough = max(top, 1.0) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = max(1.0, next(m * power for m in (1, 2, 5, 10) if m * power >= rough))
    return [i * step for i in range(int(top / step) + 1)]


def time_ticks(start_s: int, end_s: int, about: int = 6) -> list[datetime]:
    """Round moments in UTC within the span, at most about as many as asked."""
    span = max(1, end_s - start_s)
    step = next((s for s in _STEPS_S if span / s <= about), math.ceil(span / about / 86400) * 86400)
    first = -(-start_s // step) * step
    return [datetime.fromtimestamp(s, UTC) for s in range(first, end_s + 1, step)]


def time_label(moment: datetime) -> str:
    """The day at midnight, else the time."""
    return day(moment) if moment.time() == datetime.min.time() else f"{moment:%H:%M}"


def beside(x: float, left: float, right: float) -> tuple[float, str]:
    """Where a label of the tick at `x` stands, and its anchor: in the middle, but within the picture at its edges."""
    if x < left + EDGE:
        return left, "start"
    return (right, "end") if x > right - EDGE else (x, "middle")


def span_before(longest: timedelta) -> timedelta:
    """How much history to draw: three times what is looked ahead, so that a day ahead stands beside three days."""
    return max(3 * longest, timedelta(hours=6))
