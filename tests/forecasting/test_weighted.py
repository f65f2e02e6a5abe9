import numpy as np
import pytest

from forecasting.bands import row_quantiles
from forecasting.weighted import weighted_quantiles

NINE = np.arange(1.0, 10.0)[None, :]


def test_equal_weights_give_the_quantiles_of_split_conformal_prediction() -> None:
    found = weighted_quantiles(NINE, np.ones((1, 9)), [0.1, 0.5, 0.9, 0.99])

    assert found.tolist() == [[pytest.approx(v) for v in (1.0, 5.0, 9.0, 9.0)]]


def test_agrees_with_unweighted_quantiles_on_any_row() -> None:
    values = np.sort(np.random.default_rng(0).normal(size=(40, 57)), axis=1)
    levels = np.linspace(0.01, 0.99, 25)

    found = weighted_quantiles(values, np.full((40, 57), 0.25), levels.tolist())

    np.testing.assert_allclose(found, row_quantiles(values, levels), atol=1e-12)


def test_a_sample_of_double_weight_draws_quantiles_to_itself() -> None:
    heavy = weighted_quantiles(np.array([[0.0, 4.0, 8.0]]), np.array([[1.0, 2.0, 1.0]]), [0.25, 0.5, 0.75])
    plain = weighted_quantiles(np.array([[0.0, 4.0, 8.0]]), np.ones((1, 3)), [0.25, 0.5, 0.75])

    assert heavy[0, 1] == plain[0, 1] == pytest.approx(4.0)
    assert plain[0, 0] < heavy[0, 0] < 4.0 < heavy[0, 2] < plain[0, 2]


def test_samples_without_weight_are_not_there() -> None:
    padded = np.hstack([NINE, np.full((1, 30), 9.0)])
    weights = np.hstack([np.ones((1, 9)), np.zeros((1, 30))])
    levels = [0.05, 0.3, 0.5, 0.95]

    found = weighted_quantiles(padded, weights, levels)

    np.testing.assert_allclose(found, weighted_quantiles(NINE, np.ones((1, 9)), levels))


def test_a_row_without_weight_gives_its_first_value_and_no_row_gives_none() -> None:
    assert weighted_quantiles(NINE, np.zeros((1, 9)), [0.5]).tolist() == [[1.0]]
    assert weighted_quantiles(np.empty((2, 0)), np.empty((2, 0)), [0.5]).tolist() == [[0.0], [0.0]]
