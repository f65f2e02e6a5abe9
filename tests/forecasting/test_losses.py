import numpy as np
import pytest

from forecasting.losses import coverage, mase, pinball, wql


def test_too_low_costs_the_quantile_and_too_high_the_rest() -> None:
    actual, predicted = np.array([10.0, 10.0]), np.array([[6.0], [14.0]])

    assert pinball(actual, predicted, [0.9])[:, 0] == pytest.approx([0.9 * 4, 0.1 * 4])


def test_pinball_of_the_median_is_half_the_absolute_error() -> None:
    assert pinball(np.array([3.0]), np.array([[7.0]]), [0.5])[0, 0] == 2.0


def test_wql_of_a_point_forecast_is_the_absolute_error_per_unit_of_demand() -> None:
    actual, predicted = np.array([10.0, 30.0]), np.array([[12.0] * 3, [26.0] * 3])

    assert wql(actual, predicted, [0.5, 0.5, 0.5]) == pytest.approx((2 + 4) / 40)


def test_wql_has_no_meaning_without_demand() -> None:
    assert np.isnan(wql(np.zeros(2), np.ones((2, 1)), [0.5]))


def test_what_was_not_seen_is_not_scored() -> None:
    actual, predicted = np.array([10.0, np.nan]), np.array([[12.0], [99.0]])

    assert wql(actual, predicted, [0.5]) == pytest.approx(0.2)
    assert coverage(actual, np.array([9.0, 0.0]), np.array([11.0, 0.0])) == 1.0


def test_coverage_counts_the_edges_as_inside() -> None:
    actual = np.array([1.0, 2.0, 3.0, 4.0])

    assert coverage(actual, np.full(4, 2.0), np.full(4, 3.0)) == 0.5


def test_mase_is_one_for_the_naive_forecast() -> None:
    past = np.array([0.0, 2.0, 4.0, 2.0])  # changes by 2 each step

    assert mase(np.array([4.0]), np.array([2.0]), past) == 1.0
