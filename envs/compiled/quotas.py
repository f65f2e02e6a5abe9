"""Queues with quotas, borrowing and best-effort order; see `envs.replay`.

Amounts are by queue and flavor, (Q, F); what of a queue's quota others may use is counted by cohort and flavor, (C, F).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.compiled.heaps import joined, left, popped, pushed, taken_out
from envs.compiled.lean import lean
from forecasting.compiled.loops import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

NOWHERE = -1
SIZES = 24
NOBODY = 1 << 60


class Rules(NamedTuple):
    """What does not change."""

    order: Ints  # (Q, F) flavors as they are tried, NOWHERE after the last
    nominal: Ints  # (Q, F) GPUs
    most: Ints  # (Q, F) GPUs with all that may be borrowed
    kept: Ints  # (Q, F) GPUs of the quota that are never lent
    cohort: Ints  # (Q,)
    strict: Bools  # (Q,) whether the head blocks those behind it
    keeps_rights: bool  # whether heads that do not fit keep their own quota from others
    parts: int  # of a GPU, in which all GPUs are counted


class Ledger(NamedTuple):
    """What is used now."""

    used: Ints  # (Q, F) GPUs
    free: Ints  # (C, F) GPUs of lendable quota that nobody uses
    idle: Ints  # (F,) GPUs on nodes that nobody uses


class Work(NamedTuple):
    """Jobs in order of submission, (N,)."""

    submit_s: Floats
    queue: Ints
    gpus: Ints  # that it asks for
    place: Ints  # in line, from 0: larger priority first, then older, then as in the table
    at_place: Ints  # the job that has it
    least: Ints  # GPUs that do where those that it asks for are not to be had


class Paces(NamedTuple):
    """How fast jobs go."""

    speed: Floats  # (K, F) work done per second, by kind of job
    kind: Ints  # (N,)
    scaling: Floats  # (N,) with n of its GPUs a job is (n / gpus) ** scaling as fast


class Runs(NamedTuple):
    """What became of each job so far, (N,)."""

    left_s: Floats  # of its work, at speed 1: when it started last, or starts next
    start_s: Floats  # first; inf: not yet
    began_s: Floats  # last
    end_s: Floats  # inf: it does not run, or has not ended
    flavor: Ints  # in which it runs or ran last; NOWHERE: it waits
    gpus: Ints  # that it holds or held last; of one that waits, with how many it would start


class Lines(NamedTuple):
    """Who waits, by place; each queue's part begins at `first`."""

    first: Ints  # (Q + 1,)
    ready: Ints  # (N,) a heap per queue of those to look at
    readies: Ints  # (Q,) how many
    aside: Ints  # (N,) those that fitted nowhere when last looked at
    asides: Ints  # (Q,) how many
    blocked: Bools  # (Q,) by a head that fitted nowhere when last looked at
    sizes: Ints  # (Q, SIZES) how many wait for which 1, 2 to 3, 4 to 7, ... GPUs do
    present: Ints  # (Q,) the sum of 1, 2, 4, ... of which any wait


class Clock(NamedTuple):
    """How far a replay is."""

    now_s: Floats  # (1,)
    row: Ints  # (1,) the next job to be submitted
    ends: Floats  # (N,) a heap of the moments at which running jobs end
    gangs: Ints  # (N,) which jobs those are
    running: Ints  # (1,) how many


class Meter(NamedTuple):
    """What flows, and what flowed since it was last set to zero."""

    waiting: Floats  # (Q,) GPUs
    waiting_jobs: Floats  # (Q,)
    busy: Floats  # (F,) GPUs
    waiting_s: Floats  # (Q,) GPU-seconds
    waiting_jobs_s: Floats  # (Q,)
    busy_s: Floats  # (F,)


class Cargo(NamedTuple):
    """Data that jobs have with them; changes."""

    gb: Floats  # (N,)
    region: Ints  # (F,) in which a flavor is; NOWHERE: it is not told
    lies: Ints  # (N,) in which a job's data is; NOWHERE: it is not told
    sent_gb: Floats  # (R, R) from one to another, since it was last set to zero


class Heads(NamedTuple):
    """Of lines, those first that need not borrow, then by place. Those that borrow count N more."""

    place: Ints  # (Q,)
    flavor: Ints  # (Q,) in which they fit; F more: in which they would, if others gave back what they borrowed
    reserved: Ints  # (Q,) GPUs that are kept for them in this round


class State(NamedTuple):
    """A replay between two moments; its arrays change."""

    ledger: Ledger
    runs: Runs
    lines: Lines
    clock: Clock
    meter: Meter
    heads: Heads
    cargo: Cargo | None  # None: nobody has any


@lean
def settle(work: Work, rules: Rules, state: State, paces: Paces, now: float) -> None:
    """Starts whoever may start now."""
    count, flavors = len(work.queue), rules.nominal.shape[1]
    lines, ledger, heads, runs = state.lines, state.ledger, state.heads, state.runs
    moving, rounds = True, 0  # or the same heads would lose to the same right for ever
    while moving and _anybody(lines):
        rounds += 1
        if rounds > 1 and not any_hope(work, rules, state):
            _all_aside(work, rules, lines)
            break
        before = set_aside(lines)
        found = _stepped_forward(work, rules, state)
        moving = set_aside(lines) > before
        for nth in range(found):
            job, chosen = work.at_place[heads.place[nth] % count], heads.flavor[nth]
            line, wanted = work.queue[job], runs.gpus[job]
            if chosen >= flavors:  # nobody behind it may take in this round what it has a right to
                heads.reserved[nth] = reserved(line, chosen - flavors, wanted, rules, ledger)
                moved(line, chosen - flavors, heads.reserved[nth], rules, ledger)
            elif fits(line, chosen, wanted, rules, ledger):
                started(work, rules, state, paces, job, chosen, now)
                moving = True
            else:  # another head took what it was to have
                lines_up(line, work.place[job], lines)
        for nth in range(found):
            if heads.flavor[nth] >= flavors:
                line = work.queue[work.at_place[heads.place[nth] % count]]
                moved(line, heads.flavor[nth] - flavors, -heads.reserved[nth], rules, ledger)


@lean
def started(work: Work, rules: Rules, state: State, paces: Paces, job: int, flavor: int, now: float) -> None:
    """A job that waited in line takes its GPUs, and has its data there."""
    line, gpus, runs, clock, meter = work.queue[job], state.runs.gpus[job], state.runs, state.clock, state.meter
    moved(line, flavor, gpus, rules, state.ledger)
    runs.start_s[job] = min(runs.start_s[job], now)
    runs.began_s[job], runs.flavor[job] = now, flavor
    pace = paces.speed[paces.kind[job], flavor]
    if gpus < work.gpus[job]:
        pace *= curve(gpus, work.gpus[job], paces.scaling[job])
    runs.end_s[job] = now + runs.left_s[job] / pace
    clock.running[0] = pushed(clock.ends, clock.gangs, clock.running[0], runs.end_s[job], job)
    meter.waiting[line] -= work.gpus[job]
    meter.waiting_jobs[line] -= 1
    meter.busy[flavor] += gpus
    counted(state.lines, line, work.least[job], -1)
    _brought(state.cargo, job, flavor)


@lean
def curve(gpus: int, asked: int, scaling: float) -> float:
    """How fast a job is that has so many of the GPUs that it asked for, next to one that has all."""
    return float((gpus / asked) ** scaling)


@lean
def _brought(cargo: Cargo | None, job: int, flavor: int) -> None:
    """A job's data is sent where it is not, and lies there from then on."""
    if cargo is not None:
        lies, region = cargo.lies[job], cargo.region[flavor]
        if region not in (NOWHERE, lies):
            if lies != NOWHERE:
                cargo.sent_gb[lies, region] += cargo.gb[job]
            cargo.lies[job] = region


@lean
def ended(work: Work, rules: Rules, state: State) -> int:
    """The job that ends first gives its GPUs back: of which flavor."""
    clock, runs = state.clock, state.runs
    job = clock.gangs[0]
    clock.running[0] = popped(clock.ends, clock.gangs, clock.running[0])
    released(work, rules, state, job)
    runs.left_s[job] = 0.0
    return int(runs.flavor[job])


@lean
def released(work: Work, rules: Rules, state: State, job: int) -> None:
    """A job that runs gives its GPUs back."""
    flavor, gpus = state.runs.flavor[job], state.runs.gpus[job]
    moved(work.queue[job], flavor, -gpus, rules, state.ledger)
    state.meter.busy[flavor] -= gpus


@lean
def waits(work: Work, state: State, job: int) -> None:
    """A job joins its line."""
    line = work.queue[job]
    lines_up(line, work.place[job], state.lines)
    state.meter.waiting[line] += work.gpus[job]
    state.meter.waiting_jobs[line] += 1
    counted(state.lines, line, work.least[job], 1)


@lean
def steps_out(work: Work, state: State, job: int) -> None:
    """A job that waits in line waits no longer, and never starts."""
    lines, line, place = state.lines, work.queue[job], work.place[job]
    first, count = lines.first[line], lines.asides[line]
    nth = 0
    while nth < count and lines.aside[first + nth] != place:
        nth += 1
    if nth < count:
        lines.aside[first + nth] = lines.aside[first + count - 1]
        lines.asides[line] -= 1
    else:
        lines.readies[line] = taken_out(lines.ready[first:], lines.readies[line], place)
        lines.blocked[line] = False
    counted(lines, line, work.least[job], -1)


@lean
def counted(lines: Lines, line: int, gpus: int, more: int) -> None:
    """One more or less of a size waits."""
    size = size_of(gpus)
    lines.sizes[line, size] += more
    if lines.sizes[line, size]:
        lines.present[line] |= 1 << size
    else:
        lines.present[line] &= ~(1 << size)


@lean
def size_of(gpus: int) -> int:
    """Which of SIZES: 0, 1, 2, ... for 1, 2 to 3, 4 to 7, ... GPUs."""
    size = 0
    while gpus > 1 and size < SIZES - 1:
        gpus, size = gpus >> 1, size + 1
    return size


@lean
def hopeful(work: Work, rules: Rules, state: State, flavor: int) -> bool:
    """Whether something that waits may fit into a flavor; False is certain."""
    idle = state.ledger.idle[flavor]
    for line in range(len(rules.cohort)):
        least = _least(line, work, rules, state)
        if least <= idle and least <= _room(line, flavor, rules, state.ledger):
            return True
    return False


@lean
def any_hope(work: Work, rules: Rules, state: State) -> bool:
    """Whether something that waits may fit anywhere; False is certain."""
    ledger = state.ledger
    for line in range(len(rules.cohort)):
        least = _least(line, work, rules, state)
        if least == NOBODY:
            continue
        for flavor in rules.order[line]:
            if flavor == NOWHERE:
                break
            if least <= ledger.idle[flavor] and least <= _room(line, flavor, rules, ledger):
                return True
    return False


@lean
def _least(line: int, work: Work, rules: Rules, state: State) -> int:
    """GPUs without which nobody of a line can start, who may be next; NOBODY where nobody waits."""
    lines = state.lines
    if rules.strict[line]:
        return int(work.least[work.at_place[lines.ready[lines.first[line]]]]) if lines.readies[line] else NOBODY
    present = lines.present[line]
    return int(present & -present) if present else NOBODY


@lean
def _all_aside(work: Work, rules: Rules, lines: Lines) -> None:
    """Nobody who is to be looked at fits anywhere: as if they had been looked at, one after the other."""
    for line in range(len(rules.cohort)):
        if rules.strict[line]:
            lines.blocked[line] = lines.blocked[line] or lines.readies[line] > 0
            continue
        first = lines.first[line]
        for nth in range(lines.readies[line]):
            lines.aside[first + lines.asides[line] + nth] = lines.ready[first + nth]
        lines.asides[line] += lines.readies[line]
        lines.readies[line] = 0


@lean
def measure(clock: Clock, meter: Meter, now: float) -> None:
    """Counts what flowed until now."""
    passed = now - clock.now_s[0]
    if passed > 0 and clock.now_s[0] > -np.inf:
        for line in range(len(meter.waiting)):
            if meter.waiting_jobs[line] == 0:
                continue
            meter.waiting_s[line] += meter.waiting[line] * passed
            meter.waiting_jobs_s[line] += meter.waiting_jobs[line] * passed
        for flavor in range(len(meter.busy)):
            meter.busy_s[flavor] += meter.busy[flavor] * passed
    clock.now_s[0] = max(now, clock.now_s[0])


@compiled
def beginning(work: Work, duration_s: Floats, ledger: Ledger, begin_s: float) -> State:
    """Nobody waits and nothing runs yet."""
    count, (queues, flavors) = len(work.queue), ledger.used.shape
    runs = Runs(
        duration_s.copy(),
        np.full(count, np.inf),
        np.full(count, np.inf),
        np.full(count, np.inf),
        np.full(count, NOWHERE),
        work.gpus.copy(),
    )
    clock = Clock(
        np.full(1, begin_s), np.zeros(1, np.int64), np.empty(count), np.empty(count, np.int64), np.zeros(1, np.int64)
    )
    meter = Meter(
        np.zeros(queues), np.zeros(queues), np.zeros(flavors), np.zeros(queues), np.zeros(queues), np.zeros(flavors)
    )
    heads = Heads(np.empty(queues, np.int64), np.empty(queues, np.int64), np.zeros(queues, np.int64))
    return State(ledger, runs, _nobody(work, queues), clock, meter, heads, None)


@lean
def _anybody(lines: Lines) -> bool:
    """Whether somebody is to be looked at."""
    waiting = 0
    for line in range(len(lines.readies)):
        waiting += 0 if lines.blocked[line] else lines.readies[line]
    return waiting > 0


@lean
def set_aside(lines: Lines) -> int:
    """How many were looked at in vain."""
    return int(lines.asides.sum() + lines.blocked.sum())


@compiled
def _nobody(work: Work, queues: int) -> Lines:
    first = np.zeros(queues + 1, dtype=np.int64)
    for line in work.queue:
        first[line + 1] += 1
    places = np.empty(len(work.queue), dtype=np.int64)
    none = np.zeros(queues, dtype=np.int64)
    blocked, sizes = np.zeros(queues, dtype=np.bool_), np.zeros((queues, SIZES), dtype=np.int64)
    return Lines(np.cumsum(first), places, none, places.copy(), none.copy(), blocked, sizes, none.copy())


@lean
def lines_up(line: int, place: int, lines: Lines) -> None:
    lines.readies[line] = joined(lines.ready[lines.first[line] :], lines.readies[line], place)
    lines.blocked[line] = False


@lean
def recall(lines: Lines) -> None:
    """Everybody is looked at again."""
    for line in range(len(lines.readies)):
        for nth in range(lines.asides[line]):
            lines_up(line, lines.aside[lines.first[line] + nth], lines)
        lines.asides[line] = 0
        lines.blocked[line] = False


@lean
def _stepped_forward(work: Work, rules: Rules, state: State) -> int:
    """Finds the head of each line: how many fit, or would. Others step aside, or block their line."""
    count, found, lines, ledger, heads = len(work.queue), 0, state.lines, state.ledger, state.heads
    for line in range(len(lines.readies)):
        if not lines.readies[line]:
            continue
        place = lines.ready[lines.first[line]]
        job = work.at_place[place]
        gpus = work.gpus[job]
        if work.least[job] < gpus:
            gpus = state.runs.gpus[job] = _size(work, rules, ledger, job)
        flavor = _choice(line, gpus, rules, ledger)
        if flavor == NOWHERE and rules.strict[line]:
            lines.blocked[line] = True
        else:
            lines.readies[line] = left(lines.ready[lines.first[line] :], lines.readies[line])
        if flavor == NOWHERE:
            if not rules.strict[line]:
                lines.aside[lines.first[line] + lines.asides[line]] = place
                lines.asides[line] += 1
            flavor = _right(line, gpus, rules, ledger)
            if flavor == NOWHERE or not rules.keeps_rights:
                continue
        column = flavor % rules.nominal.shape[1]
        borrows = ledger.used[line, column] + gpus > rules.nominal[line, column]
        key, at = place + (count if borrows else 0), found
        while at > 0 and heads.place[at - 1] > key:
            heads.place[at], heads.flavor[at] = heads.place[at - 1], heads.flavor[at - 1]
            at -= 1
        heads.place[at], heads.flavor[at] = key, flavor
        found += 1
    return found


@lean
def _size(work: Work, rules: Rules, ledger: Ledger, job: int) -> int:
    """The most GPUs with which a job can start; all that it asks for where none do."""
    line, gpus, at_once, most = work.queue[job], work.gpus[job], grain(work, rules, job), 0
    for flavor in rules.order[line]:
        if flavor == NOWHERE:
            break
        most = max(most, min(ledger.idle[flavor], _room(line, flavor, rules, ledger)))
    found = gpus - -(-max(0, gpus - most) // at_once) * at_once
    return int(found if found >= work.least[job] else gpus)


@lean
def grain(work: Work, rules: Rules, job: int) -> int:
    """By how much at once a job may have fewer: by whole GPUs where it asks for whole ones."""
    whole = work.gpus[job] % rules.parts == 0 and work.least[job] % rules.parts == 0
    return int(rules.parts if whole else 1)


@lean
def _right(line: int, wanted: int, rules: Rules, ledger: Ledger) -> int:
    """F more than the first flavor of which the queue's own quota would suffice, best without borrowing."""
    found = NOWHERE
    for flavor in rules.order[line]:
        if flavor == NOWHERE:
            break
        if ledger.used[line, flavor] + wanted <= rules.nominal[line, flavor]:
            return int(flavor + rules.nominal.shape[1])
        if found == NOWHERE and wanted <= rules.nominal[line, flavor]:
            found = flavor + rules.nominal.shape[1]
    return int(found)


@lean
def reserved(line: int, flavor: int, wanted: int, rules: Rules, ledger: Ledger) -> int:
    """GPUs that are kept for a head that has a right to them: of its quota, or of its limit where it would borrow."""
    used = ledger.used[line, flavor]
    borrows = used + wanted > rules.nominal[line, flavor]
    most = rules.most[line, flavor] if borrows else rules.nominal[line, flavor]
    return int(max(0, min(wanted, most - used)))


@lean
def _choice(line: int, wanted: int, rules: Rules, ledger: Ledger) -> int:
    """The first flavor in which so many GPUs fit."""
    for flavor in rules.order[line]:
        if flavor == NOWHERE:
            break
        if fits(line, flavor, wanted, rules, ledger):
            return int(flavor)
    return NOWHERE


@lean
def fits(line: int, flavor: int, wanted: int, rules: Rules, ledger: Ledger) -> bool:
    return bool(wanted <= min(ledger.idle[flavor], _room(line, flavor, rules, ledger)))


@compiled
def may_take(flavor: int, rules: Rules, ledger: Ledger, gpus: Ints) -> None:
    """Fills `gpus` (Q,) with what each queue may still take of a flavor."""
    for line in range(len(gpus)):
        gpus[line] = min(ledger.idle[flavor], _room(line, flavor, rules, ledger))


@lean
def _room(line: int, flavor: int, rules: Rules, ledger: Ledger) -> int:
    """GPUs that quotas let a queue still take of a flavor."""
    used, kept = ledger.used[line, flavor], rules.kept[line, flavor]
    shared = min(ledger.free[rules.cohort[line], flavor], rules.most[line, flavor] - max(used, kept))
    return int(max(0, kept - used) + shared)


@lean
def moved(line: int, flavor: int, gpus: int, rules: Rules, ledger: Ledger) -> None:
    """A queue takes so many GPUs more."""
    before, kept = ledger.used[line, flavor], rules.kept[line, flavor]
    ledger.used[line, flavor] = before + gpus
    ledger.idle[flavor] -= gpus
    ledger.free[rules.cohort[line], flavor] -= max(0, before + gpus - kept) - max(0, before - kept)
