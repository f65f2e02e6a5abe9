"""Tables for a terminal: one that is too wide goes on below itself, under the same first column."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len
from rich.table import Column, Table

WIDTH = 120
"""Columns, where no terminal says how wide it is."""

GAP, EDGES = 3, 2
"""Spaces between columns, and before the first and after the last together."""


def folded(table: Table, width: int = WIDTH) -> Iterator[Table]:
    """The table itself where it fits, else parts that do; one column that is too wide alone stays so."""
    first, *others = table.columns
    parts, room = list[list[Column]]([[]]), width - EDGES - _wide(first)
    for column in others:
        if parts[-1] and sum(GAP + _wide(each) for each in (*parts[-1], column)) > room:
            parts.append([])
        parts[-1].append(column)
    yield from (_part(table, [first, *part]) for part in parts)


def _wide(column: Column) -> int:
    """Of its widest cell, as far as it may be."""
    cells = [str(column.header), *(str(cell) for cell in column.cells)]
    return min(max(map(cell_len, cells)), column.max_width or 10**9)


def _part(table: Table, columns: list[Column]) -> Table:
    """Some columns of a table."""
    part = Table(box=table.box, pad_edge=table.pad_edge)
    for each in columns:
        part.add_column(
            each.header, justify=each.justify, no_wrap=each.no_wrap, overflow=each.overflow, max_width=each.max_width
        )
    for row in zip(*(each.cells for each in columns), strict=True):
        part.add_row(*row)
    return part
