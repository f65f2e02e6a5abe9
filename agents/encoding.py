"""What a learned pilot looks at: a row of numbers for each pool that it may steer.

A row tells of its pool, of all work that asks for the pool's resource, and of what a base pilot would do. GPUs are told
as shares of the mean demand of the last day, so that a policy means the same on a larger cluster. Other pools are told
of in sums only: a row does not depend on how many there are, or on their order.

The clock is left out: what the hour and the weekday mean, the forecast says, and it knows the cluster's own rhythm.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from agents.paths import hours
from agents.pilots.capacity import pool_quantile
from agents.pilots.placing import total_supply
from agents.supply import room_gpus, supply_gpus
from gyropilot.domain import ALL_QUEUES, ClusterState, DemandForecast, Floats, Intent, Line, Market, Pool, View

VERSION = 1
"""Of this page. A network is only good for the encoding that it was trained on."""

FACTORS = (0.5, 0.65, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0)
"""Of what a base pilot wants of a pool; the one in the middle changes nothing."""

UNMOVED = FACTORS.index(1.0)

MOST = 8.0
"""No number in a row is larger: eight times a day's mean demand is as hopeless as any."""

AHEAD_H = (0.25, 1.0, 3.0, 6.0)
QUANTILES = (0.1, 0.5, 0.9)
BACK = tuple(timedelta(hours=h) for h in (0.25, 1, 6))
DAY = timedelta(days=1)

FEATURES = (
    *("ready", "coming", "idle", "wanted", "change", "room", "node", "quantile", "lead_h", "spot"),
    *("running", "pending", "others", "others_idle", "queues_waiting", "largest_pending", "largest_share"),
    *(f"mean_of_{hours(back):g}h" for back in BACK),
    *(f"p{quantile * 100:g}_in_{ahead:g}h" for quantile in QUANTILES for ahead in AHEAD_H),
)
"""The columns of a row."""

Rows = NDArray[np.float32]


@dataclass(frozen=True, eq=False, slots=True)
class Encoded:
    """Rows of the pools that may be steered."""

    pools: tuple[str, ...]
    rows: Rows  # (P, F) along FEATURES, from -MOST to MOST


def encode(view: View, wanted: Intent) -> Encoded:
    """What is seen, beside what a base pilot wants."""
    pools = list(steerable(view))
    work = {resource: _Work.of(view, resource) for resource in {p.accelerator.resource for p in pools}}
    rows = [_row(view.state, pool, wanted, work[pool.accelerator.resource]) for pool in pools]
    table = np.array(rows, dtype=np.float32).reshape(len(pools), len(FEATURES))
    return Encoded(tuple(pool.name for pool in pools), np.clip(table, -MOST, MOST))


def steerable(view: View) -> Iterator[Pool]:
    """Pools whose size costs money and can be turned, and of whose demand the past and a forecast are known."""
    seen = {line.resource for line in view.state.history.lines} if len(view.state.history.times) else set()
    for pool in view.state.pools:
        resource = pool.accelerator.resource
        turned = pool.dial is not None and pool.gpus_per_node > 0 and pool.market is not Market.RESERVED
        if turned and resource in seen and Line(ALL_QUEUES, resource) in view.forecast.lines:
            yield pool


@dataclass(frozen=True, eq=False, slots=True)
class _Work:
    """What asks for a resource: the same for all of its pools."""

    unit: float  # GPUs that count as one
    numbers: Floats  # running, pending, queues and what was and will be

    @classmethod
    def of(cls, view: View, resource: str) -> _Work:
        demand = _day(view.state, resource)
        step = view.state.history.step
        unit = max(1.0, float(demand.mean()), *(float(p.gpus_per_node) for p in view.state.pools_of(resource)))
        recent = [demand[-max(1, back // step) :].mean() for back in BACK]
        ahead = _foreseen(view.forecast, Line(ALL_QUEUES, resource))
        gpus = np.concatenate([recent, ahead]) / unit
        return cls(unit, np.concatenate([_queues(view.state, resource, unit), gpus]))


def _row(state: ClusterState, pool: Pool, wanted: Intent, work: _Work) -> Floats:
    supply, change = supply_gpus(pool), wanted.pool_gpus.get(pool.name, 0)
    gpus = (pool.gpus, supply - pool.gpus, pool.idle_gpus, supply + change, change, room_gpus(pool), pool.gpus_per_node)
    own = np.minimum(np.array(gpus) / work.unit, MOST)
    terms = (pool_quantile(state, pool), hours(pool.lead_time), float(pool.market is Market.SPOT))
    peers = [p for p in state.pools_of(pool.accelerator.resource) if p is not pool]
    others = np.array([total_supply(peers), sum(p.idle_gpus for p in peers)]) / work.unit
    return np.concatenate([own, terms, work.numbers[:2], others, work.numbers[2:]])


def _queues(state: ClusterState, resource: str, unit: float) -> Floats:
    """Running and pending in all, how many queues wait, the largest backlog, and the largest queue's share."""
    running = np.array([q.running_gpus.get(resource, 0.0) for q in state.queues] or [0.0])
    pending = np.array([q.pending_gpus.get(resource, 0.0) for q in state.queues] or [0.0])
    demand = running + pending
    share = demand.max() / max(1.0, demand.sum())
    backlog = np.log1p(np.array([pending.sum(), pending.max()]) / unit)
    return np.array([running.sum() / unit, backlog[0], np.log1p((pending > 0).sum()), backlog[1], share])


def _day(state: ClusterState, resource: str) -> Floats:
    """(T,) GPUs of all queues over the last day; what was not seen of a queue counts as nothing."""
    history = state.history
    rows = [i for i, line in enumerate(history.lines) if line.resource == resource and line.queue != ALL_QUEUES]
    total: Floats = np.nan_to_num(history.demand[rows, -max(1, DAY // history.step) :]).sum(axis=0)
    return total


def _foreseen(forecast: DemandForecast, line: Line) -> Floats:
    """(QUANTILES x AHEAD_H,) GPUs, linear between what is forecast and held at the ends."""
    table, count = forecast.of(line), len(forecast.quantiles)
    place = np.interp(QUANTILES, forecast.quantiles, np.arange(count))
    below = np.minimum(place.astype(np.int64), max(0, count - 2))
    above = np.minimum(below + 1, count - 1)
    paths = table[:, below] * (1 - place + below) + table[:, above] * (place - below)
    horizons = [hours(h) for h in forecast.horizons]
    return np.concatenate([np.interp(AHEAD_H, horizons, path) for path in paths.T])
