"""Jobs that stop others to start; see `envs.replay`.

As Kueue does: in a round the head of each line starts, tells others to stop, keeps what it has a right to, or steps
aside. When nothing moves any more, all that were told to have stopped, and whoever waits is looked at again.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.compiled.heaps import left
from envs.compiled.lean import lean
from envs.compiled.quotas import (
    NOWHERE,
    Lines,
    fits,
    grain,
    lines_up,
    moved,
    recall,
    reserved,
    set_aside,
    started,
    waits,
)
from envs.compiled.stops import Contest, Scene, stopped

Ints = NDArray[np.int64]

NEVER, LOWER, LOWER_OR_NEWER, ANY = 0, 1, 2, 3
NOBODY_BELOW = -(1 << 60)
FINAL, INITIAL = 1, 2
PATIENCE = 100
"""How often those who run may be told to stop at one moment: queues that take turns would go on for ever."""

WITHIN, RECLAIM = 1, 2  # how well a flavor suits: 0 where nobody can be stopped, and what fits suits best
TELLS, WAITS = 1, 2  # a head's way in, in units of F, beside its flavor
HEAVY = float(1 << 40)  # more than the share of any queue whose weight is not zero
GAPS = np.array([301, 132, 57, 23, 10, 4, 1])  # Ciura's, for Shell's sort


class Bid(NamedTuple):
    """A job that would start in a flavor."""

    line: int
    job: int
    flavor: int
    gpus: int


@lean
def contend(scene: Scene, now: float) -> None:
    """Starts and stops whoever may now."""
    contest, lines, freed, times = scene.contest, scene.state.lines, False, 0
    while True:
        moving = True
        while moving and _anybody(lines):
            moving = _round(scene, now, times < PATIENCE)
        if contest.tolds[0]:
            _let_go(scene, now)
            freed, times = True, times + 1
        elif freed:
            recall(lines)
            freed = False
        else:
            return


@lean
def _anybody(lines: Lines) -> bool:
    """Whether anybody is to be looked at, heads that block their line included: others may stop for them."""
    waiting = 0
    for line in range(len(lines.readies)):
        waiting += lines.readies[line]
    return waiting > 0


@lean
def _let_go(scene: Scene, now: float) -> None:
    """Those that were told to stop wait in line again."""
    clock, contest, count = scene.state.clock, scene.contest, 0
    for nth in range(clock.running[0]):
        if contest.told[clock.gangs[nth]]:
            contest.candidates[count] = clock.gangs[nth]
            count += 1
    for nth in range(count):
        job = contest.candidates[nth]
        _written_down(scene, job, now)
        contest.lost[0] += stopped(scene, job, now)
        contest.told[job] = False
        waits(scene.work, scene.state, job)
    contest.tolds[0] = 0


@lean
def _written_down(scene: Scene, job: int, now: float) -> None:
    spells, runs = scene.contest.spells, scene.state.runs
    at = spells.noted[0]
    if at < len(spells.job) and runs.began_s[job] < now:
        spells.job[at], spells.flavor[at], spells.gpus[at] = job, runs.flavor[job], runs.gpus[job]
        spells.start_s[at], spells.end_s[at] = runs.began_s[job], now
        spells.noted[0] += 1


@lean
def _round(scene: Scene, now: float, may_tell: bool) -> bool:
    """Whether anything moved."""
    work, rules, heads, contest = scene.work, scene.rules, scene.state.heads, scene.contest
    ledger, flavors, count = scene.state.ledger, scene.rules.nominal.shape[1], len(scene.work.queue)
    before, knew, gone = set_aside(scene.state.lines), contest.tolds[0], 0
    found = _nominated(scene)
    moving = set_aside(scene.state.lines) > before
    for nth in range(found):
        if contest.policies.fair:
            _turn(scene, nth, found)
        job = work.at_place[heads.place[nth] % count]
        bid, way = _bid(scene, job, heads.flavor[nth] % flavors), heads.flavor[nth] // flavors
        heads.reserved[nth] = 0
        if way == WAITS:
            heads.reserved[nth] = _right(scene, bid)
        elif way == TELLS:
            more = _told(scene, bid, gone) if may_tell else 0
            heads.reserved[nth] = bid.gpus if more else 0
            gone += more
        elif _fits_without(scene, bid, gone):
            started(work, rules, scene.state, scene.kinds.paces, job, bid.flavor, now)
            moving = True
        else:  # another head took what it was to have
            lines_up(bid.line, work.place[job], scene.state.lines)
        moved(bid.line, bid.flavor, heads.reserved[nth], rules, ledger)
    for nth in range(found):
        line = work.queue[work.at_place[heads.place[nth] % count]]
        moved(line, heads.flavor[nth] % flavors, -heads.reserved[nth], rules, ledger)
        _unmarked(scene, line)
    return bool(moving or contest.tolds[0] > knew)


@lean
def _bid(scene: Scene, job: int, flavor: int) -> Bid:
    return Bid(scene.work.queue[job], job, flavor, scene.state.runs.gpus[job])


@lean
def _right(scene: Scene, bid: Bid) -> int:
    """GPUs that are kept for a head that can stop nobody; none where its queue could take them back from anybody."""
    if scene.rules.keeps_rights and scene.contest.policies.reclaim[bid.line] != ANY:
        return int(reserved(bid.line, bid.flavor, bid.gpus, scene.rules, scene.state.ledger))
    return 0


@lean
def _told(scene: Scene, bid: Bid, gone: int) -> int:
    """Tells those to stop whom a head marked: how many, 0 where it is in vain in this round."""
    clock, contest, at = scene.state.clock, scene.contest, gone
    for nth in range(clock.running[0]):
        other = clock.gangs[nth]
        if contest.mark[bid.line, other]:
            for before in range(gone):
                if contest.victims[before] == other:
                    return 0
            contest.victims[at] = other
            at += 1
    if not _fits_without(scene, bid, at):
        return 0
    for nth in range(gone, at):
        if not contest.told[contest.victims[nth]]:
            contest.told[contest.victims[nth]] = True
            contest.tolds[0] += 1
    return at - gone


@lean
def _fits_without(scene: Scene, bid: Bid, gone: int) -> bool:
    """Whether a job would fit if the first victims had stopped."""
    _without(scene, scene.contest.victims, gone, -1)
    fit = _fits(scene, bid)
    _without(scene, scene.contest.victims, gone, 1)
    return fit


@lean
def _fits(scene: Scene, bid: Bid) -> bool:
    return bool(fits(bid.line, bid.flavor, bid.gpus, scene.rules, scene.state.ledger))


@lean
def _unmarked(scene: Scene, line: int) -> None:
    clock = scene.state.clock
    for nth in range(clock.running[0]):
        scene.contest.mark[line, clock.gangs[nth]] = False


@lean
def _without(scene: Scene, jobs: Ints, count: int, sign: int) -> None:
    """Takes what the first of some jobs use from the ledger, or gives it back."""
    for nth in range(count):
        _shifted(scene, jobs[nth], sign)


@lean
def _shifted(scene: Scene, job: int, sign: int) -> None:
    flavor, gpus = scene.state.runs.flavor[job], sign * scene.state.runs.gpus[job]
    moved(scene.work.queue[job], flavor, gpus, scene.rules, scene.state.ledger)


@lean
def _nominated(scene: Scene) -> int:
    """Finds the head of each line and its way in: how many have one. Others step aside, or block their line."""
    work, lines, heads, contest = scene.work, scene.state.lines, scene.state.heads, scene.contest
    found, flavors = 0, scene.rules.nominal.shape[1]
    for line in range(len(lines.readies)):
        if not lines.readies[line]:
            continue
        place = lines.ready[lines.first[line]]
        way_in = _entry(scene, line, work.at_place[place])
        if way_in == NOWHERE or way_in // flavors == WAITS:
            if scene.rules.strict[line]:
                lines.blocked[line] = True
            else:
                lines.readies[line] = left(lines.ready[lines.first[line] :], lines.readies[line])
                lines.aside[lines.first[line] + lines.asides[line]] = place
                lines.asides[line] += 1
            if way_in == NOWHERE:
                continue
        elif way_in // flavors != TELLS:
            lines.readies[line] = left(lines.ready[lines.first[line] :], lines.readies[line])
        key, at = place + (len(work.queue) if contest.borrows[line] else 0), found
        while at > 0 and heads.place[at - 1] > key:
            heads.place[at], heads.flavor[at] = heads.place[at - 1], heads.flavor[at - 1]
            at -= 1
        heads.place[at], heads.flavor[at] = key, way_in
        found += 1
    return found


@lean
def _turn(scene: Scene, nth: int, found: int) -> None:
    """Puts the head next whose queue does not borrow for it, then with the lowest share, then by place."""
    work, rules, heads = scene.work, scene.rules, scene.state.heads
    ledger, flavors, best = scene.state.ledger, rules.nominal.shape[1], nth
    least = (0, False, 0.0, 0)
    for at in range(nth, found):
        place = heads.place[at] % len(work.queue)
        job = work.at_place[place]
        line, flavor, gpus = work.queue[job], heads.flavor[at] % flavors, scene.state.runs.gpus[job]
        moved(line, flavor, gpus, rules, ledger)
        over = not scene.contest.policies.alone[line] and ledger.used[line, flavor] > rules.nominal[line, flavor]
        key = (rules.cohort[line], over, _share(scene, line), place)
        moved(line, flavor, -gpus, rules, ledger)
        if at == nth or key < least:
            best, least = at, key
    heads.place[nth], heads.place[best] = heads.place[best], heads.place[nth]
    heads.flavor[nth], heads.flavor[best] = heads.flavor[best], heads.flavor[nth]


@lean
def _share(scene: Scene, line: int) -> float:
    """What a queue borrows, in thousandths of all that its cohort lends, by its weight."""
    policies, rules, used, over = scene.contest.policies, scene.rules, scene.state.ledger.used, 0
    if policies.alone[line]:
        return 0.0
    for flavor in range(used.shape[1]):
        over += max(0, used[line, flavor] - rules.nominal[line, flavor])
    lends = policies.lends[rules.cohort[line]]
    ratio = over * 1000.0 / lends if over and lends > 0 else 0.0
    if policies.weight[line] == 0.0:
        return HEAVY + ratio if over else 0.0
    return float(ratio / policies.weight[line])


@lean
def _entry(scene: Scene, line: int, job: int) -> int:
    """A head's way in, with fewer GPUs where it has none with all."""
    gpus, flavors = scene.work.gpus[job], scene.rules.nominal.shape[1]
    way_in = _way_in(scene, line, job, gpus)
    if scene.work.least[job] == gpus:
        return int(way_in)
    if way_in == NOWHERE or way_in // flavors == WAITS:
        gpus = _fewer(scene, line, job)
        _unmarked(scene, line)
        way_in = _way_in(scene, line, job, gpus)  # once more: borrowing and marks are of the last that was asked
    scene.state.runs.gpus[job] = gpus
    return int(way_in)


@lean
def _fewer(scene: Scene, line: int, job: int) -> int:
    """The most GPUs with which a head can start or stop others, found by halves as Kueue does; all where none do.

    Kueue takes for granted that fewer always do where more do. With preemption that need not be so.
    """
    gpus, at_once, flavors = scene.work.gpus[job], grain(scene.work, scene.rules, job), scene.rules.nominal.shape[1]
    low, high, good = 0, (gpus - scene.work.least[job]) // at_once + 1, NOWHERE
    while low < high:
        less = (low + high) // 2
        way_in = _way_in(scene, line, job, gpus - less * at_once)
        if way_in != NOWHERE and way_in // flavors != WAITS:
            high = good = less
        else:
            low = less + 1
    return int(gpus - good * at_once if good == low else gpus)


@lean
def _way_in(scene: Scene, line: int, job: int, gpus: int) -> int:
    """The first flavor in which a job fits, or the best of those in which it would; marks who would have to stop."""
    rules, contest, policies = scene.rules, scene.contest, scene.contest.policies
    found, best, flavors = NOWHERE, -1, rules.nominal.shape[1]
    to_borrow = policies.borrow_up_to[line] > NOBODY_BELOW or (policies.fair != 0 and policies.reclaim[line] != NEVER)
    for flavor in rules.order[line]:
        if flavor == NOWHERE:
            break
        bid = Bid(line, job, flavor, gpus)
        if bid.gpus > policies.most[line, flavor]:
            continue
        if _fits(scene, bid):
            contest.borrows[line] = not policies.alone[line] and _over(scene, line, flavor, bid.gpus)
            _unmarked(scene, line)
            return int(flavor)
        if bid.gpus > rules.nominal[line, flavor] and not to_borrow:
            continue
        count = _targets(scene, bid)
        own = _of_queue(scene, line, count)
        borrows = not policies.alone[line] and _over(scene, line, flavor, bid.gpus - own)
        rank = 2 * (0 if count == 0 else (WITHIN if own else RECLAIM)) + (0 if borrows else 1)
        if rank > best:
            best, found = rank, flavor + flavors * (TELLS if count else WAITS)
            contest.borrows[line] = borrows
            _unmarked(scene, line)
            for nth in range(count):
                contest.mark[line, contest.chosen[nth]] = True
    return int(found)


@lean
def _of_queue(scene: Scene, line: int, count: int) -> int:
    """GPUs of those of a queue who are among the first chosen."""
    own = 0
    for nth in range(count):
        if scene.work.queue[scene.contest.chosen[nth]] == line:
            own += scene.state.runs.gpus[scene.contest.chosen[nth]]
    return own


@lean
def _over(scene: Scene, line: int, flavor: int, more: int) -> bool:
    """Whether a queue uses more than its quota."""
    return bool(scene.state.ledger.used[line, flavor] + more > scene.rules.nominal[line, flavor])


@lean
def _targets(scene: Scene, bid: Bid) -> int:
    """Fills `chosen` with those who would have to stop: how many, none where that would not do."""
    count = _candidates(scene, bid)
    if count == 0:
        return 0
    if scene.contest.policies.fair:
        return int(_fair(scene, bid, count))
    return int(_classic(scene, bid, count))


@lean
def _candidates(scene: Scene, bid: Bid) -> int:
    """Who may have to stop, in order; of other queues those that use more than their quota."""
    clock, contest, rules, count = scene.state.clock, scene.contest, scene.rules, 0
    within, reclaim = contest.policies.within[bid.line], contest.policies.reclaim[bid.line]
    for nth in range(clock.running[0] if within != NEVER or reclaim != NEVER else 0):
        other = clock.gangs[nth]
        theirs = scene.work.queue[other]
        if scene.state.runs.flavor[other] != bid.flavor or rules.cohort[theirs] != rules.cohort[bid.line]:
            continue
        if theirs != bid.line and not _over(scene, theirs, bid.flavor, 0):
            continue
        if _below(scene, bid.job, other, within if theirs == bid.line else reclaim):
            contest.candidates[count] = other
            count += 1
    _sort(scene, bid.line, count)
    return count


@lean
def _sort(scene: Scene, line: int, count: int) -> None:
    """Shell's."""
    candidates = scene.contest.candidates
    for gap in GAPS:
        for nth in range(gap, count):
            other, at = candidates[nth], nth
            while at >= gap and _first(scene, other, candidates[at - gap], line):
                candidates[at] = candidates[at - gap]
                at -= gap
            candidates[at] = other


@lean
def _below(scene: Scene, job: int, other: int, policy: int) -> bool:
    mine, theirs = scene.contest.priority[job], scene.contest.priority[other]
    if policy == LOWER_OR_NEWER and mine == theirs:
        return bool(scene.work.submit_s[job] < scene.work.submit_s[other])
    return bool(policy == ANY or (policy != NEVER and theirs < mine))


@lean
def _first(scene: Scene, job: int, other: int, line: int) -> bool:
    """Whether a job stops before another: told already, of another queue, of lower priority, started later."""
    contest, queue, began_s = scene.contest, scene.work.queue, scene.state.runs.began_s
    if contest.told[job] != contest.told[other]:
        return bool(contest.told[job])
    if (queue[job] == line) != (queue[other] == line):
        return bool(queue[job] != line)
    if contest.priority[job] != contest.priority[other]:
        return bool(contest.priority[job] < contest.priority[other])
    if began_s[job] != began_s[other]:
        return bool(began_s[job] > began_s[other])
    return job > other


@lean
def _classic(scene: Scene, bid: Bid, count: int) -> int:
    """By priority, and by what others borrow."""
    others = False
    for nth in range(count):
        others = others or scene.work.queue[scene.contest.candidates[nth]] != bid.line
    never = scene.contest.policies.borrow_up_to[bid.line] == NOBODY_BELOW
    full = scene.state.ledger.used[bid.line, bid.flavor] >= scene.rules.nominal[bid.line, bid.flavor]
    if not others or (never and full):
        return _attempt(scene, bid, count, True)
    borrow_first = not never or not _over(scene, bid.line, bid.flavor, bid.gpus)
    found = _attempt(scene, bid, count, borrow_first)
    return int(found if found else _attempt(scene, bid, count, not borrow_first))


@lean
def _attempt(scene: Scene, bid: Bid, count: int, borrow: bool) -> int:
    """Stops candidates in order until the job fits, then lets those go on that need not stop: how many stop."""
    contest, stops = scene.contest, 0
    anybody = not borrow or not _over(scene, bid.line, bid.flavor, bid.gpus)
    for nth in range(count):
        other = contest.candidates[nth]
        theirs = scene.work.queue[other]
        if theirs != bid.line:
            if not anybody and not _even_to_borrow(contest, bid, other):
                continue
            if not _over(scene, theirs, bid.flavor, 0):
                continue
        _shifted(scene, other, -1)
        contest.chosen[stops] = other
        stops += 1
        if _would(scene, bid, borrow):
            return int(_filled_back(scene, bid, stops, borrow))
    _without(scene, contest.chosen, stops, 1)
    return 0


@lean
def _even_to_borrow(contest: Contest, bid: Bid, other: int) -> bool:
    """Whether one of another queue may be stopped for a job that borrows then."""
    theirs = contest.priority[other]
    return bool(theirs < contest.priority[bid.job] and theirs <= contest.policies.borrow_up_to[bid.line])


@lean
def _would(scene: Scene, bid: Bid, borrow: bool) -> bool:
    """Whether a job fits, without borrowing where it may not."""
    return bool((borrow or not _over(scene, bid.line, bid.flavor, bid.gpus)) and _fits(scene, bid))


@lean
def _filled_back(scene: Scene, bid: Bid, stops: int, borrow: bool) -> int:
    """Lets those go on that need not stop after all, the last one first; gives all back to the ledger."""
    chosen, count = scene.contest.chosen, 0
    for nth in range(stops - 2, -1, -1):
        _shifted(scene, chosen[nth], 1)
        if _would(scene, bid, borrow):
            chosen[nth] = NOWHERE
        else:
            _shifted(scene, chosen[nth], -1)
    for nth in range(stops):
        if chosen[nth] != NOWHERE:
            chosen[count] = chosen[nth]
            count += 1
    _without(scene, chosen, count, 1)
    return count


@lean
def _fair(scene: Scene, bid: Bid, count: int) -> int:
    """So that shares of queues come closer to each other; shares are such as if the job ran."""
    contest, ledger, rules = scene.contest, scene.state.ledger, scene.rules
    contest.taken[:count], contest.dropped[:] = False, False
    moved(bid.line, bid.flavor, bid.gpus, rules, ledger)
    stops, done = _by_share(scene, bid, count)
    if not done and contest.policies.fair == FINAL + INITIAL:
        _only_chosen_taken(scene, count, stops)
        stops, done = _by_larger_share(scene, bid, count, stops)
    moved(bid.line, bid.flavor, -bid.gpus, rules, ledger)
    if done:
        return int(_filled_back(scene, bid, stops, True))
    _without(scene, contest.chosen, stops, 1)
    return 0


@lean
def _by_share(scene: Scene, bid: Bid, count: int) -> tuple[int, bool]:
    """By the first rule that is set: how many stop, and whether that does."""
    contest, stops = scene.contest, 0
    within = not _over(scene, bid.line, bid.flavor, 0)
    queue = _next_queue(scene, bid.line, count)
    while queue != NOWHERE:
        mine, theirs = _share(scene, bid.line), _share(scene, queue)
        for nth in range(count):
            other = contest.candidates[nth]
            if contest.taken[nth] or scene.work.queue[other] != queue:
                continue
            contest.taken[nth] = True
            _shifted(scene, other, -1)
            fair = mine <= _share(scene, queue) if contest.policies.fair & FINAL else mine < theirs
            if queue == bid.line or within or fair:
                contest.chosen[stops] = other
                stops += 1
                if _fits_beside(scene, bid):
                    return stops, True
                break
            _shifted(scene, other, 1)
        queue = _next_queue(scene, bid.line, count)
    return stops, False


@lean
def _by_larger_share(scene: Scene, bid: Bid, count: int, stops: int) -> tuple[int, bool]:
    """One more of each queue whose share is larger."""
    contest = scene.contest
    contest.dropped[:] = False
    queue = _next_queue(scene, bid.line, count)
    while queue != NOWHERE:
        contest.dropped[queue] = True
        if _share(scene, bid.line) < _share(scene, queue):
            nth = 0
            while contest.taken[nth] or scene.work.queue[contest.candidates[nth]] != queue:
                nth += 1
            contest.taken[nth] = True
            contest.chosen[stops] = contest.candidates[nth]
            _shifted(scene, contest.chosen[stops], -1)
            stops += 1
            if _fits_beside(scene, bid):
                return stops, True
        queue = _next_queue(scene, bid.line, count)
    return stops, False


@lean
def _only_chosen_taken(scene: Scene, count: int, stops: int) -> None:
    """Who was looked at and passed over may be looked at again."""
    contest = scene.contest
    for nth in range(count):
        contest.taken[nth] = False
        for at in range(stops):
            if contest.chosen[at] == contest.candidates[nth]:
                contest.taken[nth] = True


@lean
def _next_queue(scene: Scene, line: int, count: int) -> int:
    """Whose candidates are next: the queue with the largest share, or the own one; then by whose first is first."""
    contest, found, most = scene.contest, NOWHERE, -1.0
    for nth in range(count):
        queue = scene.work.queue[contest.candidates[nth]]
        if contest.taken[nth] or contest.dropped[queue] or queue == found:
            continue
        share = _share(scene, queue)
        if share == 0.0 and queue != line:
            contest.dropped[queue] = True
        elif share > most:
            found, most = queue, share
    return int(found)


@lean
def _fits_beside(scene: Scene, bid: Bid) -> bool:
    """Whether a job fits that is reckoned with as if it ran."""
    moved(bid.line, bid.flavor, -bid.gpus, scene.rules, scene.state.ledger)
    fit = _fits(scene, bid)
    moved(bid.line, bid.flavor, bid.gpus, scene.rules, scene.state.ledger)
    return fit
