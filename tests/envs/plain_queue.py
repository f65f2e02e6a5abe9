"""A queue as its definition has it, request by request: what the formulas of `envs.queueing` are held against."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heapreplace

import numpy as np

from envs.workloads import Floats


def answered_after_s(came_s: Floats, takes_s: Floats, servers: int) -> Floats:
    """(N,) how long each request took, waiting included: in order, by whichever server is free first."""
    free_s = [0.0] * servers
    heapify(free_s)
    after_s = []
    for come_s, take_s in zip(came_s.tolist(), takes_s.tolist(), strict=True):
        done_s = max(come_s, free_s[0]) + take_s
        heapreplace(free_s, done_s)
        after_s.append(done_s - come_s)
    return np.array(after_s)


def erlang_c(servers: int, erlangs: float) -> float:
    """Probability to wait, by Erlang's recursion: one server more at a time."""
    blocked = 1.0
    for nth in range(1, servers + 1):
        blocked = erlangs * blocked / (nth + erlangs * blocked)
    return blocked / (1.0 - erlangs / servers * (1.0 - blocked))


def at_random(rng: np.random.Generator, rates_per_s: Sequence[float], span_s: float) -> Floats:
    """Moments of a Poisson process whose rate changes from span to span."""
    came = [span_s * (nth + rng.random(rng.poisson(rate * span_s))) for nth, rate in enumerate(rates_per_s)]
    return np.sort(np.concatenate(came))
