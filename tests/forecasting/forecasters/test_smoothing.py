from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.check import check_forecaster, gangs
from forecasting.compiled import smoothing as compiled
from forecasting.demand.seen import some_lines
from forecasting.forecasters.judging import AT_ONCE, JUDGED_AT, LEADS_H, WAYS, Hours, Judged, Trial, judge, mirrored
from forecasting.forecasters.naive import Naive
from forecasting.forecasters.profile import Profile
from forecasting.forecasters.smoothing import AFRESH_S, MOST_AFRESH, Smoothing
from forecasting.rolling import until
from forecasting.store import load, save
from gyropilot.domain import DemandHistory, Floats, Window
from tests.fakes import history

HOUR = timedelta(hours=1)
DECILES = tuple(round(0.1 * i, 1) for i in range(1, 10))
MIDDLE = (0.5,)
SOON, TOMORROW = Window(0 * HOUR, HOUR), Window(23 * HOUR, 24 * HOUR)


def test_keeps_every_promise() -> None:
    check_forecaster(Smoothing)


def test_a_service_is_known_within_days() -> None:
    wide, narrow = {}, {}
    seen = history({"chat": service(days=4)}, HOUR)
    for kind in (Profile, Smoothing):
        told = kind().fit(seen).predict(seen, [Window(h * HOUR, (h + 1) * HOUR) for h in range(24)], DECILES)[0]
        wide[kind], narrow[kind] = float(np.mean(told[:, -1] - told[:, 0])), told[:, 4]

    true = [usual(h) for h in range(24)]

    assert narrow[Smoothing] == pytest.approx(true, abs=8.0)
    assert wide[Smoothing] < 0.5 * wide[Profile]


def test_what_is_unusual_stays_as_long_as_it_used_to() -> None:
    seen = history({"requests": drifting(0.5, 0.0), "gangs": drifting(0.99, 0.0)}, HOUR)

    told = Smoothing().fit(seen).predict(seen, [Window(11 * HOUR, 12 * HOUR)], MIDDLE)[:, 0, 0]
    level = np.mean(seen.demand, axis=1)
    kept = (told - level) / (seen.demand[:, -1] - level)

    assert abs(kept[0]) < 0.3
    assert kept[1] > 0.6


def test_bands_hold_what_they_promise() -> None:
    rng = np.random.default_rng(3)
    seen = history({f"s{n}": service(days=30, rng=rng) for n in range(6)}, HOUR)
    model, held = Smoothing().fit(until(seen, 24 * 24)), []
    for column in range(24 * 24, 29 * 24, 5):
        known = until(seen, column)
        low, high = model.predict(known, [SOON, TOMORROW], (0.1, 0.9)).transpose(2, 0, 1)
        came = seen.demand[:, [column + 1, column + 24]]
        held.append((low <= came) & (came <= high))

    assert 0.7 < np.mean(held) < 0.9


def test_is_naive_of_lines_that_were_hardly_seen() -> None:
    seen = history({"new": [np.nan] * 96 + service(days=1), "old": service(days=5)}, HOUR)

    told, naive = (kind().fit(seen).predict(seen, [SOON, TOMORROW], DECILES) for kind in (Smoothing, Naive))

    np.testing.assert_allclose(told[0], naive[0])
    assert not np.allclose(told[1], naive[1])


def test_a_queue_that_the_fit_did_not_know_is_naive() -> None:
    seen = history({"known": service(days=5), "new": service(days=5, level=400)}, HOUR)
    model = Smoothing().fit(some_lines(seen, [0]))

    told, naive = (each.predict(seen, [SOON], DECILES) for each in (model, Naive()))

    np.testing.assert_allclose(told[1], naive[1])


def test_an_idle_queue_stays_idle_and_may_yet_wake() -> None:
    seen = history({"idle": [0.0] * 24 * 20}, HOUR)

    low, mid, high = Smoothing().fit(seen).predict(seen, [TOMORROW], (0.1, 0.5, 0.999))[0, 0]

    assert (low, mid) == (0.0, 0.0)
    assert 0 < high < 1


def test_a_surprise_before_a_gap_has_faded_by_its_end() -> None:
    calm = service(days=6)
    burst = [value + 80 for value in service(days=6)[:6]]
    seen = history({"fresh": calm + burst, "stale": calm[:-12] + burst[:1] * 3 + [np.nan] * 15}, HOUR)

    fresh, stale = Smoothing().fit(seen).predict(seen, [SOON], MIDDLE)[:, 0, 0]

    assert stale < fresh - 20


def test_a_gap_is_not_a_zero() -> None:
    whole = service(days=10)
    holes = [np.nan if 100 <= n < 130 else value for n, value in enumerate(whole)]
    seen = history({"whole": whole, "holes": holes}, HOUR)

    told = Smoothing().fit(seen).predict(seen, [SOON, TOMORROW], MIDDLE)[..., 0]

    assert told[1] == pytest.approx(told[0], rel=0.1)


def test_lines_do_not_disturb_each_other() -> None:
    seen = gangs()
    blind = seen.running.copy()
    blind[1, -8:], blind[2, -300:] = np.nan, np.nan
    late = DemandHistory(seen.lines, seen.times, blind, seen.pending)

    together = Smoothing().fit(late).predict(late, [SOON, TOMORROW], DECILES)

    for row in range(len(seen.lines)):
        alone = some_lines(late, [row])
        np.testing.assert_allclose(together[[row]], Smoothing().fit(alone).predict(alone, [SOON, TOMORROW], DECILES))


def test_hours_end_at_the_newest_reading_wherever_that_is() -> None:
    minutes = np.arange(6 * 24 * 12)
    seen = history({"chat": [usual(m / 12) for m in minutes]}, timedelta(minutes=5))
    model = Smoothing().fit(until(seen, 5 * 288 - 1))

    for late in (1, 5, 12, 31):
        column = 5 * 288 - 1 + late
        told = model.predict(until(seen, column), [SOON], MIDDLE)[0, 0, 0]
        assert told == pytest.approx(float(seen.demand[0, column + 1 : column + 13].mean()), abs=3.0)


def test_few_lines_are_judged_afresh_between_fits() -> None:
    before, after = service(days=4), [value + 60 * (n % 2) for n, value in enumerate(service(days=2))]
    seen = history({"chat": before + after}, HOUR)

    told = Smoothing().fit(until(seen, 4 * 24 - 1)).predict(seen, [SOON], (0.1, 0.9))[0, 0]
    fitted = Smoothing().fit(seen).predict(seen, [SOON], (0.1, 0.9))[0, 0]

    assert np.diff(told) == pytest.approx(np.diff(fitted), rel=0.3)


def test_many_lines_are_judged_at_fits_only(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = gangs(MOST_AFRESH + 1, 4 * 24, HOUR)
    model = Smoothing().fit(until(seen, 72))
    monkeypatch.setattr(compiled, "tried", lambda *_: pytest.fail("too many lines"))

    assert np.isfinite(model.predict(seen, [SOON], MIDDLE)).all()


def test_ways_are_tried_a_few_at_a_time() -> None:
    seen = history({"chat": service(days=5), "new": [np.nan] * 100 + service(days=5)[100:]}, HOUR)
    hours = np.stack([seen.demand, seen.demand])

    begun = Trial(Hours.of(hours)).further(0.2)
    whole = begun.further(0.6).further(1.0)

    assert len(begun.losses) == np.ceil(0.2 * len(WAYS) / AT_ONCE)
    for part, at_once in zip(whole.judged, judge(hours), strict=True):
        np.testing.assert_array_equal(part, at_once)


def test_no_tick_waits_for_the_judgement(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = history({"chat": [usual(m / 12) for m in range(6 * 24 * 12)]}, timedelta(minutes=5))
    fitted_at = 5 * 288 - 1
    model, ticks = Smoothing().fit(until(seen, fitted_at)), list[int]()
    tried = compiled.tried

    def counted(hours: Floats, ways: Floats, *rest: Any) -> tuple[Floats, Floats]:
        ticks.append(len(ways))
        return tried(hours, ways, *rest)

    monkeypatch.setattr(compiled, "tried", counted)

    most = 0
    for column in range(fitted_at + 1, fitted_at + 1 + round(3 * AFRESH_S / 300)):
        ticks.clear()
        model.predict(until(seen, column), [SOON], MIDDLE)
        most = max(most, sum(ticks))

    assert most == AT_ONCE


def test_a_line_that_is_as_another_is_judged_once() -> None:
    chat, other = np.array([service(days=5), service(days=5, level=40.0)])[:, None].repeat(2, axis=1)
    both = Trial(Hours.of(np.stack([chat, other, chat], axis=1))).further(1.0)

    assert len(both.losses) == 2 * len(WAYS) / AT_ONCE
    for apart, together in zip(judge(chat[:, None]), both.judged, strict=True):
        np.testing.assert_array_equal(together[[0, 2]], apart[[0, 0]])


def test_mirrored_errors_are_in_order_and_count_their_share() -> None:
    both = np.empty((2, 6))

    count = compiled.ascending(np.array([3.0, -1.0, 2.0]), np.array([1.0, 2.0, 4.0]), 0.5, both)

    assert count == 6
    assert both[0].tolist() == [-3.0, -2.0, -1.0, 1.0, 2.0, 3.0]
    assert both[1].tolist() == [0.5, 2.0, 2.0, 1.0, 4.0, 1.0]


def test_errors_that_are_not_mirrored_are_as_they_were() -> None:
    both = np.empty((2, 6))

    count = compiled.ascending(np.array([3.0, -1.0, 2.0]), np.array([1.0, 2.0, 4.0]), 0.0, both)

    assert both[:, :count].tolist() == [[-1.0, 2.0, 3.0], [2.0, 4.0, 1.0]]


@pytest.mark.parametrize(("days", "share"), [(2, 0.3), (7, 0.3), (14, 0.15), (28, 0.075)])
def test_the_days_of_a_young_line_do_not_tell_on_which_side_it_errs(days: int, share: float) -> None:
    assert mirrored(np.ones(24 * days)) == pytest.approx(share)


def test_what_is_judged_afresh_follows_from_history_alone(tmp_path: Path) -> None:
    seen = history({"chat": service(days=9)}, HOUR)
    model = Smoothing().fit(until(seen, 5 * 24))
    save(model.state(), tmp_path / "model")

    def told(by: Smoothing, column: int) -> Floats:
        return by.predict(until(seen, column), [SOON, TOMORROW], DECILES)

    first = told(model, 150)
    told(model, 190)

    np.testing.assert_array_equal(told(model, 150), first)
    np.testing.assert_array_equal(told(Smoothing.restored(load(tmp_path / "model")), 150), first)


@given(
    st.lists(st.one_of(st.none(), st.floats(0, 100)), min_size=50, max_size=90),
    st.sampled_from(range(len(WAYS))),
)
def test_the_compiled_loop_smooths_as_the_textbook_does(values: list[float | None], way: int) -> None:
    hours = np.array([np.nan if value is None else value for value in values])
    levels, usual_ = np.empty(len(hours)), np.empty(len(hours))

    compiled.follow(hours, hours, WAYS[way], levels, usual_)

    plain_levels, plain_usual = textbook(hours, *WAYS[way][1:])
    np.testing.assert_allclose(levels, plain_levels, atol=1e-9)
    np.testing.assert_allclose(usual_, plain_usual, atol=1e-9)


def test_quantiles_of_errors_are_weighted() -> None:
    errors, weights = np.array([3.0, 1.0, 2.0]), np.array([2.0, 1.0, 1.0])
    found = np.empty(5)

    order = np.argsort(errors)
    compiled.quantiles(errors[order], weights[order], np.array([0.01, 0.125, 0.25, 0.375, 0.99]), found)

    assert found == pytest.approx([1.0, 1.0, 1.5, 2.0, 3.0])  # middles of the weights lie at 1/8, 3/8 and 3/4


def test_ways_that_were_right_are_kept() -> None:
    rng = np.random.default_rng(4)
    noise = rng.normal(50, 2, (2, 480))
    noise[0] += 30 * np.sin(np.arange(480) / 24 * 2 * np.pi)

    seasonal, flat = judge(np.stack([noise, noise])).ways[:, 0, compiled.CYCLE]

    assert seasonal == 24
    assert flat == 1


def test_errors_are_those_of_forecasts_that_knew_no_more() -> None:
    rng = np.random.default_rng(5)
    hours = rng.uniform(0, 100, 72)
    way = WAYS[[7]]

    _, errors = compiled.tried(np.stack([hours, hours]), way, LEADS_H, np.ones(72), 0.0, JUDGED_AT, np.array([0.5]))

    for k, lead in enumerate(LEADS_H):
        made = [told_by(hours[: t + 1], way[0], int(lead)) for t in range(72 - lead)]
        wrong = np.array([hours[t + lead] ** way[0, 0] - said for t, said in enumerate(made)])
        assert errors[0, k, 0] == pytest.approx(np.median(wrong[np.isfinite(wrong)]))


def test_nothing_is_judged_of_lines_that_were_never_seen() -> None:
    found = judge(np.full((2, 2, 240), np.nan))

    assert not found.shares.any()
    assert all(np.isfinite(table).all() for table in Judged.nothing(3))


def textbook(hours: Floats, cycle: float, keeps: float, alpha: float, lasts: float) -> tuple[Floats, Floats]:
    """Smoothed by definition: means by their weights, levels one after the other."""
    period, levels, usual_, level = int(cycle), [], [], np.nan
    for now in range(len(hours)):

        def mean(upto: int, now: int = now) -> float:
            past = hours[now % period : upto : period]
            weights = keeps ** np.arange(len(past))[::-1]
            known = np.isfinite(past)
            return float(past[known] @ weights[known] / weights[known].sum()) if known.any() else np.nan

        before = mean(now)
        if np.isnan(hours[now]):
            level *= np.exp(-1 / lasts)
        elif np.isfinite(before):
            level = hours[now] - before if np.isnan(level) else (1 - alpha) * level + alpha * (hours[now] - before)
        levels.append(level)
        usual_.append(mean(now + 1))
    return np.array(levels), np.array(usual_)


def told_by(known: Floats, way: Floats, lead: int) -> float:
    """What a way says `lead` hours after `known`, in its own units."""
    levels, usual_ = textbook(known ** way[0], *way[1:])
    period = int(way[1])
    at = len(known) - 1 + lead - period * -(-lead // period)
    return float(usual_[at] + levels[-1] * np.exp(-(lead - 0.5) / way[4])) if at >= 0 else np.nan


def usual(hour: float) -> float:
    return 100 + 60 * float(np.sin(hour / 24 * 2 * np.pi)) + 25 * float(np.sin(hour / 6 * 2 * np.pi))


def service(days: int, level: float = 0.0, rng: np.random.Generator | None = None) -> list[float]:
    noise = (rng or np.random.default_rng(0)).normal(0, 4, days * 24)
    return [level + usual(hour % 24) + noise[hour] for hour in range(days * 24)]


def drifting(keeps: float, begin: float) -> list[float]:
    """Thirty days of hours whose shocks last longer the more is kept of them, and that end with one."""
    rng = np.random.default_rng(2)
    level = np.full(720, begin)
    for step, shock in enumerate(rng.normal(0, 10, 719)):
        level[step + 1] = keeps * level[step] + shock
    level[-1] = keeps * level[-2] + 45
    return list(level + 300)
