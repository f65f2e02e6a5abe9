from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

from forecasting.grid import window
from forecasting.mixture.lessons import LEVELS, PROMPT, Lessons, learnt_about
from forecasting.mixture.said import Feedback
from forecasting.store import load, save
from gyropilot.domain import ALL_QUEUES, Floats, Line
from tests.fakes import GPU, NOW

HOUR, STEP, EVERY = timedelta(hours=1), timedelta(minutes=5), timedelta(minutes=30)
LINES = (Line("research", GPU), Line("vision", GPU))
TENTH, MIDDLE, NINTH = (LEVELS.index(level) for level in (0.1, 0.5, 0.9))
NORMAL = np.array([NormalDist().inv_cdf(level) for level in LEVELS])
FAIR = (0.5, 0.5)


def start(prior: Iterable[float] = FAIR) -> Lessons:
    return Lessons.start(["right", "wrong"], tuple(prior), STEP).for_lines(LINES)


def tables(lessons: Lessons, centres: Iterable[float], width: float) -> Floats:
    """(E, L, W, Q) normal distributions, one around each centre."""
    rows = [centre + width * NORMAL for centre in centres]
    shape = (len(rows), len(LINES), len(lessons.windows), len(LEVELS))
    return np.broadcast_to(np.array(rows)[:, None, None], shape).copy()


def taught(
    lessons: Lessons, outcomes: Floats, centres: Iterable[float], width: float = 4.0, only: Iterable[int] | None = None
) -> Lessons:
    """After some rounds (N, L) of what came, in all windows or `only` in some, of what experts always say."""
    scale, centres = np.full(len(LINES), 100.0), tuple(centres)
    for n, came in enumerate(outcomes):
        experts = tables(lessons, centres, width)
        mixed = lessons.mixed(experts, lessons.windows, LEVELS)
        answer = lessons.correction(lessons.windows, LEVELS, scale).told(mixed)
        actual = np.full((len(LINES), len(lessons.windows)), np.nan)
        actual[:, slice(None) if only is None else list(only)] = came[:, None]
        feedback = Feedback(actual, experts, mixed, answer.told, answer.spread)
        lessons = lessons.learnt(LINES, feedback, NOW + n * EVERY, EVERY)
    return lessons


def told(lessons: Lessons, centres: Iterable[float], width: float = 4.0) -> Floats:
    """(L, Q) about the first window."""
    mixed = lessons.mixed(tables(lessons, centres, width), lessons.windows, LEVELS)
    scale = np.full(len(LINES), 100.0)
    return lessons.correction(lessons.windows, LEVELS, scale).told(mixed).told[:, 0]


def draws(rounds: int, centre: float, width: float) -> Floats:
    return np.random.default_rng(0).normal(centre, width, size=(rounds, len(LINES)))


def test_nothing_learnt_is_as_the_prior_says() -> None:
    lessons = start(prior=(3.0, 1.0))

    assert lessons.weights.shares[:, 0, 0, MIDDLE] == pytest.approx([0.75, 0.25])
    assert told(lessons, (80.0, 120.0))[0, MIDDLE] == pytest.approx(90.0)


def test_who_is_right_is_listened_to_more() -> None:
    lessons = taught(start(), draws(60, 80.0, 4.0), centres=(80.0, 120.0))

    assert lessons.weights.shares[0, 0, 0, MIDDLE] > 0.95
    assert told(lessons, (80.0, 120.0))[0, MIDDLE] == pytest.approx(80.0, abs=3.0)


def test_bands_that_are_too_narrow_become_wider() -> None:
    outcomes = draws(1_000, 80.0, 8.0)

    lessons = taught(start(), outcomes, centres=(80.0, 80.0))

    inside = [
        np.mean((low <= outcomes) & (outcomes <= high))
        for low, high in (told(some, (80.0, 80.0))[0, [TENTH, NINTH]] for some in (start(), lessons))
    ]
    assert inside == [pytest.approx(0.48, abs=0.04), pytest.approx(0.8, abs=0.04)]


def test_bands_that_are_too_wide_become_narrower() -> None:
    lessons = taught(start(), draws(1_000, 80.0, 2.0), centres=(80.0, 80.0), width=8.0)

    before, after = (np.ptp(told(some, (80.0, 80.0), width=8.0)[0, [TENTH, NINTH]]) for some in (start(), lessons))

    assert after < 0.7 * before


def test_a_total_of_which_each_day_tells_little_has_narrower_bands_after_two_calm_weeks() -> None:
    lessons = Lessons.start(["only"], (1.0,), STEP)
    total = (Line(ALL_QUEUES, GPU),)
    said = np.broadcast_to(100 + 10 * NORMAL, (1, len(lessons.windows), len(LEVELS)))
    spread, calm = said[..., NINTH] - said[..., TENTH], np.random.default_rng(0).normal(100, 5, 24 * 14)

    for hour, came in enumerate(calm):
        told = Feedback(np.full(spread.shape, came), said[None], said, said, spread)
        lessons = lessons.learnt(total, told, NOW + hour * HOUR, EVERY)

    answer = lessons.correction(lessons.windows, LEVELS, np.full(1, 200.0)).told(said).told[0, -1]
    assert answer[NINTH] - answer[TENTH] < 0.8 * spread[0, -1]
    assert np.ptp(answer) < 0.95 * np.ptp(said[0, -1])
    assert answer[MIDDLE] == pytest.approx(100, abs=1)


def test_a_shift_widens_the_bands_of_the_line_that_shifted() -> None:
    usual = taught(start(), draws(100, 80.0, 4.0), centres=(80.0, 80.0))
    jumped = np.add(draws(6, 80.0, 4.0), [60.0, 0.0])

    shifted = taught(usual, jumped, centres=(80.0, 80.0))

    assert usual.drift.widening.tolist() == [1.0, 1.0]
    assert shifted.drift.widening[0] > 1.2
    assert shifted.drift.widening[1] == 1.0
    assert "queue research" in " ".join(shifted.drift.sentences(NOW + 110 * EVERY))


def test_what_was_not_seen_teaches_nothing() -> None:
    before = taught(start(), draws(30, 80.0, 4.0), centres=(80.0, 120.0))

    after = taught(before, np.full((5, 2), np.nan), centres=(80.0, 120.0))

    np.testing.assert_array_equal(after.weights.shares, before.weights.shares)
    np.testing.assert_array_equal(after.tracker.offsets, before.tracker.offsets)
    np.testing.assert_array_equal(after.drift.rise, before.drift.rise)


def test_how_often_bands_held_is_counted_by_reach() -> None:
    lessons = taught(start(), draws(400, 80.0, 4.0), centres=(80.0, 80.0))

    held = {(one.bucket, one.nominal): one.coverage for one in lessons.coverage.realised()}

    assert set(held) == {(reach, nominal) for reach in ("next hour", "1-6h", "6-24h") for nominal in (0.8, 0.95)}
    assert held["next hour", 0.8] == pytest.approx(0.8, abs=0.06)


def test_a_new_line_starts_with_what_all_have_learnt() -> None:
    lessons = taught(start(), draws(60, 80.0, 4.0), centres=(80.0, 120.0))

    new = lessons.for_lines([*LINES, Line("batch", GPU)])

    assert new.lines[2].queue == "batch"
    assert new.weights.shares[0, 2, 0, MIDDLE] > 0.9
    assert new.for_lines(new.lines) is new


def test_a_window_between_two_is_answered_from_both() -> None:
    far = range(4, len(start().windows))  # from three hours on: there the right one was found, nearer nothing was seen
    lessons = taught(start(), draws(60, 80.0, 4.0), centres=(80.0, 120.0), only=far)
    asked = [window(55, 60), window(95, 105), window(120, 140), window(120, 180)]
    experts = np.stack([np.full((2, 4, 3), 100.0), np.zeros((2, 4, 3))])

    mixed = lessons.mixed(experts, asked, (0.1, 0.5, 0.9))[0, :, 1]

    assert mixed[0] == pytest.approx(50.0)
    assert mixed.tolist() == sorted(set(mixed))


def test_what_is_told_ascends_and_is_not_below_zero() -> None:
    lessons = taught(start(), draws(200, 2.0, 8.0).clip(0), centres=(1.0, 3.0))

    table = told(lessons, (1.0, 3.0), width=5.0)

    assert (np.diff(table, axis=-1) >= 0).all()
    assert (table >= 0).all()


@pytest.mark.parametrize(
    ("minutes", "count", "first"),
    [
        (5, 12, window(0, 10)),
        (10, 12, window(0, 10)),
        (15, 10, window(0, 60)),
        (60, 10, window(0, 60)),
        (24 * 60, 3, window(0, 24 * 60)),
    ],
)
def test_learns_about_no_window_that_is_shorter_than_a_step(minutes: float, count: int, first: object) -> None:
    windows = learnt_about(timedelta(minutes=minutes))

    assert len(windows) == count
    assert windows[0] == first
    middles = [one.start + one.end for one in windows]
    assert middles == sorted(middles)


def test_lessons_of_a_step_are_worth_the_less_the_more_its_windows_overlap() -> None:
    rounds = draws(20, 80.0, 4.0)

    often, hourly = (taught(start(), rounds, (80.0, 120.0)).weights.own.count[0, w, MIDDLE] for w in (0, -1))

    assert often > 10 * hourly  # the last window is 24 h away, and overlaps with the one said an hour before


def test_answers_and_learns_the_same_after_a_restart(tmp_path: Path) -> None:
    lessons = taught(start(), draws(40, 80.0, 4.0), centres=(80.0, 120.0))

    save(lessons.state(), tmp_path / "lessons.npz")
    again = Lessons.restored(load(tmp_path / "lessons.npz"))

    more = draws(10, 100.0, 20.0)
    straight, restarted = (taught(some, more, centres=(80.0, 120.0)) for some in (lessons, again))
    np.testing.assert_array_equal(told(again, (80.0, 120.0)), told(lessons, (80.0, 120.0)))
    np.testing.assert_array_equal(told(restarted, (80.0, 120.0)), told(straight, (80.0, 120.0)))
    assert restarted.drift.sentences(NOW) == straight.drift.sentences(NOW)


def test_prompt_windows_are_among_those_learnt_about() -> None:
    prompt = [one for one in learnt_about(STEP) if one.end <= PROMPT]

    assert len(prompt) == 4
    assert prompt[-1] == window(60, 120)
