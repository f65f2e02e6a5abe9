from datetime import timedelta
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest

from forecasting.check import check_forecaster, gangs
from forecasting.demand.seen import some_lines
from forecasting.demand.slots import Slots
from forecasting.forecasters.anomaly import Anomaly
from forecasting.forecasters.naive import Naive
from forecasting.forecasters.profile import Profile
from forecasting.rolling import until
from forecasting.store import load, save
from gyropilot.domain import DemandHistory, Floats, Line, Window
from tests.fakes import history

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DECILES = tuple(round(0.1 * i, 1) for i in range(1, 10))
MIDDLE = (0.5,)


@pytest.mark.parametrize("kind", [Profile, Anomaly])
def test_keeps_every_promise(kind: type[Profile]) -> None:
    check_forecaster(kind)


def test_expects_at_each_hour_what_past_days_had_then() -> None:
    seen = history({"chat": days(20) + days(1)[:9]}, HOUR)  # nine hours into the day
    windows = [Window(1 * HOUR, 2 * HOUR), Window(4 * HOUR, 5 * HOUR), Window(4 * DAY + HOUR, 4 * DAY + 2 * HOUR)]

    told = Profile().fit(seen).predict(seen, windows, MIDDLE)[0, :, 0]

    assert told == pytest.approx([hour(10), hour(13), hour(10)], abs=1.5)


def test_levels_count_and_not_changes_since_a_burst() -> None:
    rng = np.random.default_rng(0)
    bursts = np.where(rng.random(60 * 24) < 0.1, 1_000.0, 10.0)
    bursts[-1] = 1_000.0
    seen = history({"api": bursts.tolist()}, HOUR)

    low, mid = Profile().fit(seen).predict(seen, [Window(3 * HOUR, 4 * HOUR)], (0.1, 0.5))[0, 0]

    assert low == pytest.approx(10.0, abs=5.0)
    assert mid == pytest.approx(10.0, abs=5.0)


def test_a_mean_over_a_day_is_surer_than_an_hour_of_it() -> None:
    rng = np.random.default_rng(0)
    seen = history({"noisy": rng.uniform(0, 100, 40 * 24).tolist()}, HOUR)
    windows = [Window(12 * HOUR, 13 * HOUR), Window(timedelta(0), DAY)]

    noon, day = np.diff(Profile().fit(seen).predict(seen, windows, (0.1, 0.9))[0])[:, 0]

    assert day < 0.5 * noon


def test_weekends_are_found_in_demand_and_look_like_weekends() -> None:
    week = [100.0] * 5 * 24 + [20.0] * 2 * 24
    seen = history({"office": week * 5 + week[: 5 * 24], "always": [60.0] * 40 * 24}, HOUR)  # up to the weekend
    noons = [Window(day * DAY + 12 * HOUR, day * DAY + 13 * HOUR) for day in range(4)]

    told = Profile().fit(seen).predict(seen, noons, MIDDLE)[..., 0]

    assert told[0] == pytest.approx([20.0, 20.0, 100.0, 100.0], abs=5.0)
    assert told[1] == pytest.approx([60.0] * 4, abs=1.0)


def test_chance_makes_no_weekends() -> None:
    rng = np.random.default_rng(0)
    seen = history({str(i): rng.gamma(2.0, 50.0, 30 * 24).tolist() for i in range(50)}, HOUR)

    assert (Slots.of(seen).weekends < 0).mean() > 0.9


def test_what_came_since_the_fit_counts_at_once() -> None:
    seen = history({"new level": [10.0] * 3 * 24 + [90.0] * 2 * 24}, HOUR)
    window = [Window(2 * HOUR, 3 * HOUR)]

    late = Profile().fit(until(seen, 3 * 24 - 1)).predict(seen, window, DECILES)
    fresh = Profile().fit(seen).predict(seen, window, DECILES)

    np.testing.assert_allclose(late, fresh)


def test_slots_that_are_not_whole_yet_do_not_shift_the_hours() -> None:
    every_five = [hour(i // 12) for i in range(24 * 12)]
    seen = history({"chat": every_five * 12 + every_five[:101]})
    model = Profile().fit(until(seen, 12 * 288 + 49))

    told = model.predict(seen, [Window(HOUR, 2 * HOUR)], MIDDLE)[0, 0, 0]

    assert told == pytest.approx(np.interp(8.4 + 1, range(24), [hour(h) for h in range(24)]), abs=1.5)


def test_gaps_are_no_zeros() -> None:
    holes = np.tile([60.0, np.nan, np.nan], 24 * 10)
    holes[::24] = 60.0
    steady = np.full(24 * 30, 60.0)
    steady[24 * 4 : 24 * 6] = np.nan
    seen = history({"holes": holes.tolist(), "days off": steady.tolist()}, HOUR)

    told = Profile().fit(seen).predict(seen, [Window(2 * HOUR, 3 * HOUR)], MIDDLE)[:, 0, 0]

    assert told == pytest.approx([60.0, 60.0], abs=1.0)


def test_answers_as_naive_before_a_day_was_seen() -> None:
    seen = history({"young": [8.0, 16.0, 8.0] * 40})
    windows = [Window(timedelta(0), HOUR), Window(5 * HOUR, 6 * HOUR)]

    np.testing.assert_array_equal(
        Profile().fit(seen).predict(seen, windows, DECILES), Naive().predict(seen, windows, DECILES)
    )


def test_a_line_that_fit_did_not_know_is_summed_up_on_the_spot() -> None:
    seen = gangs()
    windows = [Window(2 * HOUR, 3 * HOUR)]

    told = Profile().fit(some_lines(seen, [0, 1])).predict(seen, windows, DECILES)

    np.testing.assert_allclose(told, Profile().fit(seen).predict(seen, windows, DECILES))


@pytest.mark.parametrize("kind", [Profile, Anomaly])
def test_answers_as_before_after_it_was_saved_and_restored(kind: type[Profile], tmp_path: Path) -> None:
    seen = gangs()
    model = kind().fit(until(seen, 700))

    save(model.state(), tmp_path / "days.npz")
    again = kind.restored(load(tmp_path / "days.npz"))

    windows = [Window(timedelta(0), HOUR), Window(6 * DAY, 7 * DAY)]
    assert np.array_equal(again.predict(seen, windows, DECILES), model.predict(seen, windows, DECILES))
    assert kind.restored(kind().state()).slots is None


def test_a_slot_is_a_multiple_of_the_step_and_a_month_is_enough() -> None:
    short, long = gangs(1, 900, timedelta(minutes=4)), gangs(1, 4_000, timedelta(minutes=15))

    assert Slots.of(short).slot_s == 12 * 60
    assert Slots.of(long).slot_s == 15 * 60
    assert Slots.of(long).count == 35 * 96


def test_five_hundred_queues_are_answered_within_half_a_second() -> None:
    seen = _many(500, 10 * 288)
    ends = [timedelta(minutes=m) for m in (5, 10, 20, 30, 60, 120, 180, 240, 360, 480, 720, 960, 1200, 1440)]
    windows = [Window.step(end, seen.step) for end in ends]
    model = Anomaly().fit(until(seen, 10 * 288 - 100))
    model.predict(seen, windows, DECILES)

    began = perf_counter()
    model.predict(seen, windows, DECILES)

    assert perf_counter() - began < 0.5  # an idle machine takes a twelfth of that


def hour(of_day: int) -> float:
    return 50.0 + 5.0 * min(of_day % 24, 24 - of_day % 24)


def days(count: int) -> list[float]:
    return [hour(of_day) for of_day in range(24)] * count


def _many(lines: int, steps: int) -> DemandHistory:
    running: Floats = np.tile(gangs(4, steps, timedelta(minutes=5)).running, (lines // 4, 1))
    times = np.arange(steps, dtype=np.int64) * 300
    return DemandHistory(tuple(Line(str(i), "gpu") for i in range(lines)), times, running, np.zeros_like(running))
