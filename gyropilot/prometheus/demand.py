"""GPU demand per queue: from Kueue's own gauges where they are there, else from pods.

What an absent number means differs. Kueue says 0 for every queue and resource that it knows, so absence there is
"not seen". Pods that do not exist have no series, so while kube-state-metrics is scraped at all, absence there is 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gyropilot.domain import DemandHistory, Floats, Line
from gyropilot.prometheus.queries import KUEUE_PENDING, KUEUE_RUNNING, POD_REQUESTS, Queries, raw_resource
from gyropilot.prometheus.series import Key, Labels, Table

Ask = Callable[[str, Callable[[Labels], Key]], Table]  # PromQL and what names a row, to rows


@dataclass(frozen=True, slots=True)
class Source:
    """Where demand is read from."""

    name: str  # as in Metrics.source
    running: str  # PromQL
    pending: str  # PromQL
    sampled: str  # PromQL of series whose sample times tell how old the picture is
    alive: str  # PromQL: where it answers, absent demand is 0; empty: absent demand is not seen
    row: Callable[[Labels], Key]  # (queue, flavor, resource): series of one row are replicas, rows of a line add up
    note: str = ""  # to be said wherever it is used


def kueue(queries: Queries) -> Source:
    """Admitted and waiting GPUs as Kueue counts them, suspended jobs and gangs included."""
    running = queries.kueue_running_gpus()
    return Source("kueue", running, queries.kueue_pending_gpus(), running, "", _kueue_row)


def pods(queries: Queries) -> Source:
    """GPUs that pods hold and wait for."""
    return Source(
        "pods",
        queries.pod_running_gpus(),
        queries.pod_pending_gpus(),
        queries.pods_running(),
        queries.pods_seen(),
        _pod_row,
        f"demand is read from pods ({POD_REQUESTS}), because {KUEUE_RUNNING} is not in Prometheus",
    )


def _kueue_row(labels: Labels) -> Key:
    return labels.get("cluster_queue", ""), labels.get("flavor", ""), labels.get("resource", "")


def _pod_row(labels: Labels) -> Key:
    return labels.get("queue", ""), "", raw_resource(labels.get("resource", ""))


@dataclass(frozen=True, eq=False)
class Demand:
    """What was seen of it, and what has to be said about it."""

    history: DemandHistory
    seen: bool  # False: this source has never told anything
    suspended_seen: bool  # as in Metrics
    notes: tuple[str, ...] = ()


def read_demand(source: Source, ask: Ask) -> Demand:
    """Running and pending GPUs per line, NaN where not seen."""
    first = ask(source.running, source.row)
    times = first.grid.times
    running, pending = by_line(first), by_line(ask(source.pending, source.row))
    lines = tuple(sorted({*running, *pending}))
    running_rows, pending_rows = _stacked(running, lines, len(times)), _stacked(pending, lines, len(times))
    if source.alive:
        alive = seen_at_all(ask(source.alive, lambda labels: ()))
        for rows in (running_rows, pending_rows):
            rows[np.isnan(rows) & alive] = 0.0
        history = DemandHistory(lines, times, running_rows, pending_rows)
        return Demand(history, bool(alive.any()), False, (source.note,))
    notes = _complete(running_rows, pending_rows)
    return Demand(DemandHistory(lines, times, running_rows, pending_rows), bool(lines), bool(pending), notes)


def by_line(table: Table) -> dict[Line, Floats]:
    """(T,) per line: the sum of its rows that were seen, NaN where none was."""
    values = table.values
    values[~np.isfinite(values)] = np.nan
    found: dict[Line, list[int]] = {}
    for (queue, _, resource), row in table.keys.items():
        found.setdefault(Line(queue, resource), []).append(row)
    return {line: values[rows[0]] if len(rows) == 1 else _sum_seen(values[rows]) for line, rows in found.items()}


def seen_at_all(table: Table) -> NDArray[np.bool_]:
    """(T,) where anything was seen."""
    return np.asarray(np.isfinite(table.values).any(axis=0))


def _complete(running: Floats, pending: Floats) -> tuple[str, ...]:
    """Fill in the zeros that follow from what else was seen, in place; what could not be seen is said."""
    runs, waits = ~np.isnan(running), ~np.isnan(pending)
    if not waits.any():
        pending[runs] = 0.0
        return (f"{KUEUE_PENDING} is not in Prometheus (Kueue 0.18 or newer has it): pending GPUs count as 0",)
    running[waits & ~runs & runs.any(axis=0)] = 0.0
    pending[runs & ~waits & waits.any(axis=0)] = 0.0
    return ()


def _sum_seen(rows: Floats) -> Floats:
    total: Floats = np.nansum(rows, axis=0)
    total[np.isnan(rows).all(axis=0)] = np.nan
    return total


def _stacked(rows: dict[Line, Floats], lines: tuple[Line, ...], width: int) -> Floats:
    table = np.full((len(lines), width), np.nan)
    for at, line in enumerate(lines):
        if line in rows:
            table[at] = rows[line]
    return table
