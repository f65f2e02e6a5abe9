from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from pydantic import ValidationError

from forecasting.calendar import FAR_H, Calendar, utc_offsets_s
from gyropilot.domain import Line
from gyropilot.settings import CalendarSettings
from tests.fakes import GPU

BERLIN = "Europe/Berlin"
RESEARCH = Line("research", GPU)


def test_hours_and_weekdays_are_those_of_the_users() -> None:
    # 23:30 UTC on Sunday 1 March 2026 is 08:30 on Monday in Tokyo.
    tokyo = _features({"timezone": "Asia/Tokyo"}, datetime(2026, 3, 1, 23, 30, tzinfo=UTC))

    assert tokyo["weekday"] == 0
    assert tokyo["day off"] == 0
    assert tokyo["hour, sine"] == pytest.approx(np.sin(2 * np.pi * 8.5 / 24))


def test_a_clock_change_does_not_move_the_working_day() -> None:
    # Summer time began on 29 March 2026: nine o'clock is 8:00 UTC before it and 7:00 UTC after it.
    before = _features({"timezone": BERLIN}, datetime(2026, 3, 27, 8, tzinfo=UTC))
    after = _features({"timezone": BERLIN}, datetime(2026, 3, 30, 7, tzinfo=UTC))

    assert before["hour, sine"] == pytest.approx(after["hour, sine"])


def test_offsets_follow_the_clock_change_to_the_second() -> None:
    change = int(datetime(2026, 3, 29, 1, tzinfo=UTC).timestamp())

    offsets = utc_offsets_s(np.array([change - 1, change]), ZoneInfo(BERLIN))

    assert offsets.tolist() == [3_600, 7_200]


def test_weekends_are_the_operators() -> None:
    friday = datetime(2026, 3, 6, 12, tzinfo=UTC)

    assert _features({}, friday)["day off"] == 0
    assert _features({"weekend": ["fri", "sat"]}, friday)["day off"] == 1


def test_a_holiday_lasts_from_midnight_to_midnight_of_its_own_place() -> None:
    christmas = _event("christmas", "2026-12-25", "2026-12-26", kind="holiday", timezone=BERLIN)
    moments = [datetime(2026, 12, day, 22 + half, 30, tzinfo=UTC) for day, half in ((24, 0), (24, 1), (26, 0), (26, 1))]

    days_off = [_features({"events": [christmas]}, moment)["holiday"] for moment in moments]

    assert days_off == [0, 1, 1, 0]


def test_says_how_far_off_a_deadline_is() -> None:
    deadline = _event("submission", "2026-03-10T12:00", "2026-03-10T18:00", kind="deadline")

    def hours_to(day: int, hour: int) -> float:
        return _features({"events": [deadline]}, datetime(2026, 3, day, hour, tzinfo=UTC))["hours to deadline"]

    assert [hours_to(9, 12), hours_to(10, 11), hours_to(10, 13), hours_to(10, 18)] == [24.0, 1.0, 0.0, FAR_H]


def test_an_event_of_one_queue_is_none_of_another() -> None:
    launch = _event("launch", "2026-03-02", "2026-03-02", queues=["serving"])
    noon = np.array([int(datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp())])
    calendar = Calendar(CalendarSettings.model_validate({"events": [launch]}))
    column = Calendar.names.index("event")

    there = [calendar.features(noon, line)[0, column] for line in (Line("serving", GPU), RESEARCH, None)]

    assert there == [1.0, 0.0, 0.0]


def test_a_span_of_one_day_is_that_day() -> None:
    event = CalendarSettings.model_validate({"events": [_event("day", "2026-03-29", "2026-03-29", timezone=BERLIN)]})

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


def _features(settings: dict[str, Any], moment: datetime) -> dict[str, float]:
    values = Calendar(CalendarSettings.model_validate(settings)).features(np.array([int(moment.timestamp())]), RESEARCH)
    return dict(zip(Calendar.names, values[0].tolist(), strict=True))
