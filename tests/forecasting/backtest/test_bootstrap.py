"""How sure a score is."""

from __future__ import annotations

import numpy as np
import pytest

from forecasting.backtest.bootstrap import by_day, draws, interval, ratio


def test_each_draw_takes_as_many_days_as_there_are() -> None:
    drawn = draws(7, seed=0, count=500)

    assert drawn.shape == (500, 7)
    assert set(drawn.sum(axis=1)) == {7.0}
    assert drawn.mean() == pytest.approx(1.0)


def test_one_seed_draws_the_same_days_and_another_others() -> None:
    assert np.array_equal(draws(7, seed=3), draws(7, seed=3))
    assert not np.array_equal(draws(7, seed=3), draws(7, seed=4))


def test_origins_of_one_day_are_added_up() -> None:
    sums = np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])

    assert by_day(sums, np.array([5, 5, 9])).tolist() == [[3.0, 30.0], [4.0, 40.0]]


def test_of_nothing_there_is_no_share() -> None:
    assert np.array_equal(ratio(np.array([1.0, 1.0]), np.array([2.0, 0.0])), [0.5, np.nan], equal_nan=True)


def test_the_interval_holds_nine_tenths_of_the_draws() -> None:
    assert interval(np.arange(101.0)) == (5.0, 95.0)


def test_without_draws_there_is_no_interval() -> None:
    assert np.isnan(interval(np.empty(0))).all()


def test_the_interval_of_a_mean_is_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(1).normal(10, 2, size=60)

    low, high = interval(draws(60, seed=0) @ values / 60)

    assert high - low == pytest.approx(2 * 1.645 * values.std() / np.sqrt(60), rel=0.1)
