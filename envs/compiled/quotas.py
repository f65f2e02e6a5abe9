"""Queues with quotas, borrowing and best-effort order; see `envs.replay`.

Amounts are by queue and flavor, (Q, F); what of a queue's quota others may use is counted by cohort and flavor, (C, F).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.compiled.heaps import joined, left, popped, pushed
from forecasting.compiled.loops import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

NOWHERE = -1


class Rules(NamedTuple):
    """What does not change."""

    order: Ints  # (Q, F) flavors as they are tried, NOWHERE after the last
    nominal: Ints  # (Q, F) GPUs
    most: Ints  # (Q, F) GPUs with all that may be borrowed
    kept: Ints  # (Q, F) GPUs of the quota that are never lent
    cohort: Ints  # (Q,)
    strict: Bools  # (Q,) whether the head blocks those behind it
    keeps_rights: bool  # whether heads that do not fit keep their own quota from others


class Ledger(NamedTuple):
    """What is used now."""

    used: Ints  # (Q, F) GPUs
    free: Ints  # (C, F) GPUs of lendable quota that nobody uses
    idle: Ints  # (F,) GPUs on nodes that nobody uses


class Work(NamedTuple):
    """Jobs in order of submission, (N,)."""

    submit_s: Floats
    duration_s: Floats
    queue: Ints
    gpus: Ints
    place: Ints  # in line, from 0: larger priority first, then older, then as in the table
    at_place: Ints  # the job that has it


class Lines(NamedTuple):
    """Who waits, by place; each queue's part begins at `first`."""

    first: Ints  # (Q + 1,)
    ready: Ints  # (N,) a heap per queue of those to look at
    readies: Ints  # (Q,) how many
    aside: Ints  # (N,) those that fitted nowhere when last looked at
    asides: Ints  # (Q,) how many
    blocked: Bools  # (Q,) by a head that fitted nowhere when last looked at


class Heads(NamedTuple):
    """Of lines, those first that need not borrow, then by place. Those that borrow count N more."""

    place: Ints  # (Q,)
    flavor: Ints  # (Q,) in which they fit; F more: in which they would, if others gave back what they borrowed


@compiled
def replay(work: Work, rules: Rules, ledger: Ledger, until_s: float, start_s: Floats, flavor: Ints) -> None:
    """Fills `start_s` and `flavor` (N,) of the jobs that start by `until_s`."""
    count, queues = len(work.queue), len(rules.cohort)
    lines = _nobody(work, queues)
    heads = Heads(np.empty(queues, dtype=np.int64), np.empty(queues, dtype=np.int64))
    flavors, reserved = rules.nominal.shape[1], np.zeros(queues, dtype=np.int64)
    ends, gangs, running = np.empty(count), np.empty(count, dtype=np.int64), 0
    row = 0
    while row < count or running:
        now = min(work.submit_s[row] if row < count else np.inf, ends[0] if running else np.inf)
        if now > until_s:
            return
        freed = False
        while running and ends[0] <= now:
            job = gangs[0]
            _moved(work.queue[job], flavor[job], -work.gpus[job], rules, ledger)
            running, freed = popped(ends, gangs, running), True
        while row < count and work.submit_s[row] <= now:
            _waits(work.queue[row], work.place[row], lines)
            row += 1
        if freed:
            _recall(lines)
        moving = True  # or the same heads would lose to the same right for ever
        while moving and ((lines.readies > 0) & ~lines.blocked).any():
            before = lines.asides.sum() + lines.blocked.sum()
            found = _stepped_forward(work, lines, rules, ledger, heads)
            moving = lines.asides.sum() + lines.blocked.sum() > before
            for nth in range(found):
                job, chosen = work.at_place[heads.place[nth] % count], heads.flavor[nth]
                line, wanted = work.queue[job], work.gpus[job]
                if chosen >= flavors:  # nobody behind it may take in this round what it has a right to
                    reserved[nth] = _reserved(line, chosen - flavors, wanted, rules, ledger)
                    _moved(line, chosen - flavors, reserved[nth], rules, ledger)
                elif _fits(line, chosen, wanted, rules, ledger):
                    _moved(line, chosen, wanted, rules, ledger)
                    start_s[job], flavor[job], moving = now, chosen, True
                    running = pushed(ends, gangs, running, now + work.duration_s[job], job)
                else:  # another head took what it was to have
                    _waits(line, work.place[job], lines)
            for nth in range(found):
                if heads.flavor[nth] >= flavors:
                    line = work.queue[work.at_place[heads.place[nth] % count]]
                    _moved(line, heads.flavor[nth] - flavors, -reserved[nth], rules, ledger)


@compiled
def _nobody(work: Work, queues: int) -> Lines:
    first = np.zeros(queues + 1, dtype=np.int64)
    for line in work.queue:
        first[line + 1] += 1
    places = np.empty(len(work.queue), dtype=np.int64)
    none = np.zeros(queues, dtype=np.int64)
    return Lines(np.cumsum(first), places, none, places.copy(), none.copy(), np.zeros(queues, dtype=np.bool_))


@compiled
def _waits(line: int, place: int, lines: Lines) -> None:
    lines.readies[line] = joined(lines.ready[lines.first[line] :], lines.readies[line], place)
    lines.blocked[line] = False


@compiled
def _recall(lines: Lines) -> None:
    """Everybody is looked at again."""
    for line in range(len(lines.readies)):
        for nth in range(lines.asides[line]):
            _waits(line, lines.aside[lines.first[line] + nth], lines)
        lines.asides[line] = 0
        lines.blocked[line] = False


@compiled
def _stepped_forward(work: Work, lines: Lines, rules: Rules, ledger: Ledger, heads: Heads) -> int:
    """Finds the head of each line: how many fit, or would. Others step aside, or block their line."""
    count, found = len(work.queue), 0
    for line in range(len(lines.readies)):
        if not lines.readies[line]:
            continue
        place = lines.ready[lines.first[line]]
        gpus = work.gpus[work.at_place[place]]
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


@compiled
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


@compiled
def _reserved(line: int, flavor: int, wanted: int, rules: Rules, ledger: Ledger) -> int:
    """GPUs that are kept for a head that has a right to them: of its quota, or of its limit where it would borrow."""
    used = ledger.used[line, flavor]
    borrows = used + wanted > rules.nominal[line, flavor]
    most = rules.most[line, flavor] if borrows else rules.nominal[line, flavor]
    return int(max(0, min(wanted, most - used)))


@compiled
def _choice(line: int, wanted: int, rules: Rules, ledger: Ledger) -> int:
    """The first flavor in which so many GPUs fit."""
    for flavor in rules.order[line]:
        if flavor == NOWHERE:
            break
        if _fits(line, flavor, wanted, rules, ledger):
            return int(flavor)
    return NOWHERE


@compiled
def _fits(line: int, flavor: int, wanted: int, rules: Rules, ledger: Ledger) -> bool:
    return bool(wanted <= min(ledger.idle[flavor], _room(line, flavor, rules, ledger)))


@compiled
def _room(line: int, flavor: int, rules: Rules, ledger: Ledger) -> int:
    """GPUs that quotas let a queue still take of a flavor."""
    used, kept = ledger.used[line, flavor], rules.kept[line, flavor]
    shared = min(ledger.free[rules.cohort[line], flavor], rules.most[line, flavor] - max(used, kept))
    return int(max(0, kept - used) + shared)


@compiled
def _moved(line: int, flavor: int, gpus: int, rules: Rules, ledger: Ledger) -> None:
    """A queue takes so many GPUs more."""
    before, kept = ledger.used[line, flavor], rules.kept[line, flavor]
    ledger.used[line, flavor] = before + gpus
    ledger.idle[flavor] -= gpus
    ledger.free[rules.cohort[line], flavor] -= max(0, before + gpus - kept) - max(0, before - kept)
