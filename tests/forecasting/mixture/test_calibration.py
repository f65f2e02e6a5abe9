from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from forecasting.losses import pinball
from forecasting.mixture.calibration import NO_STEPS, Coverage, Steps, Tracker
from forecasting.store import load, save
from gyropilot.domain import ALL_QUEUES, Floats, Line
from gyropilot.errors import ForecastError
from tests.fakes import GPU, NOW

LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
NORMAL = np.array([NormalDist().inv_cdf(q) for q in LEVELS])
RESEARCH, PROD, TOTAL = Line("research", GPU), Line("prod", GPU), Line(ALL_QUEUES, GPU)
MANY = [Line(f"q{i}", GPU) for i in range(20)]
APART = Steps(first=0.1, least=0.1, tail=0.0, leak=0.0)


def test_adds_nothing_before_anything_was_seen() -> None:
    table = np.array([[[1.0, 2.0, 3.0, 4.0, 5.0]]])

    assert np.array_equal(tracker([RESEARCH]).adjusted(table, np.ones((1, 1))), table)


def test_an_outcome_above_raises_a_quantile_far_and_one_below_lowers_it_little() -> None:
    steps = Steps(first=0.1, least=0.1, tail=0.0, own=1.0, leak=0.0)
    said, spread = np.full((2, 1, 5), 10.0), np.ones((2, 1))

    learnt = tracker([RESEARCH, TOTAL], steps).learnt(np.array([[50.0], [5.0]]), said, spread)

    assert learnt.own[0, 0, 3] == pytest.approx(0.09)
    assert learnt.own[1, 0, 3] == pytest.approx(-0.01)


@pytest.mark.parametrize("delay", [0, 48])
def test_bands_half_as_wide_as_they_should_be_become_right_however_late_outcomes_come(delay: int) -> None:
    covered = coverage_of(wrong=0.5, delay=delay, rounds=1_500)

    assert covered["80"] == pytest.approx(0.80, abs=0.02)
    assert covered["95"] == pytest.approx(0.95, abs=0.012)


def test_bands_twice_as_wide_as_they_should_be_become_right() -> None:
    covered = coverage_of(wrong=2.0, delay=0, rounds=1_500)

    assert covered["80"] == pytest.approx(0.80, abs=0.02)
    assert covered["95"] == pytest.approx(0.95, abs=0.012)


def test_offsets_do_not_swing_when_outcomes_come_late() -> None:
    widest = max(widths(tracker(MANY), wrong=0.5, delay=200, rounds=1_000))

    assert widest < 1.15 * 2 * NORMAL[-1]


def test_where_bands_are_right_already_tracking_costs_almost_nothing() -> None:
    rng, now, paid, least = np.random.default_rng(4), tracker(MANY), 0.0, 0.0
    said, spread = np.broadcast_to(100 + 10 * NORMAL, (20, 1, 5)), np.full((20, 1), 10.0)

    for _ in range(1_000):
        actual = 100 + 10 * rng.normal(size=(20, 1))
        paid += pinball(actual, now.adjusted(said, spread), LEVELS).sum()
        least += pinball(actual, said, LEVELS).sum()
        now = now.learnt(actual, said, spread)

    assert paid / least < 1.005


@settings(max_examples=30, deadline=None)
@given(arrays_of.arrays(np.float64, 400, elements=st.floats(1.0, 2.0)), st.sampled_from([0.1, 0.5, 0.9]))
def test_coverage_is_right_in_the_long_run_whatever_comes(series: Floats, level: float) -> None:
    step = 0.1
    now = Tracker.start(1, [level], [RESEARCH], Steps(first=step, least=step, tail=0.0, own=1.0, leak=0.0))
    said, spread, missed = np.full((1, 1, 1), 1.5), np.ones((1, 1)), 0.0

    for actual in series:
        answer = now.adjusted(said, spread)[0, 0, 0]
        if actual != answer or level != 0.5:
            missed += level if actual > answer or (actual == answer and level < 0.5) else level - 1
        now = now.learnt(np.array([[actual]]), said, spread)

    # Gibbs and Candes (2021), proposition 4.1: offsets stay within half a GPU and a step, and are sums of misses.
    assert abs(missed) <= (0.5 + 2 * step) / (2 * step) + 1e-6


def test_a_queue_at_zero_does_not_wind_its_offsets_up() -> None:
    now, said, spread = tracker([RESEARCH]), np.zeros((1, 1, 5)), np.ones((1, 1))

    for _ in range(500):
        now = now.learnt(np.zeros((1, 1)), said, spread)

    assert np.array_equal(now.offsets, np.zeros((1, 1, 5)))


@pytest.mark.parametrize("idle", [0, 4, 12])
def test_idle_queues_do_not_keep_busy_ones_from_becoming_right(idle: int) -> None:
    rng, now, below = np.random.default_rng(0), tracker(MANY[: idle + 4]), []
    said, spread = np.zeros((idle + 4, 1, 5)), np.full((idle + 4, 1), 0.02)
    said[idle:], spread[idle:] = 50 + 6 * NORMAL, 15.0  # bands of 0.6 of what they should be

    for _ in range(2_000):
        actual = np.zeros((idle + 4, 1))
        actual[idle:] = 50 + 10 * rng.normal(size=(4, 1))
        below.append(np.mean(actual[idle:] < now.adjusted(said, spread)[idle:, :, 1]))
        now = now.learnt(actual, said, spread)

    assert np.mean(below[1_000:]) == pytest.approx(0.1, abs=0.015)


def test_an_outcome_on_the_edge_of_a_band_is_within_it() -> None:
    steps = Steps(first=0.1, least=0.1, tail=0.0, own=1.0, leak=0.0)
    said = np.full((1, 1, 5), 10.0)

    learnt = tracker([RESEARCH], steps).learnt(np.array([[10.0]]), said, np.ones((1, 1)))

    assert learnt.own[0, 0] == pytest.approx([0.0025, 0.01, 0.0, -0.01, -0.0025])


def test_no_offset_grows_without_bound() -> None:
    now, said = tracker([RESEARCH], Steps(first=1.0, least=1.0, most=3.0)), np.zeros((1, 1, 5))

    for _ in range(100):
        now = now.learnt(np.full((1, 1), 1e9), said, np.ones((1, 1)))

    assert now.own.max() == 3.0
    assert now.pooled.max() == 3.0


def test_what_was_not_seen_or_has_no_spread_teaches_nothing() -> None:
    start = tracker([RESEARCH, PROD])
    actual, spread = np.array([[np.nan], [50.0]]), np.array([[1.0], [0.0]])

    learnt = start.learnt(actual, np.ones((2, 1, 5)), spread)

    assert np.array_equal(learnt.offsets, start.offsets)
    assert learnt.count.tolist() == [[0.0], [0.0]]
    assert learnt.pooled_count.tolist() == [[0.0], [0.0]]


def test_a_new_line_gets_what_all_queues_add_and_a_total_does_not() -> None:
    now, said, spread = tracker(MANY), np.full((20, 1, 5), 10.0), np.ones((20, 1))
    for _ in range(200):
        now = now.learnt(np.full((20, 1), 12.0), said, spread)

    fresh = now.for_lines([RESEARCH, TOTAL, MANY[3]])

    assert fresh.offsets[0, 0].min() > 0.3
    assert fresh.offsets[1, 0].tolist() == [0.0] * 5
    assert np.array_equal(fresh.offsets[2], now.offsets[3])


def test_one_queue_that_is_off_moves_itself_more_than_all_others() -> None:
    now, said, spread = tracker(MANY), np.full((20, 1, 5), 10.0), np.ones((20, 1))
    actual = np.full((20, 1), 10.0)
    actual[7] = 12.0

    for _ in range(200):
        now = now.learnt(actual, said, spread)

    assert now.offsets[7, 0, 2] > 0.3
    assert abs(now.offsets[0, 0, 2]) < 0.1


def test_steps_shrink_and_are_long_again_after_a_shift() -> None:
    now, said, spread = tracker([RESEARCH, PROD]), np.full((2, 1, 5), 10.0), np.ones((2, 1))
    for _ in range(300):
        now = now.learnt(np.full((2, 1), 10.0), said, spread)

    shaken = now.relearnt(np.array([True, False])).learnt(np.full((2, 1), 90.0), said, spread)

    first, second = (shaken.own - now.own)[:, 0, 2]
    assert first == pytest.approx(second * np.sqrt(1 + 300 / 50))


def test_overlapping_outcomes_move_offsets_as_far_as_they_are_new() -> None:
    start, said, spread = tracker([RESEARCH]), np.full((1, 1, 5), 10.0), np.ones((1, 1))

    once = start.learnt(np.full((1, 1), 90.0), said, spread)
    split = start
    for _ in range(12):
        split = split.learnt(np.full((1, 1), 90.0), said, spread, fresh=1 / 12)

    assert split.offsets == pytest.approx(once.offsets, rel=0.03)


@given(
    arrays_of.arrays(np.float64, (2, 1, 5), elements=st.floats(0, 1e5)),
    arrays_of.arrays(np.float64, (2, 1, 5), elements=st.floats(-10, 10)),
    arrays_of.arrays(np.float64, (2, 1), elements=st.floats(0, 1e4)),
)
def test_what_is_adjusted_ascends_above_zero(table: Floats, offsets: Floats, spread: Floats) -> None:
    start = tracker([RESEARCH, PROD])
    state = {**start.state(), "own": offsets}

    answer = Tracker.restored(state).adjusted(table, spread)

    assert (answer >= 0).all()
    assert (np.diff(answer, axis=-1) >= 0).all()


def test_goes_on_after_a_restart_as_if_there_had_been_none(tmp_path: Path) -> None:
    said, spread, rng = np.full((2, 1, 5), 10.0), np.ones((2, 1)), np.random.default_rng(0)
    now = tracker([RESEARCH, TOTAL]).learnt(10 + rng.normal(size=(2, 1)), said, spread)
    save({"tracker": now.state()}, tmp_path / "state.npz")

    restarted = Tracker.restored(load(tmp_path / "state.npz")["tracker"])

    more = 10 + rng.normal(size=(2, 1))
    assert np.array_equal(restarted.learnt(more, said, spread).offsets, now.learnt(more, said, spread).offsets)
    assert (restarted.lines, restarted.steps, restarted.apart) == (now.lines, now.steps, now.apart)


def test_an_outcome_outside_parts_both_edges_of_a_total_and_one_within_brings_both_nearer() -> None:
    said, spread = 10 + np.arange(-2.0, 3.0).reshape(1, 1, 5), np.ones((1, 1))

    outside = of_total().learnt(np.array([[90.0]]), said, spread).offsets[0, 0]
    within = of_total().learnt(np.array([[10.0]]), said, spread).offsets[0, 0]

    assert outside == pytest.approx([-0.0475, -0.04, 0.0, 0.04, 0.0475])
    assert within == pytest.approx([0.0025, 0.01, 0.0, -0.01, -0.0025])


def test_what_a_total_learns_of_its_width_no_queue_does() -> None:
    lines, said, spread = [RESEARCH, TOTAL], np.full((2, 1, 5), 10.0), np.ones((2, 1))
    plain, parting = (Tracker.start(1, LEVELS, lines, apart=apart) for apart in (NO_STEPS, APART))

    plain, parting = (now.learnt(np.full((2, 1), 90.0), said, spread) for now in (plain, parting))

    assert np.array_equal(parting.offsets[0], plain.offsets[0])
    assert parting.offsets[1, 0, -1] > plain.offsets[1, 0, -1]


def test_bands_of_a_total_that_are_too_wide_become_right_sooner_than_edge_by_edge() -> None:
    rng, said, spread = np.random.default_rng(3), (100 + 20 * NORMAL)[None, None], np.full((1, 1), 51.0)
    slow = Tracker.start(1, LEVELS, [TOTAL], Steps(first=0.01, least=0.0025, own=0.05))
    fast = Tracker.start(1, LEVELS, [TOTAL], slow.steps, Steps(first=0.03, least=0.03))

    for _ in range(300):
        actual = 100 + 10 * rng.normal(size=(1, 1))
        slow, fast = slow.learnt(actual, said, spread), fast.learnt(actual, said, spread)

    wide, right = (np.ptp(now.adjusted(said, spread)[0, 0]) / 10 for now in (slow, fast))
    assert wide > 1.6 * np.ptp(NORMAL)
    assert right < 1.25 * np.ptp(NORMAL)


def test_a_window_of_a_total_learns_its_width_from_neighbouring_ones() -> None:
    start = Tracker.start(12, LEVELS, [TOTAL], NO_STEPS, APART)
    actual = np.full((1, 12), np.nan)
    actual[0, 3] = 90.0

    learnt = start.learnt(actual, np.full((1, 12, 5), 10.0), np.ones((1, 12))).offsets[0, :, -1]

    assert (np.diff(learnt[3:]) < 0).all()
    assert learnt[2] > learnt[11] > 0


def test_a_width_that_no_outcome_confirms_falls_back() -> None:
    steps = Steps(first=0.1, least=0.1, tail=0.0, leak=0.5)
    now = Tracker.start(1, LEVELS, [TOTAL], NO_STEPS, steps)
    state = {**now.state(), "pooled": np.array([[[0.0] * 5], [[-2.0, -1.0, 0.0, 1.0, 2.0]]])}

    fallen = Tracker.restored(state).learnt(np.array([[10.0]]), np.full((1, 1, 5), 10.0), np.ones((1, 1)))

    assert fallen.pooled[1, 0] == pytest.approx([-1.8975, -0.94, 0.0, 0.94, 1.8975])


@given(st.lists(st.floats(0.01, 0.99), min_size=1, max_size=6, unique=True).map(sorted))
def test_widths_are_learnt_at_any_quantiles(levels: list[float]) -> None:
    now = Tracker.start(2, levels, [TOTAL], apart=APART)
    said, spread = np.full((1, 2, len(levels)), 10.0), np.ones((1, 2))

    for came in (90.0, 10.0, 0.0):
        now = now.learnt(np.full((1, 2), came), said, spread)

    assert np.isfinite(now.offsets).all()


def test_counts_what_lies_within_edges_included() -> None:
    said = np.array([[[0.0, 1.0, 2.0, 3.0, 4.0]]] * 4)
    actual = np.array([[1.0], [3.0], [4.0], [np.nan]])

    seen = Coverage.start(["1h"]).learnt(MANY[:4], actual, said, LEVELS, NOW)

    assert [(r.group, r.bucket, r.nominal, r.outcomes) for r in seen.realised()] == [
        ("queues", "1h", 0.8, 3.0),
        ("queues", "1h", 0.95, 3.0),
    ]
    assert [r.coverage for r in seen.realised()] == pytest.approx([2 / 3, 1.0])


def test_queues_and_totals_and_buckets_are_counted_apart() -> None:
    said = np.broadcast_to(np.arange(5.0), (2, 3, 5))
    actual = np.array([[2.0, 9.0, 2.0], [9.0, 2.0, np.nan]])

    seen = Coverage.start(["1h", "1-6h", "1-6h"], [0.8]).learnt([RESEARCH, TOTAL], actual, said, LEVELS, NOW)

    assert [(r.group, r.bucket, r.coverage, r.outcomes) for r in seen.realised()] == [
        ("queues", "1h", 1.0, 1.0),
        ("queues", "1-6h", 0.5, 2.0),
        ("totals", "1h", 0.0, 1.0),
        ("totals", "1-6h", 1.0, 1.0),
    ]


def test_an_edge_that_was_not_said_is_interpolated_and_one_beyond_is_not_counted() -> None:
    said, quantiles = np.array([[[0.0, 1.0, 2.0]]] * 2), (0.1, 0.5, 0.9)
    actual = np.array([[1.7], [1.8]])  # the 0.8 quantile is 1.75

    seen = Coverage.start(["1h"], [0.6, 0.95]).learnt([RESEARCH, PROD], actual, said, quantiles, NOW)

    assert [(r.nominal, r.coverage) for r in seen.realised()] == [(0.6, 0.5)]


def test_what_is_a_half_life_old_counts_half() -> None:
    said = np.array([[[0.0, 1.0, 2.0, 3.0, 4.0]]])
    start = Coverage.start(["1h"], [0.8], half_life=timedelta(days=1))

    seen = start.learnt([RESEARCH], np.array([[9.0]]), said, LEVELS, NOW)
    seen = seen.learnt([RESEARCH], np.array([[2.0]]), said, LEVELS, NOW + timedelta(days=1))

    assert seen.realised()[0].outcomes == 1.5
    assert seen.realised()[0].coverage == pytest.approx(1 / 1.5)


def test_counts_survive_a_restart(tmp_path: Path) -> None:
    said = np.array([[[0.0, 1.0, 2.0, 3.0, 4.0]]])
    seen = Coverage.start(["1h"]).learnt([RESEARCH], np.array([[2.0]]), said, LEVELS, NOW)
    save(seen.state(), tmp_path / "coverage.npz")

    restarted = Coverage.restored(load(tmp_path / "coverage.npz"))

    assert restarted.realised() == seen.realised()
    assert restarted.at == NOW


@pytest.mark.parametrize("kind", [Tracker, Coverage])
def test_a_state_of_another_version_is_refused(kind: type[Tracker] | type[Coverage]) -> None:
    state = dict(tracker([RESEARCH]).state() if kind is Tracker else Coverage.start(["1h"]).state())

    for key in set(state) - {"at_s"}:
        with pytest.raises(ForecastError, match="delete it"):
            kind.restored({k: v for k, v in state.items() if k != key})


def tracker(lines: Sequence[Line], steps: Steps = Steps()) -> Tracker:  # noqa: B008 - frozen
    return Tracker.start(1, LEVELS, lines, steps)


def of_total() -> Tracker:
    """Whose edges move together only."""
    return Tracker.start(1, LEVELS, [TOTAL], NO_STEPS, APART)


def widths(now: Tracker, wrong: float, delay: int, rounds: int) -> list[float]:
    """Mean width in standard deviations of each round's 95 % band, of forecasts whose spread is wrong by a factor."""
    rng, said = np.random.default_rng(7), np.broadcast_to(100 + wrong * 10 * NORMAL, (20, 1, 5))
    spread, found = np.full((20, 1), 10.0 * wrong), []
    for i in range(rounds):
        table = now.adjusted(said, spread)
        found.append(float((table[..., -1] - table[..., 0]).mean() / 10))
        if i >= delay:
            now = now.learnt(100 + 10 * rng.normal(size=(20, 1)), said, spread)
    return found


def coverage_of(wrong: float, delay: int, rounds: int) -> dict[str, float]:
    """Over the last third of the rounds, counted by `Coverage` itself."""
    rng, now, counts = np.random.default_rng(11), tracker(MANY), Coverage.start(["1h"])
    said, spread = np.broadcast_to(100 + wrong * 10 * NORMAL, (20, 1, 5)), np.full((20, 1), 10.0 * wrong)
    late: list[Floats] = []
    for i in range(rounds):
        late.append(100 + 10 * rng.normal(size=(20, 1)))
        if i > 2 * rounds // 3:
            counts = counts.learnt(MANY, late[-1], now.adjusted(said, spread), LEVELS, NOW)
        if i >= delay:
            now = now.learnt(late.pop(0), said, spread)
    return {f"{r.nominal:.0%}".strip("%"): r.coverage for r in counts.realised()}
