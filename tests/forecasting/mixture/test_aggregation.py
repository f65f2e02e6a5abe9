from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from forecasting.grid import between
from forecasting.losses import pinball
from forecasting.mixture.aggregation import Pace, Weights, at, combined, linear_losses
from forecasting.store import load, save
from gyropilot.domain import ALL_QUEUES, Floats, Line
from gyropilot.errors import ForecastError
from tests.fakes import GPU

EXPERTS = ("analog", "ets", "naive")
RESEARCH, PROD, TOTAL = Line("research", GPU), Line("prod", GPU), Line(ALL_QUEUES, GPU)
USUAL = Pace()
SHARP = Pace(reach_quantiles=0.0)  # shares of one quantile say nothing about its neighbours


def test_before_any_feedback_experts_are_listened_to_alike_or_as_told() -> None:
    alike = weights([RESEARCH])
    told = Weights.start(EXPERTS, (2, 3), [RESEARCH], prior=np.array([2.0, 1.0, 1.0]))

    assert alike.shares == pytest.approx(np.full((3, 1, 2, 3), 1 / 3))
    assert told.shares[:, 0, 1, 2] == pytest.approx([0.5, 0.25, 0.25])


def test_the_expert_that_errs_least_is_listened_to_most() -> None:
    learnt = fed(weights([RESEARCH]), losses_of([1.0, 2.0, 4.0], lines=1), times=60)

    assert learnt.shares[0].min() > 0.95
    assert learnt.sentence(RESEARCH, 0) == "analog 100 %"


def test_each_window_and_quantile_finds_its_own_best() -> None:
    losses = np.full((3, 1, 2, 3), 2.0)
    losses[0, :, 0, 0] = losses[1, :, 0, 2] = losses[2, :, 1, 1] = 1.0

    shares = fed(weights([RESEARCH], pace=SHARP), losses, times=60).shares[:, 0]

    assert [shares[:, w, q].argmax() for w, q in ((0, 0), (0, 2), (1, 1))] == [0, 1, 2]
    assert shares[:, 0, 1] == pytest.approx(np.full(3, 1 / 3))  # where all were alike


def test_neighbouring_quantiles_share_what_they_learn() -> None:
    losses = np.full((3, 1, 2, 3), 2.0)
    losses[0, :, :, 1] = 1.0

    shares = fed(weights([RESEARCH], pace=Pace(reach_quantiles=0.7)), losses, times=60).shares

    assert shares[0, 0, 0, 1] > shares[0, 0, 0, 0] > 0.4


@pytest.mark.parametrize("scale", [1e-3, 1e6])
def test_the_unit_of_losses_does_not_matter(scale: float) -> None:
    rounds = np.random.default_rng(1).exponential(size=(40, 3, 2, 2, 3))
    small, large = weights([RESEARCH, PROD]), weights([RESEARCH, PROD])

    for losses in rounds:
        small, large = small.learnt(losses), large.learnt(scale * losses)

    assert large.shares == pytest.approx(small.shares)


@settings(max_examples=40, deadline=None)
@given(arrays_of.arrays(np.float64, (60, 3), elements=st.floats(0, 1)))
def test_hindsight_would_not_have_done_much_better(rounds: Floats) -> None:
    now = weights([RESEARCH], (1, 1), Pace(forget=0.0, own_after=0.0))
    paid = 0.0

    for losses in rounds:
        paid += float(losses @ now.shares[:, 0, 0, 0])
        now = now.learnt(losses.reshape(3, 1, 1, 1))

    assert paid - rounds.sum(axis=0).min() <= 2 * np.sqrt(len(rounds) * np.log(3)) + 2


def test_pure_luck_makes_no_favourite() -> None:
    rng = np.random.default_rng(3)
    now = weights([Line(f"q{i}", GPU) for i in range(40)], (1, 1))

    for _ in range(200):
        now = now.learnt(rng.exponential(size=(3, 40, 1, 1)))

    assert np.quantile(now.shares.max(axis=0), 0.9) < 0.8


def test_where_nothing_was_seen_nothing_is_learnt_or_forgotten() -> None:
    taught = fed(weights([RESEARCH, PROD]), losses_of([1.0, 2.0, 3.0], lines=2), times=5)
    losses = losses_of([3.0, 2.0, 1.0], lines=2)
    losses[:, 1] = np.nan

    after = taught.learnt(losses)

    assert np.array_equal(after.own.regret[:, 1], taught.own.regret[:, 1])
    assert np.array_equal(after.own.count[1], taught.own.count[1])
    assert (after.own.count[0] > taught.own.count[0]).all()


def test_a_gap_of_all_lines_changes_nothing() -> None:
    taught = fed(weights([RESEARCH, PROD]), losses_of([1.0, 2.0, 3.0], lines=2), times=5)

    after = taught.learnt(np.full((3, 2, 2, 3), np.nan))

    assert np.array_equal(after.shares, taught.shares)


def test_an_expert_that_was_silent_is_not_judged() -> None:
    losses = losses_of([1.0, 2.0, 4.0], lines=1)
    losses[1] = np.nan

    shares = fed(weights([RESEARCH]), losses, times=60).shares[:, 0, 0, 0]

    assert shares[0] > shares[1] > shares[2]


@pytest.mark.parametrize("pace", [Pace(forget=0.05), Pace(forget=0.0, fixed_share=0.02)])
def test_follows_when_another_expert_becomes_best(pace: Pace) -> None:
    before = fed(weights([RESEARCH], pace=pace), losses_of([1.0, 3.0, 3.0], lines=1), times=300)

    after = fed(before, losses_of([3.0, 1.0, 3.0], lines=1), times=30)

    assert before.shares[0].min() > 0.6
    assert after.shares[1].min() > 0.5


def test_without_forgetting_it_does_not_follow() -> None:
    before = fed(weights([RESEARCH], pace=Pace(forget=0.0)), losses_of([1.0, 3.0, 3.0], lines=1), times=300)

    after = fed(before, losses_of([3.0, 1.0, 3.0], lines=1), times=30)

    assert after.shares[1].max() < 0.1


def test_a_shift_makes_a_line_follow_all_lines_again() -> None:
    losses = np.concatenate([losses_of([1.0, 2.0, 4.0], lines=9), losses_of([4.0, 2.0, 1.0], lines=1)], axis=1)
    lines = [Line(f"q{i}", GPU) for i in range(10)]
    taught = fed(weights(lines), losses, times=300)

    relearnt = taught.relearnt(np.arange(10) == 9, kept=0.0)

    assert taught.explained(lines[9], 0)[0][0] == "naive"
    assert relearnt.explained(lines[9], 0)[0][0] == "analog"
    assert np.array_equal(relearnt.shares[:, :9], taught.shares[:, :9])


def test_a_new_line_starts_with_what_all_lines_have_learnt() -> None:
    taught = fed(weights([RESEARCH]), losses_of([1.0, 2.0, 4.0], lines=1), times=60)

    grown = taught.for_lines([PROD, RESEARCH])

    assert grown.explained(PROD, 0)[0][0] == "analog"
    assert grown.own.count[0].max() == 0
    assert np.array_equal(grown.shares[:, 1], taught.shares[:, 0])


def test_totals_learn_nothing_from_queues() -> None:
    taught = fed(weights([RESEARCH]), losses_of([1.0, 2.0, 4.0], lines=1), times=60)

    assert taught.for_lines([TOTAL]).shares == pytest.approx(np.full((3, 1, 2, 3), 1 / 3))


def test_a_line_that_vanished_is_forgotten() -> None:
    taught = fed(weights([RESEARCH, PROD]), losses_of([1.0, 2.0, 4.0], lines=2), times=60)

    back = taught.for_lines([PROD]).for_lines([RESEARCH, PROD])

    assert back.own.count[:, 0, 0].tolist() == [0.0, taught.own.count[1, 0, 0]]


def test_a_line_may_differ_from_all_others_once_it_was_seen_long_enough() -> None:
    losses = np.concatenate([losses_of([1.0, 2.0, 4.0], lines=9), losses_of([4.0, 2.0, 1.0], lines=1)], axis=1)
    start = weights([Line(f"q{i}", GPU) for i in range(10)], pace=Pace(own_after=20.0))

    early, late = fed(start, losses, times=3), fed(start, losses, times=200)

    assert early.shares[:, 9, 0, 0].argmax() == 0
    assert late.shares[:, 9, 0, 0].argmax() == 2


def test_one_line_of_enormous_losses_does_not_teach_all_others() -> None:
    losses = np.concatenate([losses_of([1.0, 2.0, 4.0], lines=30), 1e6 * losses_of([4.0, 2.0, 1.0], lines=1)], axis=1)
    lines = [Line(f"q{i}", GPU) for i in range(31)]

    by_line = fed(weights(lines, pace=Pace(evenness=1.0)), losses, times=60).for_lines([RESEARCH])
    by_gpu = fed(weights(lines, pace=Pace(evenness=0.0)), losses, times=60).for_lines([RESEARCH])

    assert by_line.explained(RESEARCH, 0)[0][0] == "analog"
    assert by_gpu.explained(RESEARCH, 0)[0][0] == "naive"


def test_overlapping_feedback_counts_as_much_as_it_is_new() -> None:
    hours = np.random.default_rng(5).exponential(size=(30, 3, 1, 2, 3))
    hourly, five_minutely = weights([RESEARCH]), weights([RESEARCH])

    for losses in hours:
        hourly = hourly.learnt(losses)
        five_minutely = fed(five_minutely, losses, times=12, fresh=1 / 12)

    assert five_minutely.own.count == pytest.approx(hourly.own.count, rel=0.01)
    assert five_minutely.shares == pytest.approx(hourly.shares, abs=0.08)


def test_linear_losses_find_a_mixture_better_than_every_expert() -> None:
    now, levels = Weights.start(("low", "high"), (1, 1), [RESEARCH], pace=Pace(rate=1.0)), [0.5]
    experts = np.array([9.0, 14.0]).reshape(2, 1, 1, 1)
    rng = np.random.default_rng(0)

    for _ in range(400):
        actual = 10 + rng.normal(size=(1, 1))
        now = now.learnt(linear_losses(actual, now.combined(experts), experts, levels))

    assert now.combined(experts)[0, 0, 0] == pytest.approx(10.0, abs=0.5)


def test_linear_losses_differ_as_pinball_losses_do_on_one_side() -> None:
    actual, said = np.array([[10.0]]), np.array([[[7.0, 8.0]]])
    experts = np.array([[6.0, 6.0], [9.0, 9.0]]).reshape(2, 1, 1, 2)

    assert linear_losses(actual, said, experts, [0.5, 0.9]) == pytest.approx(pinball(actual, experts, [0.5, 0.9]))


@given(arrays_of.arrays(np.float64, (3, 2, 2, 3), elements=st.floats(0, 1e4)))
def test_what_is_combined_ascends_and_lies_among_the_experts(said: Floats) -> None:
    ascending = np.sort(said, axis=-1)

    table = weights([RESEARCH, PROD]).combined(ascending)

    assert (np.diff(table, axis=-1) >= 0).all()
    assert (table >= ascending.min(axis=0) - 1e-6).all()
    assert (table <= ascending.max(axis=0) + 1e-6).all()


def test_an_expert_that_says_nothing_is_left_out() -> None:
    said = np.array([2.0, np.nan, 4.0]).reshape(3, 1, 1, 1)

    assert combined(np.array([0.25, 0.5, 0.25]).reshape(3, 1, 1, 1), said)[0, 0, 0] == 3.0


def test_shares_can_be_seen_at_other_windows_and_quantiles() -> None:
    taught = fed(weights([RESEARCH]), np.random.default_rng(0).exponential(size=(3, 1, 2, 3)), times=20)

    seen = at(taught.shares, between([600.0, 3600.0], [0.0, 600.0, 2100.0]), between([0.1, 0.5, 0.9], [0.5, 0.7]))

    assert seen.shape == (3, 1, 3, 2)
    assert seen[:, 0, 0, 0] == pytest.approx(taught.shares[:, 0, 0, 1])  # held at the end
    assert seen[:, 0, 2, 0] == pytest.approx(taught.shares[:, 0, :, 1].mean(axis=1))
    assert seen.sum(axis=0) == pytest.approx(np.ones((1, 3, 2)))


def test_explains_itself_with_the_greatest_share_first() -> None:
    prior = np.array([0.02, 0.3, 0.68])

    told = Weights.start(EXPERTS, (2, 3), [RESEARCH], prior=prior)

    assert [name for name, _ in told.explained(RESEARCH, 1)] == ["naive", "ets", "analog"]
    assert told.sentence(RESEARCH, 1) == "naive 68 %, ets 30 %"


def test_goes_on_after_a_restart_as_if_there_had_been_none(tmp_path: Path) -> None:
    rng, now = np.random.default_rng(2), weights([RESEARCH, TOTAL], pace=Pace(fixed_share=0.01, reach_windows=0.5))
    now = fed(now, rng.exponential(size=(3, 2, 2, 3)), times=3)
    save(now.state(), tmp_path / "weights.npz")

    restarted = Weights.restored(load(tmp_path / "weights.npz"))

    more = rng.exponential(size=(3, 2, 2, 3))
    assert np.array_equal(restarted.learnt(more).shares, now.learnt(more).shares)
    assert (restarted.experts, restarted.lines, restarted.pace) == (now.experts, now.lines, now.pace)


@pytest.mark.parametrize("key", ["experts", "lines", "prior", "own", "pooled", "usual", "pace"])
def test_a_state_of_another_version_is_refused(key: str) -> None:
    state = dict(weights([RESEARCH]).state())

    with pytest.raises(ForecastError, match="delete it"):
        Weights.restored({k: v for k, v in state.items() if k != key})
    with pytest.raises(ForecastError, match="delete it"):
        Weights.restored(state | {key: {"surplus": 1}})


def test_self_is_left_as_it_was() -> None:
    start = weights([RESEARCH])
    before = start.shares.copy()

    fed(start, losses_of([1.0, 2.0, 3.0], lines=1), times=3)

    assert np.array_equal(replace(start).shares, before)


def weights(lines: Sequence[Line], shape: tuple[int, int] = (2, 3), pace: Pace = USUAL) -> Weights:
    """Three experts, two windows, three quantiles; nothing learnt yet."""
    return Weights.start(EXPERTS, shape, lines, pace=pace)


def losses_of(each: Sequence[float], lines: int) -> Floats:
    """(E, L, 2, 3) the same loss of an expert everywhere."""
    return np.broadcast_to(np.array(each)[:, None, None, None], (len(each), lines, 2, 3)).copy()


def fed(weights: Weights, losses: Floats, times: int, fresh: float = 1.0) -> Weights:
    for _ in range(times):
        weights = weights.learnt(losses, fresh)
    return weights
