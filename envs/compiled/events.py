"""What happens to jobs, event by event: they come, start, stop and end; see `envs.replay`.

Where no job may stop another there is no contest, and where none leaves there are no exits. Numba leaves out then what
is for them, as if it were not written.
"""

from __future__ import annotations

import numpy as np

from envs.compiled.contest import contend
from envs.compiled.handed import handed
from envs.compiled.heaps import removed
from envs.compiled.lean import lean
from envs.compiled.quotas import (
    NOWHERE,
    Clock,
    Runs,
    ended,
    hopeful,
    measure,
    recall,
    released,
    settle,
    steps_out,
    waits,
)
from envs.compiled.stops import Contest, Course, Exits, Scene
from forecasting.compiled.loops import compiled

HOPE, RAN, WAITED = 1, 2, 4
"""Of jobs that left: somebody may start in their place, some ran, some waited, so that others may be heads now."""


@compiled
def replay(course: Course, contest: Contest | None, until_s: float) -> bool:
    """Replays what happens until a moment, that moment included; False where spells must be taken away first."""
    return _replay(course, contest, until_s)


@lean
def _replay(course: Course, contest: Contest | None, until_s: float) -> bool:
    return advance(handed(course), handed(contest), until_s)


@lean
def advance(course: Course, contest: Contest | None, until_s: float) -> bool:
    """As `replay`."""
    work, rules, state, exits = course.work, course.rules, course.state, course.fates.exits
    clock, count = state.clock, len(work.queue)
    while True:
        submits_s = work.submit_s[clock.row[0]] if clock.row[0] < count else np.inf
        now = min(submits_s, _leaves(exits, state.runs, clock), clock.ends[0] if clock.running[0] else np.inf)
        if now > until_s or now == np.inf:
            break
        if contest is not None and 0 < len(contest.spells.job) < contest.spells.noted[0] + clock.running[0]:
            return False
        measure(clock, state.meter, now)
        hope, freed, row = False, False, clock.row[0]
        while clock.running[0] and clock.ends[0] <= now:
            flavor = ended(work, rules, state)
            hope, freed = hope or hopeful(work, rules, state, flavor), True
        while clock.row[0] < count and work.submit_s[clock.row[0]] <= now:
            waits(work, state, clock.row[0])
            clock.row[0] += 1
        left = _left(course, exits, now)
        hope, freed, came = hope or left & HOPE > 0, freed or left & RAN > 0, clock.row[0] > row or left & WAITED > 0
        if contest is not None:
            hope = freed
        if hope or (freed and came):  # who comes now has those who wait already for company
            recall(state.lines)
        settled(course, contest, now)
    if until_s < np.inf:
        measure(clock, state.meter, until_s)
    return True


@lean
def _leaves(exits: Exits | None, runs: Runs, clock: Clock) -> float:
    """When the next job leaves that is not done; inf: none does."""
    if exits is None:
        return np.inf
    now = clock.now_s[0]
    while exits.nth[0] < len(exits.at_s):
        job = exits.job[exits.nth[0]]
        if runs.flavor[job] == NOWHERE or runs.end_s[job] > now:
            return float(exits.at_s[exits.nth[0]])
        exits.nth[0] += 1
    return np.inf


@lean
def _left(course: Course, exits: Exits | None, now: float) -> int:
    """All leave whose moment it is, who start no more in it: what that means for others, of HOPE, RAN and WAITED."""
    found = 0
    if exits is not None:
        while _leaves(exits, course.state.runs, course.state.clock) <= now:
            flavor = _goes(course, exits, now)
            if flavor == NOWHERE:
                found |= WAITED
            elif hopeful(course.work, course.rules, course.state, flavor):
                found |= RAN | HOPE
            else:
                found |= RAN
    return found


@lean
def _goes(course: Course, exits: Exits, now: float) -> int:
    """The next job leaves: the flavor in which it ran, NOWHERE if it waited."""
    work, state, fates = course.work, course.state, course.fates
    runs, clock, meter, job = state.runs, state.clock, state.meter, exits.job[exits.nth[0]]
    exits.nth[0] += 1
    runs.end_s[job] = now
    if runs.flavor[job] != NOWHERE:
        clock.running[0] = removed(clock.ends, clock.gangs, clock.running[0], job)
        released(work, course.rules, state, job)
        return int(runs.flavor[job])
    meter.waiting[work.queue[job]] -= work.gpus[job]
    meter.waiting_jobs[work.queue[job]] -= 1
    if _held(course, job):
        fates.holds[0] = removed(fates.until, fates.held, fates.holds[0], job)
    else:
        steps_out(work, state, job)
    return NOWHERE


@lean
def _held(course: Course, job: int) -> bool:
    """Whether a job that waits is held back."""
    held = False
    for nth in range(course.fates.holds[0]):
        held = held or course.fates.held[nth] == job
    return held


@lean
def settled(course: Course, contest: Contest | None, now: float) -> None:
    """Starts whoever may start now."""
    if contest is None:
        settle(course.work, course.rules, course.state, course.kinds.paces, now)
    else:
        contend(Scene(course.work, course.rules, course.state, course.kinds, course.fates, contest), now)
