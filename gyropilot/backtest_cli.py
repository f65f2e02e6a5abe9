"""`gyropilot backtest`: forecasters scored on a history that is known. It only reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gyropilot.clock import SystemClock
from gyropilot.configuration import find_file, load_calendar
from gyropilot.errors import SettingsError
from gyropilot.settings import Settings, parse_duration
from gyropilot.terminal import (
    ConfigOption,
    Format,
    FormatOption,
    OutputOption,
    PrometheusOption,
    compiling,
    load_settings,
    progress,
    refuse_one_file_for_two,
    reply,
)

if TYPE_CHECKING:
    from forecasting.backtest.run import Answer
    from forecasting.demand.trace import Trace
    from gyropilot.settings import CalendarSettings
    from gyropilot.wiring import Told

MODELS = "seasonal-naive,gyropilot,naive"


def backtest(  # noqa: PLR0913, PLR0917 - its options
    trace: Annotated[
        Path | None, typer.Option("--trace", help="Parquet or CSV of demand; without it, your own Prometheus is read.")
    ] = None,
    calendar: Annotated[
        Path | None, typer.Option("--calendar", help="Settings whose `calendar` is that of the trace.", metavar="FILE")
    ] = None,
    config: ConfigOption = None,
    prometheus: PrometheusOption = None,
    models: Annotated[str, typer.Option("--models", help="Names as in forecast.model, parted by commas.")] = MODELS,
    peers: Annotated[
        bool, typer.Option("--peers", help="Against statsforecast, mlforecast and fracast, too.", metavar="")
    ] = False,
    horizons: Annotated[
        str, typer.Option("--horizons", help="Stretches after each origin, parted by commas.")
    ] = "next hour,1h,1-6h,1-24h",
    begin: Annotated[
        str | None, typer.Option("--from", help="First origin. Not told: the last week is tested.", metavar="TIME")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Leave out what is later.", metavar="TIME")] = None,
    every: Annotated[str, typer.Option("--every", help="From one origin to the next.", metavar="DURATION")] = "3h",
    refit: Annotated[str, typer.Option("--refit", help="From one fit to the next.", metavar="DURATION")] = "1d",
    column: Annotated[
        str | None, typer.Option("--column", help="What of the trace is forecast, where that is not GPUs.")
    ] = None,
    totals: Annotated[
        bool, typer.Option("--totals", help="Score the sum over queues instead of each queue.", metavar="")
    ] = False,
    format: FormatOption = Format.TEXT,  # noqa: A002 - the option's name
    out: OutputOption = None,
    forecasts_out: Annotated[
        Path | None, typer.Option("--forecasts-out", help="Write every forecast to this parquet file.")
    ] = None,
) -> None:
    """How good the forecasts are: models replayed over a known history, scored on what then came. Only reads.

    At each origin a model sees what was known then, learns from it, and answers; the first row is seasonal-naive.
    """
    from forecasting.backtest.as_run import AsRun
    from forecasting.backtest.protocol import Plan, Protocol
    from forecasting.backtest.result import result
    from forecasting.backtest.run import Listeners, replay
    from gyropilot.report.backtest import render
    from gyropilot.wiring import our_entrants, peer_entrants

    read = {"--trace": trace, "--calendar": calendar, "--config": None if trace else find_file(config)}
    refuse_one_file_for_two(read, {"--out": out, "--forecasts-out": forecasts_out})
    protocol = Protocol(
        buckets=_parted(horizons),
        begin=_moment("--from", begin),
        end=_moment("--to", end),
        every=_duration("--every", every),
        refit=_duration("--refit", refit),
        totals=totals,
    )
    days = _calendar(trace, calendar, config, prometheus)
    ours = our_entrants(_parted(models), protocol.refit, days, _in_force(trace, config, prometheus))
    with progress() as told, compiling("forecaster's"), _written(forecasts_out) as heard:
        known = _known(trace, column, config, prometheus, told)
        plan = Plan.of(known.history, protocol)
        theirs = peer_entrants(plan.history.step) if peers else []
        replayed = replay(plan, ours, theirs, time.perf_counter, Listeners(heard, told))
        notes = [note for one in ours if isinstance(one, AsRun) for note in one.notes()]
        found = render(result(replayed, (*known.notes, *notes)), format.value)
    reply(found, out)


def _known(trace: Path | None, column: str | None, config: Path | None, prometheus: str | None, told: Told) -> Trace:
    """The history that is replayed: a trace's, or what one's own Prometheus remembers."""
    if trace is None:
        if column is not None:
            raise SettingsError("--column names a column of a trace; give --trace FILE with it")
        from gyropilot.wiring import remembered_demand

        return remembered_demand(load_settings(config, prometheus), SystemClock().now(), told)
    if config is not None or prometheus is not None:
        raise SettingsError("--trace and Prometheus (--config, --prometheus) are two histories; give one of them")
    from forecasting.demand.trace import read_trace

    told(f"reading {trace}")
    return read_trace(trace, column)


def _calendar(
    trace: Path | None, calendar: Path | None, config: Path | None, prometheus: str | None
) -> CalendarSettings:
    """What people knew beforehand: the operator's; a trace has none but that which is given with it."""
    from gyropilot.settings import CalendarSettings

    if trace is None:
        if calendar is not None:
            raise SettingsError("--calendar is that of a trace; your own is in the settings, as `calendar`")
        return load_settings(config, prometheus).calendar
    return CalendarSettings() if calendar is None else load_calendar(calendar)


def _in_force(trace: Path | None, config: Path | None, prometheus: str | None) -> str:
    """The model that the operator has set; beside a trace, the one that runs by default."""
    return Settings().forecast.model if trace is not None else load_settings(config, prometheus).forecast.model


@contextmanager
def _written(path: Path | None) -> Iterator[Callable[[Answer], None]]:
    """Hears every forecast, and writes it where that was asked for."""
    if path is None:
        yield lambda answer: None
        return
    from forecasting.backtest.forecasts import forecasts_to

    with forecasts_to(path) as forecasts:
        yield forecasts


def _parted(names: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(",") if name.strip())


def _duration(option: str, told: str) -> timedelta:
    try:
        span = parse_duration(told)
    except ValueError as problem:
        raise SettingsError(f"{option} got {told!r}: {problem}") from problem
    if not isinstance(span, timedelta) or span <= timedelta(0):
        raise SettingsError(f"{option} got {told!r}: takes a duration such as 90s, 15m, 2h, 1h30m or 14d")
    return span


def _moment(option: str, told: str | None) -> datetime | None:
    """ISO 8601, in UTC where no zone is told; a number is seconds, as in a trace's `t_s`."""
    if told is None:
        return None
    try:
        if told.isdecimal():
            return datetime.fromtimestamp(float(told), UTC)
        moment = datetime.fromisoformat(told)
    except (ValueError, OverflowError, OSError) as problem:
        raise SettingsError(
            f"{option} got {told!r}: takes a date such as 2026-03-02 or 2026-03-02T12:00Z, or seconds as in t_s"
        ) from problem
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
