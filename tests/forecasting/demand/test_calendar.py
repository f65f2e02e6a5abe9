from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from forecasting.backtest.entrants import Own
from forecasting.demand.calendar import UTC_PLACE, Place, place_of
from forecasting.demand.features import NAMES, Questions, describe
from forecasting.forecasters.anomaly import Anomaly
from forecasting.forecasters.boosting import Boosting
from forecasting.forecasters.forest import Forest
from forecasting.forecasters.lightgbm_quantile import LightGbm
from forecasting.forecasters.profile import Profile
from forecasting.forecasters.ridge import Ridge
from forecasting.forecasters.trees import Growth
from forecasting.foresight import Foresight
from forecasting.keeping import Fitted, keep, kept
from forecasting.protocol import Forecaster
from forecasting.registry import make
from forecasting.store import load, save
from gyropilot import backtest_cli
from gyropilot.domain import DemandHistory, Floats, Window
from gyropilot.errors import ForecastError
from gyropilot.settings import CalendarSettings, ForecastSettings
from gyropilot.wiring import our_entrants
from tests.fakes import NOW, history, state

HOUR = timedelta(hours=1)
TOKYO = Place("Asia/Tokyo")
BERLIN = Place("Europe/Berlin")
LOCAL: list[Callable[[], Any]] = [Ridge, Boosting, LightGbm, Profile, Anomaly]


def test_hours_and_weekdays_are_those_of_the_users() -> None:
    # 23:30 UTC on Sunday 1 March 2026 is 08:30 on Monday in Tokyo.
    sunday = _seconds(datetime(2026, 3, 1, 23, 30, tzinfo=UTC))

    assert TOKYO.local_s(sunday) - sunday == 9 * 3_600
    assert UTC_PLACE.days_off(UTC_PLACE.local_s(sunday)).tolist() == [True]
    assert TOKYO.days_off(TOKYO.local_s(sunday)).tolist() == [False]


def test_offsets_follow_the_clock_change_to_the_second() -> None:
    change = _seconds(datetime(2026, 3, 29, 1, tzinfo=UTC))

    assert (BERLIN.local_s(change - 1) - (change - 1)).tolist() == [3_600]
    assert (BERLIN.local_s(change) - change).tolist() == [7_200]
    assert BERLIN.turned_s(float(change[0]) - 7_200, [3_600, 7_200]) == [0, 3_600]


def test_times_of_any_shape_and_of_fractions_are_told() -> None:
    times = _seconds(datetime(2026, 3, 29, 1, tzinfo=UTC)) + np.array([[-0.5, 0.0], [0.5, 900.25]])

    assert (BERLIN.local_s(times) - times).tolist() == [[3_600, 7_200], [7_200, 7_200]]


def test_weekends_are_the_operators_whatever_their_order() -> None:
    friday = _seconds(datetime(2026, 3, 6, 12, tzinfo=UTC))
    riyadh = Place.of(CalendarSettings.model_validate({"weekend": ["sat", "fri"]}))

    assert riyadh == Place.of(CalendarSettings.model_validate({"weekend": ["fri", "sat"]}))
    assert riyadh.days_off(friday).tolist() == [True]
    assert UTC_PLACE.days_off(friday).tolist() == [False]


def test_settings_that_nobody_changed_mean_what_traces_mean() -> None:
    assert Place.of(CalendarSettings()) == UTC_PLACE


def test_linear_and_boosted_models_are_told_local_hours_and_days() -> None:
    seen = _office(TOKYO, datetime(2026, 2, 2, tzinfo=UTC), days=28)  # to Sunday 1 March, 24:00 UTC
    asked = Questions(np.array([0]), np.array([len(seen.times) - 1]), np.array([3_600.0]), TOKYO)

    row = dict(zip(NAMES, describe(seen, asked, np.array([8.0]), np.array([80.0]))[0], strict=True))

    assert row["day of week"] == 1  # it is ten on a Monday there
    assert row["hour of day, sine"] == pytest.approx(np.sin(2 * np.pi * 10 / 24))


def test_a_monday_morning_in_tokyo_is_forecast_as_a_working_day() -> None:
    # Seen until Monday 06:00 there, which is Sunday 21:00 in UTC: people come at seven.
    seen = _office(TOKYO, datetime(2026, 2, 1, 21, tzinfo=UTC), days=28)

    there, elsewhere = (_at_eight(Profile(place=place), seen) for place in (TOKYO, UTC_PLACE))

    assert there == pytest.approx([80, 80], abs=4)
    assert elsewhere[0] < 40  # it may be like a Sunday morning


def test_a_saturday_morning_in_tokyo_is_forecast_as_a_day_off() -> None:
    # Seen until Saturday 06:00 there, which is Friday 21:00 in UTC.
    seen = _office(TOKYO, datetime(2026, 1, 30, 21, tzinfo=UTC), days=28)

    there, elsewhere = (_at_eight(Profile(place=place), seen) for place in (TOKYO, UTC_PLACE))

    assert there == pytest.approx([8, 8], abs=4)
    assert elsewhere[1] > 40  # it may be like a Friday morning


@pytest.mark.parametrize("make_one", [lambda: Forest(Growth(rows=3_000, trees=3)), *LOCAL])
def test_nine_hours_ahead_is_as_if_everything_came_nine_hours_later(make_one: Callable[[], Any]) -> None:
    seen = _office(TOKYO, datetime(2026, 2, 1, 21, tzinfo=UTC), days=28)
    later = replace(seen, times=seen.times + 9 * 3_600)
    windows = [Window(2 * HOUR, 3 * HOUR), Window(23 * HOUR, 24 * HOUR)]

    there, here = (
        model.fit(history_).predict(history_, windows, [0.1, 0.5, 0.9])
        for model, history_ in ((make_one().settled(TOKYO), seen), (make_one(), later))
    )

    np.testing.assert_array_equal(there, here)


@pytest.mark.parametrize("until_hour", [0, 24], ids=["across the change", "after it"])
def test_a_clock_change_moves_the_morning_by_no_hour(until_hour: int) -> None:
    # Summer time begins on Sunday 29 March 2026 at 01:00 UTC; seven on Monday is five in UTC, where it was six.
    seen = _office(BERLIN, datetime(2026, 3, 1, tzinfo=UTC) + until_hour * HOUR, days=28, weekend_gpus=80)
    before_seven = datetime(2026, 3, 29 + until_hour // 24, 4, tzinfo=UTC) - seen.end  # type: ignore[operator]
    windows = [Window(before_seven + HOUR * i / 2, before_seven + HOUR * (i + 1) / 2) for i in range(4)]

    told = Profile(place=BERLIN).fit(seen).predict(seen, windows, [0.5])[0, :, 0]

    assert told == pytest.approx([8, 8, 80, 80], abs=4)


@pytest.mark.parametrize("make_one", [Forest, *LOCAL])
def test_a_model_keeps_its_place_over_a_restart(make_one: Callable[[], Any], tmp_path: Path) -> None:
    model = make_one().settled(TOKYO)

    save(model.state(), tmp_path / "model.npz")

    assert type(model).restored(load(tmp_path / "model.npz")).place == TOKYO


@pytest.mark.parametrize("name", ["gyropilot", "auto", "forest", "ridge", "boosting", "lightgbm", "profile", "anomaly"])
def test_a_model_is_made_for_a_place(name: str) -> None:
    assert place_of(make(name)) == UTC_PLACE
    assert place_of(make(name, TOKYO)) == TOKYO


def test_a_backtest_of_ones_own_prometheus_goes_by_the_operators_clocks(tmp_path: Path) -> None:
    settings = tmp_path / "gyropilot.yaml"
    settings.write_text("calendar: {timezone: Asia/Tokyo}\n")

    mine, without, given = (
        Place.of(backtest_cli._calendar(trace, calendar, config, None))
        for trace, calendar, config in (
            (None, None, settings),
            (tmp_path / "demand.csv", None, settings),
            (tmp_path / "demand.csv", settings, None),
        )
    )
    assert (mine, without, given) == (TOKYO, UTC_PLACE, TOKYO)
    tokyo = CalendarSettings(timezone="Asia/Tokyo")
    ours = [own for own in our_entrants(["ridge"], HOUR, tokyo) if isinstance(own, Own)]
    assert [place_of(own.model) for own in ours] == [None, TOKYO]


def test_what_was_learnt_by_other_clocks_is_refused(tmp_path: Path) -> None:
    keep(Fitted(make("ridge"), NOW, HOUR, "ridge"), tmp_path / "state")

    with pytest.raises(ForecastError, match="was learnt by the clocks of UTC with sat, sun off, now Asia/Tokyo with"):
        kept(tmp_path / "state", make("ridge", TOKYO), "ridge", HOUR)


def test_where_the_zone_was_changed_it_is_fitted_anew(tmp_path: Path) -> None:
    seen = state(history=history({"research": [8.0, 8.0, 16.0, 24.0] * 72}), seen_at=NOW)
    tokyo = CalendarSettings.model_validate({"timezone": "Asia/Tokyo"})
    before = Foresight(ForecastSettings(model="ridge"), path=tmp_path / "state")
    before(seen)
    before.save()

    same, moved = (
        Foresight(ForecastSettings(model="ridge"), calendar, tmp_path / "state")
        for calendar in (CalendarSettings(), tokyo)
    )
    same(seen)
    moved(seen)

    assert same.origin.startswith("restored from")
    assert moved.origin.startswith("fitted at")
    assert moved.fitted is not None
    assert place_of(moved.fitted.forecaster) == TOKYO


def test_a_span_of_one_day_is_that_day() -> None:
    event = CalendarSettings.model_validate(
        {"events": [_event("day", "2026-03-29", "2026-03-29", timezone="Europe/Berlin")]}
    )

    begins, ends = event.events[0].times()

    assert ends.astimezone(UTC) - begins.astimezone(UTC) == timedelta(hours=23)  # the clock is put forward


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"events": [{"name": "x", "start": "2026-03-02", "end": "2026-03-01"}]}, "not after its start 2026-03-02"),
        ({"events": [{"name": "x", "start": "2026-03-02", "end": "soon"}]}, "valid date"),
        ({"timezone": "Berlin"}, "no time zone 'Berlin'; take an IANA name"),
        ({"reservations": [{"queue": "q", "gpus": 0, "start": "2026-03-02", "end": "2026-03-03"}]}, "greater than 0"),
    ],
)
def test_says_what_is_wrong_with_a_calendar(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        CalendarSettings.model_validate(wrong)


def _event(name: str, start: str, end: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "start": start, "end": end, **more}


def _seconds(moment: datetime) -> np.ndarray:
    return np.array([int(moment.timestamp())])


def _office(place: Place, begin: datetime, days: int, weekend_gpus: float = 8.0) -> DemandHistory:
    """Eight queues that want 80 GPUs from seven to six of a working day, else 8; by half hours."""
    first = int(begin.timestamp())
    times = first + 1_800 * np.arange(1, 48 * days + 1)
    local = place.local_s(times - 900)
    hour = local % 86_400 / 3_600
    at_work = (hour >= 7) & (hour < 18)
    gpus = np.where(at_work, np.where(place.days_off(local), weekend_gpus, 80.0), 8.0)
    seen = history({f"team {i}": list(gpus) for i in range(8)}, timedelta(minutes=30))
    return replace(seen, times=times)


def _at_eight(model: Forecaster, seen: DemandHistory) -> Floats:
    """Quantiles of the hour that begins two hours after six."""
    told: Floats = model.fit(seen).predict(seen, [Window(2 * HOUR, 3 * HOUR)], [0.2, 0.5])[0, 0]
    return told
