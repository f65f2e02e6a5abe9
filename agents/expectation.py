"""What is expected to come of an action over the next 24 hours, from the forecast.

Each figure is computed along three paths of demand, the forecast's 10 %, 50 % and 90 % quantile, linear
between horizons and held after the last, on a grid of five minutes. The three results make the `Interval`:
as if demand stayed on one quantile all day, so the interval is wide on purpose.

What waits. Work waits for nodes or for quota, whichever is short of more: W = max(D − C, Q, 0), where D is the demand
of all queues for a resource, C the supply, and Q what quotas do not admit: of each queue what lies above its quota and
its borrowing limit, of each cohort what lies above the quotas of all. An action changes waiting by the change of ∫ W,
so that neither a node for work without quota spares waiting, nor quota for work without a node, nor both it twice.

Pools. C holds coming GPUs from each pool's lead time on; growth counts from the lead time on, removal at once. What
waits less is served by the pool: those GPU-hours draw its busy watts, the rest of the changed GPU-hours its idle watts.
Money is price × GPU-hours changed, counted from the asking, as clouds bill; reserved GPUs cost nothing more.
A limit buys nothing by itself, and a lower one removes nothing: only the GPU-hours are counted that demand fills
beyond what the old limit allowed, or would have filled beyond what the new one does.

Quotas. No GPU is bought.

Workloads. A pause throws away the work since the last checkpoint and the restart, priced as the GPU-hours
that do it again. Waiting falls for the queues of the cohort that wait within their quota, as far as pools that grow
do not serve them already, and rises for the queue that is paused; the figure is the sum of both.

Actions of one plan are judged in their order, each as if those before it were taken, whichever agents want them;
what is held back is judged as if all that is approved were taken. So the figures of a plan may be added up. The ends
of a sum are what follows if all its figures are low, or high, together: they are not quantiles of the sum.

`Effect.usd` is money for GPUs and for work lost. What waiting costs is not in it: the report prices that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import numpy as np

from agents.borrowing import waits_for_its_own
from agents.paths import hours, on_grid
from agents.supply import cohorts, quota_gpus
from gyropilot.domain import (
    ALL_QUEUES,
    Action,
    ClusterState,
    DemandForecast,
    Dial,
    Effect,
    Floats,
    Interval,
    Line,
    Pool,
    Queue,
    Verdict,
    View,
    Workload,
)

OVER = timedelta(hours=24)
GRID_HOURS: Floats = np.linspace(0.0, hours(OVER), int(OVER / timedelta(minutes=5)) + 1)
NONE: Floats = np.zeros_like(GRID_HOURS)
QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True, slots=True)
class Outlook:
    """The view, and the paths of demand, each read from the forecast once."""

    view: View
    known: dict[Line, list[Floats]] = field(default_factory=dict)

    @property
    def state(self) -> ClusterState:
        return self.view.state

    def paths(self, line: Line) -> list[Floats]:
        """Three (N,) paths of demand; flat zero where the line is not forecast, so that nothing is claimed for it."""
        if line not in self.known:
            self.known[line] = _paths(self.view.forecast, line)
        return self.known[line]


def with_effects(view: View, actions: Iterable[Action]) -> list[Action]:
    """The actions with what is expected to come of each, after those before it."""
    told: list[Action] = []
    _tell(Outlook(view), actions, told)
    return told


def with_joint_effects(view: View, verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """The verdicts with what is expected of each action: approved ones in order, then those held back, on top."""
    outlook, told = Outlook(view), list[Action]()
    of = {
        approved: iter(_tell(outlook, [v.action for v in verdicts if v.approved is approved], told))
        for approved in (True, False)
    }
    return tuple(replace(verdict, action=next(of[verdict.approved])) for verdict in verdicts)


def expected_effect(view: View, action: Action, taken: Sequence[Action] = ()) -> Effect:
    """What the action is expected to change over the next 24 hours, after those taken; negative is saved.

    Nothing where its subject is not in the view.
    """
    return _effect(Outlook(view), action, taken)


def _tell(outlook: Outlook, actions: Iterable[Action], told: list[Action]) -> list[Action]:
    """The actions with their effects after those told before, which they join."""
    before = len(told)
    for action in actions:
        told.append(replace(action, expected=_effect(outlook, action, told)))
    return told[before:]


def _effect(view: Outlook, action: Action, taken: Sequence[Action]) -> Effect:
    state = view.state
    if action.dial in (Dial.POOL_SIZE, Dial.POOL_LIMIT):
        pool = next((p for p in state.pools if p.dial_target == action.target), None)
        return _pool_effect(view, pool, action, taken) if pool else Effect()
    queue = next((q for q in state.queues if q.name == action.queue), None)
    if action.dial is Dial.QUEUE_QUOTA:
        return _quota_effect(view, action, taken) if queue else Effect()
    workload = next((w for w in state.workloads if w.dial_target == action.target), None)
    if not queue or not workload or action.delta >= 0:
        return Effect()
    return _pause_effect(view, queue, workload, taken)


def _pool_effect(view: Outlook, pool: Pool, action: Action, taken: Sequence[Action]) -> Effect:
    only_allows = action.dial is Dial.POOL_LIMIT
    before = _supply(view.state, pool.accelerator.resource, taken)
    before += _later(pool, _room(pool, action.before) if only_allows else 0)
    change = _turned(pool, action)
    line = Line(ALL_QUEUES, pool.accelerator.resource)
    limited = _not_admitted(view, line.resource, taken)
    waiting = [
        _area(_waits(path, before + change, quota) - _waits(path, before, quota))
        for path, quota in zip(view.paths(line), limited, strict=True)
    ]
    bought = [0.0 - w if only_allows else action.gpus * hours(OVER) for w in waiting]
    busy_w, idle_w = pool.watts_busy_per_gpu, pool.watts_idle_per_gpu
    kwh = [(-w * busy_w + (b + w) * idle_w) / 1000 for w, b in zip(waiting, bought, strict=True)]
    return Effect(
        usd=Interval.of(b * pool.running_price_usd_per_gpu_hour for b in bought),
        waiting_gpu_hours=Interval.of(waiting),
        kwh=Interval.of(kwh),
        kg_co2=Interval.of(k * pool.carbon_g_per_kwh / 1000 for k in kwh),
        over=OVER,
    )


def _turned(pool: Pool, action: Action) -> Floats:
    """(N,) GPUs added or removed over time: removal at once, growth, and what a limit stops, after the lead time."""
    if action.dial is Dial.POOL_LIMIT:
        return _later(pool, _room(pool, action.after) - _room(pool, action.before))
    return _later(pool, action.gpus) if action.gpus > 0 else np.full_like(GRID_HOURS, action.gpus)


def _later(pool: Pool, gpus: int) -> Floats:
    """(N,) GPUs that are there after the lead time."""
    return np.where(hours(pool.lead_time) <= GRID_HOURS, float(gpus), 0.0)


def _room(pool: Pool, limit: int) -> int:
    """GPUs by which a pool may grow under a limit, which removes none that are there."""
    return max(0, limit - pool.nodes * pool.gpus_per_node)


def _supply(state: ClusterState, resource: str, taken: Sequence[Action]) -> Floats:
    """(N,) GPUs of a resource over time: ready ones, coming ones after their lead time, and what was turned."""
    supply = np.zeros_like(GRID_HOURS)
    for pool in state.pools_of(resource):
        supply += pool.gpus + _later(pool, pool.coming_gpus)
        supply += sum((_turned(pool, a) for a in taken if a.target == pool.dial_target), start=0.0)
    return supply


def _quota_effect(view: Outlook, action: Action, taken: Sequence[Action]) -> Effect:
    resource = action.resource
    supply = _supply(view.state, resource, taken)
    before = _not_admitted(view, resource, taken)
    after = _not_admitted(view, resource, [*taken, action])
    waiting = [
        _area(_waits(path, supply, then) - _waits(path, supply, now))
        for path, now, then in zip(view.paths(Line(ALL_QUEUES, resource)), before, after, strict=True)
    ]
    return Effect(waiting_gpu_hours=Interval.of(waiting), over=OVER)


def _not_admitted(view: Outlook, resource: str, taken: Sequence[Action]) -> list[Floats]:
    """Three (N,) paths of GPUs that quotas do not admit, whatever nodes there are."""
    total = [NONE for _ in QUANTILES]
    for group in cohorts(view.state):
        moved = {q.name: _moved(q, resource, taken) for q in group}
        most = quota_gpus(group, resource) + sum(moved.values())
        limits = [_most(q, resource) + moved[q.name] for q in group]
        for i, demands in enumerate(_per_quantile(view, group, resource)):
            above = sum((_short(d, limit) for d, limit in zip(demands, limits, strict=True)), start=NONE)
            total[i] = total[i] + np.maximum(above, _short(sum(demands, start=NONE), most))
    return total


def _moved(queue: Queue, resource: str, taken: Sequence[Action]) -> int:
    return sum(a.delta for a in taken if (a.dial, a.queue, a.resource) == (Dial.QUEUE_QUOTA, queue.name, resource))


def _most(queue: Queue, resource: str) -> float:
    """GPUs that a queue may run with all that it may borrow; infinite where no quota binds it."""
    quotas = [q for q in queue.quotas if q.accelerator.resource == resource]
    if not quotas or (queue.cohort and any(q.borrowing_limit_gpus is None for q in quotas)):
        return math.inf
    return float(sum(q.nominal_gpus + (q.borrowing_limit_gpus or 0 if queue.cohort else 0) for q in quotas))


def _pause_effect(view: Outlook, queue: Queue, workload: Workload, taken: Sequence[Action]) -> Effect:
    resource, mates = workload.accelerator.resource, _mates(view.state, queue)
    waiters = [q for q in mates if waits_for_its_own(q, resource)]
    grown = _supply(view.state, resource, taken) - _supply(view.state, resource, ())
    freed = _paused_gpus(taken, mates, resource) + np.maximum(0.0, grown)
    served = _waiting_change(view, waiters, resource, freed, workload.gpus)
    waits = _waiting_change(view, [queue], resource, -_paused_gpus(taken, [queue], resource), -workload.gpus)
    redo = workload.at_risk(view.state.seen_at) / timedelta(hours=1) * workload.gpus * _price(view.state, workload)
    return Effect(
        usd=Interval(redo, redo, redo),
        waiting_gpu_hours=Interval.of(s + w for s, w in zip(served, waits, strict=True)),
        lost_gpu_hours=workload.lost_gpu_hours(view.state.seen_at),
        over=OVER,
    )


def _mates(state: ClusterState, queue: Queue) -> Sequence[Queue]:
    return next((group for group in cohorts(state) if queue in group), (queue,))


def _paused_gpus(taken: Sequence[Action], queues: Sequence[Queue], resource: str) -> int:
    names = {q.name for q in queues}
    return sum(-a.gpus for a in taken if a.dial is Dial.WORKLOAD and a.resource == resource and a.queue in names)


def _waiting_change(
    view: Outlook, queues: Sequence[Queue], resource: str, before: Floats | int, more: int
) -> list[float]:
    """GPU-hours per quantile by which waiting changes if the queues get `more` GPUs than they run and got `before`."""
    running = sum(q.running_gpus.get(resource, 0.0) for q in queues)
    held = np.full_like(GRID_HOURS, running + before)
    paths = [sum(each, start=NONE) for each in _per_quantile(view, queues, resource)]
    return [_area(_short(path, held + more) - _short(path, held)) for path in paths]


def _per_quantile(view: Outlook, queues: Sequence[Queue], resource: str) -> list[list[Floats]]:
    by_queue = [view.paths(Line(q.name, resource)) for q in queues]
    return [[paths[i] for paths in by_queue] for i in range(len(QUANTILES))]


def _price(state: ClusterState, workload: Workload) -> float:
    """USD per GPU-hour where the workload runs, reserved or not: in its flavor's pools, else its accelerator's."""
    pools = [p for p in state.pools if workload.flavor and workload.flavor in p.flavors]
    pools = pools or list(state.pools_of(workload.accelerator.resource))
    return sum(p.price_usd_per_gpu_hour for p in pools) / len(pools) if pools else 0.0


def _paths(forecast: DemandForecast, line: Line) -> list[Floats]:
    if line not in forecast.lines:
        return [NONE for _ in QUANTILES]
    return [on_grid(forecast, line, quantile, GRID_HOURS) for quantile in QUANTILES]


def _waits(demand: Floats, supply: Floats, not_admitted: Floats) -> Floats:
    """GPUs that wait: for nodes or for quota, whichever is short of more."""
    return np.maximum(_short(demand, supply), not_admitted)


def _short(demand: Floats, supply: Floats | float) -> Floats:
    return np.maximum(0.0, demand - supply)


def _area(path: Floats) -> float:
    return float(np.trapezoid(path, GRID_HOURS))
