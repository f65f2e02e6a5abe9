from datetime import timedelta

import numpy as np
import pytest

from forecasting.forecasters.naive import Naive
from forecasting.forecasters.stl import Stl, season_at, seasons
from gyropilot.domain import DemandHistory, Floats, Window
from tests.fakes import history

STEP = timedelta(minutes=15)
SIX_HOURS = Window.step(timedelta(hours=6), STEP)
QUARTERS = np.arange(14 * 96)  # of an hour, over two weeks that end at noon
TIDE = 64 + 32 * np.sin(2 * np.pi * (QUARTERS + 1) / 96)  # lowest 6 hours after the end


def test_follows_the_season_of_the_day() -> None:
    seen = _seen(TIDE)

    median = Stl().fit(seen).predict(seen, [SIX_HOURS], [0.5])[0, 0, 0]

    assert TIDE[-1] == pytest.approx(64)
    assert median == pytest.approx(96, abs=3)


def test_is_surer_of_a_season_than_naive_can_be() -> None:
    seen = _seen(TIDE + np.random.default_rng(0).normal(0, 1, TIDE.size))

    widths = [np.diff(m.fit(seen).predict(seen, [SIX_HOURS], [0.1, 0.9])[0, 0])[0] for m in (Stl(), Naive())]

    assert widths[0] < 0.2 * widths[1]


def test_finds_no_season_in_a_walk() -> None:
    walk = 500 + np.cumsum(np.random.default_rng(1).normal(0, 2, TIDE.size))
    seen = _seen(walk)

    assert not Stl().fit(seen).season.any()


def test_leaves_out_a_season_that_has_ended() -> None:
    ended = np.concatenate([TIDE[: TIDE.size // 2], np.full(TIDE.size // 2, 64.0)])

    assert not Stl().fit(_seen(ended)).season.any()


def test_needs_days_to_tell_a_season() -> None:
    seen = _seen(TIDE[-3 * 96 :])

    assert not Stl().fit(seen).season.any()


def test_season_is_told_from_midnight_on() -> None:
    seen = _seen(TIDE)  # whose highest hour is 18:00, because it ends at noon with the wave rising

    assert int(np.argmax(seasons(seen)[0])) == 18


def test_season_is_linear_between_its_slots() -> None:
    season = np.array([[0.0, 6.0, 0.0, -6.0]])  # at 0, 6, 12 and 18 h

    hours = np.array([[0.0, 3.0, 6.0, 21.0, 24.0]])
    assert season_at(season, hours * 3_600).tolist() == [[0.0, 3.0, 6.0, -3.0, 0.0]]


def _seen(demand: Floats) -> DemandHistory:
    return history({"research": demand.tolist()}, STEP)
