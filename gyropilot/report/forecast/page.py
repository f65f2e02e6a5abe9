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
from gyropilot.report.forecast.words import OUTLOOK_IS, ahead, called, glance, headline, heads, named, percentile, said
from gyropilot.report.words import count, moment, number

Part = dict[str, Any]
Frames = tuple[charts.Frame, ...]  # on a wide page, on a phone, among many

DRAWN_QUEUES = 24  # as charts; every queue is in the table

WEEK_BEFORE = timedelta(days=7)
DAY_FRAMES = (replace(charts.WIDE, height=300), charts.NARROW, charts.SMALL)
WEEK_FRAMES = tuple(replace(frame, time_ticks=8) for frame in DAY_FRAMES)


def page(found: Foretold) -> Part:
    """Everything that the template names."""
    lines = list(found.largest_first())
    totals = [line for line in lines if line.queue == ALL_QUEUES]
    queues = [line for line in lines if line.queue != ALL_QUEUES]
    several = len({line.resource for line in lines}) > 1
    alone = len(queues) if not totals else 0
    return {
        "version": __version__,
        "made_at": moment(found.demand.made_at),
        "headline": sure.kept_together(headline(found)),
        "forecaster": found.demand.forecaster,
        "key": _key(),
        "wides": [_wide(found, line, nth, several) for nth, line in enumerate(totals or queues[:alone])],
        "fans": [_small(found, line, nth, several) for nth, line in enumerate(queues[alone : alone + DRAWN_QUEUES])],
        "lede": _lede(len(queues), DRAWN_QUEUES),
        "heads": heads(found),
        "outlook_is": OUTLOOK_IS,
        "rows": [_row(found, line, several) for line in lines],
        "quantiles": [percentile(q) for q in found.demand.quantiles],
        "tables": [_table(found, line, several) for line in lines] if len(lines) <= DRAWN_QUEUES else [],
        "sure": sure.passage(found.demand) | {"sentences": _sentences(found)},
        "notes": said(found),
    }


def _sentences(found: Foretold) -> list[str]:
    """What surprises, and what people told beforehand about the whole week."""
    trust = found.demand.trust
    return [*trust.surprises, *trust.renamed, *found.outlook.trust.known]


def _key() -> list[Part]:
    marks = [
        ("running", "running"),
        ("pending", "waiting"),
        ("median", "demand, then median forecast"),
        ("inner", "80 % of futures"),
        ("outer", "95 % of futures"),
    ]
    return [{"swatch": charts.key_swatch(mark), "words": words} for mark, words in marks]


def _lede(many: int, drawn: int) -> str:
    which = f"The {drawn} largest of {count(many, 'queue')}; all are in the table below. " if many > drawn else ""
    return f"{which}Left the next day, right the next week; each chart has its own scale. {OUTLOOK_IS}."


def _wide(found: Foretold, line: Line, nth: int, several: bool) -> Part:
    day, week = _fans(found, line)
    name = named(line, several)
    return {
        "name": called(line) + (f", {line.resource}" if several else ""),
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


def _small(found: Foretold, line: Line, nth: int, several: bool) -> Part:
    day, week = _fans(found, line)
    name = named(line, several)
    drawn = [
        charts.fan_chart(day, DAY_FRAMES[2], f"q{nth}d", name),
        charts.fan_chart(week, WEEK_FRAMES[2], f"q{nth}w", name),
    ]
    return {"name": name, "facts": _facts(found, line), "listened": _listened(found, line), "charts": drawn}


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


def _row(found: Foretold, line: Line, several: bool) -> Part:
    return {"name": named(line, several), "newest": number(found.newest(line)), "cells": glance(found, line)}


def _table(found: Foretold, line: Line, several: bool) -> Part:
    return {"name": named(line, several), "rows": [*_quantiles(found.demand, line), *_quantiles(found.outlook, line)]}


def _quantiles(forecast: DemandForecast, line: Line) -> Iterator[Part]:
    for horizon in forecast.horizons:
        cells = [number(forecast.at(line, horizon, quantile)) for quantile in forecast.quantiles]
        yield {"ahead": ahead(horizon), "cells": cells}
