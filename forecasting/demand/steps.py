"""Between readings and models that know only regular steps: means in, quantiles of windows out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np

from forecasting.windows import means_after
from gyropilot.domain import DemandHistory, Floats, Window

INSTANT = 1e-6
"""Of a step: the length of a window that has none."""


def whole_steps(sample: timedelta, step: timedelta) -> timedelta:
    """The multiple of a history's `step` that is nearest to `sample`, at least one."""
    return max(1, round(sample / step)) * step


def resampled(history: DemandHistory, sample: timedelta) -> Floats:
    """(L, N) means of `sample`, the last of which ends at the newest reading; NaN where under half was seen.

    What is left over at the beginning is dropped. `sample` must be a multiple of the history's step.
    """
    per = round(sample / history.step)
    columns = np.arange(history.demand.shape[1] - 1, per - 2, -per)[::-1]
    return means_after(history, columns, Window(-sample, timedelta(0)))


def over_windows(steps: Floats, sample: timedelta, windows: Sequence[Window]) -> Floats:
    """(L, W, Q) quantiles of windows from those of steps (L, H, Q): their mean, by how much of each lies in a window.

    Within a step demand is taken as level, and after the last one it stays. Means of quantiles are those of demand
    that keeps its rank throughout.
    """
    edges = np.arange(steps.shape[1], dtype=np.float64)
    begins = np.array([max(w.start, timedelta(0)) / sample for w in windows])[:, None]
    ends = np.maximum(np.array([w.end / sample for w in windows])[:, None], begins + INSTANT)
    upper = np.where(edges == edges[-1], np.inf, edges + 1)
    share = np.clip(np.minimum(ends, upper) - np.maximum(begins, edges), 0, None)
    weighed: Floats = np.einsum("wh,lhq->lwq", share / share.sum(axis=1, keepdims=True), steps)
    return weighed
