"""Jobs that have to stop before they are done, and what of their work is lost."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.compiled.heaps import removed
from envs.compiled.lean import lean
from envs.compiled.quotas import NOWHERE, Paces, Rules, State, Work, curve, released

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

HOUR_S = 3_600.0


class Kinds(NamedTuple):
    """Of jobs, (N,)."""

    duration_s: Floats  # at speed 1, on all GPUs that it asks for
    checkpoint_s: Floats  # between two checkpoints; inf: writes none
    restart_s: Floats  # of work, before it goes on where it was
    lot: Floats  # from 0 to 1: whom a lost node hits first
    rank: Ints  # lower ones make way first for other queues
    paces: Paces


class Exits(NamedTuple):
    """Jobs that leave at a moment of their own, done or not, (K,) in order of moments; inf: never."""

    at_s: Floats
    job: Ints
    nth: Ints  # (1,) the next; changes


class Fates(NamedTuple):
    """What happened to jobs that had to stop; changes."""

    saved_s: Floats  # (N,) of work, at the last checkpoint
    stops: Ints  # (N,) how often
    until: Floats  # (N,) a heap of moments until which stopped jobs are held back
    held: Ints  # (N,) which jobs those are
    holds: Ints  # (1,) how many
    exits: Exits | None  # None: nobody leaves


class Policies(NamedTuple):
    """Whom jobs may stop to start; does not change."""

    within: Ints  # (Q,) of the same queue: NEVER, LOWER or LOWER_OR_NEWER
    reclaim: Ints  # (Q,) of queues that borrow: NEVER, LOWER or ANY
    borrow_up_to: Ints  # (Q,) up to which priority even to borrow; NOBODY_BELOW: none
    alone: Bools  # (Q,) in no cohort
    most: Ints  # (Q, F) GPUs that a queue could have if nobody else had any
    weight: Floats  # (Q,) of its share
    lends: Floats  # (C,) GPUs of all flavors
    fair: int  # which rules of fair sharing are tried: the sum of FINAL and INITIAL, or 0


class Spells(NamedTuple):
    """Times for which jobs ran that were stopped, (K,); not written down where there is no room."""

    noted: Ints  # (1,) how many
    job: Ints
    flavor: Ints
    gpus: Ints
    start_s: Floats
    end_s: Floats


class Contest(NamedTuple):
    """Who has to stop for whom; changes."""

    policies: Policies
    priority: Ints  # (N,)
    told: Bools  # (N,) jobs that run, and are to stop
    tolds: Ints  # (1,) how many
    mark: Bools  # (Q, N) who would have to stop for the head of a line
    candidates: Ints  # (N,) room to work in
    taken: Bools  # (N,) of those
    chosen: Ints  # (N,)
    victims: Ints  # (N,)
    dropped: Bools  # (Q,)
    borrows: Bools  # (Q,)
    lost: Floats  # (1,) GPU-hours of work
    spells: Spells


class Course(NamedTuple):
    """All that happens to jobs between two steps."""

    work: Work
    rules: Rules
    state: State
    kinds: Kinds
    fates: Fates


class Scene(NamedTuple):
    """The same, where jobs may stop others."""

    work: Work
    rules: Rules
    state: State
    kinds: Kinds
    fates: Fates
    contest: Contest


@lean
def stopped(scene: Course | Scene, job: int, now: float) -> float:
    """A running job stops, and is to wait; GPU-hours of work that it has to do again, its restart included.

    They are those of as many GPUs as it asked for, at speed 1, whatever it ran on: work is told in them.
    """
    did, kept = _progress(scene, job, now)
    return _let_go(scene, job, now, did, kept)


@lean
def saved(scene: Course | Scene, job: int, now: float) -> float:
    """A running job writes a checkpoint and stops; GPU-hours of its restart."""
    did, _ = _progress(scene, job, now)
    return _let_go(scene, job, now, did, did)


@lean
def _let_go(scene: Course | Scene, job: int, now: float, did: float, kept: float) -> float:
    """A running job gives its GPUs back and keeps so many seconds of what it did; GPU-hours of what it does again."""
    runs, clock, fates, gpus = scene.state.runs, scene.state.clock, scene.fates, scene.work.gpus[job]
    again = scene.kinds.restart_s[job] if fates.stops[job] else 0.0
    spared = max(0.0, again - (now - runs.began_s[job]) * _pace(scene, job))
    fates.saved_s[job] += kept
    fates.stops[job] += 1
    runs.left_s[job] = scene.kinds.duration_s[job] - fates.saved_s[job] + scene.kinds.restart_s[job]
    clock.running[0] = removed(clock.ends, clock.gangs, clock.running[0], job)
    released(scene.work, scene.rules, scene.state, job)
    runs.end_s[job], runs.flavor[job] = np.inf, NOWHERE
    return float((did - kept + scene.kinds.restart_s[job] - spared) * gpus / HOUR_S)


@lean
def unsaved(scene: Course | Scene, job: int, now: float) -> float:
    """Seconds of work that a job would lose if it stopped now, its restart included."""
    did, kept = _progress(scene, job, now)
    return float(did - kept + scene.kinds.restart_s[job])


@lean
def _progress(scene: Course | Scene, job: int, now: float) -> tuple[float, float]:
    """What a running job did since its last checkpoint, and what of it a checkpoint has: seconds of work."""
    runs, kinds, fates = scene.state.runs, scene.kinds, scene.fates
    did = (now - runs.began_s[job]) * _pace(scene, job)
    again = kinds.restart_s[job] if fates.stops[job] else 0.0
    did = max(0.0, did - again)
    if not np.isfinite(kinds.checkpoint_s[job]):
        return did, 0.0
    upto = fates.saved_s[job] + did
    return did, max(0.0, np.floor(upto / kinds.checkpoint_s[job] + 1e-9) * kinds.checkpoint_s[job] - fates.saved_s[job])


@lean
def _pace(scene: Course | Scene, job: int) -> float:
    """Work per second of a job that runs, as it was reckoned with when it started."""
    paces, asked, gpus = scene.kinds.paces, scene.work.gpus[job], scene.state.runs.gpus[job]
    speed = paces.speed[paces.kind[job], scene.state.runs.flavor[job]]
    return float(speed * curve(gpus, asked, paces.scaling[job]) if gpus < asked else speed)
