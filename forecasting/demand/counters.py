"""Counters, which tell how much there was since a start, taken for demand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gyropilot.domain import Floats
from gyropilot.errors import SettingsError

ENDINGS = ("_total", "_count", "_sum", "_bucket")
"""How Prometheus has counters called."""

LEAST_RISES = 24
RISES_PER_RESET = 12
"""What fills up and is emptied again and again is a gauge; processes start anew far less often than they count."""

NEAR_ZERO = 0.1
"""Of the reading before: so little is left after a reset."""


def counted_up(path: Path, column: str, table: Floats) -> list[str]:
    """A note where readings (L, T) only rise. Raises SettingsError where the name, too, is that of a counter."""
    if not only_rises(table):
        return []
    rate = f"its rise per step, or in Prometheus rate({column}[5m])"
    if column.endswith(ENDINGS):
        raise SettingsError(
            f"{path}: {column} is a counter: it never falls but to near zero, and its name says so; a forecast needs "
            f"what there is at each moment, so give {rate}, under a name that does not end with "
            f"_{column.rsplit('_', 1)[1]}"
        )
    return [f"{column} never falls but to near zero: if it is a counter, its forecast means nothing; give {rate}"]


def only_rises(table: Floats) -> bool:
    """Whether each row that moves rises, often, and falls to near zero only, and seldom."""
    rises = resets = 0
    for row in table:
        seen = row[np.isfinite(row)]
        change = np.diff(seen)
        fell = np.flatnonzero(change < 0)
        if np.any(seen[fell + 1] > NEAR_ZERO * seen[fell]):
            return False
        rises += int(np.count_nonzero(change > 0))
        resets += len(fell)
    return rises >= max(LEAST_RISES, RISES_PER_RESET * resets)
