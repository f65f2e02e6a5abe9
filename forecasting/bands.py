"""How wrong past forecasts were, per line and lead time: the band that is laid around a point forecast.

Split conformal prediction (Papadopoulos et al. 2002; Lei et al. 2018) with signed errors: the band at a
quantile is the ceil((n + 1) q)-th smallest of n past errors at the same lead time. Where the past is
short it is blended with a prior random walk, so that a line which never moved may still move.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Self

import numpy as np

from forecasting.demand.seen import DAY_S, drawn_columns, scale_gpus, seen_s, some_lines
from forecasting.once import kept
from forecasting.pooling import rows_of
from forecasting.protocol import State
from forecasting.store import floats, lines_from_state, lines_to_state, nested
from gyropilot.domain import DemandHistory, Floats, Line

LEADS_S = np.array([0, 1, 2, 5, 10, 20, 30, 60, 120, 180, 240, 360, 480, 720, 960, 1200, 1440]) * 60.0
LEADS_S = np.concatenate([LEADS_S, np.array([2, 4, 7]) * DAY_S])
LEVELS = np.array([0.001, 0.005, 0.01, 0.025, *np.arange(0.05, 0.96, 0.05).round(2), 0.975, 0.99, 0.995, 0.999])
MAX_ERRORS = 2_000
"""Per line and lead: neighbouring errors overlap, so more of them say little and cost sorting."""

PRIOR_DAILY_SHARE = 0.5
"""Standard deviation of the prior change over a day, as a share of the line's largest demand."""

CAP = 3.0
"""No quantile lies above this many times the largest demand ever seen (or a node)."""


@dataclass(frozen=True, eq=False, slots=True)
class Bands:
    """Quantiles of past errors of some lines, and how much is known about each."""

    lines: tuple[Line, ...]
    errors: Floats  # (L, K, P) GPUs at LEADS_S and LEVELS; the first lead is 0 and has no error
    seen_s: Floats  # (L,) seconds of history that were really seen
    scale: Floats  # (L,) largest demand seen, at least NODE_GPUS

    def __post_init__(self) -> None:
        for shared in (self.errors, self.seen_s, self.scale):  # by bands of the same lines
            shared.flags.writeable = False

    @classmethod
    def none(cls) -> Self:
        """Knows no line."""
        return cls((), np.empty((0, len(LEADS_S), len(LEVELS))), np.empty(0), np.empty(0))

    @classmethod
    def doubt(cls, lines: tuple[Line, ...], seen_s: Floats, scale: Floats) -> Self:
        """Without past errors: to be asked only what may happen although it never did."""
        return cls(lines, np.zeros((len(lines), len(LEADS_S), len(LEVELS))), seen_s, scale)

    @classmethod
    def of_changes(cls, history: DemandHistory) -> Self:
        """The errors of "demand stays as it is": past changes over each lead."""
        demand = history.demand

        def changes(steps: int) -> Floats:
            late = drawn_columns(steps, demand.shape[1], MAX_ERRORS)
            return demand[:, late] - demand[:, late - steps]

        return cls.of_errors(history, changes, history.step.total_seconds())

    @classmethod
    def of_errors(cls, history: DemandHistory, errors_at: Callable[[int], Floats], step_s: float) -> Self:
        """From `errors_at(steps)`, (L, N) errors of forecasts made `steps` of `step_s` before; NaN: not known."""
        shape = (len(history.lines), len(LEADS_S), len(LEVELS))
        table, count = np.zeros(shape), round(history.demand.shape[1] * history.step.total_seconds() / step_s)
        for k, lead_s in enumerate(LEADS_S[1:], start=1):
            steps = max(1, round(lead_s / step_s))
            rows = row_quantiles(errors_at(steps), LEVELS) if steps < count else np.full_like(table[:, 0], np.nan)
            # Within one step nothing was measured: the error grows in proportion to time.
            rows *= min(1.0, lead_s / step_s)
            table[:, k] = np.where(np.isnan(rows), table[:, k - 1], rows)
        return cls(history.lines, table, seen_s(history), scale_gpus(history))

    def for_lines(self, history: DemandHistory) -> Bands:
        """Rows in the order of `history`; those not known, or known from half as much, are measured anew."""
        seen, scale = seen_s(history), scale_gpus(history)
        if self.lines == history.lines and (seen < 2 * self.seen_s + 1).all():  # as a rule
            return Bands(self.lines, self.errors, np.maximum(seen, self.seen_s), np.maximum(scale, self.scale))
        at = rows_of(self.lines, history.lines)
        known_s, known_scale = np.append(self.seen_s, 0.0)[at], np.append(self.scale, 0.0)[at]
        old = (at >= 0) & (seen < 2 * known_s + 1)
        seen = np.where(old, np.maximum(seen, known_s), seen)
        scale = np.where(old, np.maximum(scale, known_scale), scale)
        errors, new = np.empty((len(at), len(LEADS_S), len(LEVELS))), np.flatnonzero(~old)
        if len(new):
            errors[new] = Bands.of_changes(some_lines(history, new)).errors
        errors[old] = self.errors[at[old]]
        return Bands(history.lines, errors, seen, scale)

    def state(self) -> State:
        """As plain data."""
        return {"lines": lines_to_state(self.lines), "errors": self.errors, "seen_s": self.seen_s, "scale": self.scale}

    @classmethod
    def restored(cls, state: State) -> Self:
        """From what `state` gave."""
        lines = lines_from_state(nested(state, "lines"))
        errors = floats(state, "errors", (len(lines), len(LEADS_S), len(LEVELS)))
        return cls(lines, errors, *(floats(state, name, (len(lines),)) for name in ("seen_s", "scale")))

    def at(self, leads_s: Floats, quantiles: Sequence[float]) -> Floats:
        """(L, H, Q) GPUs of error at `leads_s` (L, H): past errors, blended with the prior where they are few."""
        from forecasting.compiled import bands

        shape = (len(self.errors), len(LEADS_S), len(quantiles))
        table = (self.errors.reshape(-1, len(LEVELS)) @ hat(quantiles)).reshape(shape)
        daily = PRIOR_DAILY_SHARE * self.scale
        return bands.blended(table, LEADS_S, leads_s, self.seen_s, daily, normals(quantiles))

    def roomy(self, now: Floats, change: Floats, leads_s: Floats, quantiles: Sequence[float]) -> Floats:
        """(L, H, Q) GPUs, within bounds: `now` (L,) plus `change` (L, H, Q), blended with the prior at `leads_s`."""
        from forecasting.compiled import bands

        cap, share, width = CAP * self.scale, self._doubt(leads_s), widths(self.scale, leads_s)
        return bands.roomy(now, change, share, width, normals(quantiles), cap)

    def around(self, centre: Floats, leads_s: Floats, quantiles: Sequence[float]) -> Floats:
        """(L, H, Q) GPUs around `centre` (L, H), within bounds."""
        from forecasting.compiled import bands

        return bands.bounded(centre, self.at(leads_s, quantiles), CAP * self.scale)

    def bounded(self, gpus: Floats) -> Floats:
        """Sorted along quantiles, not below zero and not absurdly high."""
        from forecasting.compiled import bands

        return bands.bounded(np.zeros(gpus.shape[:2]), gpus, CAP * self.scale)

    def _doubt(self, leads_s: Floats) -> Floats:
        """(L, H) a history of n times the lead holds n independent errors, and the prior counts as one of them."""
        share: Floats = leads_s / np.maximum(np.maximum(leads_s, self.seen_s[:, None]), 1.0)
        return share


def doubted(told: Floats, share: Floats, now: Floats, width: Floats, quantiles: Sequence[float]) -> Floats:
    """(L, H, Q) GPUs that are `told`, of which a `share` (L,) is taken from a random walk from `now` (L,) on.

    Its standard deviations are a `width` (L, H), see `widths`.
    """
    from forecasting.compiled import bands

    return bands.doubted(told, share, now, width, normals(quantiles))


def widths(scale: Floats, leads_s: Floats) -> Floats:
    """(L, H) GPUs by which a random walk may have moved after `leads_s`, (L, H) or (H,), in lines of this `scale`."""
    width: Floats = PRIOR_DAILY_SHARE * scale[:, None] * np.sqrt(np.minimum(1.0, leads_s / DAY_S))
    return width


@kept
def normals(quantiles: Sequence[float]) -> Floats:
    """(Q,) quantiles of the standard normal distribution."""
    return np.array([NormalDist().inv_cdf(q) for q in quantiles])


def row_quantiles(values: Floats, levels: Floats) -> Floats:
    """(L, P) conformal quantiles of each row of `values` (L, N), NaN left out; a row of NaN gives NaN."""
    from forecasting.compiled import bands

    return bands.conformal(np.sort(values, axis=1), levels)  # NaN last


@kept
def hat(quantiles: Sequence[float]) -> Floats:
    """(P, Q) weights that interpolate linearly from LEVELS to `quantiles`."""
    return np.array([np.interp(quantiles, LEVELS, unit) for unit in np.eye(len(LEVELS))])
