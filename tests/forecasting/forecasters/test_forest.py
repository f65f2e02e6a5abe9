from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from forecasting.check import gangs
from forecasting.forecasters.forest import FEATURES, LEAST_MOMENTS, Forest, Spreads
from forecasting.forecasters.naive import Naive
from forecasting.forecasters.trees import Growth
from forecasting.grid import GRID
from forecasting.rolling import until
from forecasting.store import load, save
from gyropilot.domain import DemandHistory, Window
from gyropilot.errors import ForecastError
from tests.fakes import history

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
LIGHT = Growth(rows=4_000, trees=4)
SOON, LATER = Window(0 * MINUTE, 10 * MINUTE), Window(60 * MINUTE, 120 * MINUTE)
LEVELS = (0.1, 0.5, 0.9)


def bursts(days: int = 12) -> DemandHistory:
    """Four queues at 8 GPUs, with 32 more for exactly an hour about once in eight; all end ten minutes into one."""
    rng = np.random.default_rng(0)
    demand = np.full((4, days * 288), 8.0)
    for line in demand:
        for start in np.flatnonzero(rng.random(line.size) < 1 / 96):
            line[start : start + 12] = 40.0
        line[-60:-2] = 8.0
        line[-2:] = 40.0
    return history({f"queue-{i}": line for i, line in enumerate(demand.tolist())})


def test_learns_that_young_demand_leaves() -> None:
    seen = bursts()

    forest, naive = (m.fit(seen).predict(seen, [SOON, LATER], [0.5])[0, :, 0] for m in (Forest(LIGHT), Naive()))

    assert forest[0] == pytest.approx(40, abs=2)  # not within ten minutes
    assert forest[1] == pytest.approx(8, abs=2)
    assert naive == pytest.approx([40, 40], abs=2)


def test_four_times_the_demand_is_four_times_the_forecast() -> None:
    small = until(gangs(3, 1_200), 1_100)
    small = DemandHistory(small.lines, small.times, small.running + 16, small.pending)
    large = DemandHistory(small.lines, small.times, small.running * 4, small.pending * 4)

    said, four_times = (Forest(LIGHT).fit(h).predict(h, [SOON, LATER], LEVELS) for h in (small, large))

    assert four_times == pytest.approx(4 * said, rel=1e-3)


def test_stays_naive_while_too_little_was_seen() -> None:
    young = until(bursts(), 144 + LEAST_MOMENTS // 4 - 2)

    fitted = Forest(LIGHT).fit(young)

    assert fitted.trees == ()
    naive = Naive().fit(young).predict(young, [SOON, LATER], LEVELS)
    assert np.array_equal(fitted.predict(young, [SOON, LATER], LEVELS), naive)


def test_answers_far_windows_from_the_farthest_that_it_could_learn() -> None:
    week = until(bursts(), 5 * 288)

    fitted = Forest(LIGHT).fit(week)
    table = fitted.predict(week, [SOON, Window(6 * 24 * HOUR, 7 * 24 * HOUR)], LEVELS)

    assert 0 < len(fitted.trees) <= 9
    assert (np.diff(table, axis=-1) >= 0).all()
    assert table[0, 1, 2] - table[0, 1, 0] > table[0, 0, 2] - table[0, 0, 0]


def test_an_old_reading_is_forecast_over_a_longer_lead() -> None:
    seen = bursts()
    late = seen.running.copy()
    late[0, -12:] = np.nan
    seen = DemandHistory(seen.lines, seen.times, late, seen.pending)
    fitted = Forest(LIGHT).fit(until(seen, 11 * 288))

    table = fitted.predict(seen, [SOON], LEVELS)

    early = fitted.predict(until(seen, len(seen.times) - 13), [Window(HOUR, HOUR + 10 * MINUTE)], LEVELS)
    assert table[0] == pytest.approx(early[0], rel=0.01)


def test_a_line_that_fit_did_not_know_is_measured_on_the_spot() -> None:
    seen = bursts()
    three = DemandHistory(seen.lines[:3], seen.times, seen.running[:3], seen.pending[:3])

    known, later = Spreads.of(seen), Spreads.of(three).for_lines(seen)
    told = Forest(LIGHT).fit(three).predict(seen, [SOON], [0.5])[3, 0, 0]

    np.testing.assert_array_equal(later.gpus, known.gpus)
    assert told == pytest.approx(40, abs=2)


def test_a_line_of_which_twice_as_much_was_seen_since_is_measured_anew() -> None:
    seen = bursts()

    spreads = Spreads.of(until(seen, 3 * 288)).for_lines(seen)

    np.testing.assert_array_equal(spreads.gpus, Spreads.of(seen).gpus)


def test_within_the_first_window_change_grows_with_time() -> None:
    seen = bursts()
    model = Forest(LIGHT).fit(seen)

    widths = [
        float(np.diff(model.predict(seen, [Window(0 * MINUTE, end)], (0.02, 0.98)))[0, 0, 0])
        for end in (10 * timedelta(seconds=1), MINUTE, 4 * MINUTE)
    ]

    assert widths == sorted(widths)
    assert widths[0] < widths[-1] / 4


def test_a_gap_teaches_nothing() -> None:
    seen = bursts()
    gappy = seen.running.copy()
    gappy[:, 500:900] = np.nan
    gappy = np.where(np.random.default_rng(1).random(gappy.shape) < 0.2, np.nan, gappy)
    gappy[:, -1] = 40.0

    seen = DemandHistory(seen.lines, seen.times, gappy, seen.pending)

    assert Forest(LIGHT).fit(seen).predict(seen, [SOON], [0.5])[:, 0, 0] == pytest.approx([40] * 4, abs=2)


def test_spreads_are_the_usual_size_of_changes() -> None:
    steps = [8.0, 8.0, 16.0, 16.0] * 400  # the next step differs by 8 every other time
    spreads = Spreads.of(history({"research": steps}))

    next_step = spreads.gpus[0, GRID.index(Window(0 * MINUTE, 5 * MINUTE))]

    assert next_step == pytest.approx(4.0 + 0.02 * 16, abs=0.1)


def test_grows_on_as_it_was_after_a_restart() -> None:
    seen = bursts(3)
    again = Forest.restored(Forest(LIGHT).fit(seen).state())

    assert again.growth == LIGHT
    straight, restarted = (m.fit(seen).predict(seen, [LATER], LEVELS) for m in (Forest(LIGHT), again))
    assert np.array_equal(straight, restarted)


def test_answers_as_before_after_it_was_saved(tmp_path: Path) -> None:
    seen = bursts(3)
    fitted = Forest(LIGHT).fit(seen)

    save(fitted.state(), tmp_path / "forest.npz")
    again = Forest.restored(load(tmp_path / "forest.npz"))

    assert len(again.trees) == len(fitted.trees) > 0
    assert np.array_equal(again.predict(seen, [SOON, LATER], LEVELS), fitted.predict(seen, [SOON, LATER], LEVELS))


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        ({"gpus": np.ones((4, 3))}, "no array 'gpus'"),
        ({"gpus": np.zeros((4, len(GRID)))}, "measures changes in what is no size"),
        ({"gpus": np.full((4, len(GRID)), np.nan)}, "measures changes in what is no size"),
        ({"scale": np.zeros(4)}, "measures changes in what is no size"),
        ({"seen_s": np.ones(5)}, "no array 'seen_s'"),
        ({"lines": None}, "no mapping 'lines'"),
        ({"trees": [None]}, "no list of mappings 'trees'"),
        ({"trees": [{}]}, "no array 'chances'"),
        ({"naive": 1}, "no mapping 'naive'"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(damage: dict[str, object], why: str) -> None:
    state = Forest(LIGHT).fit(until(bursts(), 200)).state()

    with pytest.raises(ForecastError, match=f"{why}.*delete it, the next fit makes a new one"):
        Forest.restored({**state, **damage})


def test_a_tree_that_asks_for_more_than_is_described_is_refused() -> None:
    state = Forest(LIGHT).fit(bursts(3)).state()
    state["trees"][0]["feature"][0] = FEATURES

    with pytest.raises(ForecastError, match=f"no features that are among {FEATURES}"):
        Forest.restored(state)
