"""Windows to tune by and windows to judge by: apart from each other, and before the moment that was told."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.pilots import Hold
from envs.terms import PoolTerms, Prices
from envs.windows import HELD_OUT, LENGTH_S, Ground, Parted, parted
from envs.workloads import DAY_S, JobTable, TrainingProfile, generate
from envs.world import World
from gyropilot.errors import SettingsError
from tests.envs.test_replay import table

POOL = PoolTerms("x", nodes=1, max_nodes=4, gpus_per_node=8, price_usd_per_gpu_hour=2.0)
PRICES = Prices(waiting_usd_per_gpu_hour=10.0)


def ground(jobs: JobTable, until_days: float) -> Ground:
    return Ground("g", World((POOL,)), jobs, PRICES, until_days * DAY_S)


def month(days: float = 28.0) -> JobTable:
    return generate((TrainingProfile("a", 20.0),), days, np.random.default_rng(0))


def cut(until_days: float, training: int, seed: int = 0, jobs: JobTable | None = None) -> Parted:
    return parted(ground(month() if jobs is None else jobs, until_days), training, np.random.default_rng(seed))


@given(until_days=st.floats(7.0, 40.0), training=st.integers(1, 20), seed=st.integers(0, 9))
@settings(deadline=None, max_examples=40)
def test_no_moment_is_in_two_windows_and_none_is_later_than_told(until_days: float, training: int, seed: int) -> None:
    parts = cut(until_days, training, seed)

    windows = [*parts.training, *parts.held_out]
    begins = np.sort([window.begin_s for window in windows])
    assert (np.diff(begins) >= LENGTH_S - 1e-6).all()
    assert max(window.begin_s for window in windows) + LENGTH_S <= until_days * DAY_S + 1e-6
    assert 1 <= len(parts.training) <= training
    assert 1 <= len(parts.held_out) <= HELD_OUT


def test_no_job_is_seen_twice_nor_from_outside() -> None:
    jobs = month()
    jobs.gpus[:] = np.arange(len(jobs)) + 1  # a name

    parts = cut(20.0, 3, jobs=jobs)

    seen = np.concatenate([window.jobs.gpus for window in (*parts.training, *parts.held_out)])
    assert len(seen) == len(set(seen.tolist()))
    assert jobs.submit_s[seen - 1].max() < 20 * DAY_S
    assert all(0 <= window.jobs.submit_s.min() <= window.jobs.submit_s.max() < LENGTH_S for window in parts.training)


def test_the_same_chance_cuts_the_same_windows_and_another_one_others() -> None:
    def begins(seed: int) -> list[float]:
        return [window.begin_s for window in cut(27.0, 3, seed).training]

    assert begins(1) == begins(1)
    assert begins(1) != begins(2)


def test_everybody_meets_the_same_weather_and_the_day_to_warm_up_is_free() -> None:
    # A node of 8 GPUs for two days of three; what waits at its end is charged as long as it waited.
    jobs = table([("a", 0.0, 100.0, 8), ("a", 4 * DAY_S - 3_600, DAY_S, 16), ("a", 3 * DAY_S + 9, 60.0, 1)])

    window = cut(6.0, 1, jobs=jobs.take(np.array([0, 2, 1]))).training[0]

    usd = window.usd(Hold(), "naive")
    assert usd == window.usd(Hold(), "naive")
    first = window.begin_s == 0
    assert usd == pytest.approx(48 * 8 * 2.0 + (0 if first else 48 * 16 * 10.0))


@pytest.mark.parametrize("until_days", [0.0, 2.9, 5.9])
def test_too_short_a_past_is_refused_with_what_it_would_take(until_days: float) -> None:
    with pytest.raises(SettingsError, match=r"windows of 3 days with jobs .* take 6: give more jobs or a later"):
        cut(until_days, 3)


def test_days_without_jobs_are_no_windows() -> None:
    with pytest.raises(SettingsError, match="1 windows of 3 days with jobs"):
        cut(12.0, 3, jobs=table([("a", 0.0, 100.0, 8)]))
