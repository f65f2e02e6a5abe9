"""Strict first come first served on equal nodes, event by event in plain Python: slow, obvious, and of no common origin
with `envs.compiled.fifo`."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

ENDS, SUBMITTED = 0, 1  # of what happens at one moment, ends come first


@dataclass(frozen=True)
class PlainJob:
    submit_s: float
    duration_s: float
    gpus: int


def start_times(jobs: Sequence[PlainJob], nodes: int, per_node: int) -> list[float]:
    """When each job starts; each must fit the empty cluster."""
    free = [per_node] * nodes
    starts = [float("nan")] * len(jobs)
    waiting: deque[int] = deque()
    events: list[tuple[float, int, int, dict[int, int]]] = [
        (job.submit_s, SUBMITTED, nth, {}) for nth, job in enumerate(jobs)
    ]
    heapq.heapify(events)
    while events:
        now = events[0][0]
        while events and events[0][0] == now:
            _, what, nth, held = heapq.heappop(events)
            if what == SUBMITTED:
                waiting.append(nth)
            for node, gpus in held.items():
                free[node] += gpus
        while waiting and (place := placed(jobs[waiting[0]].gpus, free, per_node)):
            nth = waiting.popleft()
            starts[nth] = now
            for node, gpus in place.items():
                free[node] -= gpus
            heapq.heappush(events, (now + jobs[nth].duration_s, ENDS, nth, place))
    return starts


def placed(gpus: int, free: Sequence[int], per_node: int) -> dict[int, int]:
    """GPUs by node; nothing where it does not fit."""
    if gpus <= per_node:
        fitting = [node for node, left in enumerate(free) if left >= gpus]
        return {min(fitting, key=lambda node: free[node]): gpus} if fitting else {}
    empty = [node for node, left in enumerate(free) if left == per_node]
    needed = -(-gpus // per_node)
    if len(empty) < needed:
        return {}
    return {node: min(per_node, gpus - nth * per_node) for nth, node in enumerate(empty[:needed])}
