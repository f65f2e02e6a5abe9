"""Crontab expressions as crontab(5) reads them: freeze windows and the nightly fit are told by them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from apscheduler.triggers.cron import CronTrigger

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


def firings(expression: str, since: datetime, until: datetime) -> Iterator[datetime]:
    """Naive times from `since` to `until` at which the expression fires. Raises ValueError for what it cannot read."""
    for trigger in triggers(expression):
        # The trigger is run on UTC, which has no clock changes; the caller knows what its wall clock means.
        fires = trigger.get_next_fire_time(None, since.replace(tzinfo=UTC))
        while fires is not None and fires <= until.replace(tzinfo=UTC):
            yield fires.replace(tzinfo=None)
            fires = trigger.get_next_fire_time(fires, fires + timedelta(seconds=1))


def triggers(expression: str) -> list[CronTrigger]:
    """One trigger, in UTC; two where both days are restricted, which in crontab means either, in APScheduler both.

    Raises ValueError for what it cannot read.
    """
    fields = expression.split()
    if len(fields) != 5:
        raise ValueError(f"takes the five fields of crontab, such as `0 3 * * *`, not {len(fields)}")
    minute, hour, day, month, weekday = fields
    days = [(day, "*"), ("*", weekday)] if not day.startswith("*") and not weekday.startswith("*") else [(day, weekday)]
    return [
        CronTrigger(minute=minute, hour=hour, day=of_month, month=month, day_of_week=_named(of_week), timezone=UTC)
        for of_month, of_week in days
    ]


def _named(weekdays: str) -> str:
    """Numbers as names: crontab's 0 and 7 are Sunday, APScheduler's 0 is Monday."""
    return ",".join(name for part in weekdays.split(",") for name in _expanded(part))


def _expanded(part: str) -> Iterator[str]:
    span, _, step = part.partition("/")
    first, _, last = ("0-6" if span == "*" else span).partition("-")
    if span == "*" and not step:
        yield "*"
        return
    begin = _number(first)
    end = _number(last) if last else begin
    end += 7 if end < begin else 0  # fri-mon, fri-sun
    yield from (_DAYS[day % 7] for day in range(begin, end + 1, int(step or 1)))


def _number(day: str) -> int:
    if day.isdigit() and int(day) <= 7:
        return int(day)
    if day.lower() in _DAYS:
        return _DAYS.index(day.lower())
    raise ValueError(f"{day!r} is no day of the week: takes sun to sat, or 0 to 7")
