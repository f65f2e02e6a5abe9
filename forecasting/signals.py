"""Leading signals: what a line's own past says about what comes next, as numbers known at a moment.

Demand is gangs that come and go, so its age tells most: `young` demand may leave soon or bring more of its kind,
`gone` demand may come back. Every number at a column is made of what was seen up to that column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forecasting.bands import DAY_S
from gyropilot.domain import DemandHistory, Floats

Rows = NDArray[np.int64]
Bools = NDArray[np.bool_]

HOUR_S = 3_600.0
WEEK_S = 7 * DAY_S
AGES_S = {"5 min": 300.0, "15 min": 900.0, "1 h": HOUR_S, "4 h": 4 * HOUR_S, "24 h": DAY_S}
MEANS_S = {"1 h": HOUR_S, "4 h": 4 * HOUR_S, "24 h": DAY_S, "7 d": WEEK_S}
RATES_S = {"1 h": HOUR_S, "24 h": DAY_S}
CYCLES_S = {"yesterday": DAY_S, "last week": WEEK_S}
ECHOES_S = {"1 h": HOUR_S, "4 h": 4 * HOUR_S}

GRAIN = 1_024.0
"""Demand is rounded to this part of a GPU: sums of such numbers are exact, however far back they begin."""

BLOCK_LINES = 64
"""Lines described together: few enough that their tables stay in the processor's cache."""


class Signal(NamedTuple):
    """One number: its name and its unit."""

    name: str
    in_gpus: bool  # False: minutes, counts or shares


NOW = (
    Signal("demand", True),
    Signal("pending", True),
    Signal("pending share", False),
    Signal("minutes pending", False),
)
AGES = (*(Signal(f"young {age}", True) for age in AGES_S), *(Signal(f"gone {age}", True) for age in AGES_S))
MEANS = tuple(Signal(f"above mean of {span}", True) for span in MEANS_S)
SINCE = tuple(Signal(f"minutes since {event}", False) for event in ("change", "rise", "fall"))
RATES = (
    *(Signal(f"changes in {span}", False) for span in RATES_S),
    *(Signal(f"risen in {span}", True) for span in RATES_S),
    *(Signal(f"fallen in {span}", True) for span in RATES_S),
)
CYCLES = (
    *(Signal(f"above same time {cycle}", True) for cycle in CYCLES_S),
    *(Signal(f"what {echo} changed {cycle}", True) for cycle in CYCLES_S for echo in ECHOES_S),
)
SIGNALS = (*NOW, *AGES, *MEANS, *SINCE, *RATES, *CYCLES)
NAMES = tuple(signal.name for signal in SIGNALS)


@dataclass(frozen=True, eq=False, slots=True)
class Signals:
    """The signals of one history, at any moment of it."""

    names: ClassVar[tuple[str, ...]] = NAMES
    in_gpus: ClassVar[Bools] = np.array([s.in_gpus for s in SIGNALS])  # (F,) which may be divided by a spread

    history: DemandHistory

    @classmethod
    def of(cls, history: DemandHistory) -> Signals:
        """Costs nothing; tables are made where they are asked for, a few lines at a time."""
        return cls(history)

    def at(self, line: Rows, column: Rows, names: Sequence[str] = NAMES) -> Floats:
        """(N, len(names)) signals of `line` (N,) as of `column` (N,). NaN: not seen, or demand was not seen then."""
        values = np.empty((len(line), len(names)))
        for rows in _blocks(line):
            values[rows] = _described(_Past.of(self.history, line[rows], column[rows]), names)
        return values


def newest(history: DemandHistory, names: Sequence[str] = NAMES) -> Floats:
    """(L, len(names)) signals at the newest column: reads the last week only."""
    lines, columns = history.demand.shape
    if not columns:
        return np.full((lines, len(names)), np.nan)
    return Signals.of(history).at(np.arange(lines), np.full(lines, columns - 1), names)


class _Past(NamedTuple):
    """What was seen up to some moments, no further back than a signal looks."""

    demand: Floats  # (B, C) GPUs, rounded to the grain
    pending: Floats  # (B, C)
    line: Rows  # (N,) rows of the tables
    column: Rows  # (N,) columns of the tables
    step_s: float

    @classmethod
    def of(cls, history: DemandHistory, line: Rows, column: Rows) -> _Past:
        lines, row = np.unique(line, return_inverse=True)
        step_s = history.step.total_seconds()
        first = max(0, int(column.min()) - round(WEEK_S / step_s) - 1)
        cut = np.s_[lines, first : int(column.max()) + 1]
        demand, pending = (_rounded(table[cut]) for table in (history.demand, history.pending))
        return cls(demand, pending, row.astype(np.int64), column - first, step_s)

    def back(self, reach_s: float) -> _Past:
        """The same, no further back than `reach_s` before the first moment."""
        first = max(0, int(self.column.min()) - self.steps(reach_s))
        return self._replace(demand=self.demand[:, first:], pending=self.pending[:, first:], column=self.column - first)

    def steps(self, span_s: float) -> int:
        return max(1, round(span_s / self.step_s))

    def now(self, table: Floats) -> Floats:
        """(N,) `table` (B, C) at the moments."""
        values: Floats = table[self.line, self.column]
        return values

    def ago(self, steps: int) -> Floats:
        """(N,) demand `steps` before; NaN: not seen."""
        past = self.demand[self.line, np.maximum(self.column - steps, 0)]
        return np.where(self.column >= steps, past, np.nan)


def _described(past: _Past, names: Sequence[str]) -> Floats:
    """(N, len(names)): only groups of which something is wanted are made."""
    groups = ((NOW, _now), (AGES, _ages), (MEANS, _above_means), (SINCE, _since_changes), (RATES, _rates))
    values: dict[str, Floats] = {}
    for signals, make in (*groups, (CYCLES, _cycles)):
        if any(signal.name in names for signal in signals):
            values |= {signal.name: value for signal, value in zip(signals, make(past), strict=True)}
    table = np.column_stack([values[name] for name in names])
    table[np.isnan(past.now(past.demand))] = np.nan
    return table


def _now(past: _Past) -> list[Floats]:
    demand, pending = past.now(past.demand), past.now(past.pending)
    share = np.where(demand > 0, pending / np.where(demand > 0, demand, 1.0), 0.0)
    return [demand, pending, share, _minutes_pending(past)]


def _minutes_pending(past: _Past) -> Floats:
    """Since the last reading that is known to have nothing pending; 0 while nothing is."""
    waited = _minutes_since(past, past.pending <= 0)
    return np.where(past.now(past.pending) > 0, waited, 0.0)


def _ages(past: _Past) -> list[Floats]:
    """`young` per age: demand less its trailing minimum; then `gone`: trailing maximum less demand."""
    past = past.back(max(AGES_S.values()))
    demand, steps = past.now(past.demand), [past.steps(age_s) for age_s in AGES_S.values()]
    seen = np.isfinite(past.demand)
    lowest = _trailing_minima(np.where(seen, past.demand, np.inf), past, steps)
    highest = _trailing_minima(np.where(seen, -past.demand, np.inf), past, steps)
    return [demand - low for low in lowest] + [-high - demand for high in highest]


def _trailing_minima(table: Floats, past: _Past, steps: list[int]) -> Iterator[Floats]:
    """(N,) minimum of `table` over each of `steps` (ascending) before the moments and the moment itself.

    By doubling: `table` holds minima over `width` columns, and any longer span is two overlapping ones.
    """
    width = 1
    for count in steps:
        while 2 * width <= count + 1:
            table[:, width:] = np.minimum(table[:, width:], table[:, :-width])
            width *= 2
        first = np.maximum(past.column - (count + 1 - width), 0)
        yield np.minimum(table[past.line, past.column], table[past.line, first])


def _above_means(past: _Past) -> list[Floats]:
    demand, sums = past.now(past.demand), _Sums.of(past.demand)
    return [demand - sums.mean(past, past.column - past.steps(span_s), past.column) for span_s in MEANS_S.values()]


def _since_changes(past: _Past) -> list[Floats]:
    change = _changes(past.demand)
    return [_minutes_since(past, event) for event in (change != 0, change > 0, change < 0)]


def _rates(past: _Past) -> list[Floats]:
    """Changes, GPUs risen and GPUs fallen per span."""
    past = past.back(max(RATES_S.values()) + past.step_s)
    change = _changes(past.demand)
    events = ((change != 0).astype(np.float64), np.maximum(change, 0.0), np.maximum(-change, 0.0))
    first = [past.column - past.steps(span_s) for span_s in RATES_S.values()]
    return [_between(sums, past, start, past.column) for sums in map(_running, events) for start in first]


def _cycles(past: _Past) -> list[Floats]:
    """How demand stands to the same time of earlier cycles, then what came next in those."""
    demand, sums = past.now(past.demand), _Sums.of(past.demand)
    cycles = [past.steps(cycle_s) for cycle_s in CYCLES_S.values()]
    then = [past.ago(steps) for steps in cycles]
    echoes = [
        sums.mean(past, past.column - steps, past.column - steps + past.steps(echo_s)) - before
        for steps, before in zip(cycles, then, strict=True)
        for echo_s in ECHOES_S.values()
    ]
    return [demand - before for before in then] + echoes


class _Sums(NamedTuple):
    """Running sums along columns, so that the mean of any stretch is two differences."""

    seen: Floats  # (B, C + 1) readings
    gpus: Floats  # (B, C + 1)

    @classmethod
    def of(cls, table: Floats) -> _Sums:
        seen = np.isfinite(table)
        return cls(_running(seen), _running(np.where(seen, table, 0.0)))

    def mean(self, past: _Past, first: Rows, last: Rows) -> Floats:
        """(N,) mean over columns after `first`, up to `last` itself; NaN: none was seen."""
        count, total = (_between(sums, past, first, last) for sums in self)
        return np.where(count > 0, total / np.maximum(count, 1.0), np.nan)


def _running(table: NDArray[np.generic]) -> Floats:
    """(B, C + 1) sum of the columns before each."""
    sums = np.zeros((len(table), table.shape[1] + 1))
    np.cumsum(table, axis=1, out=sums[:, 1:])
    return sums


def _between(sums: Floats, past: _Past, first: Rows, last: Rows) -> Floats:
    """(N,) sum over columns after `first`, up to `last` itself."""
    low, high = np.maximum(first + 1, 0), np.maximum(last + 1, 0)
    difference: Floats = sums[past.line, high] - sums[past.line, low]
    return difference


def _changes(demand: Floats) -> Floats:
    """(B, C) change since the column before; 0 beside a gap: nobody saw when it happened."""
    change = np.zeros_like(demand)
    change[:, 1:] = np.diff(demand, axis=1)
    change[np.isnan(change)] = 0.0
    return change


def _minutes_since(past: _Past, event: Bools) -> Floats:
    """(N,) minutes since the last column with `event` (B, C); at most a week, or since the first reading."""
    last = np.maximum.accumulate(np.where(event, np.arange(event.shape[1], dtype=np.int32), 0), axis=1)
    steps = np.minimum(past.column - last[past.line, past.column], past.steps(WEEK_S))
    minutes: Floats = steps * past.step_s / 60
    return minutes


def _rounded(table: Floats) -> Floats:
    rounded: Floats = np.round(table * GRAIN) / GRAIN
    return rounded


def _blocks(line: Rows) -> Iterator[Rows]:
    """Indices of `line`, those of at most BLOCK_LINES lines at a time."""
    order = np.argsort(line, kind="stable")
    if len(order):
        starts = np.flatnonzero(np.diff(line[order] // BLOCK_LINES)) + 1
        yield from np.split(order, starts)
