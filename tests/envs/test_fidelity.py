"""How like each other two tables of jobs are: on small tables by hand, and the profiles against what is published."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from envs.calibration import calibrated
from envs.fidelity import Measure, Row, fidelity, recurrence, statistics, swept
from envs.profiles import HELIOS_PUBLISHED, PAI, PHILLY, PROFILES, Published
from envs.workloads import DAY_S, ENDINGS, Ending, Ends, JobTable, Rhythm, Runs, TrainingProfile, generate

SIMPLE = TrainingProfile("q", 400.0, sweep_share=0.0, users=500, recurrence=0.0)


def test_a_table_is_like_itself_in_everything() -> None:
    jobs = made(SIMPLE)

    assert [row.statistic for row in fidelity(jobs, jobs) if row.distance > 1e-12] == []


def test_shares_are_told_by_size_of_gangs_and_by_their_work() -> None:
    jobs = table(submit_s=[0, 1, 2, 3], gpus=[1, 1, 4, 8], duration_s=[3600, 3600, 3600, 3600])

    told = values(jobs)

    assert told["share of jobs, 1 GPU"] == 0.5
    assert told["share of jobs, 2-4 GPUs"] == 0.25
    assert told["share of GPU-hours, 5-8 GPUs"] == 8 / 14
    assert told["share of GPU-hours, over 32 GPUs"] == 0.0


def test_durations_are_apart_by_doublings_and_shares_by_their_difference() -> None:
    real = made(SIMPLE)
    slower = replace(real, duration_s=real.duration_s * 4)

    rows = by_name(fidelity(slower, real))

    assert rows["duration p50 s, 1 GPU"].distance == pytest.approx(2.0)
    assert rows["duration p50 s, 1 GPU"].measure is Measure.DOUBLINGS
    assert rows["share of GPU-hours, 1 GPU"].distance == pytest.approx(0.0)
    assert rows["GPU-hours a day"].distance == pytest.approx(2.0)


def test_a_poisson_process_is_not_bursty_and_a_sweep_is() -> None:
    flat = replace(SIMPLE, rhythm=Rhythm(swing=0.0, weekend_share=1.0))
    calm, wild = made(flat), made(replace(flat, sweep_share=0.1, sweep_jobs=40.0))

    assert values(calm)["burstiness, 10 min"] == pytest.approx(1.0, abs=0.1)
    assert values(wild)["burstiness, 10 min"] > 10


def test_a_sweep_is_five_equal_jobs_of_one_user_with_no_gap_over_a_minute() -> None:
    five, interrupted, of_two_sizes = [0, 60, 120, 180, 240], [0, 60, 121, 180, 240], [1, 1, 2, 1, 1]

    assert swept(table(submit_s=five)).all()
    assert not swept(table(submit_s=interrupted)).any()
    assert not swept(table(submit_s=five, gpus=of_two_sizes)).any()
    assert not swept(table(submit_s=five, user=[0, 0, 1, 1, 1])).any()


def test_recurrence_is_told_user_by_user() -> None:
    jobs = table(submit_s=[0, 1, 2, 3, 4], user=[0, 1, 0, 1, 0], gpus=[1, 8, 1, 8, 2])

    assert recurrence(jobs) == pytest.approx(2 / 3)


def test_users_and_endings_are_told_only_where_they_are_known() -> None:
    told = values(table(submit_s=[0, 1, 2]))

    assert [name for name in told if "user" in name or "passed" in name] == []


def test_a_shifted_day_has_the_opposite_shape() -> None:
    by_day = made(replace(SIMPLE, rhythm=Rhythm(peak_hour=12.0, swing=0.8)))
    by_night = made(replace(SIMPLE, rhythm=Rhythm(peak_hour=0.0, swing=0.8)))

    row = by_name(fidelity(by_night, by_day))["hour of day, correlation of shapes"]

    assert row.generated < -0.9
    assert row.distance > 1.9


def test_what_too_few_jobs_tell_is_left_out() -> None:
    told = values(table(submit_s=range(19)))

    assert [name for name in told if name.startswith("duration")] == []


def test_quantiles_that_a_profile_tells_are_those_of_its_jobs() -> None:
    runs = (Runs(1, 60, 1_200, 8_000, 120_000), Runs(8, 200, 25_000, 360_000, 1_100_000))
    jobs = made(replace(SIMPLE, runs=runs, longest_s=1e9, gang_mix=((1, 0.5), (8, 0.5))), days=100)

    of_one, of_eight = (np.quantile(jobs.duration_s[jobs.gpus == g], (0.1, 0.5, 0.9)) for g in (1, 8))

    assert of_one == pytest.approx([60, 1_200, 8_000], rel=0.1)
    assert of_eight == pytest.approx([200, 25_000, 360_000], rel=0.1)


def test_jobs_end_as_often_as_told_by_size_and_run_longer_before_they_are_killed() -> None:
    ends = (Ends(1, 0.1, 0.2, killed_stretch=4.0), Ends(8, 0.4, 0.5, killed_stretch=4.0))
    jobs = made(replace(SIMPLE, ends=ends, sigma=0.1, longest_s=1e9, growth=0.0), days=100)

    killed, failed, passed = (jobs.ending == ENDINGS.index(e) for e in (Ending.KILLED, Ending.FAILED, Ending.PASSED))

    assert killed[jobs.gpus < 8].mean() == pytest.approx(0.1, abs=0.01)
    assert failed[jobs.gpus >= 8].mean() == pytest.approx(0.5, abs=0.02)
    assert np.median(jobs.duration_s[killed]) / np.median(jobs.duration_s[passed]) == pytest.approx(4.0, rel=0.05)


def test_users_with_habits_come_again_and_the_mix_stays_as_told_however_few_they_are() -> None:
    jobs = made(replace(SIMPLE, users=2, recurrence=0.8, habits=True, gang_mix=((1, 0.7), (8, 0.3))), days=200)

    assert (jobs.gpus == 8).mean() == pytest.approx(0.3, abs=0.01)
    assert recurrence(jobs) == pytest.approx(0.8 + 0.2 * (0.7**2 + 0.3**2), abs=0.01)


def test_what_is_calibrated_on_jobs_makes_jobs_like_them() -> None:
    source = replace(
        SIMPLE,
        users=30,
        user_tilt=1.5,
        recurrence=0.6,
        habits=True,
        sweep_share=0.05,
        sweep_jobs=30.0,
        sweep_sigma=0.8,
        sweep_gap_s=5.0,
        ends=(Ends(1, 0.2, 0.1),),
        rhythm=Rhythm(15.0, 0.6, 0.4),
    )
    real = made(source, days=42)

    again = generate(calibrated(real, 42), 42, np.random.default_rng(7))

    rows = by_name(fidelity(again, real))
    shares = [r for r in rows.values() if r.measure is Measure.DIFFERENCE and "GPU-hours" not in r.statistic]
    assert {row.statistic: row.distance for row in shares if row.distance > 0.2} == {}
    assert rows["jobs a day"].distance < 0.2
    assert rows["duration p50 s, 1 GPU"].distance < 0.25
    assert rows["burstiness, 1 h"].distance < 0.7


def test_philly_ends_and_spends_its_gpus_as_published() -> None:
    jobs = generate(PHILLY, 56, np.random.default_rng(1))

    of_jobs = np.bincount(jobs.ending, minlength=3) / len(jobs)
    of_work = np.bincount(jobs.ending, weights=jobs.gpu_seconds, minlength=3) / jobs.gpu_seconds.sum()

    assert of_jobs == pytest.approx([0.693, 0.135, 0.172], abs=0.01)
    assert of_work == pytest.approx([0.445, 0.377, 0.178], abs=0.08)


def test_a_typical_queue_of_helios_is_as_published() -> None:
    jobs = generate((HELIOS_PUBLISHED,), 183, np.random.default_rng(1))

    assert np.median(jobs.duration_s) == pytest.approx(206, rel=0.1)
    assert jobs.gpus.mean() == pytest.approx(3.72, rel=0.1)
    assert (jobs.gpus == 1).mean() > 0.5
    assert (jobs.ending == ENDINGS.index(Ending.PASSED)).mean() == pytest.approx(0.624, abs=0.01)


def test_pai_is_as_published() -> None:
    jobs = generate(PAI, 28, np.random.default_rng(1))

    by_user = np.sort(np.bincount(jobs.user, minlength=130))[::-1]

    assert np.median(jobs.duration_s) == pytest.approx(23 * 60, rel=0.1)
    assert np.quantile(jobs.duration_s, 0.9) == pytest.approx(4.5 * 3600, rel=0.1)
    assert by_user[:7].sum() / by_user.sum() == pytest.approx(0.77, abs=0.03)
    assert jobs.gpus[jobs.gpus > 100].sum() / jobs.gpus.sum() == pytest.approx(0.2, abs=0.06)


@pytest.mark.parametrize("made_of", PROFILES, ids=lambda each: each.name)
def test_same_seed_gives_the_same_jobs_of_a_profile_bit_for_bit(made_of: Published) -> None:
    first, second = (generate(made_of.profile, 7, np.random.default_rng(3)) for _ in range(2))

    np.testing.assert_array_equal(first.submit_s, second.submit_s)
    np.testing.assert_array_equal(first.duration_s, second.duration_s)
    np.testing.assert_array_equal(first.ending, second.ending)


def test_generated_philly_is_about_as_far_from_its_last_weeks_as_its_first_weeks_are() -> None:
    folder = os.environ.get("GYROPILOT_TRACES")
    if not folder:
        pytest.skip("set GYROPILOT_TRACES to a folder of traces to hold the profiles against them")
    from benchmarks.fidelity import TRACES, generated, part_of

    philly = TRACES[0]
    begin, last, end = philly.parts
    path = Path(folder) / philly.file
    later = part_of(path, last, end)
    ours, itself = (by_name(fidelity(jobs, later)) for jobs in (generated(philly, 1), part_of(path, begin, last)))

    # A median over statistics: single ones, such as two to four GPUs, hang on a sweep or two.
    assert np.median([ours[name].distance - itself[name].distance for name in itself if name in ours]) < 0.05


def test_weekends_are_told_of_a_week_or_more() -> None:
    days = np.arange(0, 14, 0.5) * DAY_S

    assert values(table(submit_s=list(days)))["share of jobs at the weekend"] == pytest.approx(8 / 28)
    assert "share of jobs at the weekend" not in values(table(submit_s=list(days[:8])))


def made(*parts: TrainingProfile, days: float = 56) -> JobTable:
    return generate(parts, days, np.random.default_rng(1))


def table(
    submit_s: Sequence[float],
    gpus: Sequence[int] | None = None,
    duration_s: Sequence[float] | None = None,
    user: Sequence[int] | None = None,
) -> JobTable:
    """Jobs of one queue, user, size and length unless told otherwise."""
    count = len(submit_s)
    zeros = np.zeros(count, np.int64)
    return JobTable(
        queues=("q",),
        queue=zeros,
        submit_s=np.array(submit_s, np.float64),
        duration_s=np.full(count, 60.0) if duration_s is None else np.array(duration_s, np.float64),
        gpus=np.ones(count, np.int64) if gpus is None else np.array(gpus),
        priority=zeros,
        kind=zeros,
        user=zeros if user is None else np.array(user),
        checkpoint_s=np.full(count, np.inf),
    )


def values(jobs: JobTable) -> dict[str, float]:
    return {each.name: each.value for each in statistics(jobs)}


def by_name(rows: Sequence[Row]) -> dict[str, Row]:
    return {row.statistic: row for row in rows}
