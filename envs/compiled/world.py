"""One step of a cluster whose capacity comes, goes and is asked for; see `envs.world`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.compiled.events import advance, settled
from envs.compiled.handed import handed_one
from envs.compiled.heaps import popped, pushed
from envs.compiled.lean import lean
from envs.compiled.quotas import (
    NOWHERE,
    Ledger,
    Rules,
    State,
    Work,
    any_hope,
    counted,
    fits,
    measure,
    recall,
    started,
    waits,
)
from envs.compiled.stops import (
    HOUR_S,
    Contest,
    Course,
    Fates,
    Kinds,
    saved,
    stopped,
    unsaved,
)
from forecasting.compiled.loops import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Terms(NamedTuple):
    """Of pools, which are the flavors of the rules; what chance will do is written down beforehand."""

    per_node: Ints  # (P,) GPUs
    least: Ints  # (P,) nodes
    most: Ints  # (P,)
    lead: Ints  # (P, T) steps until nodes that are asked for in a step can be used
    loss: Floats  # (P, T) share of nodes that the market takes back in a step
    chance: Floats  # (P, T) from 0 to 1: whether what is less than a node counts as one
    billed: Ints  # (P,) steps that a node is paid for at least


class Nodes(NamedTuple):
    """What is there and what is to come; changes."""

    there: Ints  # (P,) nodes
    coming: Ints  # (P,)
    due: Ints  # (P, T + 1) nodes that come at the beginning of a step
    born: Ints  # (P, T + 1) nodes that are there since a step
    oldest: Ints  # (P,) the first step since which any is there


class Flow(NamedTuple):
    """What happened in a step; as `envs.terms.Flows`."""

    there: Floats  # (P,) GPU-hours that are paid for, those of shortest bills of nodes that are gone included
    busy: Floats  # (P,)
    waiting: Floats  # (Q,) GPU-hours
    waiting_jobs: Floats  # (Q,) job-hours
    lost: Floats  # (1,) GPU-hours
    asked: Floats  # (P,) nodes


class Site(NamedTuple):
    """A cluster: what it is and where it stands."""

    work: Work
    kinds: Kinds
    rules: Rules
    terms: Terms
    state: State
    nodes: Nodes
    fates: Fates


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
    now, state, meter, nodes, terms = nth * step_s, site.state, site.state.meter, site.nodes, site.terms
    meter.waiting_s[:], meter.waiting_jobs_s[:], meter.busy_s[:], flow.lost[0] = 0.0, 0.0, 0.0, 0.0
    measure(state.clock, meter, now)
    _come(nodes, terms, state.ledger, nth)
    freed = False
    for pool in range(len(nodes.there)):
        taken = int(nodes.there[pool] * terms.loss[pool, nth] + terms.chance[pool, nth])
        if taken:
            flow.lost[0] += _taken_back(site, pool, min(taken, nodes.there[pool]), now)
            freed = True
    _turn(nodes, terms, state.ledger, nth, dials.nodes, flow.asked, flow.there)
    for pool in range(len(flow.there)):
        flow.there[pool] *= step_s / HOUR_S
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
    if freed or any_hope(site.work, site.rules, state):
        recall(state.lines)
        settled(_course(site), contest, now)
    advance(_course(site), contest, now + step_s)
    if contest is not None:
        flow.lost[0] += contest.lost[0]
    for pool in range(len(flow.busy)):
        flow.busy[pool] = meter.busy_s[pool] / HOUR_S
    for line in range(len(flow.waiting)):
        flow.waiting[line] = meter.waiting_s[line] / HOUR_S
        flow.waiting_jobs[line] = meter.waiting_jobs_s[line] / HOUR_S


@lean
def _course(site: Site) -> Course:
    return Course(site.work, site.rules, site.state, site.kinds, site.fates)


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
def _turn(nodes: Nodes, terms: Terms, ledger: Ledger, nth: int, wanted: Ints, asked: Floats, there: Floats) -> None:
    """Asks for nodes, or gives idle ones back; fills `asked` (P,) nodes and `there` (P,) GPUs that are paid for."""
    for pool in range(len(nodes.there)):
        target = min(max(wanted[pool], terms.least[pool]), terms.most[pool])
        more, unused = target - nodes.there[pool] - nodes.coming[pool], 0.0
        asked[pool] = max(0, more)
        if more > 0 and terms.lead[pool, nth] == 0:
            nodes.there[pool] += more
            nodes.born[pool, nth] += more
            ledger.idle[pool] += more * terms.per_node[pool]
        elif more > 0:
            nodes.coming[pool] += more
            nodes.due[pool, min(nth + terms.lead[pool, nth], nodes.due.shape[1] - 1)] += more
        fewer = min(nodes.there[pool] - target, ledger.idle[pool] // terms.per_node[pool])
        if fewer > 0:
            unused = _gone(nodes, pool, fewer, nth, terms.billed[pool])
            ledger.idle[pool] -= fewer * terms.per_node[pool]
        there[pool] = (nodes.there[pool] + unused) * terms.per_node[pool]


@lean
def _taken_back(site: Site, pool: int, taken: int, now: float) -> float:
    """The market takes nodes back, idle or not; GPU-hours of work that are lost."""
    nodes, ledger = site.nodes, site.state.ledger
    gpus = taken * site.terms.per_node[pool]
    there = nodes.there[pool] * site.terms.per_node[pool]
    busy = gpus - ledger.idle[pool] * gpus // there  # those that are hit, as far as chance goes
    lost = 0.0
    while busy > 0:
        job = _drawn(site, pool)
        if job == NOWHERE:
            break
        busy -= site.state.runs.gpus[job]
        lost += stopped(_course(site), job, now)
        waits(site.work, site.state, job)
    _gone(nodes, pool, taken)
    ledger.idle[pool] -= gpus
    return lost


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
def _gone(nodes: Nodes, pool: int, fewer: int, nth: int = 0, billed: int = 0) -> float:
    """The oldest nodes leave; node-steps that are paid for and not used."""
    nodes.there[pool] -= fewer
    unused = 0.0
    while fewer > 0:
        since = nodes.oldest[pool]
        leave = min(fewer, nodes.born[pool, since])
        nodes.born[pool, since] -= leave
        unused += leave * max(0, since + billed - nth)
        fewer -= leave
        if nodes.born[pool, since] == 0 and fewer > 0:
            nodes.oldest[pool] += 1
    return unused


@lean
def _paused(site: Site, stop: Ints, now: float, until_s: float) -> float:
    """Stops those of some jobs that still run, and holds them back; GPU-hours that are lost."""
    fates, meter, lost = site.fates, site.state.meter, 0.0
    for job in stop:
        if job == NOWHERE or site.state.runs.flavor[job] == NOWHERE:
            continue
        lost += stopped(_course(site), job, now)
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
    lost = saved(_course(site), job, now)
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


@compiled
def step_all(
    sites: Site, contests: Contest | None, dials: Dials, nth: Ints, step_s: float, hold_s: float, flows: Flow
) -> None:
    """A step of each of several clusters, `nth` (B,) of each; there is no contest where no job may stop another."""
    for b in range(len(nth)):
        _step_of(sites, contests, b, dials, nth[b], step_s, hold_s, flows)


@lean
def _step_of(  # noqa: PLR0913, PLR0917 - a step is all of these
    sites: Site,
    contests: Contest | None,
    b: int,
    dials: Dials,
    nth: int,
    step_s: float,
    hold_s: float,
    flows: Flow,
) -> None:
    contest, dial, flow = handed_one(contests, b), handed_one(dials, b), handed_one(flows, b)
    step(handed_one(sites, b), contest, dial, nth, step_s, hold_s, flow)
