"""Sums from which every score is made: a score is a ratio of two of them, so that any origins can be added up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from forecasting.backtest.protocol import QUANTILES, TENTHS
from forecasting.losses import pinball
from gyropilot.domain import Floats

SCORES = ("wql", "p95_pinball", "p99_pinball", "crps", "mase", "coverage80", "coverage95")
LOSSES = SCORES[:5]
"""Scores of which less is better."""

SAME = 1e-6
"""Share of an outcome by which it may miss a quantile and still lie on it: means of one number differ by rounding."""

LEVELS = np.array(QUANTILES)
MEDIAN = QUANTILES.index(0.5)


def _weights() -> Floats:
    """(Q, 4) of quantile losses in WQL, P95, P99 and CRPS."""
    tenths = np.isin(LEVELS, TENTHS) / len(TENTHS)
    # The integral of the pinball loss over all levels: each stands for those that are nearest to it.
    edges = np.concatenate([[0.0], (LEVELS[1:] + LEVELS[:-1]) / 2, [1.0]])
    return 2 * np.column_stack([tenths, LEVELS == 0.95, LEVELS == 0.99, np.diff(edges)])


WEIGHTS = _weights()


@dataclass(frozen=True, eq=False, slots=True)
class Tally:
    """What was said from some origins beside what came, summed up; M models, L lines, W windows, S scores."""

    parts: Floats  # (M, W, S) numerators
    wholes: Floats  # (W, S) denominators, the same for all models
    below: Floats  # (M, W, Q) outcomes below each quantile, those on it as a half
    loss: Floats  # (M, L, W) numerators of WQL by line
    demand: Floats  # (L, W) its denominators
    lines: NDArray[np.int64]  # (W,) outcomes that were scored
    left_out: NDArray[np.int64]  # (W,) outcomes that are known, and that some model did not answer

    @classmethod
    def of(cls, came: Floats, said: Sequence[Floats], scale: Floats) -> Self:
        """From outcomes (L, W), NaN where not known, answers (L, W, Q) and the scale of MASE (L,), NaN for none."""
        known = np.isfinite(came)
        answered = np.isfinite(np.stack(said)).all(axis=(0, -1))
        scored = known & answered
        counted = scored & np.isfinite(scale)[:, None]
        demand = np.where(scored, np.abs(came), 0.0)
        per_model = [_of_model(came, each, scored, counted, scale) for each in said]
        total, count, scaled = demand.sum(axis=0), scored.sum(axis=0), counted.sum(axis=0)
        return cls(
            parts=np.stack([parts for parts, _, _ in per_model]),
            wholes=np.column_stack([total, total, total, count, scaled, count, count]).astype(np.float64),
            below=np.stack([below for _, below, _ in per_model]),
            loss=np.stack([loss for _, _, loss in per_model]),
            demand=demand,
            lines=count,
            left_out=(known & ~answered).sum(axis=0),
        )


def _of_model(
    came: Floats, said: Floats, scored: NDArray[np.bool_], counted: NDArray[np.bool_], scale: Floats
) -> tuple[Floats, Floats, Floats]:
    """(W, S) numerators, (W, Q) outcomes below each quantile, (L, W) numerators of WQL."""
    losses = np.where(scored[..., None], pinball(came, said, QUANTILES), 0.0) @ WEIGHTS
    error = np.where(counted, np.abs(came - said[..., MEDIAN]) / scale[:, None], 0.0).sum(axis=0)
    inside = [(scored & _within(came, said, low)).sum(axis=0) for low in (0.1, 0.025)]
    slack = _slack(came)[..., None]
    over, not_under = said - came[..., None] > slack, said - came[..., None] >= -slack
    below = np.where(scored[..., None], (over + 1.0 * not_under) / 2, 0.0).sum(axis=0)
    parts = np.column_stack([losses.sum(axis=0), error, *inside])
    return parts, below, losses[..., 0]


def _within(came: Floats, said: Floats, low: float) -> NDArray[np.bool_]:
    """(L, W) whether the outcome lies in the central interval that begins at the quantile `low`, its ends included."""
    under, over = said[..., QUANTILES.index(low)], said[..., QUANTILES.index(round(1 - low, 3))]
    return np.asarray((came >= under - _slack(came)) & (came <= over + _slack(came)))


def _slack(came: Floats) -> Floats:
    slack: Floats = SAME * np.maximum(np.abs(came), 1.0)
    return slack
