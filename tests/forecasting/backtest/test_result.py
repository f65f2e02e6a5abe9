"""What a backtest finds: rows, distances to the best peer, intervals, and what is said about what was left out."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pytest

from forecasting.backtest.result import Result, result
from gyropilot.domain import DemandHistory
from tests.forecasting.backtest.samples import HOUR, MIDNIGHT, Says, Stranger, backtested, hourly, replayed, stranger

DAY = timedelta(days=1)
LEVEL = 10.0


def level(days: int = 9) -> DemandHistory:
    return hourly({"a": [LEVEL] * (24 * days), "b": [2 * LEVEL] * (24 * days)})


def off_by(gpus: float) -> Says:
    return Says(f"off by {gpus:g}", lambda newest: newest + gpus)


def noisy(seed: int = 0) -> DemandHistory:
    rng = np.random.default_rng(seed)
    return hourly({"a": rng.integers(0, 40, 24 * 9).tolist()})


def found(history: DemandHistory | None = None) -> Result:
    """Off by 2 and by 1 against peers that are off by 4 and by 3; the second peer is the better one."""
    peers = [stranger("far", lambda newest: newest + 4), stranger("near", lambda newest: newest + 3)]
    return backtested(history or level(), [off_by(2), off_by(1)], peers, buckets=("1h", "1-6h"))


def test_there_is_a_row_per_bucket_and_model_in_their_order() -> None:
    names = [(row.bucket, row.model) for row in found().rows]

    assert names == [(b, m) for b in ("1h", "1-6h") for m in ("off by 2", "off by 1", "far", "near")]


def test_a_score_is_the_ratio_of_sums() -> None:
    row = found().row("off by 2", "1h")

    assert row.scores["wql"].value == pytest.approx(2 * 2 * 0.5 / 15)  # 2 GPUs off at a mean of 15
    assert row.scores["crps"].value == pytest.approx(2.0)
    assert math.isnan(row.scores["mase"].value)  # demand never changed
    assert row.outcomes == 2 * 24  # two queues at each origin of three days


def test_the_best_peer_is_the_one_that_loses_least() -> None:
    versus = found().row("off by 1", "1h").versus_peer

    assert versus is not None
    assert {v.other for v in versus.values()} == {"near"}
    assert versus["wql"].percent.value == pytest.approx(100 * (1 / 3 - 1))


def test_each_score_has_its_own_best_peer() -> None:
    low = stranger("low", lambda newest: newest - 3)
    high = stranger("high", lambda newest: newest + 4)

    versus = backtested(level(), [off_by(1)], [low, high]).row("off by 1", "1h").versus_peer

    assert versus is not None
    assert (versus["wql"].other, versus["p95_pinball"].other) == ("low", "high")


def test_the_best_peer_is_level_with_itself() -> None:
    versus = found().row("near", "1h").versus_peer

    assert versus is not None
    assert (versus["wql"].percent.low, versus["wql"].percent.value, versus["wql"].percent.high) == (0.0, 0.0, 0.0)


def test_without_peers_nothing_is_told_about_them() -> None:
    row = backtested(level(), [off_by(2), off_by(1)]).row("off by 1", "1h")

    assert row.versus_peer is None
    assert row.versus_first["wql"].other == "off by 2"
    assert row.versus_first["wql"].percent.value == pytest.approx(-50.0)


def test_days_that_are_alike_leave_no_doubt() -> None:
    score = found().row("off by 2", "1h").scores["wql"]

    assert score.low == pytest.approx(score.value)
    assert score.high == pytest.approx(score.value)


def test_days_that_differ_make_an_interval_around_the_score() -> None:
    score = backtested(noisy(), [Says("first")]).row("first", "1h").scores["wql"]

    assert score.low < score.value < score.high


def test_the_same_days_are_drawn_for_both_of_a_comparison() -> None:
    worse = stranger("worse", lambda newest: 0.0)
    twin = stranger("twin")

    versus = backtested(noisy(), [Says("first")], [worse, twin]).row("first", "1h").versus_peer

    assert versus is not None
    assert (versus["wql"].percent.low, versus["wql"].percent.high) == (0.0, 0.0)


def test_one_seed_gives_the_same_intervals() -> None:
    replay = replayed(noisy(), [Says("first")], begin=MIDNIGHT + DAY)

    one, same, other = (result(replay, seed=seed).rows[0].scores["wql"] for seed in (1, 1, 2))

    assert one == same
    assert (one.low, one.high) != (other.low, other.high)


def test_one_day_has_no_interval_and_says_so() -> None:
    told = backtested(level(), [off_by(1)], begin=MIDNIGHT + 8 * DAY)

    assert math.isnan(told.rows[0].scores["wql"].low)
    assert told.notes[-1] == "the origins lie within one day, so there are no intervals; test more than one day"


def test_what_was_left_out_is_counted() -> None:
    def silent_about_b(history: DemandHistory, *asked: object) -> np.ndarray:
        said = Says("").predict(history, *asked)  # type: ignore[arg-type]
        said[1, 0, 0] = np.nan
        return said

    history = level()
    history.running[0, 24 * 8 + 1] = np.nan

    told = backtested(history, [off_by(1)], [Stranger("shy", silent_about_b)])

    assert told.notes == (
        "23 of 48 outcomes were scored (queues x windows x origins)",
        "1 is not known: the readings are missing, or the window ends after the history",
        "24 are left out for all, because some model gave no answer",
        "intervals from 3 days only: not to be trusted",
    )


def test_seconds_are_told_per_queue_and_origin() -> None:
    assert found().row("near", "1-6h").seconds_per_queue == pytest.approx(1.0 / 2)


def test_notes_of_the_trace_come_first() -> None:
    replay = replayed(level(), [off_by(1)], buckets=("1h", "next hour"))

    told = result(replay, ["rows were sorted"])

    assert told.notes[0] == "rows were sorted"
    assert told.notes[1].startswith("'next hour' is left out")


def test_the_first_hour_alone_is_the_first_of_six() -> None:
    rising = hourly({"a": np.arange(24 * 9.0).tolist()})

    told = backtested(rising, [Says("first")], buckets=("1h", "1-6h"), every=6 * HOUR)

    assert told.row("first", "1h").scores["mase"].value == pytest.approx(1.0)
    assert told.row("first", "1-6h").scores["mase"].value > 3
