"""History thinned to a sample an hour: fine enough for smoothing and seasons, and cheap for thousands of lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from forecasting.bands import LEADS_S, Bands
from gyropilot.domain import DemandHistory, Floats

HOUR_S = 3_600.0
TWO_WEEKS = 336
"""Samples: models of level forget what is older, and statsmodels' time grows with the length."""


def sample_seconds(history: DemandHistory) -> float:
    """An hour; less where the history is shorter than two days, and never less than its step."""
    step_s = history.step.total_seconds()
    span_s = float(history.demand.shape[1] * step_s)
    return max(min(HOUR_S, span_s / 48), step_s)


def sampled(history: DemandHistory, sample_s: float, most: int = TWO_WEEKS) -> tuple[Floats, float]:
    """(L, N) every so-manieth reading up to the newest, at most `most`, and the true seconds between two."""
    step_s = history.step.total_seconds()
    stride = max(1, round(sample_s / step_s))
    return history.demand[:, ::-1][:, ::stride][:, :most][:, ::-1], stride * step_s


def own_bands(history: DemandHistory, errors_at: Callable[[int], Floats], sample_s: float) -> Bands:
    """Bands of `errors_at(samples)` (L, N); of changes within a sample, and of lines for which that is NaN."""
    changes, own = Bands.of_changes(history), Bands.of_errors(history, errors_at, sample_s)
    modelled = np.any(np.isfinite(errors_at(1)), axis=1, keepdims=True)[:, :, None]
    measured = modelled & (sample_s <= LEADS_S)[:, None]
    return replace(own, errors=np.where(measured, own.errors, changes.errors))


def within_a_sample(naive: Floats, own: Floats, ahead_s: Floats, sample_s: float) -> Floats:
    """(L, N, Q) from the newest reading's forecast now to a sampled model's own after one sample, in even steps."""
    share = np.minimum(ahead_s / sample_s, 1.0)[:, None]
    between: Floats = naive * (1 - share) + own * share
    return between
