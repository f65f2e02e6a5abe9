"""The optional foundation model; most of it runs only where that is installed."""

import importlib.util
from datetime import timedelta

import numpy as np
import pytest

from forecasting.forecasters import foundation
from forecasting.forecasters.foundation import Foundation, by_sample, widened
from forecasting.forecasters.naive import Naive
from gyropilot.domain import DemandHistory, Floats, Window
from gyropilot.errors import ForecastError
from tests.fakes import history

FIVE_MINUTES, HOUR, DAY = timedelta(minutes=5), timedelta(hours=1), timedelta(days=1)
WINDOWS = [Window(timedelta(0), HOUR), Window(5 * HOUR, 6 * HOUR), Window(23 * HOUR, DAY)]

needs_the_model = pytest.mark.skipif(
    importlib.util.find_spec("fracast") is None,
    reason="the foundation model is not installed; pip install 'gyropilot[foundation]'",
)


def test_says_which_extra_to_install_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foundation, "find_spec", lambda name: None)

    with pytest.raises(ForecastError, match=r"pip install 'gyropilot\[foundation\]'"):
        Foundation()


def test_near_windows_are_asked_of_short_means_and_far_ones_of_long_means() -> None:
    found = by_sample([*WINDOWS, Window(6 * DAY, 7 * DAY)], FIVE_MINUTES)

    assert found == [(timedelta(minutes=10), [0, 1]), (HOUR, [2]), (4 * HOUR, [3])]


def test_means_are_of_whole_steps_of_the_history() -> None:
    assert by_sample(WINDOWS, timedelta(minutes=15)) == [(timedelta(minutes=15), [0, 1]), (HOUR, [2])]
    assert by_sample(WINDOWS, 7 * HOUR) == [(7 * HOUR, [0, 1, 2])]


def test_tails_go_on_as_those_of_a_normal_distribution() -> None:
    tenths = np.array([40.0, 42.0, 44.0, 46.0, 48.0, 50.0, 52.0, 54.0, 80.0])

    low, body, high = widened(tenths, [0.025, 0.35, 0.99])

    assert body == pytest.approx(45.0)
    assert low == pytest.approx(48 - 8 * 1.95996 / 1.28155, abs=0.01)  # 8 below the median at the first tenth
    assert high == pytest.approx(48 + 32 * 2.32635 / 1.28155, abs=0.01)  # 32 above it at the last


@needs_the_model
def test_knows_a_rhythm_that_it_was_never_shown() -> None:
    seen = _rhythm()

    error = {
        model.name: float(
            abs(model.fit(seen).predict(seen, [Window(5 * HOUR, 6 * HOUR)], [0.5])[0, 0, 0] - _level(5.5))
        )
        for model in (Naive(), Foundation())
    }

    assert error["foundation"] < 0.5 * error["naive"]


@needs_the_model
def test_the_model_is_asked_again_only_about_rows_that_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    whole = foundation.zero_shot

    def counted(rows: list[Floats]) -> Floats:
        asked.append(len(rows))
        return whole(rows)

    monkeypatch.setattr(foundation, "zero_shot", counted)
    model, seen = Foundation(), _rhythm(queues=3)

    first = model.predict(seen, WINDOWS[:1], [0.5])
    again = model.predict(seen, WINDOWS[:1], [0.5])
    moved = history(
        {**{str(i): row.tolist() for i, row in enumerate(seen.demand)}, "1": [8.0, *seen.demand[1, 1:-1], 0]}
    )
    model.predict(moved, WINDOWS[:1], [0.5])

    assert np.array_equal(first, again)
    assert asked == [1, 1]  # three queues alike are one row


def _rhythm(queues: int = 1) -> DemandHistory:
    """Ten days that rise by day and fall by night."""
    demand = _level(np.arange(-2_879, 1) / 12)
    return history({str(i): demand.tolist() for i in range(queues)})


def _level(hours: Floats | float) -> Floats:
    level: Floats = 100 + 50 * np.sin(2 * np.pi * np.asarray(hours) / 24)
    return level
