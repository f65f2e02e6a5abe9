"""What was asked for until now, read from the history."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np

from agents.asked import asked
from agents.once import once
from gyropilot.domain import ClusterState, DemandHistory, Floats


def total_demand(history: DemandHistory, resource: str) -> Floats:
    """(T,) GPUs running and pending in all queues; NaN where no queue was seen."""
    total = history.totals.get(resource)
    return np.full(len(history.times), np.nan) if total is None else total


def latest_demand(history: DemandHistory, resource: str, steps: int) -> Floats:
    """The same of the last so many steps."""
    total = history.newest_totals(steps).get(resource)
    return np.full(min(steps, len(history.times)), np.nan) if total is None else total


@once
def peak_demand(state: ClusterState, resource: str, window: timedelta) -> float | None:
    """The largest demand of all queues within the window, now included; None when not all of it was seen.

    A queue that exists no more may be missing from the history; one that exists may not.
    """
    steps = max(1, -(-window // state.history.step))
    if len(state.history.times) < steps or _has_gap(state, steps, resource):
        return None
    past = np.fmax.reduce(latest_demand(state.history, resource, steps), initial=0.0)
    return max(asked(state, resource).demand, float(past))


def _has_gap(state: ClusterState, steps: int, resource: str) -> bool:
    lately, known = state.history.newest_demand(steps), {q.name for q in state.queues}
    mine = (row for row, line in enumerate(state.history.lines) if line.resource == resource and line.queue in known)
    if not math.isnan(np.add.reduce(lately, axis=None)):  # as a rule nothing is missing at all
        return next(mine, None) is None
    rows = [*mine]
    return not rows or bool(np.isnan(lately[rows]).any())
