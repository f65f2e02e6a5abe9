"""What is expected to come of an action over the next 24 hours, from the forecast.

Each figure is computed along three paths of demand, the forecast's 10 %, 50 % and 90 % quantile, linear
between horizons and held after the last, on a grid of five minutes. The three results make the `Interval`:
as if demand stayed on one quantile all day, so the interval is wide on purpose.

Pools. With supply C now (coming GPUs from each pool's lead time on) and C' after the action (growth from
the lead time on, removal at once), waiting changes by ∫ max(0, D − C') − max(0, D − C). What waits less is
served by the pool: those GPU-hours draw its busy watts, the rest of the changed GPU-hours its idle watts.
Money is price × GPU-hours changed, counted from the asking, as clouds bill; reserved GPUs cost nothing more.
A limit buys nothing by itself: only the GPU-hours that demand fills are counted.

Quotas. Waiting of the queue changes by ∫ max(0, D − N') − max(0, D − N) for its nominal quota N, as if it
could borrow nothing: what it is sure of. No GPU is bought.

Workloads. A pause throws away the work since the last checkpoint and the restart, priced as the GPU-hours
that do it again. Waiting falls for the queues of the cohort that wait within their quota and rises for the
queue that is paused; the figure is the sum of both. Each action is judged as if it were the only one.

`Effect.usd` is money for GPUs and for work lost. What waiting costs is not in it: the report prices that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np

from agents.paths import hours, on_grid
from agents.supply import cohorts, running_price
from gyropilot.domain import (
    ALL_QUEUES,
    Action,
    ClusterState,
    Dial,
    Effect,
    Floats,
    Interval,
    Line,
    Pool,
    Queue,
    View,
    Workload,
)

OVER = timedelta(hours=24)
GRID_HOURS: Floats = np.linspace(0.0, hours(OVER), int(OVER / timedelta(minutes=5)) + 1)
QUANTILES = (0.1, 0.5, 0.9)


def with_effect(view: View, action: Action) -> Action:
    """The action with what is expected to come of it; unchanged where its subject is not in the view."""
    return replace(action, expected=expected_effect(view, action))


def expected_effect(view: View, action: Action) -> Effect:
    """What the action is expected to change over the next 24 hours; negative is saved."""
    state = view.state
    if action.dial in (Dial.POOL_SIZE, Dial.POOL_LIMIT):
        pool = next((p for p in state.pools if p.dial_target == action.target), None)
        return _pool_effect(view, pool, action) if pool else Effect()
    queue = next((q for q in state.queues if q.name == action.queue), None)
    if action.dial is Dial.QUEUE_QUOTA:
        return _quota_effect(view, queue, action) if queue else Effect()
    workload = next((w for w in state.workloads if w.dial_target == action.target), None)
    return _pause_effect(view, queue, workload) if queue and workload and action.delta < 0 else Effect()


def _pool_effect(view: View, pool: Pool, action: Action) -> Effect:
    before = _supply(view.state, pool.accelerator.resource)
    change = _change(pool, action.gpus)
    line = Line(ALL_QUEUES, pool.accelerator.resource)
    waiting = [_area(_short(path, before + change) - _short(path, before)) for path in _paths(view, line)]
    only_allows = action.dial is Dial.POOL_LIMIT
    bought = [0.0 - w if only_allows else action.gpus * hours(OVER) for w in waiting]
    busy_w, idle_w = pool.watts_busy_per_gpu, pool.watts_idle_per_gpu
    kwh = [(-w * busy_w + (b + w) * idle_w) / 1000 for w, b in zip(waiting, bought, strict=True)]
    return Effect(
        usd=Interval.of(b * running_price(pool) for b in bought),
        waiting_gpu_hours=Interval.of(waiting),
        kwh=Interval.of(kwh),
        kg_co2=Interval.of(k * pool.carbon_g_per_kwh / 1000 for k in kwh),
        over=OVER,
    )


def _change(pool: Pool, gpus: int) -> Floats:
    """(N,) GPUs added or removed over time: removal at once, growth after the lead time."""
    from_hour = hours(pool.lead_time) if gpus > 0 else 0.0
    return np.where(from_hour <= GRID_HOURS, float(gpus), 0.0)


def _supply(state: ClusterState, resource: str) -> Floats:
    """(N,) GPUs of a resource over time if nothing is turned: ready ones, and coming ones after their lead time."""
    pools = state.pools_of(resource)
    return sum((p.gpus + _change(p, p.coming_gpus) for p in pools), start=np.zeros_like(GRID_HOURS))


def _quota_effect(view: View, queue: Queue, action: Action) -> Effect:
    nominal = np.full_like(GRID_HOURS, float(queue.nominal_gpus(action.resource)))
    paths = _paths(view, Line(queue.name, action.resource))
    waiting = [_area(_short(path, nominal + action.delta) - _short(path, nominal)) for path in paths]
    return Effect(waiting_gpu_hours=Interval.of(waiting), over=OVER)


def _pause_effect(view: View, queue: Queue, workload: Workload) -> Effect:
    resource, freed = workload.accelerator.resource, float(workload.gpus)
    lost = workload.lost_gpu_hours(view.state.seen_at)
    redo = workload.at_risk(view.state.seen_at) / timedelta(hours=1) * workload.gpus * _price(view.state, workload)
    served = _waiting_change(view, _waiters(view.state, queue, resource), resource, freed)
    paused = _waiting_change(view, [queue], resource, -freed)
    return Effect(
        usd=Interval(redo, redo, redo),
        waiting_gpu_hours=Interval.of(s + p for s, p in zip(served, paused, strict=True)),
        lost_gpu_hours=lost,
        over=OVER,
    )


def _waiters(state: ClusterState, queue: Queue, resource: str) -> list[Queue]:
    """Queues of the same cohort that wait although they run less than their quota."""
    group = next((g for g in cohorts(state) if queue in g), ())
    return [
        q
        for q in group
        if q.pending_gpus.get(resource, 0.0) > 0 and q.running_gpus.get(resource, 0.0) < q.nominal_gpus(resource)
    ]


def _waiting_change(view: View, queues: Sequence[Queue], resource: str, gpus: float) -> list[float]:
    """GPU-hours per quantile by which the queues' waiting changes if they get more (or fewer) GPUs than they run."""
    running = sum(q.running_gpus.get(resource, 0.0) for q in queues)
    held = np.full_like(GRID_HOURS, running)
    paths = [sum(each, start=np.zeros_like(GRID_HOURS)) for each in _per_quantile(view, queues, resource)]
    return [_area(_short(path, held + gpus) - _short(path, held)) for path in paths]


def _per_quantile(view: View, queues: Sequence[Queue], resource: str) -> list[list[Floats]]:
    by_queue = [_paths(view, Line(q.name, resource)) for q in queues]
    return [[paths[i] for paths in by_queue] for i in range(len(QUANTILES))]


def _price(state: ClusterState, workload: Workload) -> float:
    """USD per GPU-hour where the workload runs, reserved or not: in its flavor's pools, else its accelerator's."""
    pools = [p for p in state.pools if workload.flavor and workload.flavor in p.flavors]
    pools = pools or list(state.pools_of(workload.accelerator.resource))
    return sum(p.price_usd_per_gpu_hour for p in pools) / len(pools) if pools else 0.0


def _paths(view: View, line: Line) -> list[Floats]:
    """Three (N,) paths of demand; flat zero where the line is not forecast, so that nothing is claimed for it."""
    if line not in view.forecast.lines:
        return [np.zeros_like(GRID_HOURS) for _ in QUANTILES]
    return [on_grid(view.forecast, line, quantile, GRID_HOURS) for quantile in QUANTILES]


def _short(demand: Floats, supply: Floats) -> Floats:
    return np.maximum(0.0, demand - supply)


def _area(path: Floats) -> float:
    return float(np.trapezoid(path, GRID_HOURS))
