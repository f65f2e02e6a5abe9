from datetime import timedelta
from time import perf_counter

import numpy as np
import pytest

from forecasting.check import gangs
from forecasting.forecasters.analog import Analog
from forecasting.forecasters.naive import Naive
from forecasting.grid import GRID
from forecasting.rolling import until
from gyropilot.domain import DemandHistory, Floats, Line, Window
from gyropilot.errors import ForecastError
from tests.fakes import history

HOUR = Window(timedelta(0), timedelta(hours=1))
DECILES = tuple(round(0.1 * i, 1) for i in range(1, 10))


def test_expects_what_followed_moments_like_this_one() -> None:
    spikes = history({"spiky": ([8.0] * 10 + [40.0] * 2) * 500 + [8.0] * 10 + [40.0]})  # of ten minutes, on and on
    soon = Window(timedelta(minutes=10), timedelta(minutes=20))

    analog, naive = (model.fit(spikes).predict(spikes, [soon], (0.2, 0.5, 0.8))[0, 0] for model in (Analog(), Naive()))

    assert analog == pytest.approx([8.0, 8.0, 8.0], abs=0.5)
    assert naive[1] == pytest.approx(40.0, abs=0.5)


def test_a_window_between_two_of_the_grid_is_answered_from_both() -> None:
    seen = gangs(4, 4_000, timedelta(minutes=5))
    model = Analog().fit(seen)
    later = [Window(timedelta(minutes=60 * h), timedelta(minutes=60 * (h + 1))) for h in (5.0, 5.5, 6.0)]

    before, between, after = (model.predict(seen, [window], DECILES)[:, 0] for window in later)

    assert later[1] not in GRID
    np.testing.assert_allclose(between, (before + after) / 2, atol=0.7)


def test_a_mean_over_a_day_is_surer_than_an_hour_in_the_middle_of_it() -> None:
    seen = gangs(4, 8_000, timedelta(minutes=5))
    noon, day = (Window(timedelta(hours=a), timedelta(hours=b)) for a, b in ((35, 36), (24, 48)))

    hour, whole = Analog().fit(seen).predict(seen, [noon, day], (0.1, 0.9))[:3].mean(axis=0)

    assert np.diff(whole)[0] < 0.9 * np.diff(hour)[0]


def test_an_old_reading_is_forecast_over_a_longer_lead() -> None:
    seen = gangs(2, 4_000, timedelta(minutes=5))
    blind = np.array(seen.running)
    blind[0, -24:] = np.nan  # two hours ago
    late = DemandHistory(seen.lines, seen.times, blind, seen.pending)
    early = until(seen, 4_000 - 25)
    model = Analog().fit(early)

    asked_late = model.predict(late, [HOUR], DECILES)[0, 0]
    asked_early = model.predict(early, [Window(timedelta(hours=2), timedelta(hours=3))], DECILES)[0, 0]

    np.testing.assert_allclose(asked_late, asked_early, atol=1e-6)


def test_a_line_that_fit_did_not_know_is_measured_on_the_spot() -> None:
    seen = gangs(4, 4_000, timedelta(minutes=5))
    some = DemandHistory(seen.lines[:3], seen.times, seen.running[:3], seen.pending[:3])

    adopted = Analog().fit(some).predict(seen, [HOUR], DECILES)

    np.testing.assert_array_equal(adopted[3], Analog().predict(seen, [HOUR], DECILES)[3])
    np.testing.assert_array_equal(adopted[:3], Analog().fit(some).predict(some, [HOUR], DECILES))


def test_a_young_line_remembers_as_densely_as_an_old_one() -> None:
    seen = gangs(2, 8_000, timedelta(minutes=5))
    young = np.array(seen.running)
    young[1, :-300] = np.nan

    moments = Analog().fit(DemandHistory(seen.lines, seen.times, young, seen.pending)).moments

    assert moments is not None
    assert (moments.weight[1] > 0).sum() >= 150  # of the 300 readings there are


def test_answers_as_before_after_it_was_saved_and_restored() -> None:
    seen = gangs(3, 2_000, timedelta(minutes=5))
    model = Analog().fit(seen)

    again = Analog.restored(model.state())

    assert np.array_equal(again.predict(seen, [HOUR], DECILES), model.predict(seen, [HOUR], DECILES))
    assert Analog.restored(Analog().state()).moments is None


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        ({"order": np.full((1, 1, 4), 5, dtype=np.uint16)}, "changes are of moments beyond 4"),
        ({"order": np.zeros((1, 2, 4), dtype=np.uint16)}, "no array 'order'"),
        ({"order": np.zeros((1, 1, 4))}, "no array 'order' .* type uint16"),
        ({"change": np.zeros((1, 1, 3), dtype=np.float32)}, "no array 'change'"),
        ({"like": np.zeros((1, 4, 1), dtype=np.float32)}, "no array 'like'"),
        ({"weight": np.zeros((1, 4), dtype=np.float32)}, "no array 'weight'"),
        ({"spread": np.zeros(2)}, "no array 'spread'"),
        ({"lines": [["research", 1]]}, "no pairs of text 'lines'"),
    ],
)
def test_moments_that_do_not_fit_their_lines_and_windows_are_refused(damage: dict[str, object], why: str) -> None:
    state = Analog((HOUR,)).fit(history({"research": [8.0] * 4})).state()

    with pytest.raises(ForecastError, match=f"{why}.*delete it, the next fit makes a new one"):
        Analog.restored({**state, "moments": {**state["moments"], **damage}})


def test_a_thousand_queues_are_answered_within_a_second() -> None:
    seen = _many(1_000, 1_152)
    ends = [timedelta(minutes=m) for m in (5, 10, 20, 30, 60, 120, 180, 240, 360, 480, 720, 960, 1200, 1440)]
    model = Analog(GRID[:31]).fit(seen)

    began = perf_counter()
    model.predict(seen, [Window.step(end, seen.step) for end in ends], np.linspace(0.01, 0.99, 15).tolist())

    assert perf_counter() - began < 2.0  # an idle machine takes a fifth of that


def _many(lines: int, steps: int) -> DemandHistory:
    running: Floats = np.tile(gangs(4, steps, timedelta(minutes=5)).running, (lines // 4, 1))
    times = np.arange(steps, dtype=np.int64) * 300
    return DemandHistory(tuple(Line(str(i), "gpu") for i in range(lines)), times, running, np.zeros_like(running))
