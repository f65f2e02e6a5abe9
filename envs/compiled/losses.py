"""Nodes that are lost: taken back by the market, with notice or without, failed, or gone in an outage.

Where none but the terms' losses are to be there are no troubles, and Numba leaves out what is for them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.compiled.lean import lean
from envs.compiled.quotas import NOWHERE, waits
from envs.compiled.site import Nodes, Site, Troubles, course, gone
from envs.compiled.stops import HOUR_S, saved, stopped

Floats = NDArray[np.float64]

INTERRUPTED, FAILED, OUT = range(3)
"""As `envs.losses.CAUSES`."""

TURN, SHIFT = 997.0, 0.6180339887498949
"""One lot follows from another: without all but its fraction, so many times as much and more."""


@lean
def befallen(site: Site, troubles: Troubles | None, nth: int, now: float) -> tuple[float, bool]:
    """Nodes are lost as a step begins, or told that they go; GPU-hours of work that are lost, and whether any went."""
    nodes, terms, lost, any_went = site.nodes, site.terms, 0.0, False
    for pool in range(len(nodes.there)):
        there = nodes.there[pool]
        taken = int(there * terms.loss[pool, nth] + terms.chance[pool, nth])
        if troubles is not None:
            taken = min(there, taken + troubles.recorded[pool, nth])
            lost += _broken(site, troubles, pool, there - taken, nth, now)
            troubles.going[pool] = taken if troubles.notice_s[pool] > 0 else 0
            if troubles.going[pool]:
                _announced(site, troubles, pool, taken)
                taken = 0
        if taken:
            lost += _taken_back(site, troubles, pool, min(taken, there), now)
        any_went = any_went or nodes.there[pool] < there
    return lost, any_went


@lean
def _taken_back(site: Site, troubles: Troubles | None, pool: int, taken: int, now: float) -> float:
    """The market takes nodes back, idle or not; GPU-hours of work that are lost."""
    return _cut_off(site, troubles, pool, taken, now, INTERRUPTED)


@lean
def _cut_off(site: Site, troubles: Troubles | None, pool: int, taken: int, now: float, cause: int) -> float:
    """Nodes go at once; GPU-hours of work that are lost."""
    busy, lost = _busy(site, pool, taken), 0.0
    while busy > 0:
        job = _drawn(site, pool)
        if job == NOWHERE:
            break
        busy -= site.state.runs.gpus[job]
        lost += _hit(site, troubles, job, now, cause)
    _leave(site, troubles, pool, taken, cause)
    site.state.ledger.idle[pool] -= taken * site.terms.per_node[pool]
    return lost


@lean
def _busy(site: Site, pool: int, taken: int) -> int:
    """Of GPUs on some nodes those that jobs are on, as far as chance goes."""
    gpus, there = taken * site.terms.per_node[pool], site.nodes.there[pool] * site.terms.per_node[pool]
    return int(gpus - site.state.ledger.idle[pool] * gpus // there)


@lean
def _drawn(site: Site, pool: int) -> int:
    """Of the jobs that run in a pool the one with the lowest lot."""
    clock, found = site.state.clock, NOWHERE
    for nth in range(clock.running[0]):
        job = clock.gangs[nth]
        if site.state.runs.flavor[job] == pool and (found == NOWHERE or site.kinds.lot[job] < site.kinds.lot[found]):
            found = job
    return found


@lean
def _hit(site: Site, troubles: Troubles | None, job: int, now: float, cause: int) -> float:
    """A job stops as it is, and waits again; GPU-hours of work that are lost."""
    lost = stopped(course(site), job, now)
    waits(site.work, site.state, job)
    _noted(troubles, job, lost, cause)
    return lost


@lean
def _noted(troubles: Troubles | None, job: int, lost: float, cause: int) -> None:
    if troubles is not None:
        troubles.hits[cause, job] += 1
        troubles.lost[cause] += lost


@lean
def _leave(site: Site, troubles: Troubles | None, pool: int, taken: int, cause: int) -> None:
    """Nodes are there no more."""
    gone(site.nodes, pool, taken)
    if troubles is not None:
        troubles.nodes[cause, pool] += taken


# What comes without notice


@lean
def _broken(site: Site, troubles: Troubles, pool: int, most: int, nth: int, now: float) -> float:
    """Of so many nodes at most some go in an outage and some fail; GPU-hours of work that are lost."""
    there, lost = site.nodes.there[pool], 0.0
    out = min(most, int(there * troubles.outage[pool, nth] + site.terms.chance[pool, nth]))
    failed = min(most - out, int(there * troubles.failing[pool, nth] + troubles.chance[pool, nth]))
    if out:
        lost += _cut_off(site, troubles, pool, out, now, OUT)
    if failed:
        lost += _failed(site, troubles, pool, failed, nth, now)
        _repaired_later(site.nodes, troubles, pool, failed, nth)
    return lost


@lean
def _failed(site: Site, troubles: Troubles, pool: int, failed: int, nth: int, now: float) -> float:
    """Nodes fail, whoever is on them: the more GPUs a job has the likelier it is hit; GPU-hours that are lost."""
    ledger, gpus, lost = site.state.ledger, failed * site.terms.per_node[pool], 0.0
    there, lot = site.nodes.there[pool] * site.terms.per_node[pool], troubles.whom[pool, nth]
    busy = int(gpus * (there - ledger.idle[pool]) / there + lot)
    while busy > 0 or ledger.idle[pool] < gpus:
        lot = (lot * TURN + SHIFT) % 1.0
        job = _at_lot(site, pool, lot * (there - ledger.idle[pool]))
        if job == NOWHERE:
            break
        busy -= site.state.runs.gpus[job]
        lost += _hit(site, troubles, job, now, FAILED)
    _leave(site, troubles, pool, failed, FAILED)
    ledger.idle[pool] -= gpus
    return lost


@lean
def _at_lot(site: Site, pool: int, gpus: float) -> int:
    """Of the jobs that run in a pool, in the table's order, the one that has the GPU of such a number."""
    runs, now, counted = site.state.runs, site.state.clock.now_s[0], 0
    for job in range(len(runs.flavor)):
        if runs.flavor[job] == pool and runs.end_s[job] > now:
            counted += runs.gpus[job]
            if counted > gpus:
                return job
    return NOWHERE


@lean
def _repaired_later(nodes: Nodes, troubles: Troubles, pool: int, failed: int, nth: int) -> None:
    """What is repaired comes as if it had been asked for, and need not be asked for."""
    if troubles.repair[pool]:
        nodes.coming[pool] += failed
        nodes.due[pool, min(nth + troubles.repair[pool], nodes.due.shape[1] - 1)] += failed


# Notice


@lean
def going(troubles: Troubles | None, pool: int) -> int:
    """Nodes that are there, and were told that they go."""
    return 0 if troubles is None else int(troubles.going[pool])


@lean
def paid(site: Site, troubles: Troubles | None, there: Floats, step_s: float) -> None:
    """Of `there` (P,) GPUs makes the GPU-hours that are paid for in a step: nodes that go, until they do."""
    for pool in range(len(there)):
        there[pool] *= step_s / HOUR_S
        if troubles is not None:
            there[pool] += troubles.going[pool] * site.terms.per_node[pool] * troubles.notice_s[pool] / HOUR_S


@lean
def _announced(site: Site, troubles: Troubles, pool: int, taken: int) -> None:
    """Nodes are told that they go: jobs on them run on, and as many GPUs take no more."""
    busy, began_s = _busy(site, pool, taken), site.state.runs.began_s
    while busy > 0:
        job = _untold(site, troubles, pool)
        if job == NOWHERE:
            break
        busy -= site.state.runs.gpus[job]
        troubles.told_s[job] = began_s[job]
    # Below zero where jobs are on them: then nobody starts until others have left as many.
    site.state.ledger.idle[pool] -= taken * site.terms.per_node[pool]


@lean
def _untold(site: Site, troubles: Troubles, pool: int) -> int:
    """As `_drawn`, of those that were not told yet."""
    clock, runs, lot, found = site.state.clock, site.state.runs, site.kinds.lot, NOWHERE
    for nth in range(clock.running[0]):
        job = clock.gangs[nth]
        told = troubles.told_s[job] == runs.began_s[job]
        if runs.flavor[job] == pool and not told and (found == NOWHERE or lot[job] < lot[found]):
            found = job
    return found


@lean
def announced_end(troubles: Troubles | None, now: float, after: float, end: float) -> float:
    """When, after a moment, the next nodes go of those that were told so `now`; `end` where none do before."""
    if troubles is not None:
        for pool in range(len(troubles.going)):
            goes = now + troubles.notice_s[pool]
            if troubles.going[pool] and goes > after:
                end = min(end, goes)
    return end


@lean
def gone_with_notice(site: Site, troubles: Troubles | None, now: float, moment: float) -> float:
    """Nodes go that were told so `now`; GPU-hours of work that are lost."""
    lost = 0.0
    if troubles is not None:
        for pool in range(len(troubles.going)):
            if troubles.going[pool] and now + troubles.notice_s[pool] == moment:
                lost += _go(site, troubles, pool, moment)
    return lost


@lean
def _go(site: Site, troubles: Troubles, pool: int, moment: float) -> float:
    """First whoever was told, and then others, until what is left runs on what is left."""
    lost = 0.0
    while True:
        job = _told(site, troubles, pool)
        if job == NOWHERE and site.state.ledger.idle[pool] < 0:
            job = _drawn(site, pool)
        if job == NOWHERE:
            break
        lost += _evicted(site, troubles, job, moment, troubles.notice_s[pool])
    _leave(site, troubles, pool, troubles.going[pool], INTERRUPTED)
    return lost


@lean
def _told(site: Site, troubles: Troubles, pool: int) -> int:
    """A job that runs in a pool on nodes that go."""
    clock, runs, found = site.state.clock, site.state.runs, NOWHERE
    for nth in range(clock.running[0]):
        job = clock.gangs[nth]
        if runs.flavor[job] == pool and troubles.told_s[job] == runs.began_s[job]:
            found = job
    return found


@lean
def _evicted(site: Site, troubles: Troubles, job: int, now: float, notice_s: float) -> float:
    """A job stops, with a checkpoint if it writes any and had the time for one; GPU-hours of work that are lost."""
    if not np.isfinite(site.kinds.checkpoint_s[job]) or notice_s < troubles.writes_s:
        return _hit(site, troubles, job, now, INTERRUPTED)
    lost = saved(course(site), job, now)
    waits(site.work, site.state, job)
    _noted(troubles, job, lost, INTERRUPTED)
    return lost
