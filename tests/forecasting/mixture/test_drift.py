from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from forecasting.losses import pinball
from forecasting.mixture.drift import Drift, Thresholds, expected_loss
from forecasting.store import load, save
from gyropilot.domain import ALL_QUEUES, Floats, Line
from gyropilot.errors import ForecastError
from tests.fakes import GPU, NOW

LEVELS = (0.025, 0.1, 0.3, 0.5, 0.7, 0.9, 0.975)
NORMAL = np.array([NormalDist().inv_cdf(q) for q in LEVELS])
RESEARCH, PROD, TOTAL = Line("research", GPU), Line("prod", GPU), Line(ALL_QUEUES, GPU)
TEN_MINUTES = timedelta(minutes=10)
MANY = [Line(f"q{i}", GPU) for i in range(100)]


def gaussian(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Pinball losses of forecasts that are right, about demand of 100 ± 10 GPUs."""
    said = np.broadcast_to(100 + 10 * NORMAL, (*shape, len(LEVELS)))
    losses: Floats = pinball(100 + 10 * rng.normal(size=shape), said, LEVELS).mean(axis=-1)
    return losses


def gangs(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Mostly nothing happens; now and then a gang comes or goes, and the loss is twenty times as large."""
    losses: Floats = np.where(rng.random(shape) < 0.03, 20.0, 1.0) * rng.exponential(size=shape)
    return losses


def heavy(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    losses: Floats = rng.lognormal(0.0, 1.2, size=shape)
    return losses


def clustered(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Bad hours come together."""
    log = rng.normal(size=shape)
    for i in range(1, shape[1]):
        log[:, i] = 0.6 * log[:, i - 1] + 0.8 * log[:, i]
    losses: Floats = np.exp(log)
    return losses


@pytest.mark.parametrize(
    ("losses_like", "shifts_per_thousand", "mean_widening"),
    [(gaussian, 0.0, 0.001), (gangs, 0.05, 0.005), (heavy, 0.05, 0.01), (clustered, 2.0, 0.1)],
)
def test_a_stationary_line_hardly_ever_counts_as_shifted(
    losses_like: Callable[[np.random.Generator, tuple[int, int]], Floats],
    shifts_per_thousand: float,
    mean_widening: float,
) -> None:
    shifts, widened = [], []

    for seed in range(4):
        losses = losses_like(np.random.default_rng(seed), (len(MANY), 500))
        now, expected = Drift.start(MANY), np.full(len(MANY), losses.mean())
        for i in range(500):
            now = now.learnt(losses[:, i], expected, NOW + i * TEN_MINUTES)
            shifts.append(now.newly.mean())
            widened.append(now.widening.mean() - 1)

    assert 1_000 * np.mean(shifts) <= shifts_per_thousand  # of feedbacks to a line
    assert np.mean(widened) <= mean_widening


@pytest.mark.parametrize("seed", range(5))
def test_demand_that_doubles_is_found_within_a_few_feedbacks(seed: int) -> None:
    calm = calmed(seed)

    after, found = calm, []
    for i in range(6):  # forecasts of an hour ago know nothing of it yet
        after = after.learnt(*feedback(200.0, 100.0, seed + i), NOW + i * TEN_MINUTES)
        found.append(bool(after.newly[0]))

    assert calm.widening.tolist() == [1.0]
    assert True in found[:5]
    assert after.shifted.tolist() == [True]
    assert after.widening[0] > 1.8


def test_a_shift_is_over_once_forecasts_are_right_again() -> None:
    now = shifted()

    factors = [now.widening[0]]
    for i in range(80):
        now = now.learnt(*feedback(200.0, 200.0, i), NOW + timedelta(hours=1) + i * TEN_MINUTES)
        factors.append(now.widening[0])

    assert factors == sorted(factors, reverse=True)
    assert factors[13] == pytest.approx(1.5, abs=0.05)
    assert factors[-1] == 1.0
    assert not now.shifted.any()
    assert now.sentences(NOW) == ()


def test_one_enormous_loss_is_no_shift() -> None:
    now = calmed(0).learnt(np.array([1e9]), np.array([1.0]), NOW)

    assert now.widening.tolist() == [1.0]


def test_says_what_it_found_and_since_when() -> None:
    assert shifted().sentences(NOW + timedelta(hours=2)) == (
        "demand of queue research has shifted since 12:00 UTC: bands widened, weights relearnt",
    )
    assert (
        shifted()
        .sentences(NOW + timedelta(days=2))[0]
        .startswith("demand of queue research has shifted since 2 Mar 12:00 UTC")
    )


def test_says_the_gravest_first_and_the_resource_where_it_is_not_clear() -> None:
    lines = (PROD, TOTAL, Line("prod", "google.com/tpu"))
    surprise = np.array([7.0, 10.0, 0.0])

    now = Drift.start(lines, Thresholds(most=10.0))
    for i in range(2):
        now = now.learnt(surprise, np.ones(3), NOW + i * TEN_MINUTES)

    assert now.sentences(NOW) == (
        "demand of all queues has shifted since 12:00 UTC: bands widened, weights relearnt",
        "demand of queue prod (nvidia.com/gpu) is surprising since 12:00 UTC: bands widened",
    )


def test_bands_are_widened_before_a_shift_is_certain() -> None:
    limits = Thresholds(slack=1.0, most=5.0, widen_at=6.0, shifted_at=12.0, widest=2.0)
    now, factors = Drift.start([RESEARCH], limits), []

    for i in range(4):
        now = now.learnt(np.array([500.0]), np.array([1.0]), NOW + i * TEN_MINUTES)
        factors.append((float(now.widening[0]), bool(now.newly[0])))

    assert factors == [(1.0, False), (1.5, False), (1.75, False), (2.0, True)]


def test_a_second_shift_is_found_after_the_first() -> None:
    now = shifted()
    for i in range(80):
        now = now.learnt(*feedback(200.0, 200.0, i), NOW + i * TEN_MINUTES)

    for i in range(5):
        now = now.learnt(*feedback(400.0, 200.0, i), NOW + timedelta(days=1) + i * TEN_MINUTES)

    assert now.shifted.tolist() == [True]


def test_after_a_new_fit_no_line_is_shifted_and_bands_stay_wide_for_a_while() -> None:
    now = shifted().refitted()

    assert not now.shifted.any()
    assert now.widening[0] > 1.8
    assert now.count.tolist() == [0.0]


def test_a_gap_neither_alarms_nor_calms() -> None:
    before, gap = shifted(), np.array([np.nan])

    after = before.learnt(gap, np.array([1.0]), NOW + timedelta(days=1))

    assert after.widening.tolist() == before.widening.tolist()
    assert after.rise.tolist() == before.rise.tolist()
    assert after.count.tolist() == before.count.tolist()


def test_forecasts_that_are_always_a_little_worse_than_they_expect_are_usual() -> None:
    rng, now, expected = (
        np.random.default_rng(1),
        Drift.start(MANY),
        gaussian(np.random.default_rng(0), (100, 50)).mean(),
    )

    for i in range(300):
        now = now.learnt(1.5 * gaussian(rng, (100, 1))[:, 0], np.full(100, expected), NOW + i * TEN_MINUTES)

    assert now.usual.mean() == pytest.approx(1.5, rel=0.05)
    assert not now.shifted.any()


def test_a_dead_queue_that_stirs_by_a_trifle_surprises_nobody() -> None:
    now = Drift.start([RESEARCH])

    for i in range(20):
        now = now.learnt(np.array([0.04]), np.zeros(1), NOW + i * TEN_MINUTES)

    assert now.widening.tolist() == [1.0]


def test_a_dead_queue_that_wakes_is_found() -> None:
    now = Drift.start([RESEARCH])
    for _ in range(100):
        now = now.learnt(np.zeros(1), np.zeros(1), NOW)

    for _ in range(4):
        now = now.learnt(np.array([4.0]), np.zeros(1), NOW)

    assert now.shifted.tolist() == [True]


def test_overlapping_feedback_counts_as_much_as_it_is_new() -> None:
    now = Drift.start([RESEARCH])

    for i in range(12):  # one hour that was bad, heard of every five minutes
        now = now.learnt(np.array([500.0]), np.array([1.0]), NOW + i * TEN_MINUTES, fresh=1 / 12)

    assert now.rise.tolist() == pytest.approx([3.0])
    assert now.widening.tolist() == [1.0]


def test_lines_keep_their_alarms_and_new_ones_are_calm() -> None:
    now = shifted()

    moved = now.for_lines([PROD, RESEARCH])

    assert moved.shifted.tolist() == [False, True]
    assert moved.widening[1] == now.widening[0]
    assert moved.for_lines([PROD]).for_lines([RESEARCH]).widening.tolist() == [1.0]


@settings(max_examples=50, deadline=None)
@given(arrays_of.arrays(np.float64, (20, 2), elements=st.floats(0, 1e12)), st.floats(0, 1e12))
def test_widening_stays_within_its_bounds_whatever_comes(losses: Floats, expected: float) -> None:
    now = Drift.start([RESEARCH, PROD])

    for row in losses:
        now = now.learnt(row, np.full(2, expected), NOW)

        assert ((now.widening >= 1) & (now.widening <= 2)).all()
        assert (now.shifted <= (now.widening > 1)).all()


def test_goes_on_after_a_restart_as_if_there_had_been_none(tmp_path: Path) -> None:
    now = shifted()
    save(now.state(), tmp_path / "drift.npz")

    restarted = Drift.restored(load(tmp_path / "drift.npz"))

    assert restarted.sentences(NOW) == now.sentences(NOW)
    more = feedback(200.0, 200.0, 3)
    assert restarted.learnt(*more, NOW).widening.tolist() == now.learnt(*more, NOW).widening.tolist()


def test_a_state_of_another_version_is_refused() -> None:
    state = dict(shifted().state())

    for key in state:
        with pytest.raises(ForecastError, match="delete it"):
            Drift.restored({k: v for k, v in state.items() if k != key})


def test_a_forecast_knows_the_loss_that_it_expects() -> None:
    rng, said = np.random.default_rng(0), (100 + 10 * NORMAL)[None, None, :]
    actual = 100 + 10 * rng.normal(size=(1, 20_000))

    really = pinball(actual, np.broadcast_to(said, (1, 20_000, len(LEVELS))), LEVELS).mean()

    assert expected_loss(said, LEVELS)[0, 0] == pytest.approx(really, rel=0.1)


def feedback(actual: float, said: float, seed: int) -> tuple[Floats, Floats]:
    """Loss, and the loss expected, of a forecast of `said` ± 10 GPUs where `actual` ± 10 came."""
    table = (said + 10 * NORMAL)[None, None, :]
    came = actual + 10 * np.random.default_rng(seed).normal(size=(1, 1))
    return pinball(came, table, LEVELS).mean(axis=(1, 2)), expected_loss(table, LEVELS)[:, 0]


def calmed(seed: int) -> Drift:
    """After two days of demand as usual."""
    now = Drift.start([RESEARCH])
    for i in range(288):
        now = now.learnt(*feedback(100.0, 100.0, 1_000 * seed + i), NOW - timedelta(days=2) + i * TEN_MINUTES)
    return now


def shifted() -> Drift:
    """Demand doubled at noon, and it is a quarter to one."""
    now = Drift.start([RESEARCH])
    for i in range(4):
        now = now.learnt(*feedback(200.0, 100.0, i), NOW + i * TEN_MINUTES)
    return now
