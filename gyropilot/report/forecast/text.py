"""A forecast as text for a terminal: all queues at a glance, and every quantile where there are few."""

from __future__ import annotations

from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from forecasting.foretold import Foretold
from gyropilot.domain import Line
from gyropilot.report import sure
from gyropilot.report.forecast.words import (
    GLANCES,
    TOLD_QUANTILES,
    ahead,
    at,
    band,
    called,
    headline,
    named,
    percentile,
)
from gyropilot.report.words import moment, number, visible

WIDTH = 110
WHOLE = 6
"""Lines of which every quantile is told; of more, --queue and --format json tell them."""


def to_text(found: Foretold) -> str:
    """Plain characters, without a single escape code."""
    paper = StringIO()
    console = Console(file=paper, width=WIDTH, force_terminal=False, color_system=None, _environ={})
    lines = list(found.largest_first())
    console.print(Text(visible(f"Gyropilot · forecast · {moment(found.demand.made_at)}\n{headline(found)}\n")))
    console.print(_glance(found, lines))
    if len(lines) <= WHOLE:
        for line in lines:
            console.print(_whole(found, line))
    else:
        console.print(Text("All quantiles: --queue NAME, --format json\n"))
    _listed(console, "How sure it is", [*sure.sentences(found.demand), *found.notes])
    return "\n".join(row.rstrip() for row in paper.getvalue().splitlines()) + "\n"


def _glance(found: Foretold, lines: list[Line]) -> Table:
    """Median and 80 % band of each line at some horizons."""
    several = len({line.resource for line in lines}) > 1
    day = [h for h in GLANCES if h <= found.demand.horizons[-1]]
    week = found.outlook.horizons[-1]
    table = _table("Demand in GPUs: median, and what eight of ten futures lie within", "queue")
    for name in ("now", *(ahead(h) for h in day), ahead(week)):
        table.add_column(name, justify="right", no_wrap=True)
    for line in lines:
        cells = [*(at(found.demand, line, h) for h in day), at(found.outlook, line, week)]
        row = [named(line, several), number(found.newest(line)), *(band(cell) for cell in cells)]
        table.add_row(*(Text(visible(cell)) for cell in row))
    return table


def _whole(found: Foretold, line: Line) -> Table:
    """Every horizon of one line."""
    table = _table(called(line), "ahead")
    for quantile in TOLD_QUANTILES:
        table.add_column(percentile(quantile), justify="right", no_wrap=True)
    for forecast in (found.demand, found.outlook):
        for horizon in forecast.horizons:
            cells = [number(forecast.at(line, horizon, quantile)) for quantile in TOLD_QUANTILES]
            table.add_row(Text(ahead(horizon)), *(Text(cell) for cell in cells))
    return table


def _table(title: str, first: str) -> Table:
    table = Table(title=Text(visible(title), "bold"), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, overflow="fold", min_width=8)
    return table


def _listed(console: Console, title: str, sentences: list[str]) -> None:
    if sentences:
        console.print(Text(title, "bold"))
    for sentence in sentences:
        console.print(Text(visible(f"· {sentence}")))
