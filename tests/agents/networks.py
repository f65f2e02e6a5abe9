"""Networks without learning, to put behind a learned pilot."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.encoding import FACTORS, Rows
from agents.pilots.learned import Network


def always(factor: float) -> Network:
    """The same factor for every pool."""
    return lambda rows: np.tile((np.array(FACTORS) == factor).astype(np.float32), (len(rows), 1))


def silent(rows: Rows) -> NDArray[np.float32]:
    """No number at all."""
    return np.full((len(rows), len(FACTORS)), np.nan, np.float32)
