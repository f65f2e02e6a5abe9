from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import forecasting.mixture.ensemble as module
from forecasting.demand.seen import some_lines
from forecasting.forecasters.naive import Naive
from forecasting.forecasters.seasonal_naive import SeasonalNaive
from forecasting.mixture import experts
from forecasting.mixture.ensemble import Ensemble
from forecasting.mixture.experts import pace
from forecasting.mixture.heard import Habit
from forecasting.mixture.lessons import LEVELS
from forecasting.mixture.trust import voices
from forecasting.rolling import until
from forecasting.store import load, save
from gyropilot.domain import ALL_QUEUES, DemandHistory, Floats, Line, Window
from tests.fakes import GPU, history

STEP = timedelta(minutes=5)
DAY = 288
TOTAL = Line(ALL_QUEUES, GPU)
SOON = [Window(0 * STEP, 2 * STEP), Window(11 * STEP, 12 * STEP), Window(24 * STEP, 36 * STEP)]
TOMORROW = [Window(23 * 12 * STEP, 24 * 12 * STEP)]
QUANTILES = (0.025, 0.1, 0.5, 0.9, 0.975)


def naives(monkeypatch: pytest.MonkeyPatch) -> Ensemble:
    """Gyropilot's own forecaster with the quickest of experts, who is all that these tests need."""
    monkeypatch.setattr(experts, "EXPERTS", (Naive,))
    return Ensemble()


def both(monkeypatch: pytest.MonkeyPatch) -> Ensemble:
    """With two experts, of whom one is better."""
    monkeypatch.setattr(experts, "EXPERTS", (Naive, SeasonalNaive))
    return Ensemble()


def ticked(model: Ensemble, seen: DemandHistory, columns: Iterable[int]) -> tuple[Ensemble, list[Floats]]:
    """The model after some ticks, and what it said at each."""
    said = []
    for column in columns:
        known = until(seen, column)
        model = model.update(known)
        said.append(model.predict(known, SOON, QUANTILES))
    return model, said


def walks(days: int, queues: int = 2, step: timedelta = STEP) -> DemandHistory:
    """Queues that wander, with their total."""
    rng = np.random.default_rng(0)
    steps = 8.0 * rng.integers(-1, 2, size=(queues, round(timedelta(days=days) / step)))
    demand = 80.0 + np.abs(np.cumsum(steps, axis=1))
    return history({f"queue-{i}": row for i, row in enumerate(demand)}, step).with_totals()


def moments(model: Ensemble) -> Sequence[int]:
    return [said.at_s for said in model.kept]


def test_what_was_said_of_some_queues_together_is_not_held_against_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WARM_UP_LINES", 3)
    seen = walks(3, queues=6)

    model = naives(monkeypatch).fit(seen)

    assert all(TOTAL not in said.lines and len(said.lines) == 3 for said in model.kept)
    assert model.kept[-1].experts.shape[1:] == (3, len(model.kept[-1].which), len(LEVELS))


def test_what_was_said_of_all_queues_together_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    model = naives(monkeypatch).fit(walks(3))

    assert all(TOTAL in said.lines for said in model.kept)


@pytest.mark.parametrize("minutes", [15, 120])
def test_what_was_said_in_other_steps_is_forgotten(minutes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = naives(monkeypatch).fit(walks(3))
    coarse = walks(3, step=timedelta(minutes=minutes))

    model = model.update(coarse)

    assert moments(model) == [coarse.times[-1]]


def test_a_clock_that_was_ahead_for_a_while_is_no_reason_to_be_silent_until_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = walks(3)
    ahead = DemandHistory(seen.lines, seen.times + 9 * 86_400, seen.running, seen.pending)
    model = naives(monkeypatch).fit(until(seen, 2 * DAY)).update(ahead)

    model = model.update(seen)

    assert moments(model) == [seen.times[-1]]


def test_what_was_missed_is_said_from_what_was_known_then(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = walks(3)
    before = naives(monkeypatch).fit(until(seen, 2 * DAY)).update(until(seen, 2 * DAY))

    late = before.update(until(seen, 2 * DAY + 24))

    prompt = before
    for column in range(2 * DAY + 6, 2 * DAY + 25, 6):
        prompt = prompt.update(until(seen, column))
    assert moments(late) == moments(prompt)
    assert np.array_equal(late.kept[-1].told, prompt.kept[-1].told)


def test_nothing_new_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = walks(3)
    model = naives(monkeypatch).fit(seen).update(seen)

    assert model.update(seen) is model
    assert replace(model).update(DemandHistory.empty()).kept == model.kept


def test_what_follows_an_origin_changes_nothing_that_was_said_there(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = walks(3)
    whole = until(seen, 2 * DAY + 30)
    other = seen.running.copy()
    other[:, 2 * DAY + 31 :] += 500.0
    fitted = both(monkeypatch).fit(until(seen, 2 * DAY))

    model, said = ticked(fitted, whole, range(2 * DAY, 2 * DAY + 31))
    late, _ = ticked(model, DemandHistory(seen.lines, seen.times, other, seen.pending), [3 * DAY - 1])

    again, said_again = ticked(fitted, seen, range(2 * DAY, 2 * DAY + 31))
    assert np.array_equal(said, said_again)
    assert moments(again) == moments(model)
    known = {one.at_s: one.told for one in model.kept}
    assert all(np.array_equal(one.told, known[one.at_s]) for one in late.kept if one.at_s in known)


def test_forecasts_made_up_after_a_pause_know_nothing_of_what_came_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = walks(3)
    fitted, _ = ticked(both(monkeypatch).fit(until(seen, 2 * DAY)), seen, [2 * DAY])
    other = seen.running.copy()
    other[:, 2 * DAY + 7 :] += 500.0

    straight, otherwise = (
        fitted.update(until(DemandHistory(seen.lines, seen.times, running, seen.pending), 2 * DAY + 8))
        for running in (seen.running, other)
    )

    assert moments(straight)[-1] == seen.times[2 * DAY + 6]
    assert np.array_equal(straight.kept[-1].told, otherwise.kept[-1].told)


def test_after_a_long_pause_it_catches_up_with_a_day_only(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = walks(4)
    fitted, _ = ticked(naives(monkeypatch).fit(until(seen, DAY)), seen, [DAY])

    model = fitted.update(seen)

    made_up = [at_s for at_s in moments(model) if at_s > seen.times[DAY]]
    assert min(made_up) >= seen.times[-1] - 86_400
    assert set(np.diff(made_up).tolist()) <= {1_800, 3_600}  # those of the next hours are scored and forgotten by now


def test_speaks_each_half_hour_and_of_all_windows_each_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = walks(3)
    fitted = naives(monkeypatch).fit(until(seen, 2 * DAY))

    model, _ = ticked(replace(fitted, kept=()), seen, range(2 * DAY, 2 * DAY + 13))

    assert np.diff([*moments(model)]).tolist() == [1_800, 1_800]
    assert [len(one.which) for one in model.kept] == [12, 4, 12]


def test_listens_to_who_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    daily = np.tile(np.repeat([16.0, 96.0], DAY // 2), 8) + np.random.default_rng(0).normal(0, 1, 8 * DAY)
    seen = history({"nightly": daily.tolist()})

    model = both(monkeypatch).fit(seen)

    assert model.lessons is not None
    naive, seasonal = model.lessons.weights.shares[:, 0, -1, LEVELS.index(0.5)]
    assert seasonal > 2 * naive


def test_answers_and_learns_the_same_after_a_restart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen = walks(3)
    model, _ = ticked(both(monkeypatch).fit(until(seen, 2 * DAY)), seen, range(2 * DAY, 2 * DAY + 20))

    save(model.state(), tmp_path / "model.npz")
    again = Ensemble.restored(load(tmp_path / "model.npz"))

    later = range(2 * DAY + 20, 2 * DAY + 60)
    (straight, said), (restarted, said_again) = (ticked(some, seen, later) for some in (model, again))
    assert np.array_equal(said, said_again)
    assert moments(straight) == moments(restarted)


def test_a_total_is_midway_between_its_own_forecast_and_what_its_queues_add_up_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = walks(3, queues=4)
    model = replace(naives(monkeypatch).fit(seen), lessons=None)  # nothing is added by what was learnt
    assert model.copula is not None

    together = model.predict(seen, SOON, QUANTILES)

    alone = Naive().fit(seen).predict(seen, SOON, QUANTILES)
    joint = model.copula.totals(seen.lines, together, SOON, QUANTILES)[TOTAL]
    assert together[:-1] == pytest.approx(alone[:-1])
    assert together[-1] == pytest.approx((alone[-1] + joint) / 2)


@dataclass(frozen=True, eq=False)
class Stubborn(Naive):
    """Expects 80 GPUs of whatever it is asked about."""

    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        return np.full((len(history.lines), len(windows), len(quantiles)), 80.0)


def test_a_total_counts_as_little_of_a_dead_queue_as_its_row_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    living = walks(12, queues=1).demand[0]
    seen = history({"busy": living, "dead": [*[400.0] * 4 * DAY, *[0.0] * 8 * DAY]}).with_totals()
    model = replace(naives(monkeypatch).fit(seen), lessons=None)  # nothing is added by what was learnt
    model = replace(model, experts=(Stubborn(),))

    told = model.predict(seen, SOON, QUANTILES)

    # The expert says 80 of each queue and of the total; the dead one's is not counted in the half that adds up.
    assert told[2, :, 2] == pytest.approx([80.0] * 3)


def test_a_queue_that_was_not_seen_for_longer_than_others_counts_for_nothing_in_a_total(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    living = walks(12, queues=1).demand[0]
    gap = {missing: [*[400.0] * (12 * DAY - missing), *[np.nan] * missing] for missing in (12, 13)}

    told = []
    for row in gap.values():
        seen = history({"busy": living, "late": row}).with_totals()
        model = replace(naives(monkeypatch).fit(seen), lessons=None)  # nothing is added by what was learnt
        told.append(replace(model, experts=(Stubborn(),)).predict(seen, SOON, QUANTILES)[2, :, 2])

    # The expert says 80 of each queue and of the total; queues that are there add up to 160, or to 80.
    assert told[0] == pytest.approx([120.0] * 3)
    assert told[1] == pytest.approx([80.0] * 3)


def test_an_outage_of_the_whole_cluster_does_not_double_the_bands_of_its_total(monkeypatch: pytest.MonkeyPatch) -> None:
    calm = walks(12, queues=5)
    still = calm.running.copy()
    still[:, 6 * DAY : 7 * DAY] = 0.0
    struck = DemandHistory(calm.lines, calm.times, still, calm.pending)

    before, after = (
        np.ptp(naives(monkeypatch).fit(seen).predict(seen, TOMORROW, QUANTILES)[-1]) for seen in (calm, struck)
    )

    assert after < 2 * before  # three times as wide where falls to nothing and back are learnt from


def test_a_queue_that_comes_later_is_forecast_at_once_and_learnt_about_from_then_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = walks(3, queues=3)
    first_two = some_lines(seen, [0, 1]).with_totals()
    model, _ = ticked(both(monkeypatch).fit(until(first_two, 2 * DAY)), first_two, range(2 * DAY, 2 * DAY + 12))

    model, said = ticked(model, seen, range(2 * DAY + 12, 2 * DAY + 40))

    assert said[0].shape[0] == 4
    assert said[0][2, 0, 2] == pytest.approx(seen.running[2, 2 * DAY + 12], abs=12.0)
    assert model.lessons is not None
    assert model.lessons.lines == seen.lines
    assert (model.lessons.weights.own.count[2, 0] > 0).all()


def test_a_queue_that_goes_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = walks(3, queues=3)
    model, _ = ticked(both(monkeypatch).fit(until(seen, 2 * DAY)), seen, range(2 * DAY, 2 * DAY + 12))
    left = some_lines(seen, [2, 0]).with_totals()

    model, said = ticked(model, left, range(2 * DAY + 12, 2 * DAY + 30))

    assert said[-1].shape[0] == 3
    assert model.lessons is not None
    assert model.lessons.lines == left.lines


def test_one_queue_is_enough_and_none_is_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    one, none = walks(2, queues=1), DemandHistory.empty()

    _, said = ticked(both(monkeypatch).fit(one), one, [2 * DAY - 1])
    nothing = both(monkeypatch).fit(none).update(none)

    assert said[0].shape == (2, 3, 5)
    assert said[0][0] == pytest.approx(said[0][1], rel=0.2)  # the total is the queue
    assert nothing.predict(none, SOON, QUANTILES).shape == (0, 3, 5)
    assert nothing.lessons is None


def test_before_anything_was_learnt_it_says_what_its_experts_say(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = some_lines(walks(1), [0, 1])

    said = both(monkeypatch).predict(seen, SOON, QUANTILES)

    experts = [expert.predict(seen, SOON, QUANTILES) for expert in (Naive(), SeasonalNaive())]
    assert said == pytest.approx(np.mean(experts, axis=0))


@dataclass(frozen=True, eq=False)
class Counted(Naive):
    """Counts how often it was asked about each moment."""

    asked: ClassVar[Counter[int]] = Counter()

    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        self.asked[int(history.times[-1])] += 1
        return super().predict(history, windows, quantiles)


def test_experts_are_asked_once_in_a_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experts, "EXPERTS", (Counted,))
    seen, ticks = walks(3), range(2 * DAY, 2 * DAY + 13)
    fitted = replace(Ensemble().fit(until(seen, 2 * DAY)), kept=())
    Counted.asked.clear()

    ticked(fitted, seen, ticks)

    # At the first it is not known yet what will be asked.
    assert [Counted.asked[int(seen.times[tick])] for tick in ticks] == [2] + 12 * [1]


def test_asking_once_changes_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = walks(3)
    fitted = both(monkeypatch).fit(until(seen, 2 * DAY))
    once = apart = fitted

    for column in range(2 * DAY, 2 * DAY + 20):
        once, (said,) = ticked(once, seen, [column])
        apart, (said_apart,) = ticked(replace(apart, habit=Habit()), seen, [column])
        assert np.array_equal(said, said_apart)

    assert np.array_equal(once.kept[-1].told, apart.kept[-1].told)


def test_no_tick_both_speaks_and_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = walks(3)
    model, _ = ticked(naives(monkeypatch).fit(until(seen, 2 * DAY)), seen, [2 * DAY, 2 * DAY + 1])

    did = []
    for column in range(2 * DAY + 2, 2 * DAY + 40):
        before, model = model, model.update(until(seen, column))
        did.append((spoke(before, model), learnt(before, model)))

    assert sum(speaks for speaks, _ in did) == 6
    assert sum(learns for _, learns in did) > 6
    assert (True, True) not in did


def test_who_is_asked_now_and_then_has_learnt_all_that_came(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = walks(3)
    before, _ = ticked(naives(monkeypatch).fit(until(seen, 2 * DAY)), seen, [2 * DAY])

    known = until(seen, 2 * DAY + 6)
    after = before.update(known)

    assert spoke(before, after)
    assert learnt(before, after)
    assert after.update(known) is after


def spoke(before: Ensemble, after: Ensemble) -> bool:
    return after.kept[-1].at_s > before.kept[-1].at_s


def learnt(before: Ensemble, after: Ensemble) -> bool:
    assert before.lessons is not None
    assert after.lessons is not None
    return bool((after.lessons.tracker.pooled_count > before.lessons.tracker.pooled_count).any())


@dataclass(frozen=True, eq=False)
class Reticent(Naive):
    """Answers as Naive does, about windows of the second hour or later, and never about the first line."""

    name = "reticent"

    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        said = super().predict(history, windows, quantiles)
        said[:, [window.start < 12 * STEP for window in windows]] = np.nan
        said[0] = np.nan
        return said


def test_an_expert_with_nothing_to_say_leaves_it_to_the_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(experts, "EXPERTS", (SeasonalNaive, Reticent))
    seen = walks(3)
    model, said = ticked(Ensemble().fit(until(seen, 2 * DAY)), seen, range(2 * DAY, 2 * DAY + 40, 6))
    save(model.state(), tmp_path / "state")

    again = Ensemble.restored(load(tmp_path / "state"))

    assert np.isfinite(said).all()
    assert np.array_equal(again.predict(seen, SOON, QUANTILES), model.predict(seen, SOON, QUANTILES))
    assert model.lessons is not None
    listened = {(v.bucket, v.expert): v.share for v in voices(model.lessons, seen.lines[1:2], model.kept)}
    assert listened["next hour", "reticent"] == 0
    assert listened["next hour", "seasonal-naive"] == pytest.approx(1)
    assert listened["1-6h", "reticent"] > 0
    assert {v.share for v in voices(model.lessons, seen.lines[:1], model.kept) if v.expert == "reticent"} == {0.0}


def test_what_experts_count_for_at_first_follows_what_they_could_learn_from_at_each_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(experts, "EXPERTS", (Naive, SeasonalNaive))
    seen = walks(40, queues=14, step=timedelta(hours=1))

    young = Ensemble().update(until(seen, 3)).fit(until(seen, 20))
    grown = young.fit(seen)

    assert young.lessons is not None
    assert grown.lessons is not None
    assert young.lessons.weights.pace.rate > 5
    assert grown.lessons.weights.pace == pace(seen)
    assert grown.lessons.weights.pace.rate < 2
