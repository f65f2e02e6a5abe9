"""What a plan for the hours ahead has to know of a view: steps, courses of demand, and what pools offer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

import numpy as np

from agents.asked import asked
from agents.once import once
from agents.paths import hours, in_hours, places
from agents.pilots.growth import Room
from agents.pilots.kinds import Kind
from agents.pilots.past import latest_demand
from agents.pilots.prices import waiting_price
from agents.pilots.purchases import Offer, Purchases, cheapest
from agents.supply import admissible_gpus, admissible_pending, removable_gpus, room_gpus, served_by_any
from forecasting.once import for_reading
from gyropilot.domain import ALL_QUEUES, ClusterState, DemandForecast, Floats, Line, Market, Pool, Queue, View

FIRST_STEP_HOURS = 1 / 12
GROWTH = 1.35
"""Of a step to the next: from five minutes to an hour over four hours, in fifteen steps."""


@dataclass(frozen=True, eq=False, slots=True)
class Outlook:
    """On the pools of one kind."""

    pools: tuple[Pool, ...]
    edges_hours: Floats  # (T + 1,) of steps, from now
    demand: Floats  # (K, T) GPUs on equally likely courses
    waiting_usd: float  # per GPU-hour
    offers: tuple[Offer, ...]  # of the pools

    def plan(self) -> Purchases | None:
        return cheapest(self.offers, self.demand, self.waiting_usd, self.edges_hours)

    def demand_after(self, lead_time: timedelta) -> tuple[float, float]:
        """The least and the largest demand in the step that begins a lead time from now."""
        step = np.searchsorted(self.edges_hours, hours(lead_time) - 1e-9)
        there = self.demand[:, min(int(step), self.demand.shape[1] - 1)]
        return float(there.min()), float(there.max())


def outlook(view: View, kind: Kind, resource: str, levels: Floats, horizon: timedelta, start_up: timedelta) -> Outlook:
    """From now until the horizon after the kind's longest lead time; the resource's total must be forecast."""
    edges, middles = _steps(tuple([p.lead_time for p in kind.pools]), horizon)
    demand = _of_kind(view.state, kind, resource, courses(view, resource, levels, middles))
    room = Room.of(view.state, kind.growable, view.state.queues)
    growing = {p.name: room.gpus(p.name) for p in kind.growable}
    offers = tuple(offer(p, start_up, growing.get(p.name, 0.0)) for p in kind.pools)
    waiting_usd = waiting_price(served_by_any(view.state, kind.pools), resource)
    return Outlook(kind.pools, edges, demand, waiting_usd, offers)


@lru_cache(maxsize=64)
def _steps(leads: tuple[timedelta, ...], horizon: timedelta) -> tuple[Floats, Floats]:
    """Edges and middles: the same at every look, as long as pools keep their lead times."""
    edges = edges_hours([hours(lead) for lead in leads], hours(horizon))
    return for_reading((edges, (edges[:-1] + edges[1:]) / 2))


@lru_cache(maxsize=64)
def levels(quantile: float, count: int) -> Floats:
    """So many quantiles: evenly spread about the median, or as much above or below as `quantile` is."""
    even = (np.arange(count) + 0.5) / count
    raised: Floats = even ** (math.log(quantile) / math.log(0.5))
    return for_reading(raised)


def edges_hours(leads_hours: Sequence[float], horizon_hours: float) -> Floats:
    """Edges of steps that grow; what is bought now, or a step from now, comes at one of them."""
    last = max(leads_hours, default=0.0) + horizon_hours
    edges, step = [0.0], FIRST_STEP_HOURS
    while edges[-1] < last:
        edges.append(edges[-1] + step)
        step *= GROWTH
    exact = [lead + later for lead in leads_hours for later in (0.0, FIRST_STEP_HOURS)]
    return _apart(np.array([*(e for e in edges if e < last), *exact, last]))


def _apart(edges: Floats) -> Floats:
    """In order, without those that are less than a second after another."""
    ordered = np.unique(edges)
    kept: Floats = ordered[np.concatenate([[True], np.diff(ordered) > 1 / 3_600])]
    return kept


def courses(view: View, resource: str, levels: Floats, at_hours: Floats) -> Floats:
    """(K, N) GPUs that all queues want on each course at each time from now on, from what they want now.

    What has come or gone since the forecast was made is taken to stay.
    """
    from agents.pilots.compiled import courses as loops

    forecast, state = view.forecast, view.state
    come = _come_since(state, resource, forecast.made_at)
    foretold = _at_levels(forecast, resource, tuple(levels.tolist()))
    age_hours = max(0.0, hours(state.seen_at - forecast.made_at))
    now = asked(state, resource).demand
    return loops.courses(now, come, foretold, in_hours(forecast.horizons), age_hours, at_hours)


def _of_kind(state: ClusterState, kind: Kind, resource: str, demand: Floats) -> Floats:
    """(K, N) GPUs of what all queues want that a kind's pools are to have: what may run there, and what is stranded."""
    from agents.pilots.compiled import courses as loops

    now, admitted = asked(state, resource), max(0.0, admissible_gpus(state, resource))
    stranded = stranded_gpus(state, kind, resource)
    return loops.servable(demand, now.stopped_running, now.stopped_pending, admitted, kind.share, stranded)


@once
def _at_levels(forecast: DemandForecast, resource: str, levels: tuple[float, ...]) -> Floats:
    """(H, K) GPUs of all queues at some quantiles."""
    total = forecast.of(Line(ALL_QUEUES, resource))
    return places(forecast.quantiles, levels).read(total.T).T


def _come_since(state: ClusterState, resource: str, moment: datetime) -> float:
    """GPUs by which demand has changed since then, of one source: the history; none where it does not tell."""
    times = state.history.times
    # Whole seconds, as times are: for a fraction numpy would copy them all.
    back = len(times) - int(times.searchsorted(math.floor(moment.timestamp()), side="right")) + 1
    if not 0 < back <= len(times):
        return 0.0
    seen = latest_demand(state.history, resource, back)
    change = float(seen[-1] - seen[0])
    return change if math.isfinite(change) else 0.0


def stranded_gpus(state: ClusterState, kind: Kind, resource: str) -> float:
    """Idle GPUs that are of no use to what waits: those beside the pool in which a gang could gather the most.

    A gang that is larger than what is idle in any pool waits for nodes however much is idle in all.
    """
    if not asked(state, resource).pending:
        return 0.0
    gang = _gang(state, kind, resource)
    pools = kind.growable
    idle = [max(0.0, p.idle_gpus) for p in pools]
    homes = [gpus for p, gpus in zip(pools, idle, strict=True) if gpus + p.coming_gpus + room_gpus(p) >= gang]
    return sum(idle) - max(homes) if homes and gang > max(idle) else 0.0


def _gang(state: ClusterState, kind: Kind, resource: str) -> float:
    """GPUs of the largest gang that waits and may run here; a queue that tells none may have all in one.

    What came since the step of the history before the last may still be admitted, so only what waited then counts.
    """
    admitted = admissible_pending(state, resource)
    mine = [q for q in served_by_any(state, kind.growable) if q.active]
    told = [(q.largest_pending_gpus[resource], admitted[q.name]) for q in mine if resource in q.largest_pending_gpus]
    # One that is larger than what quotas admit does not run, whatever there is.
    largest = max((gang for gang, gpus in told if gang <= gpus), default=0.0)
    untold = [q for q in mine if resource not in q.largest_pending_gpus and admitted[q.name] > 0]
    waited = _waited(state, untold, resource) if untold else {}
    return max(largest, kind.share * max((min(admitted[name], gpus) for name, gpus in waited.items()), default=0.0))


def _waited(state: ClusterState, queues: Sequence[Queue], resource: str) -> dict[str, float]:
    """GPUs for which work of some queues waited at the step of the history before the last."""
    history, lines = state.history, {Line(q.name, resource) for q in queues}
    if len(history.times) < 2:
        return {}
    waited = zip(history.lines, history.pending[:, -2].tolist(), strict=True)
    return {line.queue: gpus for line, gpus in waited if line in lines and not math.isnan(gpus)}


def offer(pool: Pool, start_up: timedelta, growth: float) -> Offer:
    """What a pool has and may be asked for. Reserved nodes stay: they are paid for either way."""
    there, coming, price = pool.gpus, pool.coming_gpus, pool.running_price_usd_per_gpu_hour
    return Offer(
        there=there,
        coming=coming,
        most=there + coming + growth,
        removable=0.0 if pool.market is Market.RESERVED else removable_gpus(pool),
        lead_hours=hours(pool.lead_time),
        price_usd_per_hour=price,
        start_up_usd=price * hours(start_up),
    )
