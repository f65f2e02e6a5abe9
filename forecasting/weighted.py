"""Quantiles of weighted samples, many at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyropilot.domain import Floats

Numbers = NDArray[np.floating[Any]]


def weighted_quantiles(values: Numbers, weights: Numbers, quantiles: Sequence[float]) -> Floats:
    """(R, Q) conformal quantiles of each row of `values` (R, N), ascending, under `weights` (R, N); ends are held.

    With equal weights it is the (n + 1) q-th smallest (Tibshirani et al. 2019 give weights their say). A row
    without weight gives its first value.
    """
    from forecasting.compiled import samples

    if not values.shape[1]:
        return np.zeros((len(values), len(quantiles)))
    return samples.quantiles(values, weights, np.asarray(quantiles, dtype=np.float64))
