"""Services as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from envs.served import Served
from gyropilot.report.services.words import COLUMNS, cells
from gyropilot.report.words import visible


def table(rows: Sequence[tuple[str, Served]], named: str) -> Table:
    """A row for each, after what it is called."""
    drawn = Table(box=SIMPLE_HEAD, pad_edge=False)
    drawn.add_column(named, overflow="fold", max_width=60)
    for name in COLUMNS:
        drawn.add_column(name, justify="right", no_wrap=True)
    for name, found in rows:
        drawn.add_row(*(Text(visible(cell)) for cell in (name, *cells(found))))
    return drawn
