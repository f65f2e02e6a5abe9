"""Walks back from some moments through what was seen before: what signals are made of.

Each fills in `found`, a row for each moment: a `line` and a `column` of `demand` (L, T). Spans are ascending, in steps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forecasting.compiled.loops import compiled
from gyropilot.domain import Floats

Rows = NDArray[np.int64]

GRAIN = 1_024.0
"""Demand is rounded to this part of a GPU: sums of such numbers are exact, however far back they begin."""


@compiled
def rounded(gpus: float) -> float:
    return np.rint(gpus * GRAIN) / GRAIN  # type: ignore[no-any-return]


@compiled
def now(demand: Floats, pending: Floats, line: Rows, column: Rows, most: int, found: Floats) -> None:
    """Demand, what of it is pending, as a share too, and for how many steps, at most so many."""
    for n in range(len(line)):
        wants, waits = rounded(demand[line[n], column[n]]), rounded(pending[line[n], column[n]])
        found[n, 0], found[n, 1] = wants, waits
        found[n, 2] = waits / wants if wants > 0 else 0.0
        steps, first = 0, max(0, column[n] - most)
        if waits > 0:
            while column[n] - steps > first and not rounded(pending[line[n], column[n] - steps]) <= 0:
                steps += 1
        found[n, 3] = steps


@compiled
def ages(demand: Floats, line: Rows, column: Rows, spans: Rows, found: Floats) -> None:
    """How far demand is above its lowest over each span, then how far below its highest."""
    for n in range(len(line)):
        wants = rounded(demand[line[n], column[n]])
        low, high, back = wants, wants, 0
        for s in range(len(spans)):
            while back < min(spans[s], column[n]):
                back += 1
                then = rounded(demand[line[n], column[n] - back])
                low, high = (then if then < low else low), (then if then > high else high)
            found[n, s], found[n, len(spans) + s] = wants - low, high - wants


@compiled
def mean(demand: Floats, line: int, after: int, last: int) -> float:
    """Of what was seen in columns after `after`, up to `last` itself."""
    total, seen = 0.0, 0
    for column in range(max(0, after + 1), last + 1):
        gpus = rounded(demand[line, column])
        if not np.isnan(gpus):
            total, seen = total + gpus, seen + 1
    return total / seen if seen else np.nan


@compiled
def above_means(demand: Floats, line: Rows, column: Rows, spans: Rows, found: Floats) -> None:
    """How far demand is above its mean over each span."""
    for n in range(len(line)):
        for s in range(len(spans)):
            average = mean(demand, line[n], column[n] - spans[s], column[n])
            found[n, s] = rounded(demand[line[n], column[n]]) - average


@compiled
def since_changes(demand: Floats, line: Rows, column: Rows, most: int, found: Floats) -> None:
    """Steps since the last change, rise and fall, at most so many; a change beside a gap has no moment."""
    for n in range(len(line)):
        first = max(0, column[n] - most)
        found[n] = column[n] - first
        rose = fell = False
        for t in range(column[n], first, -1):
            change = rounded(demand[line[n], t]) - rounded(demand[line[n], t - 1])
            if (change > 0 and not rose) or (change < 0 and not fell):
                found[n, 0] = min(found[n, 0], column[n] - t)
                found[n, 1 if change > 0 else 2] = column[n] - t
                rose, fell = rose or change > 0, fell or change < 0
            if rose and fell:
                break


@compiled
def rates(demand: Floats, line: Rows, column: Rows, spans: Rows, found: Floats) -> None:
    """Changes over each span, then GPUs risen, then GPUs fallen."""
    for n in range(len(line)):
        changes, risen, fallen, back = 0, 0.0, 0.0, 0
        for s in range(len(spans)):
            while back < min(spans[s], column[n]):
                t = column[n] - back
                change = rounded(demand[line[n], t]) - rounded(demand[line[n], t - 1])
                changes += change > 0 or change < 0
                risen += change if change > 0 else 0.0
                fallen -= change if change < 0 else 0.0
                back += 1
            found[n, s], found[n, len(spans) + s], found[n, 2 * len(spans) + s] = changes, risen, fallen


@compiled
def cycles(demand: Floats, line: Rows, column: Rows, spans: Rows, echoes: Rows, found: Floats) -> None:
    """How far demand is above that of each cycle before, then the mean of what followed then, less it."""
    for n in range(len(line)):
        for s in range(len(spans)):
            then = column[n] - spans[s]
            before = rounded(demand[line[n], then]) if then >= 0 else np.nan
            found[n, s] = rounded(demand[line[n], column[n]]) - before
            for e in range(len(echoes)):
                after = mean(demand, line[n], then, then + echoes[e]) - before
                found[n, len(spans) + s * len(echoes) + e] = after
