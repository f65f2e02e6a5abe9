"""Totals of cohorts, which share quota: of the queues' forecasts as they are shown, and so coherent with them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from forecasting.demand.seen import some_lines
from forecasting.forecast import OUTLOOK
from forecasting.foretold import Cohorts, Foretold
from forecasting.mixture.copula import Copula
from forecasting.mixture.ensemble import Ensemble
from forecasting.protocol import Forecaster
from gyropilot.domain import ALL_QUEUES, DemandForecast, DemandHistory, Floats, Line, Trust, Window

Groups = Mapping[Line, tuple[Line, ...]]
"""By a line named after the cohort, in alphabetical order: the lines of its queues on that resource."""


def copula_of(model: Forecaster) -> Copula | None:
    """How queues move together, as far as a forecaster knows it."""
    return model.copula if isinstance(model, Ensemble) else None


def with_cohorts(found: Foretold, cohort_of: Mapping[str, str], copula: Copula | None) -> Foretold:
    """With the total of each cohort and resource, or with why there is none; nothing new where no queue is in one."""
    groups = cohorts_among(found.demand.lines, cohort_of)
    if not groups:
        return found
    if copula is None:
        name = found.demand.forecaster
        why = f"totals of cohorts are left out: {name} does not know how queues move together; gyropilot does"
        return replace(found, notes=(*found.notes, f"{why} (forecast.model)"))
    day = [Window.step(horizon, found.history.step) for horizon in found.demand.horizons]
    totals = Foretold(
        added_up(found.history, groups),
        together(found.demand, day, copula, groups),
        together(found.outlook, OUTLOOK, copula, groups),
        lessons=None,
    )
    queues = {cohort: tuple(line.queue for line in lines) for cohort, lines in groups.items()}
    return replace(found, cohorts=Cohorts(totals, queues))


def cohorts_among(lines: Sequence[Line], cohort_of: Mapping[str, str]) -> Groups:
    """The cohorts that some lines are in, by the cohort of each queue that is in one."""
    groups: defaultdict[Line, list[Line]] = defaultdict(list)
    for line in sorted(lines):
        if line.queue in cohort_of:
            groups[Line(cohort_of[line.queue], line.resource)].append(line)
    return {cohort: tuple(groups[cohort]) for cohort in sorted(groups)}


def together(told: DemandForecast, windows: Sequence[Window], copula: Copula, groups: Groups) -> DemandForecast:
    """The forecast of each group's sum."""
    names = {str(cohort): lines for cohort, lines in groups.items()}
    sums = copula.sums_of(names, told.lines, told.gpus, windows, told.quantiles)
    gpus = np.stack([_of_all(told, lines, sums[name]) for name, lines in names.items()])
    return replace(told, lines=tuple(groups), gpus=gpus, trust=Trust())


def _of_all(told: DemandForecast, lines: Sequence[Line], joint: Floats) -> Floats:
    """(H, Q) of some lines together; that of the total where they are all of several: one thing has one forecast."""
    total = Line(ALL_QUEUES, lines[0].resource)
    own = {total, *lines}
    others = [line for line in told.lines if line.resource == total.resource and line not in own]
    return told.of(total) if not others and len(lines) > 1 and total in told.lines else joint


def added_up(history: DemandHistory, groups: Groups) -> DemandHistory:
    """What the queues of each group ran and wait for together; those of today, also in the past."""
    at = {line: row for row, line in enumerate(history.lines)}
    parts = [some_lines(history, [at[line] for line in lines]).with_totals() for lines in groups.values()]
    running, pending = (np.stack(rows) for rows in zip(*((p.running[-1], p.pending[-1]) for p in parts), strict=True))
    return DemandHistory(tuple(groups), history.times, running, pending)
