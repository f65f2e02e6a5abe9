"""What people told beforehand about the time that is forecast, in sentences."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from forecasting.demand.reservations import LEAST_PAST, Reservations
from gyropilot.domain import Line
from gyropilot.settings import CalendarEvent, CalendarSettings, Reservation, Span

LEAST_SHARE = 0.05
"""Less is not worth a reader's while."""


class Learnt(NamedTuple):
    """What occurrences of an event have taught, over all queues that it is for."""

    occurrences: int = 0
    share: float = 0.0  # to which it is counted
    came: float = 0.0  # GPUs in it, mean over occurrences
    usual: float = 0.0  # GPUs that a forecast made before it expected, which knew of no event


class Believed(NamedTuple):
    """How far what people tell is believed."""

    reserved: Reservations
    learnt: Callable[[str, Collection[str]], Learnt] | None  # of a name and its queues; None: it learns from no event


def told_beforehand(
    settings: CalendarSettings, believed: Believed, lines: Collection[Line], now: datetime, until: datetime
) -> tuple[str, ...]:
    """Events and reservations that are on between two moments, one sentence each, in the order in which they begin."""
    if not settings.events and not settings.reservations:
        return ()
    queues = {line.queue for line in lines}
    events = [e for e in settings.events if _on(e, now, until) and (not e.queues or queues & {*e.queues})]
    announced = [r for r in settings.reservations if _on(r, now, until) and Line(r.queue, r.resource) in lines]
    spans: list[CalendarEvent | Reservation] = sorted([*events, *announced], key=lambda span: span.times())
    return tuple(_sentence(span, believed) for span in spans)


def _on(span: Span, now: datetime, until: datetime) -> bool:
    begins, ends = span.times()
    return begins < until and now < ends


def _sentence(span: CalendarEvent | Reservation, believed: Believed) -> str:
    if isinstance(span, CalendarEvent):
        whose = f" of {', '.join(span.queues)}" if span.queues else ""
        return f"{span.name} ({span.kind}{whose}) {_when(span)}: {_learnt(span, believed)}"
    return f"{span.queue} has announced {span.gpus} GPUs {_when(span)}: {_kept(span, believed.reserved)}"


def _learnt(span: CalendarEvent, believed: Believed) -> str:
    if believed.learnt is None:
        return "not counted, as only forecast.model gyropilot learns from events"
    learnt = believed.learnt(span.name, span.queues)
    match learnt.occurrences:
        case 0:
            return "not counted, as no earlier occurrence was measured"
        case 1:
            return "not counted yet, as one earlier occurrence was measured, and none that it foretold"
    if learnt.share < LEAST_SHARE:
        return f"not counted, as its {learnt.occurrences} earlier occurrences did not foretell each other"
    return (
        f"counted to {learnt.share:.0%}".replace("%", " %") + f", as its {learnt.occurrences} earlier occurrences "
        f"foretold each other: {learnt.came:.0f} GPUs came where {learnt.usual:.0f} were expected"
    )


def _kept(span: Reservation, reserved: Reservations) -> str:
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
