"""From what was seen to a `DemandForecast`: the stage that the cycle calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np

from forecasting.demand.beforehand import Believed, told_beforehand
from forecasting.demand.lineage import quieted
from forecasting.demand.pasts import NO_PASTS, Pasts
from forecasting.demand.reservations import Reservations
from forecasting.mixture.events import learnt_by
from forecasting.mixture.trust import trust
from forecasting.once import kept
from forecasting.protocol import Forecaster
from gyropilot.domain import ALL_QUEUES, DemandForecast, DemandHistory, Floats, Line, Window
from gyropilot.errors import ForecastError
from gyropilot.settings import CalendarSettings, ForecastSettings

NO_CALENDAR = CalendarSettings()

HOUR = timedelta(hours=1)
OUTLOOK = tuple(Window(24 * day * HOUR - HOUR, 24 * day * HOUR) for day in range(2, 8))
"""Beyond a day what counts is the level of an hour, not of a minute: the hour that ends 48 h ahead, 72 h, ... 168 h."""


def known(history: DemandHistory, pasts: Pasts = NO_PASTS, gone: DemandHistory | None = None) -> DemandHistory:
    """`history` as forecasters get it: with the total of each resource, which is forecast directly, and `pasts`.

    Totals are what was really demanded: by queues that are `gone` too, and without what others borrow.
    """
    return pasts.added_to(history.with_totals(gone)) if history.lines else history


def forecast(
    forecaster: Forecaster,
    history: DemandHistory,
    settings: ForecastSettings,
    now: datetime,
    calendar: CalendarSettings = NO_CALENDAR,
) -> DemandForecast:
    """Each line of `history`, which `known` gave, at each horizon after `now`.

    Horizons count from `now`, which may be later than the newest reading: the forecaster is then asked to look
    that much further. With no history at all the table has no lines. Raises ForecastError.
    """
    windows = _steps(settings.horizons, history.step)
    return _told(forecaster, history, windows, (settings.quantiles, calendar), now)


def outlook(
    forecaster: Forecaster,
    history: DemandHistory,
    settings: ForecastSettings,
    now: datetime,
    calendar: CalendarSettings = NO_CALENDAR,
) -> DemandForecast:
    """The same for the hour that ends 2, 3, ... 7 days after `now`. Raises ForecastError."""
    return _told(forecaster, history, OUTLOOK, (settings.quantiles, calendar), now)


def expected(
    forecaster: Forecaster,
    history: DemandHistory,
    windows: tuple[Window, ...],
    quantiles: tuple[float, ...],
    calendar: CalendarSettings = NO_CALENDAR,
) -> Floats:
    """(L, W, Q) GPUs of mean demand in each window after history.end: what is told, planned with, and backtested.

    Of a dead line nothing is expected, and of those who keep to their reservations at least that. Raises ForecastError.
    """
    return _expected(forecaster, history, windows, quantiles, Reservations.of(calendar, history))


def guard(gpus: Floats, shape: tuple[int, int, int], name: str) -> None:
    """Raises ForecastError unless the table is one that a pilot may act on."""
    from forecasting.compiled.bands import sound

    if gpus.shape != shape:
        raise ForecastError(f"{name} gave a table of shape {gpus.shape}, expected {shape}; choose another model")
    if sound(gpus):
        return
    if not np.isfinite(gpus).all():
        raise ForecastError(f"{name} gave a number that is not finite; choose another forecast.model")
    if (gpus < 0).any():
        raise ForecastError(f"{name} gave negative demand; choose another forecast.model")
    raise ForecastError(f"{name} gave quantiles that cross; choose another forecast.model")


def _told(
    forecaster: Forecaster,
    history: DemandHistory,
    windows: tuple[Window, ...],
    asked: tuple[tuple[float, ...], CalendarSettings],
    now: datetime,
) -> DemandForecast:
    """What is said about windows after `now`, at the quantiles that are `asked` for."""
    (quantiles, calendar), late = asked, _lateness(history, now)
    later = _later(windows, late)
    reserved = Reservations.of(calendar, history)
    horizons = tuple(w.end for w in windows)
    people = Believed(reserved, learnt_by(forecaster))
    beforehand = told_beforehand(calendar, people, history.lines, now, now + horizons[-1])
    believed = trust(forecaster, history.lines, now)
    return DemandForecast(
        made_at=now,
        lines=history.lines,
        horizons=horizons,
        quantiles=quantiles,
        gpus=_expected(forecaster, history, later, quantiles, reserved),
        forecaster=forecaster.name,
        trust=replace(believed, known=beforehand) if beforehand else believed,
    )


def _expected(
    forecaster: Forecaster,
    history: DemandHistory,
    windows: tuple[Window, ...],
    quantiles: tuple[float, ...],
    reserved: Reservations,
) -> Floats:
    gpus = forecaster.predict(history, windows, quantiles)
    guard(gpus, (len(history.lines), len(windows), len(quantiles)), forecaster.name)
    gpus = quieted(gpus, history, windows, quantiles)
    return _raised(gpus, history, reserved, windows, quantiles)


@kept
def _steps(horizons: tuple[timedelta, ...], step: timedelta) -> tuple[Window, ...]:
    return tuple(Window.step(horizon, step) for horizon in horizons)


@kept
def _later(windows: tuple[Window, ...], late: timedelta) -> tuple[Window, ...]:
    return tuple(Window(max(late + w.start, timedelta(0)), late + w.end) for w in windows)


def _raised(
    gpus: Floats,
    history: DemandHistory,
    reserved: Reservations,
    windows: Sequence[Window],
    quantiles: Sequence[float],
) -> Floats:
    """At least what is reserved by those who keep to it; totals are raised by as much as their queues are."""
    if not reserved.kept or history.end is None:
        return gpus
    floor = reserved.floor(history.lines, int(history.end.timestamp()), windows, quantiles)
    raised = np.maximum(gpus, floor)
    for row, line in enumerate(history.lines):
        if line.queue == ALL_QUEUES:
            queues = [i for i, other in enumerate(history.lines) if _is_queue_of(other, line)]
            raised[row] = np.sort(gpus[row] + (raised[queues] - gpus[queues]).sum(axis=0), axis=-1)
    return raised


def _is_queue_of(line: Line, total: Line) -> bool:
    return line.resource == total.resource and line.queue != ALL_QUEUES


def _lateness(history: DemandHistory, now: datetime) -> timedelta:
    """How long before `now` the newest reading is."""
    if history.end is None:
        return timedelta(0)
    late = now - history.end
    if late < -history.step:
        raise ForecastError(f"the history ends at {history.end:%F %T}, after {now:%F %T} UTC; check the clocks")
    return max(late, timedelta(0))
