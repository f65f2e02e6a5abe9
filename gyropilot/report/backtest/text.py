"""A backtest as text for a terminal: a table per bucket, the summary as the last line."""

from __future__ import annotations

from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from forecasting.backtest.protocol import Bucket
from forecasting.backtest.result import Result, Row
from gyropilot.report.backtest.words import (
    TITLES,
    against,
    asked_of,
    headline,
    milliseconds,
    percent,
    percent_span,
    shown,
)
from gyropilot.report.words import visible

WIDTH = 200
"""Columns: tables are as wide as the names of models ask for, and no wider."""


def to_text(found: Result) -> str:
    """Plain characters, without a single escape code."""
    paper = StringIO()
    console = Console(file=paper, width=WIDTH, force_terminal=False, color_system=None, _environ={})
    console.print(Text(f"Backtest · {asked_of(found)}\n"))
    for bucket in found.replay.plan.buckets:
        console.print(_table(found, bucket))
    for note in found.notes:
        console.print(Text(visible(f"· {note}")))
    console.print(Text(visible(f"\n{headline(found)}")))
    return "\n".join(line.rstrip() for line in paper.getvalue().splitlines()) + "\n"


def _table(found: Result, bucket: Bucket) -> Table:
    table = Table(title=bucket.name, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("model", overflow="fold", max_width=60)
    whom = "best peer" if found.replay.peers else "first row"
    for name in (*TITLES.values(), f"WQL vs {whom}", "ms/queue"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in found.rows:
        if row.bucket == bucket.name:
            table.add_row(*(Text(visible(cell)) for cell in _cells(row)))
    return table


def _cells(row: Row) -> list[str]:
    versus = against(row)["wql"]
    itself = versus.other == row.model
    interval = percent_span(versus.percent)
    return [
        row.model,
        *(shown(name, row.scores[name].value) for name in TITLES),
        "" if itself else percent(versus.percent.value) + (f" [{interval.removesuffix(' %')}]" if interval else ""),
        milliseconds(row.seconds_per_queue),
    ]
