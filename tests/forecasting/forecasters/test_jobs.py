from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from forecasting.check import gangs
from forecasting.forecasters.jobs import Jobs
from forecasting.forecasters.paths import LAYERS, LEAST_LAYER, WHOLE, Paths, layers_of
from gyropilot.domain import DemandHistory, Window
from gyropilot.errors import ForecastError
from tests.fakes import history

HOUR = Window(timedelta(0), timedelta(hours=1))
DECILES = tuple(round(0.1 * i, 1) for i in range(1, 10))


def test_a_fall_ends_the_youngest_demand_first() -> None:
    # 16 all day; 8 more two hours ago; 32 more for half an hour, of which 24 left five minutes ago.
    seen = history({"research": [16.0] * 288 + [24.0] * 18 + [56.0] * 6 + [32.0]})

    layers = _layers_now(seen)

    # under 5 min, to 15 min, to 1 h, to 4 h, to 24 h, and all day
    assert layers == [0.0, 0.0, 8.0, 8.0, 0.0, 16.0]
    assert len(layers) == LAYERS


def test_layers_add_up_to_demand() -> None:
    seen = gangs(4, 2_000, timedelta(minutes=5))
    line, column = np.repeat(np.arange(4), 50), np.tile(np.arange(1_000, 2_000, 20), 4)

    layers = layers_of(seen, line, column)

    assert (layers >= 0).all()
    np.testing.assert_allclose(layers.sum(axis=1), seen.demand[line, column])


def test_jobs_that_always_end_within_the_hour_are_expected_to_end() -> None:
    hourly = [8.0] * 24 + [40.0] * 9  # 32 GPUs for three quarters of an hour, on a base that stays
    seen = history({"research": hourly * 120 + [8.0] * 24 + [40.0] * 2})
    later = Window(timedelta(minutes=50), timedelta(minutes=60))

    median = Jobs().fit(seen).predict(seen, [later], [0.5])[0, 0, 0]

    assert median == pytest.approx(8.0, abs=1.0)


def test_what_was_there_all_day_stays() -> None:
    seen = history({"serving": [64.0] * 2_000})

    low = Jobs().fit(seen).predict(seen, [HOUR], [0.05])[0, 0, 0]

    assert low == pytest.approx(64.0, abs=1.0)


def test_a_past_moment_followed_again_gives_what_then_came() -> None:
    seen = gangs(1, 2_000, timedelta(minutes=5))
    every = Paths.of(seen, [HOUR], 2_000)
    thick = layers_of(seen, np.zeros(2_000, np.int64), np.arange(2_000))
    means = np.array([seen.demand[0, t + 1 : t + 13].mean() for t in range(300, 1_900)])

    stays = thick[300:1_900] * (1 - every.lost[0, 0, :, 300:1_900].T / WHOLE)
    followed = stays.sum(axis=1) + every.arrived[0, 0, 300:1_900]

    # What of a thin layer was lost is not asked of itself but drawn from others.
    told = ((thick == 0) | (thick > LEAST_LAYER * seen.demand.max())).all(axis=1)[300:1_900]
    assert told.sum() > 500
    np.testing.assert_allclose(followed[told], means[told], atol=0.05)


def test_paths_whose_end_was_not_seen_do_not_pull_the_tail_towards_no_change() -> None:
    paths = replace(
        Paths.of(history({"research": [8.0] * 4}), [HOUR], 4),
        arrived=np.array([[[16.0, 24.0, np.nan, 8.0]]], dtype=np.float32),
        weight=np.ones((1, 4), dtype=np.float32),
    )

    low, high = paths.changes(np.array([0]), np.zeros((1, LAYERS)), 0, np.array([0]), [0.01, 0.99])[0, 0]

    assert (low, high) == (8.0, 24.0)


def test_answers_as_before_after_it_was_saved_and_restored() -> None:
    seen = gangs(3, 2_000, timedelta(minutes=5))
    model = Jobs().fit(seen)

    again = Jobs.restored(model.state())

    assert np.array_equal(again.predict(seen, [HOUR], DECILES), model.predict(seen, [HOUR], DECILES))


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        ({"lost": np.zeros((1, 1, LAYERS, 3), dtype=np.uint16)}, "no array 'lost'"),
        ({"lost": np.zeros((1, 1, LAYERS, 4))}, "no array 'lost' .* type uint16"),
        ({"arrived": np.zeros((1, 2, 4), dtype=np.float32)}, "no array 'arrived'"),
        ({"weight": np.zeros((2, 4), dtype=np.float32)}, "no array 'weight'"),
        ({"day_s": None}, "no array 'day_s'"),
        ({"seen_s": np.zeros(2)}, "no array 'seen_s'"),
        ({"lines": [["research"]]}, "no pairs of text 'lines'"),
        ({"lines": "research"}, "no pairs of text 'lines'"),
    ],
)
def test_paths_that_do_not_fit_their_lines_and_windows_are_refused(damage: dict[str, object], why: str) -> None:
    state = Paths.of(history({"research": [8.0] * 4}), [HOUR], 4).state()

    with pytest.raises(ForecastError, match=f"{why}.*delete it, the next fit makes a new one"):
        Paths.restored({**state, **damage}, windows=1)


def test_a_grid_of_more_windows_than_were_followed_is_refused() -> None:
    state = Jobs((HOUR,)).fit(history({"research": [8.0] * 4})).state()

    with pytest.raises(ForecastError, match="no array 'arrived'"):
        Jobs.restored({**state, "grid": [[0.0, 3600.0], [3600.0, 7200.0]]})


def _layers_now(seen: DemandHistory) -> list[float]:
    layers: list[float] = layers_of(seen, np.zeros(1, np.int64), np.array([len(seen.times) - 1]))[0].tolist()
    return layers
