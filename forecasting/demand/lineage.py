"""Where a line comes from and whether it lives: renames, new queues without a past, queues that died."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import numpy as np

from forecasting.demand.seen import NODE_GPUS, newest, seen_s
from forecasting.demand.signals import Bools, Rows
from forecasting.once import kept
from gyropilot.domain import ALL_QUEUES, DemandHistory, Floats, Line, Window

NEAR = timedelta(hours=1)
"""A renamed queue appears this soon before or after its old name vanishes."""

ALIKE = 0.25
"""Share by which demand under both names may differ at the change."""

LEAST_USED = 0.5
LEAST_UNUSED = timedelta(days=1)

YOUNG = timedelta(days=2)
"""A line seen for less than this borrows a past."""

LEAST_COMMON = timedelta(hours=1)
"""A past is borrowed only after this long together: what a new line is like must have been seen."""

MOST_SCALED = 4.0
"""A past is not scaled up or down by more: a sibling of quite another size says nothing."""

DEAD_AFTER = timedelta(days=7)


def renamed(history: DemandHistory) -> dict[Line, Line]:
    """New names with their old ones: the old vanished as the new one appeared, with like demand, on one resource.

    The old one was in use for most of at least a day, and the new one for none of at least a day: else a pause would
    do. What was not seen counts neither way, such as what is older than what Prometheus keeps.
    """
    near, first, last = max(1, round(NEAR / history.step)), _first_used(history), _last_used(history)
    count, seen, day = history.demand.shape[1], np.isfinite(history.demand), LEAST_UNUSED / history.step
    lived = (seen & (np.arange(count) <= last[:, None])).sum(axis=1)
    share = np.where(lived >= day, _used(history).sum(axis=1) / np.maximum(lived, 1), 0.0)
    known_before = np.append(0, np.cumsum(seen.any(axis=0)))  # columns at which anything was seen
    queues = np.array([line.queue != ALL_QUEUES for line in history.lines], dtype=bool)  # a total has no other name
    old = np.flatnonzero(queues & (last >= 0) & (last < count - 1 - near) & (share >= LEAST_USED))
    new = np.flatnonzero(queues & (known_before[np.maximum(first, 0)] >= day))
    gap = np.abs(first[new][:, None] - last[old][None, :] - 1)
    pairs = []
    for i, j in zip(*(rows[at] for rows, at in zip((new, old), np.nonzero(gap <= near), strict=True)), strict=True):
        then, now = _level(history, int(j), int(last[j]) + 1 - near), _level(history, int(i), int(first[i]))
        unlike = abs(now - then) / max(then, now)
        if unlike <= ALIKE and history.lines[i].resource == history.lines[j].resource:
            pairs.append((unlike, abs(int(first[i] - last[j]) - 1), history.lines[i], history.lines[j]))
    return _one_to_one(sorted(pairs))


def joined(history: DemandHistory, names: Mapping[Line, Line]) -> DemandHistory:
    """The same lines; one that was `renamed` also has what was seen under its old name."""
    running, pending = history.running.copy(), history.pending.copy()
    first = _first_used(history)
    for new, old in names.items():
        i, j = history.lines.index(new), history.lines.index(old)
        running[i, : first[i]], pending[i, : first[i]] = history.running[j, : first[i]], history.pending[j, : first[i]]
    return DemandHistory(history.lines, history.times, running, pending)


def with_borrowed_pasts(history: DemandHistory) -> DemandHistory:
    """The same; a line that is too young to have a past has, before it was first seen, that of a sibling, scaled.

    Of the sibling on the same resource that is nearest in size over the time they were seen together.
    """
    running, pending = history.running.copy(), history.pending.copy()
    seen, first = seen_s(history), _first_seen(history)
    young = (seen < YOUNG.total_seconds()) & (seen >= LEAST_COMMON.total_seconds())
    for i in np.flatnonzero(young):
        sibling, scale = _sibling(history, int(i), np.flatnonzero(seen >= 2 * YOUNG.total_seconds()))
        if sibling is not None:
            running[i, : first[i]] = scale * history.running[sibling, : first[i]]
            pending[i, : first[i]] = scale * history.pending[sibling, : first[i]]
    return DemandHistory(history.lines, history.times, running, pending)


def quieted(table: Floats, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
    """(L, W, Q) GPUs, where a dead line has none, and a first burst that is the less likely the longer it is dead.

    That it is there at a given hour takes that it has begun by then and is not over; its size is that of past demand.
    """
    if (history.demand[:, -1:] > 0).all():  # as a rule, of the few lines of a small cluster or of totals
        return table
    from forecasting.compiled import bursts

    idle = idle_s(history, range(len(history.lines)))
    dead = np.flatnonzero(idle >= DEAD_AFTER.total_seconds())
    if not len(dead):
        return table
    chances = _chances(_ends_s(windows), idle[dead], bursts.shares_used(history.demand, dead))
    ranks = _burst_ranks(chances, np.array(quantiles))
    result = table.copy()
    result[dead] = bursts.sizes(history.demand, dead, ranks, NODE_GPUS)
    return result


def without_vanished(table: Floats, history: DemandHistory) -> Floats:
    """(L, W, Q) GPUs that count towards totals: nothing of a line that was not seen for NEAR longer than others.

    Totals count such a line as nothing from then on: it was deleted, or goes on under another name.
    """
    ago_s = newest(history)[1]
    vanished = (history.seen > 0) & (ago_s - ago_s.min(initial=np.inf) > NEAR.total_seconds())
    return np.where(vanished[:, None, None], 0.0, table) if vanished.any() else table


def _chances(ahead_s: Floats, dead_s: Floats, share_used: Floats) -> Floats:
    """(D, W) that there is demand at a moment.

    The rate of bursts is about one in as long as none came: exponential, as is what else it may be. So one has begun
    within a lead with a chance of lead / (lead + dead), and demand is there for the share of time that it used to be.
    """
    chances: Floats = share_used[:, None] * ahead_s / (ahead_s + dead_s[:, None])
    return chances


def _burst_ranks(chances: Floats, quantiles: Floats) -> Floats:
    """(D, W, Q) the quantile of a burst's size at a quantile of demand; 0 where it is likelier that there is none."""
    ranks: Floats = np.clip(1 - (1 - quantiles) / np.maximum(chances[..., None], 1e-12), 0.0, 1.0)
    return ranks


@kept
def _ends_s(windows: Sequence[Window]) -> Floats:
    """(W,) when windows end."""
    return np.array([window.end.total_seconds() for window in windows])


def idle_s(history: DemandHistory, rows: Sequence[int]) -> Floats:
    """(R,) seconds since demand of some lines was last above zero, counting only what was seen: a gap is not a zero."""
    from forecasting.compiled import bursts

    idle = bursts.idle_steps(history.demand, np.array(rows, dtype=np.int64))
    return np.asarray(idle * history.step.total_seconds(), dtype=np.float64)


def _sibling(history: DemandHistory, young: int, old: Rows) -> tuple[int | None, float]:
    """The line nearest in size to a young one over the time both were seen, and what to scale it by."""
    both = np.isfinite(history.demand[young]) & np.isfinite(history.demand)
    own = np.where(both, history.demand[young], 0.0).sum(axis=1)
    theirs = np.where(both, history.demand, 0.0).sum(axis=1)
    ratio = np.where(theirs > 0, own / np.where(theirs > 0, theirs, 1.0), 0.0)
    mine = history.lines[young]
    fit = [
        int(j)
        for j in old
        if 1 / MOST_SCALED <= ratio[j] <= MOST_SCALED
        and history.lines[j].resource == mine.resource
        and history.lines[j].queue != ALL_QUEUES
        and mine.queue != ALL_QUEUES
    ]
    if not fit:
        return None, 0.0
    nearest = min(fit, key=lambda j: (abs(np.log(ratio[j])), history.lines[j]))
    return nearest, float(ratio[nearest])


def _one_to_one(pairs: Sequence[tuple[float, int, Line, Line]]) -> dict[Line, Line]:
    """The likeliest pairs first, each name once."""
    found: dict[Line, Line] = {}
    for _, _, new, old in pairs:
        if new not in found and old not in found.values():
            found[new] = old
    return found


def _level(history: DemandHistory, line: int, first: int) -> float:
    """Mean of what was seen in the hour from column `first`."""
    hour = history.demand[line, max(0, first) : first + max(1, round(NEAR / history.step))]
    return float(np.nanmean(hour)) if np.isfinite(hour).any() else 0.0


def _used(history: DemandHistory) -> Bools:
    return np.nan_to_num(history.demand) > 0


def _first_used(history: DemandHistory) -> Rows:
    """(L,) first column with demand above zero; -1: none."""
    used = _used(history)
    return np.where(used.any(axis=1), np.argmax(used, axis=1), -1) if used.shape[1] else np.full(len(used), -1)


def _last_used(history: DemandHistory) -> Rows:
    """(L,) last column with demand above zero; -1: none."""
    used = _used(history)[:, ::-1]
    last = used.shape[1] - 1 - np.argmax(used, axis=1) if used.shape[1] else np.full(len(used), -1)
    return np.where(used.any(axis=1), last, -1)


def _first_seen(history: DemandHistory) -> Rows:
    """(L,) first column that was seen."""
    seen = np.isfinite(history.demand)
    return np.argmax(seen, axis=1) if seen.shape[1] else np.zeros(len(seen), dtype=np.int64)
