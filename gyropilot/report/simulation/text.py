"""A simulation as text for a terminal."""

from __future__ import annotations

from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from envs.tally import Tally, Waits
from gyropilot.report.services import text as services
from gyropilot.report.services.words import sentence
from gyropilot.report.simulation.result import Simulation
from gyropilot.report.simulation.words import (
    at_least,
    headline,
    hours,
    in_time,
    least_told,
    runs_out,
    waits_told,
    window,
)
from gyropilot.report.tables import WIDTH, folded
from gyropilot.report.words import TOTAL, UNKNOWN, visible

COLUMNS = ("GPU-hours", "wait p50", "wait p95", "mean", "longest")
LEFT = "left waiting"
"""Told where anybody left before it started."""

IN_TIME = ("due", "in time")
"""Beside them where anything was due."""


def to_text(found: Simulation, width: int | None = None) -> str:
    """A line per queue, the longest waits first, and what all of it comes to.

    Without a width, which is a terminal's, sentences are a line each, however long.
    """
    paper = StringIO()
    console = Console(file=paper, width=width or WIDTH, force_terminal=False, color_system=None, _environ={})
    console.print(Text(visible(f"Simulation · {found.world}\n")), soft_wrap=width is None)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("queue", overflow="fold", max_width=60)
    figures = found.tally
    for name in columns(figures):
        table.add_column(name, justify="right", no_wrap=True)
    everybody, *queues = figures.waits
    for waits in (everybody, *sorted(queues, key=lambda waits: -waits.p95_s)):
        table.add_row(*(Text(visible(cell)) for cell in cells(waits, figures)))
    served = services.table([(each.service.name, each) for each in found.services], "service")
    for part in (*folded(table, console.width), *(folded(served, console.width) if found.services else ())):
        console.print(part)
    for note in (
        *found.notes,
        *filter(None, (window(figures) if runs_out(figures) else "", least_told(figures.waits))),
    ):
        console.print(Text(visible(f"· {note}")), soft_wrap=width is None)
    for told in (f"\n{headline(figures)}", *(sentence(each) for each in found.services)):
        console.print(Text(visible(told)), soft_wrap=width is None)
    return "\n".join(line.rstrip() for line in paper.getvalue().splitlines()) + "\n"


def columns(figures: Tally) -> tuple[str, ...]:
    """What is told of each queue."""
    everybody = figures.waits[0]
    left = (LEFT,) if everybody.left_waiting else ()
    return ("jobs", "never started", *left, *COLUMNS, *(IN_TIME if everybody.due else ()))


def cells(waits: Waits, figures: Tally) -> list[str]:
    """A row, as `columns` names it after the queue."""
    everybody, others = figures.waits[0], (waits.mean_s, waits.longest_s)
    spans = (*waits_told(waits), *(at_least(seconds, waits.others_are_least) for seconds in others))
    left = (f"{waits.left_waiting:,}",) if everybody.left_waiting else ()
    counts = (f"{waits.jobs:,}", f"{waits.never_started:,}", *left, hours(waits.gpu_hours))
    due = (f"{waits.due:,}", in_time(waits)) if everybody.due else ()
    return [
        TOTAL if waits.queue is None else waits.queue,
        *counts,
        *(spans if waits.waited else [UNKNOWN] * len(spans)),
        *due,
    ]
