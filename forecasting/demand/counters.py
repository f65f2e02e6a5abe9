"""Counters, which tell how much there was since a start: demand is what they rise by in a step."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gyropilot.domain import Floats

ENDINGS = ("_total", "_count", "_sum", "_bucket")
"""How Prometheus has counters called."""

LEAST_RISES = 24
RISES_PER_RESET = 12
"""What fills up and is emptied again and again is a gauge; processes start anew far less often than they count."""

NEAR_ZERO = 0.1
"""Of the reading before: so little is left after a reset."""


class Gauged(NamedTuple):
    """What there was in each step."""

    table: Floats  # (L, T), or (L, T - 1) of a counter; NaN: not seen
    notes: tuple[str, ...] = ()


def gauged(column: str, table: Floats) -> Gauged:
    """Readings (L, T), or what they rise by where they and the name are a counter's; with a note if only they are."""
    if not only_rises(table):
        return Gauged(table)
    if not column.endswith(ENDINGS):
        note = f"{column} never falls but to near zero: if it is a counter, its forecast means nothing; call it"
        return Gauged(table, (f"{note} {column}_total, and it is forecast by how much it rises in each step",))
    note = f"{column} is a counter: what it rises by in each step is forecast"
    began = resets(table)
    again = f", counted from zero where it began anew ({began} time{'s' * (began != 1)})" if began else ""
    return Gauged(rises(table), (note + again,))


def only_rises(table: Floats) -> bool:
    """Whether each row that moves rises, often, and falls to near zero only, and seldom."""
    risen = 0
    for row in table:
        seen = row[np.isfinite(row)]
        change = np.diff(seen)
        fell = np.flatnonzero(change < 0)
        if np.any(seen[fell + 1] > NEAR_ZERO * seen[fell]):
            return False
        risen += int(np.count_nonzero(change > 0))
    return risen >= max(LEAST_RISES, RISES_PER_RESET * resets(table))


def resets(table: Floats) -> int:
    """How often readings (L, T) fall, whether or not some between are missing."""
    return sum(int(np.count_nonzero(np.diff(row[np.isfinite(row)]) < 0)) for row in table)


def rises(table: Floats) -> Floats:
    """(L, T - 1) by how much counters rose in the step before each reading but the first; a fall is a start from zero.

    As Prometheus' `increase` has it, but that nothing is made up where one of two readings is missing: NaN.
    """
    before, now = table[:, :-1], table[:, 1:]
    return np.where(now < before, now, now - before)
