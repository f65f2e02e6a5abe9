"""Which jobs make way: what `agents.preemptor` chooses, in machine code."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forecasting.compiled.loops import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

NOBODY = -1
DISTURBANCE_GPU_HOURS = 0.01
"""As in `agents.preemptor`: of equal choices the one with fewer gangs is taken."""


@compiled
def victims(need: int, gpus: Ints, losses: Floats, ranks: Ints) -> Bools:
    """(N,) of jobs that may be stopped, those to stop for so many GPUs, with the least lost work.

    Lower ranks make way first; `losses` (N,) are GPU-hours. Jobs are in order of GPUs, then of name. All of them where
    all do not suffice.
    """
    picked, asked = np.zeros(len(gpus), dtype=np.bool_), np.zeros(len(gpus), dtype=np.bool_)
    left = need
    while left > 0 and not asked.all():
        rank = ranks[~asked].min()
        same = np.flatnonzero(ranks == rank)
        for nth in same:
            asked[nth] = True
        for nth in _cover(left, gpus[same], losses[same] + DISTURBANCE_GPU_HOURS):
            picked[same[nth]] = True
            left -= gpus[same[nth]]
    _spare(picked, -left, gpus, losses)
    return picked


@compiled
def _cover(need: int, gpus: Ints, costs: Floats) -> Ints:
    """As `agents.cover.cheapest_cover`; all where all do not suffice."""
    if gpus.sum() < need:
        return np.arange(len(gpus))
    best = np.full(need + 1, np.inf)
    best[0] = 0.0
    chosen = np.zeros((len(gpus), need + 1), dtype=np.bool_)
    for nth in range(len(gpus)):
        for covered in range(need, 0, -1):  # downwards: what is read is still from before this one
            with_it = costs[nth] + best[max(0, covered - gpus[nth])]
            if with_it < best[covered]:
                best[covered], chosen[nth, covered] = with_it, True
    picked = np.zeros(len(gpus), dtype=np.bool_)
    for nth in range(len(gpus) - 1, -1, -1):
        if need > 0 and chosen[nth, need]:
            picked[nth] = True
            need = max(0, need - gpus[nth])
    return np.flatnonzero(picked)


@compiled
def _spare(picked: Bools, surplus: int, gpus: Ints, losses: Floats) -> None:
    """Lets those run, most lost work first, that one of a higher rank has made superfluous."""
    looked_at = ~picked
    while not looked_at.all():
        most = NOBODY
        for nth in range(len(gpus)):  # of equal losses fewer GPUs, then the name
            if not looked_at[nth] and (most == NOBODY or losses[nth] > losses[most]):
                most = nth
        looked_at[most] = True
        if gpus[most] <= surplus:
            picked[most] = False
            surplus -= gpus[most]
