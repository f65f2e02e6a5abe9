"""A forecast as text for a terminal: all queues at a glance, or every quantile of one."""

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
    COHORTS_ARE,
    OUTLOOK_IS,
    ahead,
    called,
    glance,
    headline,
    heads,
    percentile,
    rows,
    said,
)
from gyropilot.report.words import moment, number, visible

WIDTH = 110
WIDE = 140
"""Columns that all quantiles of a queue take."""


def to_text(found: Foretold) -> str:
    """Plain characters, without a single escape code."""
    paper = StringIO()
    console = Console(file=paper, width=WIDE, force_terminal=False, color_system=None, _environ={})
    _printed(console, f"Gyropilot · forecast · {moment(found.demand.made_at)}\n{headline(found)}\n")
    console.print(_glance(found), width=WIDTH)
    for line in found.largest_first() if found.of_one_queue else ():
        console.print(_whole(found, line))
    meaning = (OUTLOOK_IS, COHORTS_ARE) if found.cohorts else (OUTLOOK_IS,)
    _printed(console, "".join(f"{sentence}.\n" for sentence in meaning))
    if not found.of_one_queue:
        _printed(console, "All horizons and quantiles of a queue: --queue NAME; of all: --format json\n")
    _listed(console, "How sure it is", [*sure.sentences(found.demand), *said(found)])
    return "\n".join(row.rstrip() for row in paper.getvalue().splitlines()) + "\n"


def _printed(console: Console, words: str) -> None:
    console.print(Text(visible(words)), width=WIDTH)


def _glance(found: Foretold) -> Table:
    """A row per line: now, soon, the day's peak, in a week."""
    table = _table("Demand in GPUs: median, and what eight of ten futures lie within", "queue")
    for name in ("now", *heads(found)):
        table.add_column(name, justify="right", no_wrap=True)
    for name, told, line in rows(found):
        cells = [name, number(told.newest(line)), *glance(told, line)]
        table.add_row(*(Text(visible(cell)) for cell in cells))
    return table


def _whole(found: Foretold, line: Line) -> Table:
    """Every horizon and every quantile of one line."""
    table = _table(called(line), "ahead")
    for quantile in found.demand.quantiles:
        table.add_column(percentile(quantile), justify="right", no_wrap=True)
    for forecast in (found.demand, found.outlook):
        for horizon in forecast.horizons:
            cells = [number(forecast.at(line, horizon, quantile)) for quantile in forecast.quantiles]
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
        _printed(console, f"· {sentence}")
