"""A foundation model as it comes: trained on other series, asked about ours without any fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import lru_cache
from importlib.util import find_spec
from statistics import NormalDist
from typing import Any, Self

import numpy as np

from forecasting.bands import Bands
from forecasting.demand.steps import over_windows, resampled, whole_steps
from forecasting.forecasters.naive import Naive
from forecasting.protocol import State
from gyropilot.domain import DemandHistory, Floats, Window
from gyropilot.errors import ForecastError

TENTHS = tuple(n / 10 for n in range(1, 10))
"""The quantiles that the model knows."""

STEPS = 48
"""Steps that the model sees ahead at once; what lies beyond would be fed with its own medians, and too sure."""

LEAST_READINGS = 8
ROWS_AT_ONCE = 64
"""A thousand rows at once would take gigabytes."""

SAMPLES = (
    (timedelta(hours=6), timedelta(minutes=10)),
    (timedelta(hours=48), timedelta(hours=1)),
    (timedelta(days=8), timedelta(hours=4)),
)
"""Windows that end within the first are asked of means over the second: the finest of which STEPS reach as far."""

Said = dict[timedelta, dict[bytes, Floats]]


@dataclass(frozen=True, eq=False)
class Foundation:
    """Fracast-0 (85,001 weights, inside the package `fracast`), zero-shot, one line at a time.

    It reads means that end at the newest reading. Its nine quantiles are extended at both ends as those of a normal
    distribution. Lines that never moved or were hardly seen tell it nothing and are left to `Naive`. Some 30 ms a
    line, so what it said about a row of readings is kept until the row changes.
    """

    bands: Bands = field(default_factory=Bands.none)
    said: Said = field(default_factory=dict)

    name = "foundation"

    def __post_init__(self) -> None:
        if find_spec("fracast") is None:
            raise ForecastError(
                "the foundation model is not installed: pip install 'gyropilot[foundation]', or choose another "
                "forecast.model"
            )

    def fit(self, history: DemandHistory) -> Self:
        """Learns how far demand may move at all; the model itself stays as it is."""
        return replace(self, bands=Bands.of_changes(history), said={})

    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        """(L, W, Q) GPUs."""
        bands = self.bands.for_lines(history)
        table = Naive(bands).predict(history, windows, quantiles)
        for sample, picked in by_sample(windows, history.step):
            rows = resampled(history, sample)
            told = np.flatnonzero(told_by(rows))
            if len(told):
                steps = widened(self._ahead(rows[told], sample), quantiles)
                table[np.ix_(told, np.array(picked))] = over_windows(steps, sample, [windows[i] for i in picked])
        return bands.bounded(table)

    def state(self) -> State:
        """Its bands."""
        return {"bands": self.bands.state()}

    @classmethod
    def restored(cls, state: State) -> Self:
        """From what `state` gave."""
        return cls(Bands.restored(state["bands"]))

    def _ahead(self, rows: Floats, sample: timedelta) -> Floats:
        """(N, STEPS, 9) what the model says after each row, asked about new ones only."""
        keys, before = [row.tobytes() for row in rows], self.said.get(sample, {})
        new = {key: row for key, row in zip(keys, rows, strict=True) if key not in before}
        fresh = dict(zip(new, zero_shot(list(new.values())), strict=True)) if new else {}
        self.said[sample] = {key: fresh[key] if key in fresh else before[key] for key in keys}
        return np.array([self.said[sample][key] for key in keys])


def by_sample(windows: Sequence[Window], step: timedelta) -> list[tuple[timedelta, list[int]]]:
    """Which windows are asked of means over which time."""
    found: dict[timedelta, list[int]] = {}
    for at, window in enumerate(windows):
        fit = (sample for reach, sample in SAMPLES if window.end <= reach)
        found.setdefault(whole_steps(next(fit, SAMPLES[-1][1]), step), []).append(at)
    return list(found.items())


def zero_shot(rows: Sequence[Floats], steps: int = STEPS) -> Floats:
    """(N, steps, 9) tenths of what follows each row, by the model; NaN in a row is not seen."""
    many = np.asarray(rows)
    blocks = [many[first : first + ROWS_AT_ONCE] for first in range(0, len(many), ROWS_AT_ONCE)]
    said = np.concatenate([_model().forecast_batch(block, horizon=steps) for block in blocks])
    return np.sort(said.astype(np.float64), axis=-1)


def widened(tenths: Floats, quantiles: Sequence[float]) -> Floats:
    """(..., Q) from (..., 9): between tenths by straight lines, beyond them as far as a normal distribution would."""
    weights = np.array([np.interp(quantiles, TENTHS, unit) for unit in np.eye(len(TENTHS))])
    outer = NormalDist().inv_cdf(TENTHS[-1])
    for at, level in enumerate(quantiles):
        beyond = abs(NormalDist().inv_cdf(level)) / outer - 1
        if beyond > 0:
            end, middle = (len(TENTHS) - 1 if level > 0.5 else 0), len(TENTHS) // 2
            weights[end, at] += beyond
            weights[middle, at] -= beyond
    wide: Floats = tenths @ weights
    return wide


def told_by(rows: Floats) -> np.ndarray:
    """(N,) whether a row was seen often enough and moved."""
    if not rows.size:
        return np.zeros(len(rows), dtype=bool)
    seen = np.isfinite(rows)
    low, high = np.where(seen, rows, np.inf).min(axis=1), np.where(seen, rows, -np.inf).max(axis=1)
    told: np.ndarray = (seen.sum(axis=1) >= LEAST_READINGS) & (high > low)
    return told


@lru_cache(maxsize=1)
def _model() -> Any:
    """Imported late, for it brings torch."""
    from fracast import FracastModel

    return FracastModel.from_pretrained(weights="fp32")
