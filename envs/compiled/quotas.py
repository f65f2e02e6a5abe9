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
    """Of lines that fit somewhere: those first that need not borrow, then by place. Those that borrow count N more."""

    place: Ints  # (Q,)
    flavor: Ints  # (Q,)


@compiled
def replay(work: Work, rules: Rules, ledger: Ledger, until_s: float, start_s: Floats, flavor: Ints) -> None:
    """Fills `start_s` and `flavor` (N,) of the jobs that start by `until_s`."""
    count, queues = len(work.queue), len(rules.cohort)
    lines = _nobody(work, queues)
    heads = Heads(np.empty(queues, dtype=np.int64), np.empty(queues, dtype=np.int64))
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
        while ((lines.readies > 0) & ~lines.blocked).any():
            for nth in range(_stepped_forward(work, lines, rules, ledger, heads)):
                job, chosen = work.at_place[heads.place[nth] % count], heads.flavor[nth]
                if _fits(work.queue[job], chosen, work.gpus[job], rules, ledger):
                    _moved(work.queue[job], chosen, work.gpus[job], rules, ledger)
                    start_s[job], flavor[job] = now, chosen
                    running = pushed(ends, gangs, running, now + work.duration_s[job], job)
                else:  # another head took what it was to have
                    _waits(work.queue[job], work.place[job], lines)


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
    """Takes the head of each queue from its line: how many fit. Others step aside, or block their line."""
    count, found = len(work.queue), 0
    for line in range(len(lines.readies)):
        if not lines.readies[line] or lines.blocked[line]:
            continue
        place = lines.ready[lines.first[line]]
        lines.readies[line] = left(lines.ready[lines.first[line] :], lines.readies[line])
        gpus = work.gpus[work.at_place[place]]
        flavor = _choice(line, gpus, rules, ledger)
        if flavor == NOWHERE and rules.strict[line]:
            _waits(line, place, lines)
            lines.blocked[line] = True
            continue
        if flavor == NOWHERE:
            lines.aside[lines.first[line] + lines.asides[line]] = place
            lines.asides[line] += 1
            continue
        borrows = ledger.used[line, flavor] + gpus > rules.nominal[line, flavor]
        key, at = place + (count if borrows else 0), found
        while at > 0 and heads.place[at - 1] > key:
            heads.place[at], heads.flavor[at] = heads.place[at - 1], heads.flavor[at - 1]
            at -= 1
        heads.place[at], heads.flavor[at] = key, flavor
        found += 1
    return found


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
