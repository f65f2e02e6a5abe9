"""Bernstein online aggregation cell by cell; see `forecasting.mixture.bernstein`."""

from __future__ import annotations

import numpy as np

from forecasting.compiled.loops import compiled
from gyropilot.domain import Floats


@compiled
def speed(largest: float, square: float, experts: int) -> float:
    """The paper's rate of learning, per unit of loss; 0 where no regret was ever seen."""
    found = min(0.5 / largest, np.sqrt(np.log(max(2, experts)) / square))
    return found if found < np.inf else 0.0


@compiled
def learn(
    regret: Floats, square: Floats, largest: Floats, count: Floats, seen: Floats, fresh: Floats, forget: float
) -> None:
    """Learns, in place, from `seen` (E, L, W, Q) regrets, of which a share `fresh` (L, W, Q) is new; 0: none was."""
    for line, w, q in np.ndindex(fresh.shape):
        new = fresh[line, w, q]
        if not new > 0:
            continue
        kept = (1 - forget) ** new
        count[line, w, q] = kept * count[line, w, q] + new
        for e in range(len(seen)):
            now = 0.0 if np.isnan(seen[e, line, w, q]) else seen[e, line, w, q]
            square[e, line, w, q] = kept * square[e, line, w, q] + new * now * now
            largest[e, line, w, q] = max(kept * largest[e, line, w, q], abs(now))
            gain = now - speed(largest[e, line, w, q], square[e, line, w, q], len(seen)) * now * now
            regret[e, line, w, q] = kept * regret[e, line, w, q] + new * gain


@compiled
def shares(regret: Floats, square: Floats, largest: Floats, prior: Floats, rate: float) -> Floats:
    """(E, L, W, Q) that sum to one over experts, from a `prior` (E, 1, W, Q)."""
    found = np.empty(regret.shape)
    experts, lines, windows, quantiles = regret.shape
    for line, w, q in np.ndindex((lines, windows, quantiles)):
        top, total = -np.inf, 0.0
        for e in range(experts):
            pace = speed(largest[e, line, w, q], square[e, line, w, q], experts) * rate
            found[e, line, w, q] = pace * regret[e, line, w, q]
            top = max(top, found[e, line, w, q])
        for e in range(experts):
            found[e, line, w, q] = prior[e, 0, w, q] * np.exp(found[e, line, w, q] - top)
            total += found[e, line, w, q]
        for e in range(experts):
            found[e, line, w, q] /= total
    return found
