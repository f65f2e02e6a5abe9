"""What happens to jobs, event by event: they come, start, stop and end; see `envs.replay`.

Where no job may stop another there is no contest. Numba leaves out then what is for one, as if it were not written.
"""

from __future__ import annotations

import numpy as np

from envs.compiled.contest import contend
from envs.compiled.lean import lean
from envs.compiled.quotas import ended, hopeful, measure, recall, settle, waits
from envs.compiled.stops import Contest, Course, Scene


@lean
def advance(course: Course, contest: Contest | None, until_s: float) -> bool:
    """Replays what happens until a moment, that moment included; False where spells must be taken away first."""
    work, rules, state = course.work, course.rules, course.state
    clock, count = state.clock, len(work.queue)
    while clock.row[0] < count or clock.running[0]:
        submits_s = work.submit_s[clock.row[0]] if clock.row[0] < count else np.inf
        now = min(submits_s, clock.ends[0] if clock.running[0] else np.inf)
        if now > until_s:
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
        if contest is not None:
            hope = freed
        if hope or (freed and clock.row[0] > row):  # who comes now has those who wait already for company
            recall(state.lines)
        settled(course, contest, now)
    if until_s < np.inf:
        measure(clock, state.meter, until_s)
    return True


@lean
def settled(course: Course, contest: Contest | None, now: float) -> None:
    """Starts whoever may start now."""
    if contest is None:
        settle(course.work, course.rules, course.state, course.kinds.paces, now)
    else:
        contend(Scene(course.work, course.rules, course.state, course.kinds, course.fates, contest), now)
