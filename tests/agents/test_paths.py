"""A forecast read at any quantile and time."""

from datetime import timedelta

import numpy as np
import pytest

from agents.paths import mean_gpus, on_grid, peak_gpus, places, quantile_path
from gyropilot.domain import DemandForecast, Line
from tests.fakes import NOW

LINE = Line("a", "nvidia.com/gpu")
HOUR = timedelta(hours=1)


def drawn(seed: int, quantiles: tuple[float, ...] = (0.1, 0.25, 0.5, 0.75, 0.95)) -> DemandForecast:
    horizons = tuple(timedelta(minutes=m) for m in (5, 30, 60, 180, 1440))
    gpus = np.sort(np.random.default_rng(seed).random((1, len(horizons), len(quantiles))) * 100, axis=-1)
    return DemandForecast(NOW, (LINE,), horizons, quantiles, gpus)


@pytest.mark.parametrize("quantile", [0.0, 0.1, 0.2, 0.25, 0.6, 0.95, 0.97, 1.0])
@pytest.mark.parametrize("quantiles", [(0.1, 0.25, 0.5, 0.75, 0.95), (0.5,)])
def test_a_path_is_linear_between_the_quantiles_and_held_at_the_ends(
    quantile: float, quantiles: tuple[float, ...]
) -> None:
    told = drawn(0, quantiles)

    path = quantile_path(told, LINE, quantile)

    expected = [np.interp(quantile, told.quantiles, row) for row in told.of(LINE)]
    np.testing.assert_allclose(path, expected, rtol=1e-14)


def test_a_path_may_be_written_to() -> None:
    told = drawn(1)

    quantile_path(told, LINE, 0.5)[:] = 0.0

    assert (told.gpus > 0).all()


def test_mean_and_peak_are_those_of_a_fine_grid() -> None:
    told = drawn(2)

    fine = on_grid(told, LINE, 0.6, np.linspace(0.5, 3.5, 100_001))

    assert mean_gpus(told, LINE, 0.6, HOUR / 2, 3.5 * HOUR) == pytest.approx(fine.mean(), rel=1e-4)
    assert peak_gpus(told, LINE, 0.6, 3.5 * HOUR) >= fine.max() - 1e-9


def test_what_was_asked_of_one_forecast_is_not_told_of_another() -> None:
    first, second = drawn(3), drawn(4)

    peaks = [peak_gpus(told, LINE, quantile, HOUR) for told in (first, second, first) for quantile in (0.5, 0.9)]

    assert peaks[:2] == peaks[4:]
    assert len(set(peaks)) == 4


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("knots", [1, 2, 9])
def test_what_is_read_at_places_is_what_numpy_interpolates(knots: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    among = np.sort(rng.random(knots)) * 24
    points, values = np.concatenate([rng.random(7) * 30 - 3, among]), rng.random((knots, 3)) * 100

    read = places(tuple(among.tolist()), tuple(points.tolist())).read(values)

    assert read.tolist() == np.array([np.interp(points, among, column) for column in values.T]).T.tolist()
