from dataclasses import replace

import numpy as np
import pytest

from envs.workloads import DAY_S, GRID_S, KINDS, MONDAY_S, JobTable, Rhythm, ServiceProfile, TrainingProfile, generate
from gyropilot.domain import WorkloadKind

PEOPLE = TrainingProfile("people", submissions_per_day=400.0)
SERVICE = ServiceProfile("service", replicas=10.0)


def jobs(*profile: TrainingProfile | ServiceProfile, days: float = 28, seed: int = 1) -> JobTable:
    return generate(profile, days, np.random.default_rng(seed))


def test_same_seed_gives_the_same_jobs_bit_for_bit() -> None:
    first, second, other = jobs(PEOPLE, SERVICE), jobs(PEOPLE, SERVICE), jobs(PEOPLE, SERVICE, seed=2)

    np.testing.assert_array_equal(first.submit_s, second.submit_s)
    np.testing.assert_array_equal(first.duration_s, second.duration_s)
    assert not np.array_equal(first.submit_s[:100], other.submit_s[:100])


def test_jobs_come_in_order_within_the_days_asked_for() -> None:
    table = jobs(PEOPLE, SERVICE, days=3)

    assert (np.diff(table.submit_s) >= 0).all()
    assert table.submit_s.min() >= 0
    assert table.submit_s.max() < 3 * DAY_S


def test_changing_one_queue_leaves_the_others_as_they_were() -> None:
    before = jobs(PEOPLE, SERVICE)
    after = jobs(replace(PEOPLE, submissions_per_day=40.0), SERVICE)

    np.testing.assert_array_equal(before.submit_s[before.queue == 1], after.submit_s[after.queue == 1])


def test_a_share_of_gangs_is_elastic_and_all_else_as_it_was() -> None:
    before, after = jobs(PEOPLE), jobs(replace(PEOPLE, elastic=0.3, elastic_least=0.4, scaling=0.8))

    gangs = after.gpus > 1
    fewer = after.least_gpus < after.gpus
    np.testing.assert_array_equal(before.submit_s, after.submit_s)
    np.testing.assert_array_equal(before.duration_s, after.duration_s)
    assert fewer[gangs].mean() == pytest.approx(0.3, abs=0.02)
    assert (after.least_gpus[fewer] == np.ceil(0.4 * after.gpus[fewer])).all()
    assert set(after.scaling[fewer]) == {0.8}
    assert (before.least_gpus == before.gpus).all()


def test_submissions_are_as_many_as_told_and_fewer_at_the_weekend() -> None:
    alone = replace(PEOPLE, sweep_share=0.0, rhythm=Rhythm(weekend_share=0.25))

    weekend = (jobs(alone).submit_s // DAY_S) % 7 >= 5  # the world begins on a Monday

    assert (~weekend).sum() / 20 == pytest.approx(400, rel=0.05)
    assert weekend.sum() / 8 == pytest.approx(100, rel=0.1)


def test_submissions_follow_the_day() -> None:
    table = jobs(replace(PEOPLE, sweep_share=0.0, rhythm=Rhythm(peak_hour=10.0, swing=0.8)))

    by_hour = np.bincount((table.submit_s / 3600).astype(int) % 24, minlength=24)

    assert by_hour[8:12].mean() > 5 * by_hour[20:24].mean()


def test_the_calendar_follows_the_day_on_which_the_world_begins() -> None:
    alone = replace(PEOPLE, sweep_share=0.0, rhythm=Rhythm(weekend_share=0.0))

    table = generate((alone,), 2, np.random.default_rng(1), began_s=MONDAY_S + 5 * DAY_S)

    assert len(table) == 0


def test_durations_have_the_median_and_spread_told_and_grow_with_the_gang() -> None:
    alone = replace(PEOPLE, users=2000, recurrence=0.5, sweep_share=0.0, longest_s=1e9, growth=0.5, sigma=1.4)

    table = jobs(alone, days=56)

    single, eight = (np.log(table.duration_s[table.gpus == g]) for g in (1, 8))
    assert np.exp(np.median(single)) == pytest.approx(1800, rel=0.1)
    assert single.std() == pytest.approx(1.4, rel=0.1)
    assert np.exp(np.median(eight) - np.median(single)) == pytest.approx(8**0.5, rel=0.25)


def test_jobs_are_due_some_times_their_duration_after_they_came_where_that_is_told() -> None:
    untold, told = jobs(PEOPLE, days=2), jobs(replace(PEOPLE, slack=3.0), days=2)

    assert np.isinf(untold.deadline_s).all()
    np.testing.assert_array_equal(told.deadline_s, 3 * untold.duration_s)


def test_a_sweep_is_many_equal_jobs_of_one_user_within_a_minute() -> None:
    table = jobs(
        replace(PEOPLE, submissions_per_day=2.0, sweep_share=1.0, gang_mix=((2, 1.0),), sweep_jobs=20.0), days=7
    )

    first = table.take(np.arange(10))
    assert set(table.kind) == {KINDS.index(WorkloadKind.SWEEP)}
    assert first.submit_s[9] - first.submit_s[0] < 60
    assert len(set(first.user)) == 1
    assert first.duration_s.std() / first.duration_s.mean() < 0.5


def test_few_users_submit_most_jobs() -> None:
    by_user = np.bincount(jobs(replace(PEOPLE, sweep_share=0.0, users=20)).user, minlength=20)

    assert np.sort(by_user)[-4:].sum() > 0.5 * by_user.sum()


def test_a_service_runs_the_replicas_that_its_load_needs() -> None:
    table = jobs(SERVICE, days=14)
    at_s = np.arange(0, 14 * DAY_S, GRID_S)

    up = ((table.submit_s <= at_s[:, None]) & (at_s[:, None] < table.submit_s + table.leaves_s)).sum(axis=1)

    assert up.reshape(14, -1)[:5].mean() == pytest.approx(10.5, rel=0.1)  # whole replicas: half a one more
    assert np.corrcoef(up[: 5 * 288], np.tile(up[:288], 5))[0, 1] > 0.8
    assert np.abs(np.diff(up)).max() <= 2


def test_replicas_that_are_up_at_the_end_outlive_the_replay() -> None:
    table = jobs(SERVICE, days=2)

    last = table.submit_s + table.leaves_s > 2 * DAY_S

    assert last.sum() >= 5


def test_a_replica_that_started_late_leaves_when_its_load_does() -> None:
    table = jobs(SERVICE, days=2)

    ran_s = table.ran_s(table.submit_s + table.leaves_s / 2)

    np.testing.assert_allclose(ran_s, table.leaves_s / 2)
    assert (table.duration_s > table.leaves_s).all()
