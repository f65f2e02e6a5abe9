"""A forecast in words: the same in the terminal and on the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import numpy as np

from forecasting.foretold import Foretold
from gyropilot.domain import ALL_QUEUES, DemandForecast, Line
from gyropilot.report.words import TOTAL, count, duration, number

HOUR = timedelta(hours=1)
DAY = 24 * HOUR
GLANCES = (HOUR, 6 * HOUR)
"""Horizons that a table of all queues has room for, beside the day's peak and the end of the week."""

TOLD_GUESSES = 12
"""Queues that are named as too young; with all of them as young, nobody reads a thousand."""

OUTLOOK_IS = (
    "Beyond 24 h each figure is of the hour that ends then, at this time of day: "
    "other hours of that day may demand more"
)


COHORTS_ARE = (
    "The total of a cohort is what its queues are expected to demand together, if they move together as they did"
)


class Row(NamedTuple):
    """One line of a table, and where to look up what is expected of it."""

    name: str
    found: Foretold
    line: Line


def rows(found: Foretold) -> Iterator[Row]:
    """Totals, cohorts, queues, each by what is expected of them."""
    lines, several = list(found.largest_first()), of_several_resources(found)
    queues = [Row(named(line, several), found, line) for line in lines]
    yield from (row for row in queues if row.line.queue == ALL_QUEUES)
    yield from cohorts(found)
    yield from (row for row in queues if row.line.queue != ALL_QUEUES)


def cohorts(found: Foretold) -> Iterator[Row]:
    """The total of each cohort, by what is expected of them."""
    if found.cohorts is not None:
        totals, several = found.cohorts.totals, of_several_resources(found)
        yield from (Row(f"cohort {named(line, several)}", totals, line) for line in totals.largest_first())


def of_several_resources(found: Foretold) -> bool:
    """Whether a name alone does not tell lines apart."""
    return len({line.resource for line in found.demand.lines}) > 1


@dataclass(frozen=True, slots=True)
class Peak:
    """The largest quantile over the horizons of a day, and when; not a quantile of the day's largest demand."""

    gpus: float
    ahead: timedelta


def peak(forecast: DemandForecast, line: Line, quantile: float) -> Peak:
    """The first horizon within 24 h at which no other has a larger quantile."""
    day = [h for h in forecast.horizons if h <= DAY] or [forecast.horizons[0]]
    gpus = [forecast.at(line, h, quantile) for h in day]
    top = int(np.argmax(gpus))
    return Peak(gpus[top], day[top])


def headline(found: Foretold) -> str:
    """Demand of all queues, or of the one that was asked for: now, and the most that is expected within a day."""
    lines = list(found.largest_first())
    if not lines:
        return "No queue was seen"
    line = lines[0]
    now, mid, high = found.newest(line), peak(found.demand, line, 0.5), peak(found.demand, line, 0.9)
    today = (
        f"within {_day(found)} the median peaks at {count(mid.gpus, 'GPU')} in {ahead(mid.ahead)}, "
        f"the 90 % quantile at {number(high.gpus)} in {ahead(high.ahead)}"
    )
    return f"{called(line)}: {today}" if now is None else f"{called(line)}: {count(now, 'GPU')} now, {today}"


def crest(forecast: DemandForecast, line: Line) -> str:
    """24 in 6 h (90 %: 40): the largest median of a day and when, and the largest 90 % quantile."""
    mid, high = peak(forecast, line, 0.5), peak(forecast, line, 0.9)
    return f"{number(mid.gpus)} in {ahead(mid.ahead)} (90 %: {number(high.gpus)})"


def heads(found: Foretold) -> list[str]:
    """Of the columns that `glance` fills."""
    return [*(ahead(h) for h in _glances(found)), f"peak of {_day(found)}", ahead(found.outlook.horizons[-1])]


def glance(found: Foretold, line: Line) -> list[str]:
    """What is expected of one line, in a few cells: soon, at the day's peak, in a week."""
    soon = [band(at(found.demand, line, h)) for h in _glances(found)]
    return [*soon, crest(found.demand, line), band(at(found.outlook, line, found.outlook.horizons[-1]))]


def _day(found: Foretold) -> str:
    """24 h, or as far as horizons reach."""
    return ahead(min(DAY, found.demand.horizons[-1]))


def _glances(found: Foretold) -> list[timedelta]:
    return [h for h in GLANCES if h <= found.demand.horizons[-1]]


def said(found: Foretold) -> list[str]:
    """What has to be said of the history: its notes, and of which queues too little was seen."""
    guesses = [sentence for line in found.largest_first() if (sentence := _guess(found, line))]
    more = [f"and {count(len(guesses) - TOLD_GUESSES, 'queue')} more like these"] * (len(guesses) > TOLD_GUESSES)
    return [*found.notes, *guesses[:TOLD_GUESSES], *more]


def _guess(found: Foretold, line: Line) -> str:
    """Queue research: seen for 5 min only: a guess; empty where a day was seen."""
    seen = int(np.isfinite(found.history.of(line)).sum()) * found.history.step
    if line.queue == ALL_QUEUES or seen >= DAY:
        return ""
    return f"{called(line)}: {f'seen for {duration(seen)} only' if seen else 'never seen'}: a guess"


def called(line: Line) -> str:
    """All queues; queue research."""
    return "All queues" if line.queue == ALL_QUEUES else f"Queue {line.queue}"


def named(line: Line, several: bool) -> str:
    """As a row of a table: its resource too where there are several."""
    name = line.queue or TOTAL
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
