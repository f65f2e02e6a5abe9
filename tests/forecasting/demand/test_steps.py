from datetime import timedelta

import numpy as np

from forecasting.demand.steps import over_windows, resampled, whole_steps
from gyropilot.domain import Window
from tests.fakes import history

MINUTES, HOUR = timedelta(minutes=1), timedelta(hours=1)
NOW = timedelta(0)


def test_a_sample_is_a_whole_number_of_steps() -> None:
    assert whole_steps(10 * MINUTES, 5 * MINUTES) == 10 * MINUTES
    assert whole_steps(10 * MINUTES, 7 * MINUTES) == 7 * MINUTES
    assert whole_steps(10 * MINUTES, HOUR) == HOUR


def test_means_end_at_the_newest_reading_and_what_is_left_over_is_dropped() -> None:
    seen = history({"research": [99.0, 1.0, 3.0, 5.0, 7.0]})

    assert resampled(seen, 10 * MINUTES).tolist() == [[2.0, 6.0]]


def test_a_mean_is_of_what_was_seen_and_not_known_where_most_was_missing() -> None:
    nan = float("nan")
    seen = history({"research": [nan, nan, nan, nan, nan, 4.0, nan, nan, 8.0, nan, nan, 6.0]})

    means = resampled(seen, 20 * MINUTES)

    assert np.isnan(means[0, :2]).all()
    assert means[0, 2] == 7.0


def test_a_history_shorter_than_a_sample_has_none() -> None:
    assert resampled(history({"research": [8.0]}), 10 * MINUTES).shape == (1, 0)


def test_a_window_is_answered_by_the_steps_in_it_as_far_as_they_lie_in_it() -> None:
    steps = np.array([[[0.0], [10.0], [20.0]]])
    windows = [Window(NOW, HOUR), Window(HOUR / 2, 1.5 * HOUR), Window(NOW, 3 * HOUR), Window(HOUR / 4, HOUR / 2)]

    assert over_windows(steps, HOUR, windows)[0, :, 0].tolist() == [0.0, 5.0, 10.0, 0.0]


def test_an_instant_is_answered_by_the_step_it_lies_in() -> None:
    steps = np.array([[[0.0], [10.0], [20.0]]])

    assert over_windows(steps, HOUR, [Window(HOUR, HOUR), Window(NOW, NOW)])[0, :, 0].tolist() == [10.0, 0.0]


def test_after_the_last_step_demand_stays() -> None:
    steps = np.array([[[0.0], [10.0], [20.0]]])

    after = over_windows(steps, HOUR, [Window(HOUR, 3 * HOUR), Window(2 * HOUR, 9 * HOUR), Window(8 * HOUR, 9 * HOUR)])

    assert after[0, :, 0].tolist() == [15.0, 20.0, 20.0]
