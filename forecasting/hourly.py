"""History thinned to a sample an hour: fine enough for smoothing and seasons, and cheap for thousands of lines."""

from __future__ import annotations

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
