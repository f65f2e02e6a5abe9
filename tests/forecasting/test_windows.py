from datetime import timedelta

import numpy as np
import pytest

from forecasting.windows import instants_s, means_after, outcome, over_instants
from gyropilot.domain import DemandHistory, Floats, Window
from tests.fakes import history

MINUTE, STEP = timedelta(minutes=1), timedelta(minutes=5)
NAN = np.nan


def _window(start: float, end: float) -> Window:
    """In minutes."""
    return Window(start * MINUTE, end * MINUTE)


def test_a_horizon_means_the_step_that_ends_there() -> None:
    assert Window.step(60 * MINUTE, STEP) == _window(55, 60)
    assert Window.step(2 * MINUTE, STEP) == _window(0, 2)


def test_mean_is_of_what_came_in_the_window() -> None:
    seen = history({"research": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "vision": [0.0, 0.0, 8.0, 8.0, 0.0, 0.0]})

    means = means_after(seen, np.array([0, 1]), _window(5, 15))

    assert means.tolist() == [[3.5, 4.5], [8.0, 4.0]]


def test_mean_of_the_next_step_is_the_next_reading() -> None:
    seen = history({"research": [1.0, 2.0, 3.0]})

    assert means_after(seen, np.array([0, 1]), _window(0, 5)).tolist() == [[2.0, 3.0]]
    assert means_after(seen, np.array([0, 1]), _window(0, 1)).tolist() == [[2.0, 3.0]]  # level within a step


def test_a_window_across_steps_takes_its_share_of_each() -> None:
    seen = history({"research": [1.0, 2.0, 6.0]})

    assert means_after(seen, np.array([0]), _window(0, 7.5))[0, 0] == pytest.approx((5 * 2 + 2.5 * 6) / 7.5)


def test_the_instant_of_the_origin_is_the_newest_reading() -> None:
    seen = history({"research": [1.0, 2.0, 6.0]})

    assert means_after(seen, np.array([1]), _window(0, 0)).tolist() == [[2.0]]


def test_a_gap_is_left_out_until_it_is_half_of_the_window() -> None:
    seen = history({"research": [0.0, 4.0, NAN, 8.0, NAN, NAN]})

    means = [means_after(seen, np.array([0]), _window(0, end))[0, 0] for end in (5, 10, 15, 20, 25)]

    assert means == [4.0, 4.0, 6.0, 6.0, pytest.approx(NAN, nan_ok=True)]


def test_what_ends_after_the_history_is_not_known() -> None:
    seen = history({"research": [1.0, 2.0, 3.0]})

    assert np.isnan(means_after(seen, np.array([1, 2]), _window(0, 10))).all()


def test_means_of_nothing_are_empty() -> None:
    assert means_after(DemandHistory.empty(), np.array([], np.int64), _window(0, 5)).shape == (0, 0)


def test_outcome_is_what_came_after() -> None:
    seen = history({"research": [1.0, 2.0, 3.0, 4.0]})

    came = outcome(seen, 1, [_window(0, 5), _window(5, 10), _window(0, 10), _window(55, 60)])

    assert came[0, :3].tolist() == [3.0, 4.0, 3.5]
    assert np.isnan(came[0, 3])


def test_outcome_agrees_with_means_after() -> None:
    rng = np.random.default_rng(0)
    seen = history({name: rng.poisson(20, 200).astype(float).tolist() for name in ("research", "vision")})
    windows = [_window(0, 10), _window(55, 60), _window(60, 120), _window(3, 8)]

    came = outcome(seen, 150, windows)

    expected = [means_after(seen, np.array([150]), window) for window in windows]
    assert came == pytest.approx(np.hstack(expected))


@pytest.mark.parametrize(
    ("window", "minutes"),
    [
        (_window(55, 60), [60]),  # one step: its end
        (_window(0, 1), [1]),
        (_window(3, 8), [8]),
        (_window(0, 10), [5, 10]),
        (_window(300, 360), [307.5, 317.5, 327.5, 337.5, 347.5, 357.5]),
    ],
)
def test_a_few_instants_stand_for_a_window(window: Window, minutes: list[float]) -> None:
    assert instants_s(window, STEP) == pytest.approx(60 * np.array(minutes))


def test_quantiles_of_a_window_are_the_mean_of_those_of_its_instants() -> None:
    def rising(ahead_s: Floats) -> Floats:
        table: Floats = ahead_s[None, :, None] / 60 * np.array([1.0, 2.0])  # one line, two quantiles
        return table

    table = over_instants(rising, [_window(0, 5), _window(0, 10), _window(60, 120)], STEP)

    assert table.tolist() == [[[5.0, 10.0], [7.5, 15.0], [92.5, 185.0]]]


def test_no_windows_have_no_quantiles() -> None:
    assert over_instants(lambda ahead_s: np.empty((3, len(ahead_s), 2)), [], STEP).shape == (3, 0, 2)
