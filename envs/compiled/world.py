"""One step of a cluster whose capacity comes, goes and is asked for; see `envs.world`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.compiled.events import advance, settled
from envs.compiled.handed import handed_one
from envs.compiled.heaps import popped, pushed
from envs.compiled.lean import lean
from envs.compiled.losses import announced_end, befallen, going, gone_with_notice, paid
from envs.compiled.quotas import (
    NOWHERE,
    Ledger,
    Rules,
    any_hope,
    counted,
    fits,
    measure,
    recall,
    started,
    waits,
)
from envs.compiled.site import Nodes, Site, Terms, Troubles, course, gone
from envs.compiled.stops import HOUR_S, Contest, Course, saved, stopped, unsaved
from forecasting.compiled.loops import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Flow(NamedTuple):
    """What happened in a step; as `envs.terms.Flows`."""

    there: Floats  # (P,) GPU-hours that are paid for, those of shortest bills of nodes that are gone included
    busy: Floats  # (P,)
    waiting: Floats  # (Q,) GPU-hours
    waiting_jobs: Floats  # (Q,) job-hours
    lost: Floats  # (1,) GPU-hours
    asked: Floats  # (P,) nodes


class Moves(NamedTuple):
    """Jobs that go on in other pools, (M,)."""

    job: Ints  # NOWHERE: nobody
    to: Ints


class Dials(NamedTuple):
    """What is wanted of a cluster for a step."""

    nodes: Ints  # (P,)
    stop: Ints  # (K,) jobs that make way; NOWHERE: nobody
    moves: Moves | None  # None: nobody goes on in another pool


@lean
def step(site: Site, contest: Contest | None, dials: Dials, nth: int, step_s: float, hold_s: float, flow: Flow) -> None:
    """The `nth` step: nodes come and go, dials are turned, then jobs run; `flow` is what happened."""
    now, state, meter, nodes = nth * step_s, site.state, site.state.meter, site.nodes
    meter.waiting_s[:], meter.waiting_jobs_s[:], meter.busy_s[:] = 0.0, 0.0, 0.0
    measure(state.clock, meter, now)
    _come(nodes, site.terms, state.ledger, nth)
    flow.lost[0], freed = befallen(site, site.troubles, nth, now)
    _turn(site, site.troubles, nth, dials.nodes, flow)
    paid(site, site.troubles, flow.there, step_s)
    if len(dials.stop):
        flow.lost[0] += _paused(site, dials.stop, now, now + hold_s)
        freed = True
    flow.lost[0] += _moved(site, dials.moves, now)
    freed = freed or dials.moves is not None
    if site.fates.holds[0]:
        _let_go_on(site, now)
        freed = True
    if contest is not None:
        contest.lost[0] = 0.0
        freed = freed or _any_came(nodes, nth)
    moment, end = now, now + step_s
    while True:
        if freed or any_hope(site.work, site.rules, state):
            recall(state.lines)
            settled(course(site), contest, moment)
        moment = announced_end(site.troubles, now, moment, end)
        advance(course(site), contest, moment)
        if moment == end:
            break
        flow.lost[0] += gone_with_notice(site, site.troubles, now, moment)
        freed = True
    if contest is not None:
        flow.lost[0] += contest.lost[0]
    for pool in range(len(flow.busy)):
        flow.busy[pool] = meter.busy_s[pool] / HOUR_S
    for line in range(len(flow.waiting)):
        flow.waiting[line] = meter.waiting_s[line] / HOUR_S
        flow.waiting_jobs[line] = meter.waiting_jobs_s[line] / HOUR_S


@lean
def _any_came(nodes: Nodes, nth: int) -> bool:
    """Whether nodes are there since a step."""
    came = False
    for pool in range(len(nodes.there)):
        came = came or nodes.born[pool, nth] > 0
    return came


@lean
def _come(nodes: Nodes, terms: Terms, ledger: Ledger, nth: int) -> None:
    """Nodes that were asked for are there."""
    for pool in range(len(nodes.there)):
        came = nodes.due[pool, nth]
        nodes.coming[pool] -= came
        nodes.there[pool] += came
        nodes.born[pool, nth] += came
        ledger.idle[pool] += came * terms.per_node[pool]


@lean
def _turn(site: Site, troubles: Troubles | None, nth: int, wanted: Ints, flow: Flow) -> None:
    """Asks for nodes, or gives idle ones back; fills `asked` (P,) nodes and `there` (P,) GPUs that are paid for.

    Nodes that were told that they go do not count.
    """
    nodes, terms, ledger = site.nodes, site.terms, site.state.ledger
    for pool in range(len(nodes.there)):
        target = min(max(wanted[pool], terms.least[pool]), terms.most[pool])
        leave = going(troubles, pool)
        more, unused = target - (nodes.there[pool] - leave) - nodes.coming[pool], 0.0
        flow.asked[pool] = max(0, more)
        if more > 0 and terms.lead[pool, nth] == 0:
            nodes.there[pool] += more
            nodes.born[pool, nth] += more
            ledger.idle[pool] += more * terms.per_node[pool]
        elif more > 0:
            nodes.coming[pool] += more
            nodes.due[pool, min(nth + terms.lead[pool, nth], nodes.due.shape[1] - 1)] += more
        fewer = min(nodes.there[pool] - leave - target, ledger.idle[pool] // terms.per_node[pool])
        if fewer > 0:
            unused = gone(nodes, pool, fewer, nth, terms.billed[pool])
            ledger.idle[pool] -= fewer * terms.per_node[pool]
        flow.there[pool] = (nodes.there[pool] - leave + unused) * terms.per_node[pool]


@lean
def _paused(site: Site, stop: Ints, now: float, until_s: float) -> float:
    """Stops those of some jobs that still run, and holds them back; GPU-hours that are lost."""
    fates, meter, lost = site.fates, site.state.meter, 0.0
    for job in stop:
        if job == NOWHERE or site.state.runs.flavor[job] == NOWHERE:
            continue
        lost += stopped(course(site), job, now)
        fates.holds[0] = pushed(fates.until, fates.held, fates.holds[0], until_s, job)
        meter.waiting[site.work.queue[job]] += site.work.gpus[job]
        meter.waiting_jobs[site.work.queue[job]] += 1
    return lost


@lean
def _moved(site: Site, moves: Moves | None, now: float) -> float:
    """Jobs that run go on at once in other pools, those for all of which there is room; GPU-hours of their restarts."""
    lost = 0.0
    if moves is not None:
        for nth in range(len(moves.job)):
            lost += _goes_on(site, moves.job[nth], moves.to[nth], now)
    return lost


@lean
def _goes_on(site: Site, job: int, to: int, now: float) -> float:
    work, rules, state = site.work, site.rules, site.state
    if job == NOWHERE or state.runs.flavor[job] == NOWHERE or state.runs.flavor[job] == to:
        return 0.0
    line, gpus = work.queue[job], state.runs.gpus[job]
    if not fits(line, to, gpus, rules, state.ledger):
        return 0.0
    lost = saved(course(site), job, now)
    state.meter.waiting[line] += work.gpus[job]  # as if it waited, for no time
    state.meter.waiting_jobs[line] += 1
    counted(state.lines, line, work.least[job], 1)
    state.runs.gpus[job] = gpus
    started(work, rules, state, site.kinds.paces, job, to, now)
    return lost


@compiled
def lost_hours(course: Course, jobs: Ints, now: float, hours: Floats) -> None:
    """Fills `hours` (N,) with the GPU-hours of work that running jobs would lose if they stopped now."""
    for nth in range(len(jobs)):
        hours[nth] = unsaved(course, jobs[nth], now) * course.work.gpus[jobs[nth]] / HOUR_S


@lean
def _let_go_on(site: Site, now: float) -> None:
    """Jobs that were held back long enough wait in line again."""
    fates, meter = site.fates, site.state.meter
    while fates.holds[0] and fates.until[0] <= now:
        job = fates.held[0]
        fates.holds[0] = popped(fates.until, fates.held, fates.holds[0])
        meter.waiting[site.work.queue[job]] -= site.work.gpus[job]
        meter.waiting_jobs[site.work.queue[job]] -= 1
        waits(site.work, site.state, job)


@compiled
def lent(rules: Rules, ledger: Ledger) -> None:
    """Counts anew what of quotas is free to lend, after they changed."""
    ledger.free[:] = 0
    for line in range(len(rules.cohort)):
        for flavor in range(ledger.used.shape[1]):
            kept = rules.kept[line, flavor]
            ledger.free[rules.cohort[line], flavor] += rules.nominal[line, flavor] - kept
            ledger.free[rules.cohort[line], flavor] -= max(0, ledger.used[line, flavor] - kept)


class Clusters(NamedTuple):
    """Several of them, and what flows in a step of each."""

    sites: Site
    contests: Contest | None  # where no job may stop another there is none
    flows: Flow


@compiled
def step_all(clusters: Clusters, dials: Dials, nth: Ints, step_s: float, hold_s: float) -> None:
    """A step of each of several clusters, `nth` (B,) of each."""
    for b in range(len(nth)):
        _step_of(clusters, b, dials, nth[b], step_s, hold_s)


@lean
def _step_of(clusters: Clusters, b: int, dials: Dials, nth: int, step_s: float, hold_s: float) -> None:
    cluster = handed_one(clusters, b)
    step(cluster.sites, cluster.contests, handed_one(dials, b), nth, step_s, hold_s, cluster.flows)
