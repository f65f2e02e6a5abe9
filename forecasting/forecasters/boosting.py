"""Gradient boosted quantiles by scikit-learn, kept as plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from forecasting.bands import Bands
from forecasting.demand.calendar import UTC_PLACE, Place
from forecasting.forecasters.naive import plain
from forecasting.forecasters.pooled import INSTANTS, LEVELS, MIN_EXAMPLES, Examples, corrected, examples
from forecasting.protocol import State
from forecasting.store import nested, number
from forecasting.store import plain as plain_fields
from forecasting.threads import one_thread
from forecasting.windows import over_instants
from gyropilot.domain import DemandHistory, Floats, Window

DEPTH = 3


@dataclass(frozen=True, eq=False, slots=True)
class Trees:
    """A sum of shallow trees as arrays; a leaf is a node whose two children are itself."""

    feature: NDArray[np.int64]  # (trees, nodes)
    threshold: Floats  # (trees, nodes): at most this goes left
    missing_left: NDArray[np.bool_]  # (trees, nodes): where NaN goes
    children: NDArray[np.int64]  # (trees, nodes, 2)
    value: Floats  # (trees, nodes)
    base: float

    @classmethod
    def of(cls, model: Any) -> Self:
        """Those of a fitted HistGradientBoostingRegressor."""
        nodes = [predictors[0].nodes for predictors in model._predictors]
        size = max(len(tree) for tree in nodes)
        padded = np.zeros((len(nodes), size), dtype=nodes[0].dtype)
        padded["is_leaf"] = True
        for row, tree in zip(padded, nodes, strict=True):
            row[: len(tree)] = tree
        itself, leaf = np.arange(size), padded["is_leaf"].astype(bool)
        children = [np.where(leaf, itself, padded[side]) for side in ("left", "right")]
        return cls(
            feature=padded["feature_idx"].astype(np.int64),
            threshold=padded["num_threshold"].astype(np.float64),
            missing_left=padded["missing_go_to_left"].astype(bool),
            children=np.stack(children, axis=-1).astype(np.int64),
            value=padded["value"].astype(np.float64),
            base=float(np.ravel(model._baseline_prediction)[0]),
        )

    def predict(self, features: Floats) -> Floats:
        """(N,) the sum over trees, from features (N, F)."""
        total, rows = np.full(len(features), self.base), np.arange(len(features))
        for tree in range(len(self.value)):
            node = np.zeros(len(features), dtype=np.int64)
            for _ in range(DEPTH):
                reading = features[rows, self.feature[tree, node]]
                left = np.where(np.isnan(reading), self.missing_left[tree, node], reading <= self.threshold[tree, node])
                node = self.children[tree, node, np.where(left, 0, 1)]
            total += self.value[tree, node]
        return total

    def state(self) -> State:
        """As plain data."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, eq=False)
class Boosting:
    """Direct, global, one HistGradientBoostingRegressor per quantile (Friedman 2001; scikit-learn).

    Like `LightGbm` it corrects `Naive`'s quantiles in units of each line's spread, here by the error that they leave;
    its trees are shallow, few and slow to believe. They are kept as arrays, so that nothing but numpy is needed to
    predict and no object has to be written to a file.
    """

    rows: int = 30_000
    trees: int = 30
    seed: int = 0
    bands: Bands = field(default_factory=Bands.none)
    boosted: tuple[Trees, ...] = ()  # one for each of LEVELS, or none
    place: Place = UTC_PLACE

    name = "boosting"

    def settled(self, place: Place) -> Self:
        """The same, by the clocks of `place`."""
        return replace(self, place=place)

    def fit(self, history: DemandHistory) -> Self:
        """Learns from at most `rows` past moments; stays `Naive` where there are too few."""
        bands = Bands.of_changes(history)
        past = examples(history, bands, self.rows, self.seed, self.place)
        enough = len(past) >= MIN_EXAMPLES
        boosted = tuple(self._boost(past, i) for i in range(len(LEVELS))) if enough else ()
        return replace(self, bands=bands, boosted=boosted)

    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        """(L, W, Q) GPUs."""
        bands = self.bands.for_lines(history)

        def answer(ahead_s: Floats) -> Floats:
            if not self.boosted or not history.demand.size:
                return plain(bands, history, ahead_s, quantiles)
            return corrected(bands, history, ahead_s, quantiles, self._correction, self.place)

        return over_instants(answer, windows, history.step, INSTANTS)

    def state(self) -> State:
        """Its bands and its trees."""
        options = {"rows": self.rows, "trees": self.trees, "seed": self.seed}
        boosted = {str(level): trees.state() for level, trees in zip(LEVELS, self.boosted, strict=False)}
        return {**options, "place": self.place.state(), "bands": self.bands.state(), "boosted": boosted}

    @classmethod
    def restored(cls, state: State) -> Self:
        """From what `state` gave."""
        rows, trees, seed = (int(number(state, name)) for name in ("rows", "trees", "seed"))
        boosted = nested(state, "boosted")
        levels = tuple(plain_fields(Trees, boosted, level) for level in boosted)
        return cls(rows, trees, seed, Bands.restored(nested(state, "bands")), levels, Place.restored(state))

    def _correction(self, features: Floats) -> Floats:
        return np.column_stack([trees.predict(features) for trees in self.boosted])

    def _boost(self, past: Examples, level: int) -> Trees:
        from sklearn.ensemble import HistGradientBoostingRegressor

        model = HistGradientBoostingRegressor(
            loss="quantile",
            quantile=LEVELS[level],
            learning_rate=0.05,
            max_iter=self.trees,
            max_depth=DEPTH,
            min_samples_leaf=400,
            l2_regularization=10.0,
            max_features=0.7,
            max_bins=63,
            early_stopping=False,
            random_state=self.seed,
        )
        error = past.change - past.naive[:, level]
        # Drawn by weight, because weighted quantiles cost scikit-learn five times as much as plain ones.
        rows = np.random.default_rng(self.seed).choice(len(past), len(past), p=past.weight / past.weight.sum())
        with one_thread():
            return Trees.of(model.fit(past.features[rows], error[rows]))
