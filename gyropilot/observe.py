"""Joins what Prometheus and the Kubernetes API told into one picture, or refuses with the sentence why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gyropilot.domain import ClusterState, DemandHistory, Line, Pool, Queue
from gyropilot.errors import ObservationError
from gyropilot.kubernetes.inventory import Inventory
from gyropilot.prometheus.metrics import Metrics
from gyropilot.prometheus.queries import KUEUE_FIX, POD_LABEL_FIX
from gyropilot.settings import Settings

# Below this many GPUs the two sources differ by scrape delay alone.
_NOTABLE_GPUS = 8.0

GONE_AFTER = timedelta(hours=1)
"""A line that was not seen for longer while others were, belongs to a queue that exists no more."""

_SAID_GONE = 10
"""Queues that are named as gone, at most: jobs with queues of their own leave hundreds behind."""


@dataclass(frozen=True, slots=True)
class Observer:
    """Observes: a reading of each source, joined."""

    metrics: Callable[[datetime], Metrics]
    inventory: Callable[[datetime], Inventory]
    settings: Settings

    def __call__(self, now: datetime) -> ClusterState:
        """What is seen at `now`. Raises ObservationError, PrometheusError, KubernetesError."""
        inventory = self.inventory(now)
        return join(self.metrics(now), inventory, self.settings, now)


def join(metrics: Metrics, inventory: Inventory, settings: Settings, now: datetime) -> ClusterState:
    """One frozen picture. Raises ObservationError when it is stale, partial or contradicts itself."""
    _refuse_stale(metrics, settings.prometheus.max_age)
    _refuse_partial(inventory)
    _refuse_contradiction(metrics, inventory)
    if unseen := tuple(_unseen(metrics, inventory)):
        metrics = _with_suspended(metrics, inventory.queues)
    return ClusterState(
        seen_at=now,
        pools=inventory.pools,
        queues=tuple(_measured(queue, metrics) for queue in inventory.queues),
        workloads=inventory.workloads,
        history=_history(metrics, inventory.queues),
        freshness={"prometheus": metrics.age, "kubernetes": max(timedelta(0), now - inventory.seen_at)},
        inference_waiting=metrics.inference_waiting,
        notes=(*inventory.notes, *metrics.notes, *unseen, *_differences(metrics, inventory)),
        gone=_gone(metrics.history, inventory.queues),
    )


class SeenDemand(NamedTuple):
    """What Prometheus alone tells of demand."""

    history: DemandHistory  # of lines that go on
    gone: DemandHistory  # of lines that do not
    notes: tuple[str, ...]  # what is left out, and since when it was not seen


def demand_seen(metrics: Metrics, settings: Settings) -> SeenDemand:
    """Demand of every queue that Prometheus still sees, and of those that are gone. Raises ObservationError when stale.

    For whoever asks Prometheus alone; `join` knows which queues exist.
    """
    _refuse_stale(metrics, settings.prometheus.max_age)
    names = {line.queue for line in (*metrics.history.lines, *metrics.newest)}
    whole = _history(metrics, [Queue(name) for name in names])
    vanished = _vanished(whole)
    return SeenDemand(*_apart_by(whole, vanished), _left_out(whole, vanished))


def going_on(history: DemandHistory) -> tuple[DemandHistory, DemandHistory]:
    """The lines that go on, and those that do not, as far as can be told from readings alone."""
    return _apart_by(history, _vanished(history))


def _refuse_stale(metrics: Metrics, max_age: timedelta) -> None:
    if metrics.age > max_age:
        raise ObservationError(
            f"the newest demand reading in Prometheus is {_minutes(metrics.age)} old, {_minutes(max_age)} are allowed; "
            "check that Prometheus scrapes its targets, or raise prometheus.max_age"
        )


def _refuse_partial(inventory: Inventory) -> None:
    if not inventory.queues and not inventory.pools:
        raise ObservationError(
            "the Kubernetes API shows neither accelerator nodes nor queues; check that the kubeconfig names the GPU "
            "cluster and that nodes offer an accelerator resource such as nvidia.com/gpu"
        )
    if not inventory.queues:
        raise ObservationError(
            "the Kubernetes API shows no queues; install Kueue and create ClusterQueues, or set kubernetes.queue_label "
            "to the pod label that names the team"
        )


def _refuse_contradiction(metrics: Metrics, inventory: Inventory) -> None:
    told = {line.queue for line in metrics.history.lines} | {line.queue for line in metrics.newest}
    known = {queue.name for queue in inventory.queues}
    if told and known and not told & known:
        unlabelled = f"; where pods lack their queue's label in Prometheus, {POD_LABEL_FIX}"
        raise ObservationError(
            f"Prometheus and the Kubernetes API speak of different clusters: the queues {_some(told)} are only in "
            f"Prometheus, {_some(known)} only in Kubernetes; check prometheus.url and the kubeconfig's context"
            f"{unlabelled if metrics.source == 'pods' else ''}"
        )


def _unseen(metrics: Metrics, inventory: Inventory) -> Iterable[str]:
    """Says that Prometheus does not know what waits, where that is so: Kueue keeps it suspended, without pods."""
    if inventory.kueue and not metrics.suspended_seen:
        waiting = sum(sum(queue.pending_gpus.values()) for queue in inventory.queues)
        yield (
            "what Kueue keeps waiting is not in Prometheus: what waits now is taken from the Kubernetes API "
            f"({waiting:g} GPUs), but history shows only what ran, so forecasts are too low; {KUEUE_FIX}"
        )


def _with_suspended(metrics: Metrics, queues: Iterable[Queue]) -> Metrics:
    """The reading with what waits by the Kubernetes API, where that is more."""
    newest = dict(metrics.newest)
    for queue in queues:
        for resource, waiting in queue.pending_gpus.items():
            line = Line(queue.name, resource)
            running, pending = newest.get(line, (queue.running_gpus.get(resource, 0.0), 0.0))
            newest[line] = running, max(pending, waiting)
    return replace(metrics, newest=newest)


def _measured(queue: Queue, metrics: Metrics) -> Queue:
    """The queue with what Prometheus measured; its demand is what the forecast sees, so that both agree."""
    newest = {line.resource: pair for line, pair in metrics.newest.items() if line.queue == queue.name}
    return replace(
        queue,
        running_gpus={**queue.running_gpus, **{resource: running for resource, (running, _) in newest.items()}},
        pending_gpus={**queue.pending_gpus, **{resource: pending for resource, (_, pending) in newest.items()}},
        unplaced_gpus=_once(queue, {resource: running for resource, (running, _) in newest.items()}),
        utilisation=metrics.utilisation.get(queue.name, queue.utilisation),
        memory_share=metrics.memory_share.get(queue.name, queue.memory_share),
        watts=metrics.watts.get(queue.name, queue.watts),
    )


def _once(queue: Queue, running_gpus: Mapping[str, float]) -> Mapping[str, Mapping[str, float]]:
    """What finds no node, less what Prometheus counts as pending still: nobody buys for that twice."""
    left: dict[str, Mapping[str, float]] = {}
    for resource, unplaced in queue.unplaced_gpus.items():
        seen = queue.running_gpus.get(resource, 0.0)
        pending = max(0.0, seen - running_gpus.get(resource, seen))
        by_flavor = {}
        for flavor, gpus in unplaced.items():
            by_flavor[flavor] = max(0.0, gpus - pending)
            pending = max(0.0, pending - gpus)
        left[resource] = {flavor: gpus for flavor, gpus in by_flavor.items() if gpus}
    return left


def _history(metrics: Metrics, queues: Iterable[Queue]) -> DemandHistory:
    """History of the queues that exist now, its last column the newest reading; a queue never seen is all NaN."""
    seen = metrics.history
    names = {queue.name for queue in queues}
    lines = tuple(sorted({line for line in (*seen.lines, *metrics.newest, *_lines(queues)) if line.queue in names}))
    times = seen.times
    running, pending = (_rows(rows, seen.lines, lines, len(times)) for rows in (seen.running, seen.pending))
    if len(times):
        for row, line in enumerate(lines):
            if line in metrics.newest:
                running[row, -1], pending[row, -1] = metrics.newest[line]
    return DemandHistory(lines, times, running, pending)


def _gone(seen: DemandHistory, queues: Iterable[Queue]) -> DemandHistory:
    """History of the queues that exist no more."""
    names = {queue.name for queue in queues}
    return _some_lines(seen, np.flatnonzero([line.queue not in names for line in seen.lines]))


def _vanished(history: DemandHistory) -> NDArray[np.bool_]:
    """(L,) lines that were seen once, and then not for over an hour in which others were: what none shows is a gap."""
    seen = np.isfinite(history.demand)
    steps = np.cumsum(seen.any(axis=0))
    last = np.where(seen, steps, 0).max(axis=1, initial=0)
    patience = max(1, GONE_AFTER // history.step)
    gone: NDArray[np.bool_] = (last > 0) & (steps[-1:].max(initial=0) - last > patience)
    return gone


def _apart_by(history: DemandHistory, vanished: NDArray[np.bool_]) -> tuple[DemandHistory, DemandHistory]:
    if not vanished.any():
        return history, _some_lines(history, np.flatnonzero(vanished))
    return _some_lines(history, np.flatnonzero(~vanished)), _some_lines(history, np.flatnonzero(vanished))


def _left_out(history: DemandHistory, vanished: NDArray[np.bool_]) -> tuple[str, ...]:
    """Queue deleted was not seen since 2026-03-01 09:00 UTC: left out; the latest first."""
    last = {
        history.lines[row]: int(history.times[np.flatnonzero(np.isfinite(history.demand[row]))[-1]])
        for row in np.flatnonzero(vanished)
    }
    told = sorted(last, key=lambda line: (-last[line], line))
    more = (f"{len(told) - _SAID_GONE} more queues were not seen for longer: left out",) * (len(told) > _SAID_GONE)
    return (
        *(
            f"queue {line.queue} ({line.resource}) was not seen since "
            f"{datetime.fromtimestamp(last[line], UTC):%Y-%m-%d %H:%M} UTC: left out"
            for line in told[:_SAID_GONE]
        ),
        *more,
    )


def _some_lines(history: DemandHistory, rows: NDArray[np.int64]) -> DemandHistory:
    return DemandHistory(
        tuple(history.lines[row] for row in rows), history.times, history.running[rows], history.pending[rows]
    )


def _lines(queues: Iterable[Queue]) -> Iterable[Line]:
    for queue in queues:
        yield from (Line(queue.name, quota.accelerator.resource) for quota in queue.quotas)
        yield from (Line(queue.name, resource) for resource in (*queue.running_gpus, *queue.pending_gpus))


def _rows(
    values: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    have: tuple[Line, ...],
    want: tuple[Line, ...],
    width: int,
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    at = {line: row for row, line in enumerate(have)}
    table = np.full((len(want), width), np.nan)
    for row, line in enumerate(want):
        if line in at:
            table[row] = values[at[line]]
    return table


def _differences(metrics: Metrics, inventory: Inventory) -> Iterable[str]:
    """Where the two sources differ by more than scrape delay explains: said, not hidden."""
    for queue in inventory.queues:
        for resource, seen in queue.running_gpus.items():
            told = metrics.newest.get(Line(queue.name, resource), (seen, 0.0))[0]
            if _apart(told, seen):
                yield (
                    f"queue {queue.name} runs {told:g} GPUs by Prometheus and {seen:g} by the Kubernetes API; "
                    "Prometheus is believed, because the forecast is made from it"
                )
    gone = {line.queue for line in metrics.newest} - {queue.name for queue in inventory.queues}
    if gone:
        yield f"{_some(gone)} in Prometheus and not in Kubernetes (deleted or renamed): left out"
    yield from _other_quotas(metrics, inventory.queues)
    yield from _other_pools(metrics, inventory.pools)
    yield from _lone_pools(metrics, inventory.pools)


def _other_quotas(metrics: Metrics, queues: Iterable[Queue]) -> Iterable[str]:
    for queue in queues:
        for resource in sorted({quota.accelerator.resource for quota in queue.quotas}):
            seen = queue.nominal_gpus(resource)
            told = metrics.quota_gpus.get(Line(queue.name, resource), seen)
            if _apart(told, seen):
                yield (
                    f"queue {queue.name} has a quota of {told:g} GPUs by Prometheus and {seen:g} by the Kubernetes "
                    "API, which is believed"
                )


def _other_pools(metrics: Metrics, pools: Iterable[Pool]) -> Iterable[str]:
    for pool in pools:
        told = metrics.pool_gpus.get(pool.name, pool.gpus)
        told_idle = metrics.pool_idle_gpus.get(pool.name, pool.idle_gpus)
        if _apart(told, pool.gpus) or _apart(told_idle, pool.idle_gpus):
            yield (
                f"pool {pool.name} has {told:g} GPUs on {metrics.pool_nodes.get(pool.name, 0.0):g} ready nodes, "
                f"{told_idle:g} of them idle, by Prometheus and {pool.gpus} on {pool.ready_nodes}, {pool.idle_gpus:g} "
                "idle, by the Kubernetes API, which is believed"
            )


def _lone_pools(metrics: Metrics, pools: Iterable[Pool]) -> Iterable[str]:
    """Said, not refused: kube-state-metrics exports only some labels, so that one pool may have two names."""
    seen: dict[str, float] = {}
    for pool in pools:
        name = pool.name.split(":", maxsplit=1)[0]  # parts of a pool that offers several resources
        seen[name] = seen.get(name, 0.0) + pool.gpus
    told = metrics.pool_gpus
    for here, there, where in ((told, seen, "Prometheus"), (seen, told, "the Kubernetes API")):
        lone = {name for name, gpus in here.items() if name not in there and gpus >= _NOTABLE_GPUS}
        if lone and there:
            yield (
                f"GPUs of pool {_some(lone)} are seen only by {where}: check that kube-state-metrics exports the label "
                "that names the pool of a node, and that prometheus.url and prometheus.labels name this cluster"
            )


def _apart(told: float, seen: float) -> bool:
    return abs(told - seen) > max(_NOTABLE_GPUS, 0.25 * max(told, seen))


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:3]) + (f" and {len(ordered) - 3} more" if len(ordered) > 3 else "")


def _minutes(age: timedelta) -> str:
    return f"{age / timedelta(minutes=1):.1f} min"
