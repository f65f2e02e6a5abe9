"""What decides whether a signal is worth reading finds one that tells, and makes nothing of one that does not."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from scipy.stats import norm

from benchmarks.signals import Asked, at_tenths, due_gpus, retold
from forecasting.backtest.protocol import QUANTILES, TENTHS
from forecasting.losses import pinball

ORIGINS, QUEUES, WINDOWS = 96, 4, 3
TIMES = 7_200 * np.arange(ORIGINS, dtype=np.int64)  # every two hours, eight days
HOUR, DAY = 6, 144  # steps


@pytest.fixture
def asked() -> tuple[Asked, np.ndarray]:
    """Forecasts that miss what a signal told, and the signal."""
    rng = np.random.default_rng(3)
    signal = rng.normal(0, 1, (ORIGINS, QUEUES))
    came = 100 + 8 * signal[..., None] + rng.normal(0, 4, (ORIGINS, QUEUES, WINDOWS))
    said = np.broadcast_to(100 + 9 * norm.ppf(QUANTILES), (*came.shape, len(QUANTILES)))
    return Asked(np.arange(ORIGINS), came, said), signal


def loss(mine: Asked, said: np.ndarray) -> float:
    """On days on which something was learnt; `said` is at TENTHS."""
    return float(pinball(mine.came[24:], said[24:], TENTHS).sum())


def test_a_signal_that_tells_takes_loss_off(asked: tuple[Asked, np.ndarray]) -> None:
    mine, signal = asked

    assert loss(mine, retold(mine, signal, TIMES)) < 0.87 * loss(mine, at_tenths(mine.said))


def test_one_that_tells_nothing_takes_none_off(asked: tuple[Asked, np.ndarray]) -> None:
    mine, _ = asked
    noise = np.random.default_rng(4).normal(0, 1, (ORIGINS, QUEUES))

    assert loss(mine, retold(mine, noise, TIMES)) == pytest.approx(loss(mine, at_tenths(mine.said)), rel=0.03)


def test_what_is_learnt_is_learnt_from_days_before(asked: tuple[Asked, np.ndarray]) -> None:
    mine, signal = asked
    other = mine.came.copy()
    other[48:] += 50.0

    straight, otherwise = (retold(Asked(mine.columns, came, mine.said), signal, TIMES) for came in (mine.came, other))

    assert np.array_equal(straight[:60], otherwise[:60])
    assert not np.array_equal(straight[72:], otherwise[72:])


def test_a_user_is_due_who_came_at_this_hour_on_most_days_and_is_not_here_yet() -> None:
    users = np.zeros((1, 8 * DAY, 3))
    for day in range(7):
        users[0, day * DAY + 9 * HOUR, 0] = 8.0  # at nine each day
        users[0, day * DAY + 9 * HOUR, 1] = 4.0  # likewise, and early today
    users[0, 2 * DAY + 9 * HOUR, 2] = 64.0  # once
    eight = 7 * DAY + 8 * HOUR
    users[0, eight - 3, 1] = 4.0

    assert due_gpus(users, eight, timedelta(hours=2)).tolist() == [8.0]
    assert due_gpus(users, 7 * DAY + 4 * HOUR, timedelta(hours=2)).tolist() == [0.0]
    assert due_gpus(users, 7 * DAY + 4 * HOUR, timedelta(hours=6)).tolist() == [12.0]
    assert due_gpus(users, 7 * DAY + 10 * HOUR, timedelta(hours=6)).tolist() == [0.0]
