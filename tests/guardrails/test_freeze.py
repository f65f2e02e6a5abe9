"""Freeze windows, also where the clocks change, and crontab as crontab(5) reads it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyropilot.crontab import firings
from gyropilot.domain import Dial
from gyropilot.guardrails.freeze import Freeze, frozen_until
from gyropilot.settings import FreezeWindow
from tests.fakes import NOW
from tests.guardrails.situations import requota, resize, situation

SUNDAY = datetime.fromisoformat("2026-03-01")  # on a wall clock: without a time zone
BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")


def window(**changes: Any) -> FreezeWindow:
    return FreezeWindow.model_validate({"name": "payday", **changes})


def weekend(**changes: Any) -> FreezeWindow:
    return window(**{"start": "0 18 * * fri", "duration": "62h", "timezone": "Europe/Berlin", **changes})


def utc(*moment: int) -> datetime:
    return datetime(*moment, tzinfo=UTC)  # type: ignore[misc,arg-type]


def test_says_which_window_freezes_and_until_when_in_its_own_time() -> None:
    rule = Freeze((window(start="0 9 2 * *", duration="9h", timezone="Europe/Berlin"),))

    sentence = rule.objection(requota("research", 16, 12), situation(now=NOW))

    assert sentence == "frozen by payday until 2026-03-02 18:00 Europe/Berlin"


def test_nothing_is_frozen_without_windows() -> None:
    assert Freeze(()).objection(requota("research", 16, 12), situation()) is None


@pytest.mark.parametrize(
    ("now", "frozen"),
    [
        (utc(2026, 3, 6, 16, 59, 59), False),
        (utc(2026, 3, 6, 17, 0), True),  # Friday 18:00 in Berlin
        (utc(2026, 3, 8, 12, 0), True),
        (utc(2026, 3, 9, 6, 59, 59), True),
        (utc(2026, 3, 9, 7, 0), False),  # Monday 08:00: the end is free
    ],
)
def test_a_weekend_is_frozen_from_its_beginning_to_its_end(now: datetime, frozen: bool) -> None:
    assert (frozen_until(weekend(), now) is not None) is frozen


def test_a_single_window_without_an_offset_is_in_its_own_zone() -> None:
    once = window(begins="2026-07-01T18:00:00", ends="2026-07-02T08:00:00", timezone="America/New_York")

    assert frozen_until(once, utc(2026, 7, 1, 21, 59)) is None
    assert frozen_until(once, utc(2026, 7, 1, 22, 0)) == datetime(2026, 7, 2, 8, 0, tzinfo=NEW_YORK)
    assert frozen_until(once, utc(2026, 7, 2, 12, 0)) is None


def test_a_single_window_with_an_offset_means_that_offset() -> None:
    once = window(begins="2026-07-01T18:00:00+00:00", ends="2026-07-01T20:00:00Z", timezone="Europe/Berlin")

    assert frozen_until(once, utc(2026, 7, 1, 17, 59)) is None
    assert frozen_until(once, utc(2026, 7, 1, 19, 59)) == datetime(2026, 7, 1, 22, 0, tzinfo=BERLIN)


def test_freezes_the_dials_it_names() -> None:
    rule = Freeze((window(start="0 0 * * *", duration="24h", dials=["pool-size"]),))

    assert rule.objection(requota("research", 16, 12), situation()) is None
    assert rule.objection(resize(4, 5), situation()) == "frozen by payday until 2026-03-03 00:00 UTC"
    assert rule.windows[0].dials == (Dial.POOL_SIZE,)


def test_the_first_window_that_freezes_is_named() -> None:
    every_day = {"start": "0 0 * * *", "duration": "24h"}
    rule = Freeze((window(**{**every_day, "start": "0 13 * * *", "duration": "1h"}), window(name="audit", **every_day)))

    assert rule.objection(resize(4, 5), situation()) == "frozen by audit until 2026-03-03 00:00 UTC"


def test_windows_that_overlap_themselves_last_until_the_last_one_ends() -> None:
    rolling = window(start="0 * * * *", duration="90m")

    assert frozen_until(rolling, utc(2026, 3, 2, 12, 15)) == utc(2026, 3, 2, 13, 30)


# Berlin puts its clocks forward on 29 March 2026 at 02:00 (01:00 UTC) and back on 25 October at 03:00 (01:00 UTC);
# New York on 8 March at 02:00 (07:00 UTC) and on 1 November at 02:00 (06:00 UTC).


@pytest.mark.parametrize(
    ("zone", "before", "after"),
    [
        ("Europe/Berlin", utc(2026, 3, 28, 17, 0), utc(2026, 3, 29, 16, 0)),
        ("Europe/Berlin", utc(2026, 10, 24, 16, 0), utc(2026, 10, 25, 17, 0)),
        ("America/New_York", utc(2026, 3, 7, 23, 0), utc(2026, 3, 8, 22, 0)),
        ("America/New_York", utc(2026, 10, 31, 22, 0), utc(2026, 11, 1, 23, 0)),
    ],
)
def test_six_in_the_evening_is_six_in_the_evening_in_summer_and_in_winter(
    zone: str, before: datetime, after: datetime
) -> None:
    evening = window(start="0 18 * * *", duration="1h", timezone=zone)

    for begin in (before, after):
        assert frozen_until(evening, begin - timedelta(seconds=1)) is None
        assert frozen_until(evening, begin) == begin + timedelta(hours=1)
        assert frozen_until(evening, begin + timedelta(hours=1)) is None


def frozen_minutes(of: FreezeWindow, begin: datetime, hours: int) -> list[str]:
    moments = [begin + timedelta(minutes=m) for m in range(0, hours * 60, 15)]
    return [f"{m:%H:%M}" for m in moments if frozen_until(of, m) is not None]


def test_a_beginning_in_the_hour_that_is_skipped_freezes_on_both_sides_of_it() -> None:
    """02:30 does not exist: the night jumps from 02:00 to 03:00, 01:00 UTC."""
    night = window(start="30 2 * * *", duration="1h", timezone="Europe/Berlin")

    frozen = frozen_minutes(night, utc(2026, 3, 29, 0, 0), 3)

    assert frozen == ["00:30", "00:45", "01:00", "01:15", "01:30", "01:45", "02:00", "02:15"]


def test_a_beginning_in_the_hour_that_is_repeated_freezes_both_times() -> None:
    """02:30 comes twice: 00:30 UTC and 01:30 UTC."""
    night = window(start="30 2 * * *", duration="30m", timezone="Europe/Berlin")

    assert frozen_minutes(night, utc(2026, 10, 25, 0, 0), 3) == ["00:30", "00:45", "01:30", "01:45"]


@pytest.mark.parametrize(
    ("begin", "expected"),
    [
        (utc(2026, 3, 8, 6, 0), ["06:30", "06:45", "07:30", "07:45"]),
        (utc(2026, 11, 1, 5, 0), ["07:30", "07:45"]),
    ],
)
def test_new_york_likewise(begin: datetime, expected: list[str]) -> None:
    """02:30 is skipped in March; in November 01:00 to 02:00 is repeated, and 02:30 comes once, at 07:30 UTC."""
    night = window(start="30 2 * * *", duration="30m", timezone="America/New_York")

    assert frozen_minutes(night, begin, 4) == expected


def test_a_single_window_that_ends_in_the_repeated_hour_lasts_until_its_second_reading() -> None:
    once = window(begins="2026-10-25T01:00:00", ends="2026-10-25T02:30:00", timezone="Europe/Berlin")

    assert frozen_until(once, utc(2026, 10, 25, 1, 29)) is not None
    assert frozen_until(once, utc(2026, 10, 25, 1, 30)) is None


def test_a_duration_is_time_that_passes_not_time_on_the_clock() -> None:
    """From Saturday 18:00 for 24 hours over the change to summer time: until Sunday 19:00."""
    day = window(start="0 18 * * sat", duration="24h", timezone="Europe/Berlin")

    assert frozen_until(day, utc(2026, 3, 29, 12, 0)) == datetime(2026, 3, 29, 19, 0, tzinfo=BERLIN)


@given(st.integers(0, 366 * 24 * 60), st.sampled_from([BERLIN, NEW_YORK]))
def test_whenever_the_clock_on_the_wall_is_inside_a_window_it_freezes(minute: int, zone: ZoneInfo) -> None:
    night = window(start="0 1 * * *", duration="3h", timezone=zone.key)
    now = utc(2026, 1, 1) + timedelta(minutes=minute)
    wall = now.astimezone(zone)
    clocks_change = wall.replace(hour=0).utcoffset() != wall.replace(hour=12).utcoffset()

    frozen = frozen_until(night, now) is not None

    assert frozen == (1 <= wall.hour < 4) or clocks_change


def days(expression: str) -> list[str]:
    """Weekdays on which it fires in the week from SUNDAY."""
    begin = SUNDAY
    return [f"{t:%a}" for t in firings(expression, begin, begin + timedelta(days=6, hours=23))]


@pytest.mark.parametrize(
    ("weekday", "expected"),
    [
        ("*", ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]),
        ("0", ["Sun"]),
        ("7", ["Sun"]),
        ("5", ["Fri"]),
        ("1-5", ["Mon", "Tue", "Wed", "Thu", "Fri"]),
        ("5-7", ["Sun", "Fri", "Sat"]),
        ("fri-mon", ["Sun", "Mon", "Fri", "Sat"]),
        ("FRI", ["Fri"]),
        ("0,3,sat", ["Sun", "Wed", "Sat"]),
        ("*/2", ["Sun", "Tue", "Thu", "Sat"]),
        ("1-5/2", ["Mon", "Wed", "Fri"]),
    ],
)
def test_weekdays_are_those_of_crontab(weekday: str, expected: list[str]) -> None:
    assert days(f"0 9 * * {weekday}") == expected


def test_a_day_of_the_month_or_a_day_of_the_week_when_both_are_given() -> None:
    assert sorted(days("0 9 3 * fri")) == ["Fri", "Tue"]


def test_ranges_and_steps_of_hours_and_minutes() -> None:
    begin = SUNDAY

    times = [f"{t:%H:%M}" for t in firings("*/30 9-10 * * *", begin, begin + timedelta(days=1))]

    assert times == ["09:00", "09:30", "10:00", "10:30"]


@pytest.mark.parametrize("expression", ["0 9 * *", "0 9 * * someday", "0 25 * * *"])
def test_what_is_no_crontab_is_refused(expression: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says, the settings said it before
        list(firings(expression, NOW.replace(tzinfo=None), NOW.replace(tzinfo=None)))
