"""What was asked for until now, read from the history."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from gyropilot.domain import ALL_QUEUES, ClusterState, DemandHistory, Floats


def total_demand(history: DemandHistory, resource: str) -> Floats:
    """(T,) GPUs running and pending in all queues; NaN where no queue was seen."""
    rows = _rows(history, resource)
    seen = ~np.isnan(rows)
    return np.where(seen.any(axis=0), np.where(seen, rows, 0.0).sum(axis=0), np.nan)


def peak_demand(state: ClusterState, resource: str, window: timedelta) -> float | None:
    """The largest demand of all queues within the window, now included; None when not all of it was seen.

    A queue that exists no more may be missing from the history; one that exists may not.
    """
    history = state.history
    steps = max(1, -(-window // history.step))
    if len(history.times) < steps or _has_gap(state, resource, steps):
        return None
    now = sum(q.demand_gpus(resource) for q in state.queues)
    past = total_demand(history, resource)[-steps:]
    return max(now, float(np.where(np.isnan(past), 0.0, past).max()))


def _has_gap(state: ClusterState, resource: str, steps: int) -> bool:
    known = {q.name for q in state.queues}
    rows = [i for i, line in enumerate(state.history.lines) if line.resource == resource and line.queue in known]
    return not rows or bool(np.isnan(state.history.demand[rows, -steps:]).any())


def _rows(history: DemandHistory, resource: str) -> Floats:
    rows = [i for i, line in enumerate(history.lines) if line.resource == resource and line.queue != ALL_QUEUES]
    return history.demand[rows].reshape(len(rows), len(history.times))
