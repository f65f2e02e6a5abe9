"""What sets each model apart; what they have in common is in `test_forecasters`."""

import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from forecasting.demand.features import NAMES, Questions, describe
from forecasting.forecasters.ets import Ets
from forecasting.forecasters.lightgbm_quantile import LightGbm
from forecasting.forecasters.naive import Naive
from forecasting.forecasters.seasonal_naive import SeasonalNaive
from forecasting.rolling import replay, until
from gyropilot.domain import Window
from gyropilot.errors import ForecastError
from tests.fakes import history

STEP = timedelta(minutes=5)
FIVE_MINUTES, HOUR, DAY, NEXT_DAY = (Window.step(timedelta(minutes=m), STEP) for m in (5, 60, 1440, 1445))


def test_seasonal_naive_repeats_the_same_time_of_yesterday() -> None:
    seen = history({"research": np.arange(1.0, 577.0).tolist()})  # two days; the newest is 576

    table = SeasonalNaive().predict(seen, [FIVE_MINUTES, DAY, NEXT_DAY], [0.5])

    changes = 288  # from day to day, which the band adds
    assert table[0, 0, 0] == pytest.approx(289 + changes / 2, abs=1)  # half belief in one day's change
    assert table[0, 1, 0] == pytest.approx(576 + changes / 2, abs=1)
    assert table[0, 2, 0] == pytest.approx(289, abs=1)  # two days ahead: the day before yesterday


def test_seasonal_naive_falls_back_to_the_newest_reading() -> None:
    seen = history({"research": [24.0] * 12})

    assert SeasonalNaive().predict(seen, [HOUR], [0.5])[0, 0, 0] == pytest.approx(24.0)


def test_naive_is_less_sure_of_an_old_reading() -> None:
    fresh = history({"research": [8.0, 16.0, 16.0, 16.0, 8.0, 8.0] * 200})
    stale = history({"research": [*([8.0, 16.0, 16.0, 16.0, 8.0, 8.0] * 200)[:-144], *[np.nan] * 144]})

    widths = [np.diff(Naive().predict(h, [HOUR], [0.1, 0.99])[0, 0])[0] for h in (fresh, stale)]

    assert widths[1] > widths[0]


def test_naive_asks_its_bands_of_the_fit_and_the_level_of_now() -> None:
    moved, calm = history({"research": [16.0, 24.0] * 4_000}), history({"research": [100.0] * 288})

    low, high = Naive().fit(moved).predict(calm, [FIVE_MINUTES], [0.1, 0.9])[0, 0]

    assert (low, high) == pytest.approx((92.0, 108.0), abs=0.05)


def test_ets_smooths_what_only_jitters() -> None:
    jitter = 64 + np.random.default_rng(0).normal(0, 4, 2_016)
    seen = history({"research": [*jitter[:-1].tolist(), 74.0]})

    median = Ets().fit(seen).predict(seen, [HOUR], [0.5])[0, 0, 0]

    assert median == pytest.approx(64, abs=3)


def test_ets_follows_a_level_that_walks() -> None:
    walk = 200 + np.cumsum(np.random.default_rng(1).normal(0, 1, 2_016))
    seen = history({"research": walk.tolist()})

    median = Ets().fit(seen).predict(seen, [HOUR], [0.5])[0, 0, 0]

    assert median == pytest.approx(walk[-1], abs=2)


def test_lightgbm_learns_the_time_of_day_that_naive_cannot_know() -> None:
    days = np.tile(np.repeat([8.0, 64.0], 144), 14)[:-6]  # the next change is 6 steps away
    seen = history({f"queue-{i}": np.roll(days, 0).tolist() for i in range(4)})

    error = {
        model.name: abs(model.fit(seen).predict(seen, [HOUR], [0.5])[0, 0, 0] - 8.0)
        for model in (Naive(), LightGbm(rows=10_000, trees=200))
    }

    assert error["naive"] == pytest.approx(56.0, abs=1)
    assert error["lightgbm"] < 10.0


def test_lightgbm_stays_naive_with_too_little_to_learn_from() -> None:
    seen = history({"research": [8.0, 16.0] * 50})

    assert LightGbm().fit(seen).boosters == ()


def test_lightgbm_without_its_system_library_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lightgbm.py").write_text("raise OSError('libgomp.so.1: cannot open shared object file')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "lightgbm", raising=False)
    noise = np.random.default_rng(0).poisson(20, (3, 3 * 288)).astype(float)

    with pytest.raises(ForecastError, match="apt-get install libgomp1"):
        LightGbm().fit(history({"a": noise[0], "b": noise[1], "c": noise[2]}))


def test_features_are_relative_to_the_newest_reading() -> None:
    seen = history({"research": [*[8.0] * 288, 24.0]})
    asked = Questions(np.array([0]), np.array([288]), np.array([3_600.0]))

    row = dict(zip(NAMES, describe(seen, asked, np.array([16.0]), np.array([24.0]))[0], strict=True))

    assert row["newest less 5 min ago"] == 1.0
    assert row["newest less same time of day as the target"] == 1.0
    assert row["share of largest"] == 1.0
    assert row["newest less mean of 24 h"] == pytest.approx(1 - 1 / 288)
    assert row["day of week"] == 1  # NOW is a Monday


def test_features_do_not_reach_before_the_history() -> None:
    seen = history({"research": [8.0, 24.0]})
    asked = Questions(np.array([0]), np.array([1]), np.array([3_600.0]))

    row = dict(zip(NAMES, describe(seen, asked, np.array([16.0]), np.array([24.0]))[0], strict=True))

    assert row["newest less 5 min ago"] == 1.0
    assert np.isnan(row["newest less 15 min ago"])


def test_the_past_ends_with_what_was_known() -> None:
    seen = history({"research": [1.0, 2.0, 3.0, 4.0]})

    assert until(seen, 1).demand.tolist() == [[1.0, 2.0]]


def test_replay_sums_what_was_lost() -> None:
    seen = history({"research": [8.0] * 12 + [16.0]})

    played = replay(Naive(), seen, [10, 11], [FIVE_MINUTES], [0.5])

    assert played.loss()[0, 0] == pytest.approx(0.5 * 8, abs=0.01)  # right at 10, 8 GPUs short at 11
