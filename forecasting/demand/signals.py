"""Leading signals: what a line's own past says about what comes next, as numbers known at a moment.

Demand is gangs that come and go, so its age tells most: `young` demand may leave soon or bring more of its kind,
`gone` demand may come back. Every number at a column is made of what was seen up to that column.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forecasting.demand.seen import DAY_S, newest_columns
from forecasting.once import kept, once
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
        """Costs nothing: a signal is made where it is asked for."""
        return cls(history)

    def at(self, line: Rows, column: Rows, names: Sequence[str] = NAMES) -> Floats:
        """(N, len(names)) signals of `line` (N,) as of `column` (N,). NaN: not seen, or demand was not seen then.

        Only groups of which something is wanted are made.
        """
        past = _Past(self.history, line, column)
        wanted = [group for group in _GROUPS if names is NAMES or any(signal.name in names for signal in group)]
        table, first = np.empty((len(line), sum(map(len, wanted)))), 0
        for group in wanted:
            _GROUPS[group](past, table[:, first : first + len(group)])
            first += len(group)
        if names is not NAMES:
            made = [signal.name for group in wanted for signal in group]
            table = table[:, [made.index(name) for name in names]]
        table[np.isnan(self.history.demand[line, column])] = np.nan
        return table


@once
def latest(history: DemandHistory) -> Floats:
    """(L, len(NAMES)) signals at the newest reading of each line."""
    lines, columns = history.demand.shape
    if not columns:
        return np.full((lines, len(NAMES)), np.nan)
    return Signals.of(history).at(np.arange(lines), newest_columns(history))


class _Past(NamedTuple):
    """Moments, and what was seen before them."""

    history: DemandHistory
    line: Rows  # (N,)
    column: Rows  # (N,)

    def steps(self, spans_s: Iterable[float]) -> Rows:
        return _steps(tuple(spans_s), self.history.step)

    def step(self, span_s: float) -> int:
        return int(_steps((span_s,), self.history.step)[0])

    def minutes(self, steps: Floats) -> Floats:
        return steps * self.history.step.total_seconds() / 60


@kept
def _steps(spans_s: Sequence[float], step: timedelta) -> Rows:
    """(S,) how many steps each is, at least one."""
    return np.array([max(1, round(span_s / step.total_seconds())) for span_s in spans_s], dtype=np.int64)


def _now(past: _Past, found: Floats) -> None:
    from forecasting.compiled import walks

    walks.now(past.history.demand, past.history.pending, past.line, past.column, past.step(WEEK_S), found)
    found[:, 3] = past.minutes(found[:, 3])


def _ages(past: _Past, found: Floats) -> None:
    from forecasting.compiled import walks

    walks.ages(past.history.demand, past.line, past.column, past.steps(AGES_S.values()), found)


def _means(past: _Past, found: Floats) -> None:
    from forecasting.compiled import walks

    walks.above_means(past.history.demand, past.line, past.column, past.steps(MEANS_S.values()), found)


def _since(past: _Past, found: Floats) -> None:
    from forecasting.compiled import walks

    walks.since_changes(past.history.demand, past.line, past.column, past.step(WEEK_S), found)
    found[:] = past.minutes(found)


def _rates(past: _Past, found: Floats) -> None:
    from forecasting.compiled import walks

    walks.rates(past.history.demand, past.line, past.column, past.steps(RATES_S.values()), found)


def _cycles(past: _Past, found: Floats) -> None:
    from forecasting.compiled import walks

    spans, echoes = past.steps(CYCLES_S.values()), past.steps(ECHOES_S.values())
    walks.cycles(past.history.demand, past.line, past.column, spans, echoes, found)


_GROUPS = {NOW: _now, AGES: _ages, MEANS: _means, SINCE: _since, RATES: _rates, CYCLES: _cycles}
