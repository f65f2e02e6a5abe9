"""Past stretches, moved by what is unusual now; see `forecasting.forecasters.anomaly`."""

from __future__ import annotations

import numpy as np

from forecasting.compiled.loops import compiled
from gyropilot.domain import Floats


@compiled
def moved(sample: Floats, unusual: Floats, left: Floats, rest: Floats, bursty: Floats) -> Floats:
    """(R, W, S) `sample` plus what is `left` (R, W) of the first of the anomalies (R, 2, S), and `rest` of the other.

    Anomalies of lines that are `bursty` (R,) are of square roots. Nothing falls below zero; NaN: not known.
    """
    found = np.empty_like(sample)
    for line in range(len(sample)):
        for w in range(sample.shape[1]):
            for s in range(sample.shape[2]):
                gpus = sample[line, w, s]
                level = np.sqrt(gpus) if bursty[line] > 0 else gpus
                level += left[line, w] * unusual[line, 0, s] + rest[line, w] * unusual[line, 1, s]
                level = level if level > 0 or np.isnan(level) else 0.0
                found[line, w, s] = level * level if bursty[line] > 0 else level
    return found
