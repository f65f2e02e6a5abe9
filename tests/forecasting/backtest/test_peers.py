"""Peers are fed fairly: to the newest reading, window by window, and with no more than what was seen."""

import importlib.util
from datetime import timedelta

import numpy as np
import pytest

from forecasting.backtest import peers as module
from forecasting.backtest.peers import LIBRARIES, Asked, Method, Past, Peer, peers
from forecasting.check import gangs
from forecasting.rolling import until
from gyropilot.domain import DemandHistory, Floats, Window
from gyropilot.errors import ForecastError
from tests.fakes import history

MINUTES, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
TEN_MINUTES = 10 * MINUTES
WINDOWS = [
    Window(timedelta(0), TEN_MINUTES),
    Window(timedelta(0), HOUR),
    Window(HOUR, 2 * HOUR),
    Window(23 * HOUR, DAY),
]
QUANTILES = (0.025, 0.1, 0.5, 0.9, 0.99)

needs_the_libraries = pytest.mark.skipif(
    any(importlib.util.find_spec(library) is None for library in LIBRARIES),
    reason="peers are not installed; pip install 'gyropilot[bench]'",
)


def test_says_which_extra_to_install_where_a_library_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "mlforecast" else object())

    with pytest.raises(ForecastError, match=r"peers need mlforecast: pip install 'gyropilot\[bench\]'"):
        peers()


def test_near_windows_are_asked_of_short_steps_that_end_at_the_newest_reading() -> None:
    heard: list[Asked] = []
    seen = history({"research": [1.0, *np.arange(1.0, 577.0).tolist()]})

    _peer(_unmoved(heard)).forecast(seen, WINDOWS, QUANTILES)

    assert [(asked.sample, asked.ahead) for asked in heard] == [(TEN_MINUTES, 6), (30 * MINUTES, 4), (HOUR, 24)]
    assert heard[0].rows[0, -1] == (576 + 575) / 2
    assert heard[2].rows[0, -2:].tolist() == [558.5, 570.5]
    assert heard[2].rows.shape == (1, 48)  # what is left over at the beginning is dropped


def test_a_window_is_answered_with_the_mean_over_its_steps() -> None:
    def rising(asked: Asked) -> Floats:
        return np.tile(np.arange(1.0, asked.ahead + 1)[:, None], (1, 1, len(asked.quantiles)))

    said = _peer(rising).forecast(history({"research": [8.0] * 600}), WINDOWS, QUANTILES)

    assert said[0, :, 0].tolist() == [1.0, 3.5, 3.5, 24.0]


def test_a_gap_is_filled_with_what_was_seen_before_it() -> None:
    heard: list[Asked] = []
    nan = float("nan")
    seen = history({"late": [nan, nan, 8.0, 8.0], "ended": [4.0, 4.0, nan, nan], "never": [nan] * 4})

    _peer(_unmoved(heard)).forecast(seen, WINDOWS[:1], QUANTILES)

    assert heard[0].rows.tolist() == [[8.0, 8.0], [4.0, 4.0], [0.0, 0.0]]


def test_who_has_no_answer_says_that_demand_stays() -> None:
    def silent(asked: Asked) -> Floats:
        return np.full((len(asked.lines), asked.ahead, len(asked.quantiles)), np.nan)

    said = _peer(silent).forecast(history({"research": [8.0, 8.0, 16.0, 16.0] * 6}), WINDOWS, QUANTILES)

    assert said[0, 0].tolist() == [16.0] * 5
    assert said[0, -1].tolist() == [12.0] * 5  # of the newest hour


def test_nobody_answers_below_zero_or_with_quantiles_that_cross() -> None:
    def odd(asked: Asked) -> Floats:
        return np.tile(np.array([9.0, -3.0, 5.0, 4.0, 12.0]), (len(asked.lines), asked.ahead, 1))

    said = _peer(odd).forecast(history({"research": [8.0] * 24}), WINDOWS, QUANTILES)

    assert said[0, 0].tolist() == [0.0, 4.0, 5.0, 9.0, 12.0]


def test_the_past_is_told_by_its_quantiles_at_the_same_time_of_day() -> None:
    days = [np.arange(24.0), np.arange(24.0) + 10, np.arange(24.0) + 20]
    rows = np.concatenate([*days, [0.0, 1.0]])[None]  # two hours into the fourth day
    asked = Asked(history({"research": [0.0]}).lines, rows, 0, HOUR, 3, (0.1, 0.5, 0.9))

    assert Past(28, same_time=True)(asked)[0, :, 1].tolist() == [12.0, 13.0, 14.0]  # of 2, 12 and 22, and so on
    assert Past(1, same_time=False)(asked)[0, :, 1].tolist() == [31.5] * 3


@needs_the_libraries
def test_names_say_how_finely_a_peer_is_fed_and_none_is_there_twice() -> None:
    fine, coarse = ([peer.name for peer in peers(step)] for step in (MINUTES, HOUR))

    assert "Naive + conformal @5m/10m (statsforecast)" in fine
    assert coarse.count("Naive + conformal @60m (statsforecast)") == 1
    assert "Fracast-0 @60m (fracast)" in coarse
    assert len(set(fine)) == len(fine)


@needs_the_libraries
def test_those_who_take_seconds_can_be_left_out() -> None:
    cheap = {peer.name.split()[0] for peer in peers(costly=False)}

    assert cheap.isdisjoint({"AutoARIMA", "LightGBM", "Fracast-0", "MSTL"})
    assert {"Naive", "AutoETS"} <= cheap


@needs_the_libraries
def test_all_answer_every_window_of_short_and_long_histories() -> None:
    whole = gangs(2, 4 * 96)

    for peer in peers(whole.step):
        for seen in (whole, until(whole, 40), until(whole, 0)):
            said = peer.forecast(seen, WINDOWS, QUANTILES)

            assert said.shape == (2, 4, 5), peer.name
            assert np.isfinite(said).all(), peer.name


@needs_the_libraries
def test_all_know_only_what_was_seen() -> None:
    whole = gangs(2, 5 * 96)
    split = 4 * 96
    other = DemandHistory(
        whole.lines, whole.times, whole.running + np.where(np.arange(5 * 96) > split, 99, 0), whole.pending
    )

    for first, second in zip(peers(whole.step), peers(whole.step), strict=True):
        said = []
        for peer, past in ((first, whole), (second, other)):
            peer.forecast(until(past, split - 8), WINDOWS, QUANTILES)
            said.append(peer.forecast(until(past, split), WINDOWS, QUANTILES))

        assert np.array_equal(said[0], said[1]), first.name


@needs_the_libraries
def test_what_is_fitted_once_a_day_still_starts_from_the_newest_reading() -> None:
    walk = 100 + np.cumsum(np.random.default_rng(0).normal(0, 1, (1, 5 * 96)), axis=1)
    walk[0, 4 * 96 + 1 :] += 60
    seen = DemandHistory(gangs(1).lines, gangs(1, 5 * 96).times, walk, np.zeros_like(walk))

    for peer in peers(seen.step):
        if peer.name.split()[0] in {"AutoETS", "AutoTheta", "AutoARIMA", "LightGBM"}:
            peer.forecast(until(seen, 4 * 96), WINDOWS, QUANTILES)  # fits
            median = peer.forecast(until(seen, 4 * 96 + 24), WINDOWS[:1], QUANTILES)[0, 0, 2]

            assert abs(median - walk[0, 4 * 96 + 24]) < 15, peer.name


def _peer(method: Method) -> Peer:
    return Peer("peer", method, (TEN_MINUTES, 30 * MINUTES, HOUR), costly=False)


def _unmoved(heard: list[Asked]) -> Method:
    def method(asked: Asked) -> Floats:
        heard.append(asked)
        return asked.unmoved()

    return method
