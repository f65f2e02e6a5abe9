"""Times when a whole cluster stood still: what was recorded then says nothing of what was wanted."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from forecasting.demand.signals import Bools, Rows
from forecasting.once import once
from gyropilot.domain import ALL_QUEUES, DemandHistory

LEAST_QUEUES = 4
"""In use at one step and all without demand at the next: so many do not end together by themselves."""

RARE = timedelta(days=3)
"""Between outages, at least, on average: what happens each night is a habit, and to be learnt."""

LONGEST = timedelta(days=3)
"""What lasts for longer is how things are by now."""


@once
def outages(history: DemandHistory) -> Bools:
    """(T,) steps at which no queue demanded anything, though several had at the step before it began.

    Looked for in `history` with its totals; without them none is found.
    """
    totals = history.demand[_totals(history)]
    still = (np.nan_to_num(totals) == 0).all(axis=0) & np.isfinite(totals).any(axis=0)
    found = np.zeros(len(still), dtype=np.bool_)
    begins = np.flatnonzero(still[1:] & ~still[:-1]) + 1
    used = (history.demand[:, begins - 1] > 0).sum(axis=0) - (totals[:, begins - 1] > 0).sum(axis=0)
    begins = begins[used >= LEAST_QUEUES]
    if len(begins) * RARE > len(still) * history.step:
        return found
    ends = np.append(np.flatnonzero(~still), len(still))
    for begin in begins:
        end = ends[np.searchsorted(ends, begin)]
        found[begin:end] = (end - begin) * history.step <= LONGEST
    return found


def without_outages(history: DemandHistory) -> DemandHistory:
    """The same history, in which nothing was seen at outages."""
    return _unseen(history, np.arange(len(history.lines)))


def totals_without_outages(history: DemandHistory, lately: timedelta | None = None) -> DemandHistory:
    """The same history, in which no total was seen at outages: the very same one where there was none `lately`.

    A queue falls to nothing by itself as well, and others learn from it how that goes; a total hardly ever does.
    """
    steps = len(history.times) if lately is None else round(lately / history.step)
    return _unseen(history, _totals(history)) if outages(history)[-steps:].any() else history


def _unseen(history: DemandHistory, rows: Rows) -> DemandHistory:
    out = np.flatnonzero(outages(history))
    if not len(out):
        return history
    running, pending = history.running.copy(), history.pending.copy()
    running[np.ix_(rows, out)] = pending[np.ix_(rows, out)] = np.nan
    return DemandHistory(history.lines, history.times, running, pending)


def _totals(history: DemandHistory) -> Rows:
    return np.flatnonzero([line.queue == ALL_QUEUES for line in history.lines])
