"""Gradient boosted quantiles: one model for all lines, which corrects `Naive` where the features say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from forecasting.bands import Bands
from forecasting.demand.calendar import UTC_PLACE, Place
from forecasting.forecasters.naive import plain
from forecasting.forecasters.pooled import INSTANTS, LEVELS, MIN_EXAMPLES, Examples, corrected, examples
from forecasting.protocol import State
from forecasting.store import nested, number, texts
from forecasting.windows import over_instants
from gyropilot.domain import DemandHistory, Floats, Window
from gyropilot.errors import ForecastError


@dataclass(frozen=True, eq=False)
class LightGbm:
    """Direct, global, one booster per quantile (LightGBM, Ke et al. 2017).

    Each booster starts from `Naive`'s quantile and learns a correction in units of the line's own spread
    at that lead, so that lines of all sizes teach each other. Strongly regularised on purpose: with a
    month of history, trees that start from nothing lose to `Naive`.
    """

    rows: int = 40_000
    trees: int = 40
    num_threads: int = 1
    seed: int = 0
    bands: Bands = field(default_factory=Bands.none)
    boosters: tuple[Any, ...] = ()  # one for each of LEVELS, or none
    place: Place = UTC_PLACE

    name = "lightgbm"

    def settled(self, place: Place) -> Self:
        """The same, by the clocks of `place`."""
        return replace(self, place=place)

    def fit(self, history: DemandHistory) -> Self:
        """Learns from at most `rows` past moments; stays `Naive` where there are too few."""
        bands = Bands.of_changes(history)
        past = examples(history, bands, self.rows, self.seed, self.place)
        enough = len(past) >= MIN_EXAMPLES
        boosters = tuple(self._boost(past, i) for i in range(len(LEVELS))) if enough else ()
        return replace(self, bands=bands, boosters=boosters)

    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        """(L, W, Q) GPUs."""
        bands = self.bands.for_lines(history)

        def answer(ahead_s: Floats) -> Floats:
            if not self.boosters or not history.demand.size:
                return plain(bands, history, ahead_s, quantiles)
            return corrected(bands, history, ahead_s, quantiles, self._correction, self.place)

        return over_instants(answer, windows, history.step, INSTANTS)

    def state(self) -> State:
        """Its bands, and each booster as LightGBM's own text."""
        return {
            "bands": self.bands.state(),
            "boosters": [booster.model_to_string() for booster in self.boosters],
            "rows": self.rows,
            "trees": self.trees,
            "num_threads": self.num_threads,
            "seed": self.seed,
            "place": self.place.state(),
        }

    @classmethod
    def restored(cls, state: State) -> Self:
        """From what `state` gave."""
        boosters = tuple(_library().Booster(model_str=text) for text in texts(state, "boosters"))
        rows, trees, num_threads, seed = (int(number(state, n)) for n in ("rows", "trees", "num_threads", "seed"))
        bands, place = Bands.restored(nested(state, "bands")), Place.restored(state)
        return cls(rows, trees, num_threads, seed, bands, boosters, place)

    def _correction(self, features: Floats) -> Floats:
        return np.column_stack([b.predict(features, num_threads=self.num_threads) for b in self.boosters])

    def _boost(self, past: Examples, level: int) -> Any:
        lightgbm = _library()
        parameters = {
            "objective": "quantile",
            "alpha": LEVELS[level],
            "learning_rate": 0.05,
            "num_leaves": 8,
            "min_data_in_leaf": 400,
            "lambda_l2": 10.0,
            "feature_fraction": 0.7,
            "max_bin": 63,
            "num_threads": self.num_threads,
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        start = past.naive[:, level].copy()  # LightGBM warns of strides
        data = lightgbm.Dataset(past.features, past.change, weight=past.weight, init_score=start)
        return lightgbm.train(parameters, data, num_boost_round=self.trees)


def _library() -> Any:
    """Imported late, for it is heavy. Raises ForecastError where a library that it needs is not installed."""
    try:
        import lightgbm
    except OSError as problem:
        raise ForecastError(
            f"LightGBM cannot be loaded ({problem}); install OpenMP (apt-get install libgomp1), or set forecast.model "
            "to ets, naive or seasonal-naive"
        ) from problem
    return lightgbm
