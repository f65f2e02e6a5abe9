"""Days to learn on: what the base pays is known, and who changes nothing saves nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agents.encoding import FACTORS, FEATURES, UNMOVED
from agents.pilots import Hold, Newsvendor
from agents.pilots.learned import Learned
from envs.faults import Surprises
from envs.residual import Days, Ground, Lanes, Span, Stretch, compared, followed_from
from envs.trial import tried
from envs.workloads import DAY_S, MONDAY_S
from envs.world import Weather, World
from tests.agents.networks import always
from tests.models.lessons import POOLS, course

DAY = Span(DAY_S, 2 * DAY_S)


def lanes(seed: int = 0, count: int = 2) -> Lanes:
    days = Days(course(), Span(0.0, 3 * DAY_S), count=2, seed=0)
    return Lanes([Ground(days, 100.0, days.course.pools)], count, np.random.default_rng(seed))


def test_the_base_is_followed_as_a_trial_follows_it() -> None:
    asked = course()
    jobs = asked.jobs.take(asked.jobs.submit_s < 2 * DAY_S)
    weather = Weather.drawn(asked.world.pools, 576, np.random.default_rng(3))

    stretch = asked.stretch(DAY, np.random.default_rng(3))

    trial = tried(asked.world, jobs, asked.base, asked.prices, weather)
    assert stretch.base_usd == pytest.approx(trial.usd[288:576].sum(axis=1))
    assert stretch.begun.nth == 288
    assert stretch.begun.began_s == MONDAY_S


def test_who_changes_nothing_saves_nothing() -> None:
    asked = lanes()
    asked.begin()

    saved = [asked.step(np.full((2, 2), UNMOVED))[1] for _ in range(100)]

    assert np.array(saved).tolist() == [[0.0, 0.0]] * 100


def test_a_day_is_over_after_288_steps_and_what_it_saved_is_what_the_base_paid_less_what_was_paid() -> None:
    stretch = course().stretch(DAY, np.random.default_rng(0))
    asked = lanes(count=1)
    days = asked.grounds[0].days
    days.known[0] = days.known[1] = stretch
    asked.begin()

    saved = sum(float(asked.step(np.full((1, 2), FACTORS.index(1.5)))[1][0]) for _ in range(288))

    paid = followed_from(stretch, Learned(Newsvendor(), always(1.5))).sum()
    assert asked.over
    assert saved * 100.0 == pytest.approx(stretch.base_usd.sum() - paid)
    assert paid != pytest.approx(stretch.base_usd.sum())


def test_what_is_saved_on_a_dear_day_counts_as_a_share_of_that_day() -> None:
    stretch = course().stretch(DAY, np.random.default_rng(0))

    def saved(scale_usd: float) -> float:
        days = Days(course(), Span(0.0, 3 * DAY_S), count=1, seed=0, known={0: stretch})
        asked = Lanes([Ground(days, scale_usd, days.course.pools)], 1, np.random.default_rng(0))
        asked.begin()
        return sum(float(asked.step(np.full((1, 2), FACTORS.index(1.5)))[1][0]) for _ in range(288))

    mean_usd = float(stretch.base_usd.mean())
    assert saved(mean_usd / 1_000) == saved(mean_usd) == pytest.approx(2 * saved(2 * mean_usd))


def test_clusters_are_learned_on_together_each_with_its_own_pools() -> None:
    other = replace(course(), world=World((POOLS[0], replace(POOLS[1], name="x"), replace(POOLS[2], name="y"))))
    days = [Days(each, Span(0.0, 3 * DAY_S), count=2, seed=0) for each in (course(), other)]
    asked = Lanes([Ground(each, 100.0, each.course.pools) for each in days], 8, np.random.default_rng(0))
    asked.begin()

    saved = [asked.step(np.full((8, 2), UNMOVED))[1] for _ in range(20)]

    assert {lane.pools for lane in asked.lanes} == {("bought", "spot"), ("x", "y")}
    assert np.array(saved).tolist() == [[0.0] * 8] * 20


def test_a_stretch_can_be_lived_through_again() -> None:
    stretch = course().stretch(DAY, np.random.default_rng(0))

    again = [followed_from(stretch, pilot).sum() for pilot in (Hold(), Newsvendor())]

    assert again[0] != again[1] == stretch.base_usd.sum()
    for shared in (stretch.base_usd, stretch.dark):
        with pytest.raises(ValueError, match="read-only"):
            shared[0] = 0


def test_a_row_is_shown_for_each_pool_that_may_be_turned() -> None:
    asked = lanes()

    shown = asked.begin()

    assert asked.grounds[0].pools == ("bought", "spot")
    assert asked.pools == 2
    assert shown.shape == (2, 2, len(FEATURES))
    assert shown.dtype == np.float32


def test_the_same_chance_brings_the_same_days() -> None:
    def rewards(seed: int) -> list[float]:
        asked = lanes(seed)
        asked.begin()
        return [float(asked.step(np.full((2, 2), 6))[1].sum()) for _ in range(20)]

    assert rewards(0) == rewards(0)


ROUGH = Surprises(outages=3, stuck=3, bursts=3, biases=3, blackouts=6)


def rough(seed: int, surprises: Surprises = ROUGH) -> Stretch:
    return course().stretch(DAY, np.random.default_rng(seed), surprises)


def test_the_same_chance_brings_the_same_surprises_bit_for_bit() -> None:
    one, again, other = (rough(seed) for seed in (1, 1, 2))

    assert one.base_usd.tolist() == again.base_usd.tolist() != other.base_usd.tolist()
    assert one.dark.tolist() == again.dark.tolist() != other.dark.tolist()
    assert 0 < one.dark.sum() < 288


@pytest.mark.parametrize("kind", ["outages", "stuck", "bursts", "biases", "blackouts"])
def test_every_kind_of_surprise_changes_what_the_base_pays(kind: str) -> None:
    calm = dict.fromkeys(("outages", "stuck", "bursts", "biases", "blackouts"), 0.0)

    usual, met = rough(1, Surprises(**calm)), rough(1, Surprises(**{**calm, kind: 12.0}))

    assert usual.base_usd.tolist() == course().stretch(DAY, np.random.default_rng(1)).base_usd.tolist()
    assert met.base_usd.tolist() != usual.base_usd.tolist()


def surprising(surprises: Surprises, count: int = 2) -> Lanes:
    days = Days(replace(course(), surprises=surprises), Span(0.0, 3 * DAY_S), count=2, seed=0)
    return Lanes([Ground(days, 100.0, days.course.pools)], count, np.random.default_rng(0))


def test_who_changes_nothing_saves_nothing_whatever_goes_wrong() -> None:
    asked = surprising(ROUGH)
    asked.begin()

    saved = [asked.step(np.full((2, 2), UNMOVED))[1] for _ in range(288)]

    assert np.array(saved).tolist() == [[0.0, 0.0]] * 288
    assert asked.over


def test_while_metrics_are_lost_what_was_seen_last_is_shown_and_no_action_counts() -> None:
    asked = surprising(Surprises(0, 0, 0, 0, blackouts=12), count=1)
    days = asked.grounds[0].days
    stretch = days.known[1] = days[0]
    first = int(np.flatnonzero(stretch.dark[1:])[0]) + 1
    shown = [asked.begin(), *(asked.step(np.full((1, 2), UNMOVED))[0] for _ in range(first))]

    (after, _), nodes = asked.step(np.full((1, 2), FACTORS.index(2.0))), asked.lanes[0].seen.asked

    assert np.array_equal(shown[first], shown[first - 1])
    assert nodes.tolist() == asked.lanes[0].seen.asked.tolist()
    assert np.isnan(asked.lanes[0].seen.record.demand[:, asked.lanes[0].seen.nth - 1]).all()
    assert after.shape == shown[0].shape


def test_costs_are_compared_on_the_same_days() -> None:
    base = np.repeat([1.0, 2.0, 3.0], 288)

    low, mid, high = compared([base * 0.9, base * 1.0], base, np.random.default_rng(0))

    assert (low, mid, high) == pytest.approx((-5.0, -5.0, -5.0))
    one_day = compared([base[:288] * 2], base[:288], np.random.default_rng(0))
    assert (np.isnan(one_day.low), one_day.mid) == (True, 100.0)
    assert np.isnan(compared([base], 0 * base, np.random.default_rng(0))).all()


def test_no_job_is_a_day_too() -> None:
    asked = course()
    empty = asked.stretch(Span(20 * DAY_S, 21 * DAY_S), np.random.default_rng(0))

    assert empty.base_usd.tolist() == [0.0] * 288
