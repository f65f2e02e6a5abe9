"""The part of a backtest's page that goes queue by queue: pictures of the largest, a table of all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from forecasting.backtest.protocol import HOUR, QUANTILES
from forecasting.backtest.result import Result
from gyropilot.domain import Floats
from gyropilot.report.backtest import charts
from gyropilot.report.backtest.words import figure, percent, spoken
from gyropilot.report.words import TOTAL, number

Part = dict[str, Any]

DAY_S = 86_400
POINTS = 360
"""A picture of that many pixels shows no more readings."""

TOLD_QUEUES = 200
"""In the table, largest demand first."""


def parts(found: Result) -> Part:
    """What the template names of queues."""
    rows = list(_rows(found))
    plan = found.replay.plan
    return {
        "fans": [_fan(found, nth) for nth in range(len(found.replay.drawn.rows))] if _hours(found) else [],
        "drawn_hours": max((round(plan.windows[at].end / HOUR) for at in _drawn(found)), default=0),
        "buckets": [spoken(bucket.name) for bucket in plan.buckets],
        "queues": rows[:TOLD_QUEUES],
        "more_queues": max(0, len(rows) - TOLD_QUEUES),
    }


def _hours(found: Result) -> list[int]:
    """Where the windows of one hour stand, if there are enough of them for a picture."""
    hours = [at for at, window in enumerate(found.replay.plan.windows) if window.end - window.start == HOUR]
    return hours if len(hours) >= 3 else []


def _drawn(found: Result) -> list[int]:
    """Those of the first day, which is as much as a picture holds."""
    return [at for at in _hours(found) if found.replay.plan.windows[at].end <= 24 * HOUR]


def _fan(found: Result, nth: int) -> Part:
    plan = found.replay.plan
    row = found.replay.drawn.rows[nth]
    first = int(plan.origins[0])
    every = max(1, (len(plan.history.times) - first) // POINTS)
    times = plan.history.times[first::every].astype(np.float64)
    name = plan.history.lines[row].queue or TOTAL
    svg = charts.past(times, plan.history.demand[row, first::every], list(_outlooks(found, nth)), f"f{nth}", name)
    return {"name": name, "svg": svg}


def _outlooks(found: Result, nth: int) -> Iterator[charts.Outlook]:
    """What was said at the first origin of each day of the day that followed."""
    plan, hours = found.replay.plan, _drawn(found)
    ahead_s = np.array([(plan.windows[at].end - HOUR / 2).total_seconds() for at in hours])
    origins_s = plan.history.times[plan.origins]
    _, firsts = np.unique(origins_s // DAY_S, return_index=True)
    for origin in firsts:
        said = found.replay.drawn.gpus[origin, nth][hours]
        yield charts.Outlook(origins_s[origin] + ahead_s, *(_at(said, q) for q in (0.025, 0.1, 0.5, 0.9, 0.975)))


def _at(said: Floats, quantile: float) -> Floats:
    column: Floats = said[:, QUANTILES.index(quantile)]
    return column


def _rows(found: Result) -> Iterator[Part]:
    """A queue with its loss in each bucket, and how far that is from the best other model's."""
    plan, ours = found.replay.plan, found.replay.models.index(found.replay.drawn.model)
    loss = np.sum([tally.loss for tally in found.replay.tallies], axis=0)
    demand = np.sum([tally.demand for tally in found.replay.tallies], axis=0)
    lately = plan.history.demand[:, plan.origins[0] :]
    seen = np.isfinite(lately).sum(axis=1)
    mean = np.divide(np.nansum(lately, axis=1), seen, out=np.full(len(seen), np.nan), where=seen > 0)
    for row in np.argsort(-np.nan_to_num(mean), kind="stable"):
        if plan.scored[row]:
            cells = [_cell(loss[:, row, w].sum(axis=1), demand[row, w].sum(), ours) for w in _within(found)]
            yield {
                "name": plan.history.lines[row].queue or TOTAL,
                "gpus": number(float(mean[row])),
                "cells": cells,
            }


def _within(found: Result) -> list[list[int]]:
    return [found.replay.plan.within(bucket) for bucket in found.replay.plan.buckets]


def _cell(losses: Floats, demand: float, ours: int) -> Part:
    others = np.delete(losses, ours)
    against = 100 * (losses[ours] / others.min() - 1) if len(others) and others.min() > 0 else float("nan")
    return {
        "value": figure(float(losses[ours] / demand)) if demand > 0 else figure(float("nan")),
        "versus": percent(float(against)) if demand > 0 else "",
        "worse": bool(against > 0),
    }
