"""`gyropilot forecast`: what is expected of each queue, from Prometheus alone. It only reads."""

from __future__ import annotations

from typing import Annotated

import typer

from gyropilot.clock import SystemClock
from gyropilot.terminal import (
    ConfigOption,
    Format,
    FormatOption,
    OutputOption,
    PrometheusOption,
    compiling,
    load_settings,
    progress,
    reply,
)


def forecast(
    config: ConfigOption = None,
    prometheus: PrometheusOption = None,
    queue: Annotated[str | None, typer.Option("--queue", "-q", help="Only this queue, with all quantiles.")] = None,
    format: FormatOption = Format.TEXT,  # noqa: A002 - the option's name
    out: OutputOption = None,
) -> None:
    """What is expected of each queue: a day in full, a week in outline, how sure it is and why. Only reads.

    Needs Prometheus and no Kubernetes. Takes up what a daemon has learnt, where it runs beside the same settings.
    """
    from gyropilot.report.forecast import render
    from gyropilot.wiring import foretold

    settings = load_settings(config, prometheus, out=out)
    with progress() as told, compiling("forecaster's"):
        found = foretold(settings, SystemClock().now(), told, queue)
        told("drawing the report")
        answer = render(found, format.value)
    reply(answer, out)
