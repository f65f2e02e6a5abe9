"""What demand was at one occurrence of an event, beside what would have been forecast without knowing of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import numpy as np
from numpy.typing import NDArray

from forecasting.demand.calendar import Place
from forecasting.demand.events import Stretch
from forecasting.forecasters.anomaly import Anomaly
from forecasting.grid import ends_s, middles_s
from forecasting.protocol import State
from forecasting.rolling import until
from forecasting.store import floats, lines_from_state, lines_to_state, nested, number
from forecasting.windows import outcome
from gyropilot.domain import DemandHistory, Floats, Line, Window

HOUR = timedelta(hours=1)
DAY = 24 * HOUR

ENTERS, WITHIN, LEAVES = range(3)
"""Forecasts made before an event of windows in it, made in it of windows in it, and made in it of windows after it."""

LEADS_S = np.array([2.0, 6.0, 12.0]) * HOUR.total_seconds()
"""Shorter and longer leads are told apart: the newest reading knows of an event that is on, and is forgotten."""

CELLS = 3 * (len(LEADS_S) + 1)

REACH_S = DAY.total_seconds()
"""Longer after an event nothing is said: what is left of it in the forecast has passed."""

LEAST_PAST = timedelta(days=7)
"""Of history before an occurrence, so that what is usual was known."""

BEFORE = tuple(hours * HOUR for hours in (20, 14, 8, 4, 1))
DURING = 7
"""Origins before the beginning of an occurrence, and as many evenly from then to its end, at most one an hour."""


@dataclass(frozen=True, eq=False, slots=True)
class Occasion:
    """One occurrence that is over."""

    time: Stretch
    lines: tuple[Line, ...]
    came: Floats  # (L, CELLS) mean GPUs; NaN: nothing of that kind was seen
    expected: Floats  # (L, CELLS) mean GPUs, as the median of a forecast that knew of no event

    @classmethod
    def of(cls, history: DemandHistory, time: Stretch, place: Place) -> Self:
        """What is usual and what was unusual is forecast at moments before and during it, from what was known then."""
        columns = _origins(history, time)
        model = Anomaly(place=place).fit(until(history, int(columns[0])))
        sums = np.zeros((2, len(history.lines), CELLS))
        count = np.zeros((len(history.lines), CELLS))
        for column in columns:
            asked, cell = _asked(time, int(history.times[column]), history.step)
            if not asked:
                continue
            came = outcome(history, int(column), asked)
            expected = model.predict(until(history, int(column)), asked, (0.5,))[..., 0]
            seen = np.isfinite(came)
            member = (cell[:, None] == np.arange(CELLS)).astype(np.float64)
            sums += np.stack([np.where(seen, table, 0.0) @ member for table in (came, expected)])
            count += seen @ member
        means = np.where(count > 0, sums / np.maximum(count, 1), np.nan)
        return cls(time, history.lines, means[0], means[1])

    @staticmethod
    def can_be_seen(history: DemandHistory, time: Stretch) -> bool:
        """Whether it has passed for a day, so that it is known how demand leaves it, and what was usual was seen."""
        if not len(history.times):
            return False
        first_s, last_s = int(history.times[0]), int(history.times[-1])
        return first_s + LEAST_PAST.total_seconds() <= time.begin_s and time.end_s + REACH_S <= last_s

    def state(self) -> State:
        """As plain data."""
        tables = {"came": self.came, "expected": self.expected}
        return {"begin_s": self.time.begin_s, "end_s": self.time.end_s, "lines": lines_to_state(self.lines), **tables}

    @classmethod
    def restored(cls, state: State) -> Self:
        """From `state`. Raises ForecastError."""
        lines = lines_from_state(nested(state, "lines"))
        tables = (floats(state, name, (len(lines), CELLS)) for name in ("came", "expected"))
        return cls(Stretch(int(number(state, "begin_s")), int(number(state, "end_s"))), lines, *tables)


def cover(time: Stretch, now_s: int, windows: Sequence[Window]) -> Floats:
    """(W,) share of each window after `now_s` that lies in the event."""
    ends = now_s + ends_s(windows)
    starts = 2 * (now_s + middles_s(windows)) - ends
    inside = np.minimum(ends, time.end_s) - np.maximum(starts, time.begin_s)
    share: Floats = np.clip(inside / np.maximum(ends - starts, 1.0), 0.0, 1.0)
    return share


def cells(windows: Sequence[Window]) -> NDArray[np.int64]:
    """(3, W) the cell of each window: entered, within, left behind."""
    lead = np.searchsorted(LEADS_S, middles_s(windows))
    return np.arange(3)[:, None] * (len(LEADS_S) + 1) + lead


def _origins(history: DemandHistory, time: Stretch) -> NDArray[np.int64]:
    """Columns at which it is asked what comes, ascending."""
    length_s = time.end_s - time.begin_s
    during = min(DURING, max(1, int(length_s // HOUR.total_seconds())))
    within = time.begin_s + length_s * np.arange(during) / during
    moments = np.append([time.begin_s - ago.total_seconds() for ago in BEFORE], within)
    columns = np.searchsorted(history.times, moments, side="right") - 1
    found: NDArray[np.int64] = np.unique(np.maximum(columns, 1))
    return found


def _asked(time: Stretch, now_s: int, step: timedelta) -> tuple[tuple[Window, ...], NDArray[np.int64]]:
    """Windows of an hour, or of a longer step, within a day, that tell something, and the cell (W,) of each."""
    length = max(HOUR, step)
    windows = tuple(_stretches(length))
    inside, (entered, within, left) = cover(time, now_s, windows), cells(windows)
    on, after = time.begin_s <= now_s, now_s + ends_s(windows) - length.total_seconds() >= time.end_s
    cell = np.where(inside >= 0.5, within if on else entered, np.where(on & after, left, -1))
    picked = np.flatnonzero(cell >= 0)
    return tuple(windows[i] for i in picked), cell[picked]


def _stretches(length: timedelta) -> Iterator[Window]:
    return (Window(n * length, (n + 1) * length) for n in range(max(1, int(DAY / length))))
