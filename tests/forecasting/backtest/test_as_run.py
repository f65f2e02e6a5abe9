"""What is backtested is what runs: renames, new, dead and gone queues, reservations; nothing that comes later."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import count

import numpy as np
import pytest

from forecasting.backtest.as_run import AsRun
from forecasting.backtest.entrants import Own
from forecasting.backtest.protocol import Plan, Protocol
from forecasting.backtest.run import Answer, Listeners, replay
from forecasting.forecasters.seasonal_naive import SeasonalNaive
from forecasting.foresight import Foresight
from forecasting.registry import make
from forecasting.rolling import until
from gyropilot.domain import ALL_QUEUES, DemandHistory, Floats, Line, Window
from gyropilot.settings import CalendarSettings, ForecastSettings, Reservation
from gyropilot.wiring import our_entrants
from tests.fakes import state
from tests.forecasting.backtest.samples import GPU, HOUR, MIDNIGHT, hourly

DAY = timedelta(days=1)
NEXT = (Window(timedelta(0), HOUR),)
EDGES = (0.1, 0.5, 0.9)
NAN = float("nan")
RNG = np.random.default_rng(7)
LEVEL = 40.0 + 8.0 * RNG.integers(-1, 2, 480).astype(np.float64)
STEADY = 64.0 + RNG.integers(0, 8, 480).astype(np.float64)
NOUGHT: Floats = np.zeros(480)


def as_run(model: str = "seasonal-naive", reservations: Sequence[Reservation] = ()) -> AsRun:
    settings = ForecastSettings.model_validate({"model": model, "horizons": ["1h"], "quantiles": EDGES})
    return AsRun(Foresight(settings, CalendarSettings(reservations=tuple(reservations))), DAY)


def said(history: DemandHistory, *hours: int, of: AsRun | None = None) -> Floats:
    """(L, Q) of the next hour at the last of some origins, asked one after the other."""
    mine = of or as_run()
    tables = [mine.forecast(until(history, hour), NEXT, EDGES) for hour in hours]
    last: Floats = tables[-1][:, 0]
    return last


def bare(history: DemandHistory, hour: int) -> Floats:
    """(L, Q) what the model alone says."""
    told: Floats = Own("seasonal-naive", SeasonalNaive(), DAY).forecast(until(history, hour), NEXT, EDGES)[:, 0]
    return told


def from_hour(hour: int, before: Sequence[float] | Floats, after: Sequence[float] | Floats) -> list[float]:
    """One demand up to an hour, another from it on."""
    return [*np.asarray(before)[:hour].tolist(), *np.asarray(after)[hour:].tolist()]


def renamed(hour: int = 400) -> DemandHistory:
    """`vision` goes on as `vision-2`."""
    return hourly(
        {"other": STEADY.tolist(), "vision": from_hour(hour, LEVEL, NOUGHT), "vision-2": from_hour(hour, NOUGHT, LEVEL)}
    )


@pytest.mark.parametrize("model", ["seasonal-naive", "ridge", "gyropilot"])
def test_the_answer_is_what_the_product_forecasts_from_the_same_readings(model: str) -> None:
    known = until(renamed(), 430)
    product = Foresight(as_run(model).foresight.settings)

    asked = as_run(model).forecast(known, NEXT, EDGES)
    told = product(state(history=known, seen_at=known.end))

    assert told.lines == (*known.lines, Line(ALL_QUEUES, GPU))
    assert np.array_equal(asked, told.gpus[:3])
    assert told.trust.renamed == ("vision-2 (nvidia.com/gpu) is taken to be what was vision (nvidia.com/gpu)",)


@pytest.mark.parametrize("model", ["ridge", "gyropilot"])
def test_where_every_queue_lives_on_it_is_the_bare_model_that_also_sees_the_total(model: str) -> None:
    plain = hourly({"other": STEADY.tolist(), "vision": LEVEL.tolist()})
    mine, alone = as_run(model), Own(model, make(model), DAY)

    for hour in (450, 453):
        asked = mine.forecast(until(plain, hour), NEXT, EDGES)
        bare_one = alone.forecast(until(plain.with_totals(), hour), NEXT, EDGES)

    assert np.array_equal(asked, bare_one[:2])


def test_a_renamed_queue_keeps_its_past() -> None:
    history = renamed()

    assert bare(history, 404)[2].max() < 2.0
    assert said(history, 404)[2, 1] >= 32.0


def test_a_rename_is_found_at_an_origin_between_two_fits() -> None:
    mine = as_run()

    before, after = said(renamed(), 396, 399, of=mine)[2], said(renamed(), 402, of=mine)[2]

    assert before.max() < 2.0
    assert after[1] >= 32.0
    assert mine.notes() == (
        "seasonal-naive: vision-2 (nvidia.com/gpu) is taken to be what was vision (nvidia.com/gpu), "
        "from 2026-03-18 18:00 UTC on",
    )


def test_a_new_queue_borrows_the_past_of_its_like() -> None:
    history = hourly({"old": LEVEL.tolist(), "young": from_hour(470, np.full(480, NAN), LEVEL)})

    mine, alone = said(history, 476), bare(history, 476)

    assert mine[1].tolist() == mine[0].tolist()
    assert alone[1].tolist() != alone[0].tolist()


def test_of_a_dead_queue_nothing_is_expected_in_the_middle() -> None:
    history = hourly({"other": STEADY.tolist(), "dead": from_hour(240, LEVEL, NOUGHT)})

    assert said(history, 402)[1].tolist()[:2] == [0.0, 0.0]


def test_of_a_queue_that_is_gone_nothing_is_planned() -> None:
    history = hourly({"other": STEADY.tolist(), "gone": from_hour(300, LEVEL, np.full(480, NAN))})

    assert said(history, 300)[1, 1] > 0
    assert said(history, 301)[1].tolist() == [0.0, 0.0, 0.0]


def test_of_a_queue_that_nobody_has_seen_yet_nothing_is_said() -> None:
    history = hourly({"other": STEADY.tolist(), "later": from_hour(300, np.full(480, NAN), LEVEL)})

    assert np.isnan(said(history, 299)[1]).all()
    assert np.isfinite(said(history, 300)[1]).all()


def test_before_anything_was_seen_there_is_no_answer() -> None:
    assert np.isnan(said(hourly({"later": [NAN] * 5}), 4)).all()


def test_the_total_goes_on_from_those_that_go_on_and_its_past_is_what_all_demanded() -> None:
    queues = hourly({"gone": from_hour(300, LEVEL, np.full(480, NAN)), "other": STEADY.tolist()})
    demanded = hourly({"all": from_hour(300, LEVEL + STEADY, STEADY)})

    total, alone = said(queues.with_totals(), 400)[2], said(demanded.with_totals(), 400)[1]

    assert total.tolist() == alone.tolist()


def test_what_is_reserved_is_expected_of_those_who_keep_to_it() -> None:
    spans = [(MIDNIGHT + n * DAY + 8 * HOUR, MIDNIGHT + n * DAY + 10 * HOUR) for n in (15, 16, 17, 18)]
    booked = [Reservation(start=a, end=b, queue="team", gpus=100) for a, b in spans]
    hours = np.arange(480)
    running = np.where((hours // 24 >= 15) & (hours % 24 > 8) & (hours % 24 <= 10), 100.0, 8.0)
    history = hourly({"team": running.tolist()})

    assert said(history, 18 * 24 + 8, of=as_run(reservations=booked))[0].tolist()[:2] == [100.0, 100.0]
    assert said(history, 18 * 24 + 8)[0, 0] < 100.0


def test_models_are_fitted_at_first_and_then_daily() -> None:
    mine, fits = as_run(), []

    for hour in range(240, 300, 6):
        said(renamed(), hour, of=mine)
        assert mine.foresight.fitted is not None
        fits.append(round((mine.foresight.fitted.at - MIDNIGHT) / HOUR))

    assert fits == [240, 240, 240, 240, 264, 264, 264, 264, 288, 288]


def fits_of(history: DemandHistory, origins: Sequence[int], of: AsRun) -> list[int]:
    """The hour of the fit in force at each of some origins, asked one after the other; these are hours, too."""
    found = []
    for hour in origins:
        of.forecast(until(history, hour * round(HOUR / history.step)), NEXT, EDGES)
        assert of.foresight.fitted is not None
        found.append(round((of.foresight.fitted.at - MIDNIGHT) / HOUR))
    return found


def four_days(shifted_from: int | None = None) -> DemandHistory:
    """A queue that hardly moves, in steps of ten minutes; all over the place from an hour on, where one is told."""
    rng = np.random.default_rng(0)
    calm, wild = 20.0 + rng.integers(0, 3, 576).astype(np.float64), rng.uniform(0, 200, 576)
    return hourly({"vision": from_hour(6 * (shifted_from or 96), calm, wild)}, timedelta(minutes=10))


def test_a_shift_of_demand_is_fitted_early_and_the_night_keeps_its_hour() -> None:
    assert fits_of(four_days(shifted_from=66), (60, 63, 72, 84), as_run("gyropilot")) == [60, 60, 72, 84]


def test_where_demand_goes_on_as_it_was_only_nights_are_fitted() -> None:
    assert fits_of(four_days(), (60, 63, 72, 84), as_run("gyropilot")) == [60, 60, 60, 84]


def test_a_rename_is_fitted_at_the_origin_after_the_one_that_found_it() -> None:
    assert fits_of(renamed(), (396, 399, 402, 405, 408, 420), as_run()) == [396, 396, 396, 405, 405, 420]


@pytest.mark.parametrize("model", ["seasonal-naive", "gyropilot"])
def test_what_comes_after_an_origin_changes_nothing_that_was_said_there(model: str) -> None:
    whole, heard, ticks = renamed(), list[list[Answer]]([[], []]), count()
    later = np.where(np.arange(480) > 408, 50.0 * RNG.random((3, 480)), whole.running)

    for running, into in zip((whole.running, later), heard, strict=True):
        history = DemandHistory(whole.lines, whole.times, running, whole.pending)
        plan = Plan.of(history, Protocol(("1h", "1-6h"), begin=MIDNIGHT + 396 * HOUR, end=MIDNIGHT + 415 * HOUR))
        replay(plan, [as_run(model)], [], lambda: float(next(ticks)), Listeners(into.append))

    before = [[a.gpus for a in each if a.origin <= MIDNIGHT + 408 * HOUR] for each in heard]
    assert len(before[0]) == len(before[1]) == 5
    assert all(np.array_equal(a, b) for a, b in zip(*before, strict=True))
    assert not np.array_equal(heard[0][-1].gpus, heard[1][-1].gpus)


def test_gyropilot_and_the_model_in_force_are_replayed_as_they_run_and_others_bare() -> None:
    ours = our_entrants(["naive", "ridge", "gyropilot"], DAY, in_force="ridge")

    assert [(each.name, type(each)) for each in ours] == [
        ("seasonal-naive", Own),
        ("gyropilot", AsRun),
        ("naive", Own),
        ("ridge", AsRun),
    ]
