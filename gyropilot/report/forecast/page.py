"""What stands on a forecast's page, section by section, as values that the template only lays out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np

from forecasting.foretold import Foretold
from gyropilot import __version__
from gyropilot.domain import ALL_QUEUES, DemandForecast, Line
from gyropilot.report import charts, sure
from gyropilot.report.axes import span_before
from gyropilot.report.fans import Fan, fan
from gyropilot.report.forecast.words import (
    COHORTS_ARE,
    OUTLOOK_IS,
    Row,
    ahead,
    called,
    cohorts,
    glance,
    headline,
    heads,
    of_several_resources,
    percentile,
    rows,
    said,
)
from gyropilot.report.words import count, moment, number

Part = dict[str, Any]
Frames = tuple[charts.Frame, ...]  # on a wide page, on a phone, among many

DRAWN_QUEUES = 24  # and as many cohorts, as charts; each is in the table
NAMED_QUEUES = 6
"""Queues of a cohort that are named; of more it is said how many."""

WEEK_BEFORE = timedelta(days=7)
DAY_FRAMES = (replace(charts.WIDE, height=300), charts.NARROW, charts.SMALL)
WEEK_FRAMES = tuple(replace(frame, time_ticks=8) for frame in DAY_FRAMES)


def page(found: Foretold) -> Part:
    """Everything that the template names."""
    listed, grouped = list(rows(found)), list(cohorts(found))
    own = [row for row in listed if row.found is found]
    totals = [row for row in own if row.line.queue == ALL_QUEUES]
    queues = [row for row in own if row.line.queue != ALL_QUEUES]
    alone = len(queues) if not totals else 0
    return {
        "version": __version__,
        "made_at": moment(found.demand.made_at),
        "headline": sure.kept_together(headline(found)),
        "forecaster": found.demand.forecaster,
        "key": _key(),
        "wides": [_wide(row, nth) for nth, row in enumerate(totals or queues[:alone])],
        "cohorts": [_cohort(found, row, nth) for nth, row in enumerate(grouped[:DRAWN_QUEUES])],
        "cohorts_are": f"{COHORTS_ARE}. {_lede(len(grouped), 'cohort')}",
        "fans": [_small(row, f"q{nth}") for nth, row in enumerate(queues[alone : alone + DRAWN_QUEUES])],
        "lede": f"{_lede(len(queues), 'queue')} {OUTLOOK_IS}.",
        "heads": heads(found),
        "outlook_is": OUTLOOK_IS,
        "rows": [_row(row) for row in listed],
        "quantiles": [percentile(q) for q in found.demand.quantiles],
        "tables": [_table(row) for row in listed] if len(listed) <= DRAWN_QUEUES else [],
        "sure": sure.passage(found.demand) | {"sentences": _sentences(found)},
        "notes": said(found),
    }


def _sentences(found: Foretold) -> list[str]:
    """What held too little, what surprises, and what people told beforehand about the whole week."""
    trust = found.demand.trust
    return [*sure.narrow(trust), *trust.surprises, *trust.renamed, *found.outlook.trust.known]


def _key() -> list[Part]:
    marks = [
        ("running", "running"),
        ("pending", "waiting"),
        ("median", "demand, then median forecast"),
        ("inner", "80 % of futures"),
        ("outer", "95 % of futures"),
    ]
    return [{"swatch": charts.key_swatch(mark), "words": words} for mark, words in marks]


def _lede(many: int, what: str) -> str:
    most = DRAWN_QUEUES
    which = f"The {most} largest of {count(many, what)}; all are in the table below. " if many > most else ""
    return f"{which}Left the next day, right the next week; each chart has its own scale."


def _wide(row: Row, nth: int) -> Part:
    name, found, line = row
    day, week = _fans(found, line)
    return {
        "name": called(line) + (f", {line.resource}" if of_several_resources(found) else ""),
        "facts": _facts(found, line),
        "listened": _listened(found, line),
        "day": _both(day, DAY_FRAMES, f"d{nth}", name),
        "week": _both(week, WEEK_FRAMES, f"w{nth}", name),
    }


def _both(drawn: Fan, frames: Frames, ident: str, name: str) -> Part:
    return {
        "wide": charts.fan_chart(drawn, frames[0], f"{ident}w", name),
        "narrow": charts.fan_chart(drawn, frames[1], f"{ident}n", name),
    }


def _small(row: Row, ident: str) -> Part:
    name, found, line = row
    day, week = _fans(found, line)
    drawn = [
        charts.fan_chart(day, DAY_FRAMES[2], f"{ident}d", name),
        charts.fan_chart(week, WEEK_FRAMES[2], f"{ident}w", name),
    ]
    return {"name": name, "facts": _facts(found, line), "listened": _listened(found, line), "charts": drawn}


def _cohort(found: Foretold, row: Row, nth: int) -> Part:
    """With the queues that it adds up, where they can be told in a line."""
    queues = found.cohorts.queues[row.line] if found.cohorts else ()
    names = ", ".join(queues) if len(queues) <= NAMED_QUEUES else count(len(queues), "queue")
    drawn = _small(row, f"c{nth}")
    return drawn | {"facts": f"{names} · {drawn['facts']}"}


def _fans(found: Foretold, line: Line) -> tuple[Fan, Fan]:
    """The next day, and the next week: the hours of the day, then hours a day apart that nothing may join."""
    day, week = found.demand, _week(found)
    return (
        fan(found.history, day, line, span_before(day.horizons[-1])),
        replace(fan(found.history, week, line, WEEK_BEFORE), joined=len(week.horizons) - len(found.outlook.horizons)),
    )


def _week(found: Foretold) -> DemandForecast:
    hours = [i for i, h in enumerate(found.demand.horizons) if h >= timedelta(hours=1)]
    return replace(
        found.outlook,
        horizons=(*(found.demand.horizons[i] for i in hours), *found.outlook.horizons),
        gpus=np.concatenate([found.demand.gpus[:, hours], found.outlook.gpus], axis=1),
    )


def _facts(found: Foretold, line: Line) -> str:
    newest = found.newest(line)
    return "not seen of late" if newest is None else f"{count(newest, 'GPU')} running or waiting at the last look"


def _listened(found: Foretold, line: Line) -> str:
    """next hour: forest 62 %, analog 21 %."""
    voices = found.voices(line)
    buckets = dict.fromkeys(voice.bucket for voice in voices)
    told = (f"{sure.spoken(bucket)}: {sure.listened(voices, bucket)}" for bucket in buckets)
    return sure.kept_together(" · ".join(told))


def _row(row: Row) -> Part:
    name, found, line = row
    return {"name": name, "newest": number(found.newest(line)), "cells": glance(found, line)}


def _table(row: Row) -> Part:
    name, found, line = row
    return {"name": name, "rows": [*_quantiles(found.demand, line), *_quantiles(found.outlook, line)]}


def _quantiles(forecast: DemandForecast, line: Line) -> Iterator[Part]:
    for horizon in forecast.horizons:
        cells = [number(forecast.at(line, horizon, quantile)) for quantile in forecast.quantiles]
        yield {"ahead": ahead(horizon), "cells": cells}
