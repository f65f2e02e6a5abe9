"""Trees whose leaves are distributions: grown by scikit-learn, kept and asked as plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from forecasting.once import kept
from forecasting.protocol import State
from forecasting.store import REMEDY, array, floats
from gyropilot.domain import Floats
from gyropilot.errors import ForecastError

Halves = NDArray[np.float32]
Nodes = NDArray[np.int32]

THRESHOLDS = 25
"""Of the outcome; a split is good where it tells apart on which side of them outcomes fall."""

VALUES = 120
"""That an outcome may have, so that a leaf is as many chances: drawn from the outcomes themselves."""


@dataclass(frozen=True, slots=True)
class Growth:
    """How trees are grown."""

    rows: int = 40_000  # drawn from all that there are, at most
    trees: int = 24
    least_leaf: int = 70
    tried_features: float = 0.5
    drawn_rows: float = 0.6
    seed: int = 0


class Ways(NamedTuple):
    """From the roots of trees to their leaves."""

    roots: Nodes  # (T,)
    feature: Nodes  # (N,) that each node asks for
    threshold: Halves  # (N,)
    low: Nodes  # (N,) the next node for features up to the threshold; a leaf's is itself
    high: Nodes  # (N,)


@dataclass(frozen=True, eq=False, slots=True)
class Trees:
    """A forest of distributions (Meinshausen 2006, "Quantile regression forests"), split by the CRPS.

    Extremely randomised (Geurts et al. 2006). The sum of squared errors of the indicators of some thresholds, by
    which trees are split, is the continuous ranked probability score on those thresholds.
    """

    roots: Nodes  # (T,) nodes
    feature: Nodes  # (N,) of each node; a leaf asks for any
    threshold: Halves  # (N,)
    low: Nodes  # (N,) the node for features up to the threshold; a leaf is its own
    high: Nodes  # (N,)
    chances: Halves  # (N, V) of each value; zero in nodes that are no leaves
    values: Floats  # (V,) ascending

    @classmethod
    def grow(cls, features: Halves, outcome: Floats, weight: Floats, growth: Growth) -> Self:
        """From rows (N, F), what came of each (N,) and how much each counts (N,)."""
        from sklearn.ensemble import ExtraTreesRegressor

        thresholds = np.unique(np.quantile(outcome, np.linspace(0.01, 0.99, THRESHOLDS)))
        forest = ExtraTreesRegressor(
            growth.trees,
            min_samples_leaf=growth.least_leaf,
            max_features=growth.tried_features,
            bootstrap=True,
            max_samples=growth.drawn_rows,
            random_state=growth.seed,
            n_jobs=1,
        )
        below = (outcome[:, None] <= thresholds).astype(np.float32)
        forest.fit(features, below if below.shape[1] > 1 else below[:, 0], sample_weight=weight)
        return cls._of([tree.tree_ for tree in forest.estimators_], features, outcome, weight)

    @classmethod
    def _of(cls, grown: Sequence[Any], features: Halves, outcome: Floats, weight: Floats) -> Self:
        sizes = np.array([tree.node_count for tree in grown])
        roots = (np.cumsum(sizes) - sizes).astype(np.int32)
        values, nearest = _values(outcome)
        own = np.arange(sizes.sum(), dtype=np.int32)
        # A leaf of scikit-learn's has children -1.
        low, high = (
            np.concatenate([np.where(c < 0, -1, c + root) for c, root in zip(children, roots, strict=True)])
            for children in ([tree.children_left for tree in grown], [tree.children_right for tree in grown])
        )
        leaf = low < 0
        chances = np.zeros((len(own), len(values)), dtype=np.float32)
        for tree, root in zip(grown, roots, strict=True):
            np.add.at(chances, (tree.apply(features) + root, nearest), weight)
        chances /= np.maximum(chances.sum(axis=1, keepdims=True), np.float32(1e-30))
        return cls(
            roots,
            np.where(leaf, 0, np.concatenate([tree.feature for tree in grown])).astype(np.int32),
            np.concatenate([tree.threshold for tree in grown]).astype(np.float32),
            np.where(leaf, own, low).astype(np.int32),
            np.where(leaf, own, high).astype(np.int32),
            chances,
            values,
        )

    def quantiles(self, features: Halves, levels: Sequence[float]) -> Floats:
        """(N, Q) of the mean of the leaves that rows (N, F) fall into."""
        from forecasting.compiled import leaves

        rank = leaves.ranks(features, self._ways(), self.chances, _just_below(tuple(levels)))
        found: Floats = self.values[np.minimum(rank, len(self.values) - 1)]
        return found

    def leaves(self, features: Halves) -> Nodes:
        """(N, T) the leaf of each row in each tree."""
        from forecasting.compiled import leaves

        return leaves.leaves(features, self._ways())

    def _ways(self) -> Ways:
        return Ways(self.roots, self.feature, self.threshold, self.low, self.high)

    def state(self) -> State:
        """Everything, as arrays."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def restored(cls, state: State, features: int) -> Self:
        """From what `state` gave, for rows (N, features). Raises ForecastError where a row could lead out of it."""
        chances = array(state, "chances", np.float32, (None, None))
        nodes, values = chances.shape
        trees = cls(
            roots=array(state, "roots", np.int32, (None,)),
            feature=array(state, "feature", np.int32, (nodes,)),
            threshold=array(state, "threshold", np.float32, (nodes,)),
            low=array(state, "low", np.int32, (nodes,)),
            high=array(state, "high", np.int32, (nodes,)),
            chances=chances,
            values=floats(state, "values", (values,)),
        )
        trees._refuse_strange(features)
        return trees

    def _refuse_strange(self, features: int) -> None:
        """Compiled loops follow nodes unchecked: each must lead on, to a higher node, until it comes to a leaf."""
        nodes, own = len(self.chances), np.arange(len(self.chances))
        leaf, sums = self.low == own, self.chances.sum(axis=1)
        fits = {
            "roots that are its nodes": len(self.roots) > 0 and _within(self.roots, nodes),
            f"features that are among {features}": _within(self.feature, features),
            "thresholds that are known": np.isfinite(self.threshold).all(),
            "children that are its nodes": _within(self.low, nodes) and _within(self.high, nodes),
            "ways that end in a leaf": ((self.low >= own) & (self.high >= own) & (leaf == (self.high == own))).all(),
            "values that ascend": np.isfinite(self.values).all() and not (np.diff(self.values) < 0).any(),
            "chances that add up to one": self.chances.min(initial=0) >= 0 and (np.abs(sums[leaf] - 1) < 1e-3).all(),
        }
        for what, fit in fits.items():
            if not fit:
                raise ForecastError(f"the saved forest has no {what}; {REMEDY}")


@kept
def _just_below(levels: Sequence[float]) -> Halves:
    """(Q,) levels that chances reach which are as large but for rounding."""
    return np.array(levels, dtype=np.float32) - np.float32(1e-6)


def _within(numbers: Nodes, count: int) -> bool:
    return bool(numbers.min(initial=0) >= 0 and numbers.max(initial=-1) < count)


def _values(outcome: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """(V,) values that stand for all outcomes, and which of them stands for each of (N,).

    Each is the median of its share, so that where most outcomes are alike the value is exactly that.
    """
    edges = np.unique(np.quantile(outcome, np.linspace(0, 1, VALUES + 1)[1:]))
    place = np.minimum(np.searchsorted(edges, outcome), len(edges) - 1)
    order = np.argsort(place, kind="stable")
    shares = np.split(outcome[order], np.flatnonzero(np.diff(place[order])) + 1)
    values = np.array([float(np.median(share)) for share in shares])
    return values, np.unique(place, return_inverse=True)[1].astype(np.int64)
