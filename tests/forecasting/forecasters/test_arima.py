from datetime import timedelta

import numpy as np
import pytest

from forecasting.forecasters.arima import Arima
from forecasting.forecasters.naive import Naive
from gyropilot.domain import Floats, Window
from tests.fakes import history

HOUR = timedelta(hours=1)
NEXT_HOUR, TOMORROW = Window.step(HOUR, HOUR), Window.step(24 * HOUR, HOUR)


def test_comes_home_to_its_mean() -> None:
    home = _autoregressive(phi=0.8, seed=0)
    seen = history({"research": [*home.tolist(), 150.0]}, HOUR)

    soon, later = Arima().fit(seen).predict(seen, [NEXT_HOUR, TOMORROW], [0.5])[0, :, 0]

    assert soon == pytest.approx(100 + 0.8 * 50, abs=6)
    assert later == pytest.approx(100, abs=4)


def test_finds_the_weights_that_made_the_demand() -> None:
    seen = history({"research": _autoregressive(phi=0.9, seed=3).tolist()}, HOUR)

    mean, phi, theta = Arima().fit(seen).weights[0]

    assert mean == pytest.approx(100, abs=4)
    assert phi == pytest.approx(0.9, abs=0.06)
    assert theta == pytest.approx(0.0, abs=0.15)


def test_only_the_largest_lines_are_fitted() -> None:
    small, large = _autoregressive(phi=0.8, seed=0), 4 * _autoregressive(phi=0.8, seed=1)
    seen = history({"small": small.tolist(), "large": large.tolist()}, HOUR)

    capped = Arima(most=1).fit(seen)

    assert np.isfinite(capped.weights[:, 0]).tolist() == [False, True]
    naive = Naive().fit(seen).predict(seen, [TOMORROW], [0.1, 0.5, 0.9])
    assert np.array_equal(capped.predict(seen, [TOMORROW], [0.1, 0.5, 0.9])[0], naive[0])


def test_what_alternates_has_no_way_home() -> None:
    seen = history({"research": [8.0, 16.0] * 100}, HOUR)

    assert np.isnan(Arima().fit(seen).weights).all()


def test_a_gap_is_bridged_by_what_was_expected() -> None:
    demand = _autoregressive(phi=0.8, seed=0)
    seen = history({"research": demand.tolist()}, HOUR)
    fitted = Arima().fit(seen)
    gappy = demand.copy()
    gappy[-20:-1] = np.nan

    whole, bridged = (
        fitted.predict(history({"research": d.tolist()}, HOUR), [TOMORROW], [0.5]) for d in (demand, gappy)
    )

    assert bridged[0, 0, 0] == pytest.approx(whole[0, 0, 0], abs=0.5)


def _autoregressive(phi: float, seed: int) -> Floats:
    """(336,) hours of demand about 100 GPUs."""
    shocks = np.random.default_rng(seed).normal(0, 4, 336)
    demand = np.full(336, 100.0)
    for t in range(1, 336):
        demand[t] = 100 + phi * (demand[t - 1] - 100) + shocks[t]
    return demand
