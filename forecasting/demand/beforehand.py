"""What people told beforehand about the time that is forecast, in sentences."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from zoneinfo import ZoneInfo

from forecasting.demand.reservations import LEAST_PAST, Reservations
from gyropilot.domain import Line
from gyropilot.settings import CalendarEvent, CalendarSettings, Reservation, Span


def told_beforehand(
    settings: CalendarSettings, reserved: Reservations, lines: Collection[Line], now: datetime, until: datetime
) -> tuple[str, ...]:
    """Events and reservations that are on between two moments, one sentence each, in the order in which they begin."""
    if not settings.events and not settings.reservations:
        return ()
    queues = {line.queue for line in lines}
    events = [e for e in settings.events if _on(e, now, until) and (not e.queues or queues & {*e.queues})]
    announced = [r for r in settings.reservations if _on(r, now, until) and Line(r.queue, r.resource) in lines]
    spans: list[CalendarEvent | Reservation] = sorted([*events, *announced], key=lambda span: span.times())
    return tuple(_sentence(span, reserved) for span in spans)


def _on(span: Span, now: datetime, until: datetime) -> bool:
    begins, ends = span.times()
    return begins < until and now < ends


def _sentence(span: CalendarEvent | Reservation, reserved: Reservations) -> str:
    if isinstance(span, CalendarEvent):
        whose = f" of {', '.join(span.queues)}" if span.queues else ""
        return f"{span.name} ({span.kind}{whose}) {_when(span)}"
    return f"{span.queue} has announced {span.gpus} GPUs {_when(span)}: {_believed(span, reserved)}"


def _believed(span: Reservation, reserved: Reservations) -> str:
    kept = reserved.kept.get(Line(span.queue, span.resource))
    if kept is None:
        return f"not counted, as fewer than {LEAST_PAST} were seen or they foretold nothing"
    return f"counted, as {100 * sum(kept) / len(kept):.0f} % of what it announced before was used"


def _when(span: Span) -> str:
    """from Tue 24 Mar 09:00 to Wed 25 Mar 00:00, in the zone that it was told in."""
    begins, ends = (moment.astimezone(ZoneInfo(span.timezone)) for moment in span.times())
    return f"from {_moment(begins)} to {_moment(ends)} {span.timezone}"


def _moment(when: datetime) -> str:
    return f"{when:%a} {when.day} {when:%b %H:%M}"
