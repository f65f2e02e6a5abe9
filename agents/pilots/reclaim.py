"""Whom to ask for GPUs back: borrowers, when a queue waits within its guaranteed share and nothing comes in time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta

from agents.asked import asked
from agents.borrowing import borrowed_by_flavor, borrowed_gpus, flavors
from agents.shares import apportion, whole
from agents.supply import cohorts, quota_gpus, quotas_bind, serves
from gyropilot.domain import ClusterState, Line, Pool, Queue

Waiter = tuple[Queue, int]  # and the GPUs of its own that it waits for
Reclaimed = tuple[dict[Line, int], dict[str, str]]


def reclaim(state: ClusterState, growth: Mapping[str, int]) -> Reclaimed:
    """GPUs to take back now per borrowing line, given the growth wanted in this cycle, and why."""
    back: dict[Line, int] = {}
    why: dict[str, str] = {}
    if not quotas_bind(state) or not any(asked(state, r).pending for r in state.resources):
        return back, why
    for group in cohorts(state):
        for resource in state.resources:
            if not any(borrowed_gpus(queue, resource) for queue in group if queue.quotas):
                continue
            more, reasons = _within(state, group, resource, growth)
            back |= more
            why |= reasons
    return back, why


def _within(state: ClusterState, group: Sequence[Queue], resource: str, growth: Mapping[str, int]) -> Reclaimed:
    leaving = _leaving(state, group, resource)
    # What is being paused is on its way back already: pods may take minutes to end.
    left = {q.name: max(0, borrowed_gpus(q, resource) - leaving[q.name].total()) for q in group}
    free = sum(leaving.values(), start=Counter[str]())
    back: dict[Line, int] = {}
    waiters: dict[Line, list[Waiter]] = {}
    for queue in sorted(group, key=lambda q: (-q.priority, q.name)):
        short = _short(state, group, queue, resource, growth)
        short -= _take(free, flavors(queue, resource), short)
        lenders = {q.name: min(left[q.name], _useful(q, queue, resource)) for q in group if left[q.name]}
        for name, gpus in apportion(short, lenders).items():
            if gpus:
                line = Line(name, resource)
                left[name] -= gpus
                back[line] = back.get(line, 0) + gpus
                waiters.setdefault(line, []).append((queue, short))
    return back, {str(line): _why(state.queue(line.queue), whom, resource) for line, whom in waiters.items()}


def _leaving(state: ClusterState, group: Sequence[Queue], resource: str) -> dict[str, Counter[str]]:
    """GPUs of work that is being paused, per queue and flavor."""
    leaving = {q.name: Counter[str]() for q in group}
    for workload in state.workloads:
        if workload.stopping and workload.queue in leaving and workload.accelerator.resource == resource:
            leaving[workload.queue][workload.flavor] += workload.gpus
    return leaving


def _take(free: Counter[str], usable: set[str], gpus: int) -> int:
    """Takes up to so many GPUs of the usable flavors from what comes free; answers with how many there were."""
    missing = gpus
    for flavor in sorted(usable):
        taken = min(missing, free[flavor])
        free[flavor] -= taken
        missing -= taken
    return gpus - missing


def guaranteed_gpus(queue: Queue, resource: str) -> int:
    """What a queue may call its own: its quota, or less where the operator guarantees less."""
    nominal = queue.nominal_gpus(resource)
    return nominal if queue.guaranteed_gpus is None else min(nominal, queue.guaranteed_gpus)


def _short(state: ClusterState, group: Sequence[Queue], queue: Queue, resource: str, growth: Mapping[str, int]) -> int:
    """GPUs of its guaranteed share that a queue waits for and that will not be free within its target wait.

    What is free counts for every queue that waits: where it does not suffice for all, the next cycle sees it.
    """
    unused_share = guaranteed_gpus(queue, resource) - queue.running_gpus.get(resource, 0.0)
    waiting = min(queue.pending_gpus.get(resource, 0.0), unused_share)
    admitted = quota_gpus(group, resource) - sum(q.running_gpus.get(resource, 0.0) for q in group)
    free = sum(_free_in_time(p, queue, growth.get(p.name, 0)) for p in state.pools_of(resource) if serves(p, queue))
    return max(0, whole(waiting - min(free, max(0.0, admitted))))


def _free_in_time(pool: Pool, queue: Queue, growth: int) -> float:
    """Idle GPUs, and those on their way that can be there before the queue has waited as long as it accepts."""
    waited = queue.oldest_wait or timedelta(0)
    coming = pool.coming_gpus if pool.lead_time <= queue.target_wait and waited < queue.target_wait else 0
    grown = growth if growth > 0 and waited + pool.lead_time <= queue.target_wait else 0
    return max(0.0, pool.idle_gpus) + coming + grown


def _useful(borrower: Queue, waiter: Queue, resource: str) -> int:
    """GPUs that the borrower runs above its quota on flavors that the waiting queue may use."""
    shared = flavors(waiter, resource)
    return sum(gpus for flavor, gpus in borrowed_by_flavor(borrower, resource).items() if flavor in shared)


def _why(borrower: Queue, waiters: Sequence[Waiter], resource: str) -> str:
    running, nominal = borrower.running_gpus.get(resource, 0.0), borrower.nominal_gpus(resource)
    told = [
        f"{queue.name} waits for {short} GPUs{_on(borrower, queue, resource)} of its guaranteed "
        f"{guaranteed_gpus(queue, resource)}"
        for queue, short in waiters
    ]
    whose = "its" if len(told) == 1 else "their"
    return (
        f"{borrower.name} runs {running:g} GPUs on a quota of {nominal} while {' and '.join(told)}, "
        f"and none come within {whose} target wait"
    )


def _on(borrower: Queue, waiter: Queue, resource: str) -> str:
    """Of which flavors, where the waiting queue may not use all that the borrower has too much of."""
    lent = borrowed_by_flavor(borrower, resource)
    shared = flavors(waiter, resource) & set(lent)
    return f" on {' or '.join(sorted(shared))}" if shared < set(lent) else ""
