"""A forecast in words: the same in the terminal and on the page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np

from forecasting.foretold import Foretold
from gyropilot.domain import ALL_QUEUES, DemandForecast, Line
from gyropilot.report.words import count, duration, number

HOUR = timedelta(hours=1)
GLANCES = (HOUR, 6 * HOUR, 24 * HOUR)
"""Horizons that a table of all queues has room for, beside the end of the week."""

TOLD_QUANTILES = (0.025, 0.1, 0.5, 0.9, 0.95, 0.99)


def headline(found: Foretold) -> str:
    """Demand of all queues, or of the one that was asked for: now, and in a day."""
    lines = list(found.largest_first())
    if not lines:
        return "No queue was seen"
    line = lines[0]
    now, (low, mid, high) = found.newest(line), at(found.demand, line, found.demand.horizons[-1])
    then = f"{number(mid)} GPUs are expected in {ahead(found.demand.horizons[-1])} ({number(low)} to {number(high)})"
    return f"{called(line)}: {then}" if now is None else f"{called(line)}: {count(now, 'GPU')} now, {then}"


def called(line: Line) -> str:
    """All queues; queue research."""
    return "All queues" if line.queue == ALL_QUEUES else f"Queue {line.queue}"


def named(line: Line, several: bool) -> str:
    """As a row of a table: its resource too where there are several."""
    name = line.queue or "all queues"
    return f"{name} ({line.resource})" if several else name


def at(forecast: DemandForecast, line: Line, horizon: timedelta) -> tuple[float, float, float]:
    """The 10 %, 50 % and 90 % quantile at a horizon."""
    return (
        forecast.at(line, horizon, 0.1),
        forecast.at(line, horizon, 0.5),
        forecast.at(line, horizon, 0.9),
    )


def band(quantiles: Sequence[float]) -> str:
    """24 (16–40): the median, and what eight of ten futures lie within."""
    low, mid, high = quantiles
    return f"{number(mid)} ({number(low)}\N{EN DASH}{number(high)})" if np.isfinite(quantiles).all() else number(None)


def ahead(horizon: timedelta) -> str:
    """5 min, 6 h, 24 h, 7 d."""
    if HOUR <= horizon <= 24 * HOUR and not horizon % HOUR:
        return f"{horizon // HOUR} h"
    return duration(horizon)


def percentile(quantile: float) -> str:
    """2.5 %."""
    return f"{100 * quantile:g} %"
