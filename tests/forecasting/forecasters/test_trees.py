from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import ExtraTreesRegressor

from forecasting.forecasters.trees import THRESHOLDS, Growth, Halves, Nodes, Trees
from forecasting.store import load, save
from gyropilot.domain import Floats
from gyropilot.errors import ForecastError

GROWTH = Growth(trees=3, least_leaf=20)


def examples(rows: int = 600, seed: int = 0) -> tuple[Halves, Floats]:
    """Outcomes that are around 10 where the first feature is above a half, and 0 most of the time elsewhere."""
    rng = np.random.default_rng(seed)
    features = rng.random((rows, 4)).astype(np.float32)
    calm = np.where(rng.random(rows) < 0.8, 0.0, rng.normal(size=rows))
    return features, np.where(features[:, 0] > 0.5, 10 + rng.normal(size=rows), calm)


def grown(growth: Growth = GROWTH, weight: Floats | None = None) -> Trees:
    features, outcome = examples()
    return Trees.grow(features, outcome, np.ones(len(outcome)) if weight is None else weight, growth)


def stump(low: list[float], high: list[float]) -> Trees:
    """Two leaves, parted at 0.5 of the second feature, with chances of the values 1, 2, 3."""
    return Trees(
        roots=np.array([0], dtype=np.int32),
        feature=np.array([1, 0, 0], dtype=np.int32),
        threshold=np.array([0.5, 0.0, 0.0], dtype=np.float32),
        low=np.array([1, 1, 2], dtype=np.int32),
        high=np.array([2, 1, 2], dtype=np.int32),
        chances=np.array([[0, 0, 0], low, high], dtype=np.float32),
        values=np.array([1.0, 2.0, 3.0]),
    )


GROWN = grown()


def row(second: float) -> Halves:
    return np.array([[9.0, second]], dtype=np.float32)


def test_rows_fall_into_the_leaves_that_scikit_learn_says() -> None:
    features, outcome = examples()
    thresholds = np.unique(np.quantile(outcome, np.linspace(0.01, 0.99, THRESHOLDS)))
    forest = ExtraTreesRegressor(
        3, min_samples_leaf=20, max_features=0.5, bootstrap=True, max_samples=0.6, random_state=0
    )
    forest.fit(features, (outcome[:, None] <= thresholds).astype(np.float32), sample_weight=np.ones(len(outcome)))
    new, _ = examples(seed=1)

    trees = grown()

    assert np.array_equal(trees.leaves(new) - trees.roots, forest.apply(new))


def test_quantiles_of_a_leaf_are_those_of_its_chances() -> None:
    trees = stump(low=[0.5, 0.25, 0.25], high=[0.0, 0.0, 1.0])

    assert trees.quantiles(row(0.2), [0.1, 0.5, 0.6, 0.75, 0.9]).tolist() == [[1.0, 1.0, 2.0, 2.0, 3.0]]
    assert trees.quantiles(row(0.7), [0.01, 0.99]).tolist() == [[3.0, 3.0]]


def test_the_threshold_itself_belongs_to_the_lower_side() -> None:
    trees = stump(low=[1.0, 0.0, 0.0], high=[0.0, 0.0, 1.0])

    assert trees.quantiles(row(0.5), [0.5]).tolist() == [[1.0]]
    assert trees.quantiles(row(np.nextafter(np.float32(0.5), np.float32(1))), [0.5]).tolist() == [[3.0]]


def test_trees_are_heard_alike() -> None:
    one, other = stump([1.0, 0.0, 0.0], [1.0, 0.0, 0.0]), stump([0.0, 0.0, 1.0], [0.0, 0.0, 1.0])
    both = Trees(
        np.array([0, 3], dtype=np.int32),
        np.concatenate([one.feature, other.feature]),
        np.concatenate([one.threshold, other.threshold]),
        np.concatenate([one.low, other.low + 3]),
        np.concatenate([one.high, other.high + 3]),
        np.concatenate([one.chances, other.chances]),
        one.values,
    )

    assert both.quantiles(row(0.2), [0.4, 0.5, 0.6]).tolist() == [[1.0, 1.0, 3.0]]


def test_more_rows_than_are_answered_at_a_time_are_answered_alike() -> None:
    trees, (features, _) = grown(), examples(rows=1_000, seed=2)

    together = trees.quantiles(features, [0.1, 0.5, 0.9])

    apart = [trees.quantiles(features[i : i + 1], [0.1, 0.5, 0.9])[0] for i in range(0, 1_000, 90)]
    assert np.array_equal(together[::90], apart)


def test_learns_what_comes_of_what() -> None:
    trees = grown(Growth(trees=20, least_leaf=20, tried_features=1.0))
    calm, busy = np.full((1, 4), 0.2, dtype=np.float32), np.full((1, 4), 0.8, dtype=np.float32)

    assert trees.quantiles(calm, [0.3, 0.5, 0.6]).tolist() == [[0.0, 0.0, 0.0]]  # exactly: most outcomes are
    assert trees.quantiles(busy, [0.1, 0.5, 0.9])[0] == pytest.approx([8.7, 10.0, 11.3], abs=0.6)


def test_a_row_counts_as_much_as_its_weight() -> None:
    _, outcome = examples()
    anything = np.full((1, 4), 0.7, dtype=np.float32)

    alike, heavy = grown(), grown(weight=np.where(outcome > 10, 9.0, 1.0))

    assert heavy.quantiles(anything, [0.5])[0, 0] > alike.quantiles(anything, [0.5])[0, 0] + 0.3


def test_one_outcome_is_the_only_forecast() -> None:
    features, _ = examples()

    trees = Trees.grow(features, np.full(len(features), 4.0), np.ones(len(features)), GROWTH)

    assert trees.quantiles(features[:3], [0.01, 0.99]).tolist() == [[4.0, 4.0]] * 3


def test_the_same_seed_grows_the_same_trees() -> None:
    features, _ = examples(seed=1)
    levels = [0.1, 0.5, 0.9]

    first, second = grown(), grown()

    assert np.array_equal(first.quantiles(features, levels), second.quantiles(features, levels))


def test_answers_the_same_after_it_was_saved(tmp_path: Path) -> None:
    trees, (features, _) = grown(), examples(seed=1)

    save(trees.state(), tmp_path / "trees.npz")
    again = Trees.restored(load(tmp_path / "trees.npz"), features=4)

    assert np.array_equal(again.quantiles(features, [0.1, 0.9]), trees.quantiles(features, [0.1, 0.9]))


STUMP = stump(low=[0.5, 0.25, 0.25], high=[0.0, 0.0, 1.0])


def nodes(*numbers: int) -> Nodes:
    return np.array(numbers, dtype=np.int32)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        ({"roots": nodes(3)}, "no roots that are its nodes"),
        ({"roots": nodes(-1)}, "no roots that are its nodes"),
        ({"roots": nodes()}, "no roots that are its nodes"),
        ({"feature": nodes(2, 0, 0)}, "no features that are among 2"),
        ({"feature": nodes(-1, 0, 0)}, "no features that are among 2"),
        ({"threshold": np.array([np.nan, 0, 0], dtype=np.float32)}, "no thresholds that are known"),
        ({"low": nodes(3, 1, 2)}, "no children that are its nodes"),
        ({"high": nodes(2, 1, -2)}, "no children that are its nodes"),
        ({"low": nodes(1, 2, 2), "high": nodes(2, 0, 2)}, "no ways that end in a leaf"),  # 0 -> 1 -> 0
        ({"low": nodes(1, 2, 2)}, "no ways that end in a leaf"),  # a leaf for the higher side only: 1 -> 1 -> ...
        ({"high": nodes(0, 1, 2)}, "no ways that end in a leaf"),
        ({"values": np.array([1.0, 3.0, 2.0])}, "no values that ascend"),
        ({"values": np.array([1.0, 2.0, np.nan])}, "no values that ascend"),
        ({"chances": -STUMP.chances}, "no chances that add up to one"),
        ({"chances": STUMP.chances * np.float32(np.nan)}, "no chances that add up to one"),
        ({"chances": STUMP.chances[:, :0], "values": np.empty(0)}, "no chances that add up to one"),
        ({"values": np.array([1.0, 2.0])}, r"no array 'values' of shape \(3,\)"),
        ({"chances": STUMP.chances[:2]}, r"no array 'feature' of shape \(2,\)"),
        ({"chances": STUMP.chances[0]}, r"no array 'chances' of shape \(None, None\)"),
        ({"chances": STUMP.chances.astype(np.float64)}, "no array 'chances' .* type float32"),
        ({"low": nodes(1, 1)}, r"no array 'low' of shape \(3,\)"),
        ({"high": np.array([2, 1, 2])}, "no array 'high' .* type int32"),
        ({"roots": None}, "no array 'roots'"),
    ],
)
def test_what_could_lead_astray_is_refused(damage: dict[str, object], why: str) -> None:
    with pytest.raises(ForecastError, match=f"{why}.*delete it, the next fit makes a new one"):
        Trees.restored({**STUMP.state(), **damage}, features=2)


@settings(max_examples=200, deadline=None)
@given(
    name=st.sampled_from(["roots", "feature", "low", "high"]),
    at=st.integers(0, 10_000),
    value=st.integers(-3, 80) | st.sampled_from([-(2**31), 2**31 - 1]),
)
def test_one_wrong_number_is_refused_or_still_leads_to_an_outcome(name: str, at: int, value: int) -> None:
    state = dict(GROWN.state())
    state[name] = state[name].copy()
    state[name][at % len(state[name])] = value

    try:
        trees = Trees.restored(state, features=4)
    except ForecastError:
        return
    assert np.isin(trees.quantiles(examples(rows=40)[0], [0.1, 0.9]), trees.values).all()


anywhere = st.lists(st.floats(-1e6, 1e6, width=32), min_size=4, max_size=4)
some_levels = st.lists(st.floats(0.001, 0.999), min_size=1, max_size=12).map(sorted)


@settings(max_examples=60, deadline=None)
@given(features=st.lists(anywhere, min_size=1, max_size=5), levels=some_levels)
def test_quantiles_ascend_and_are_outcomes_that_were_seen(features: list[list[float]], levels: list[float]) -> None:
    trees = grown()

    table = trees.quantiles(np.array(features, dtype=np.float32), levels)

    assert table.shape == (len(features), len(levels))
    assert (np.diff(table, axis=1) >= 0).all()
    assert np.isin(table, trees.values).all()
