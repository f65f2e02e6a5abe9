"""Rows of features, for forests; see `forecasting.forecasters.forest`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forecasting.compiled.loops import compiled
from forecasting.forecasters.trees import Halves
from gyropilot.domain import Floats


@compiled
def joined(
    signals: Floats, in_gpus: NDArray[np.bool_], spread: Floats, levels: Floats, scale: Floats, asked: Floats
) -> Halves:
    """(R, W, F) numbers without unit, 0 where not known: signals, levels, then what is `asked` (R, W, A).

    Signals (R, S) that are `in_gpus` (S,) are in units of a `spread` (R, W), levels (R, K) in units of a `scale` (R,).
    """
    first, second = signals.shape[1], signals.shape[1] + levels.shape[1]
    found = np.empty((*spread.shape, second + asked.shape[2]), dtype=np.float32)
    for r in range(len(found)):
        for w in range(found.shape[1]):
            for f in range(found.shape[2]):
                if f < first:
                    number = signals[r, f] / (spread[r, w] if in_gpus[f] else 1.0)
                elif f < second:
                    number = levels[r, f - first] / scale[r]
                else:
                    number = asked[r, w, f - second]
                half = np.float32(number)
                found[r, w, f] = half if np.isfinite(half) else np.float32(0.0)
    return found
