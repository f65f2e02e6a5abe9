from collections.abc import Callable, Collection
from datetime import UTC, date, datetime, timedelta

import pytest

from forecasting.demand.beforehand import Believed, Learnt, told_beforehand
from forecasting.demand.reservations import Reservations
from gyropilot.domain import Line
from gyropilot.settings import CalendarEvent, CalendarSettings, Reservation
from tests.fakes import GPU, NOW

LINES = (Line("research", GPU), Line("vision", GPU))
FESTIVAL = CalendarEvent(
    name="spring festival", kind="holiday", start=date(2026, 3, 3), end=date(2026, 3, 4), timezone="Asia/Shanghai"
)


def told(
    settings: CalendarSettings,
    days: int = 7,
    kept: dict[Line, tuple[float, ...]] | None = None,
    learnt: Callable[[str, Collection[str]], Learnt] | None = None,
) -> list[str]:
    reserved = Reservations(settings.reservations, kept or {})
    return [*told_beforehand(settings, Believed(reserved, learnt), LINES, NOW, NOW + timedelta(days=days))]


def test_an_event_is_told_in_the_zone_that_it_was_told_in() -> None:
    assert told(CalendarSettings(events=(FESTIVAL,))) == [
        "spring festival (holiday) from Tue 3 Mar 00:00 to Thu 5 Mar 00:00 Asia/Shanghai: "
        "not counted, as only forecast.model gyropilot learns from events"
    ]


@pytest.mark.parametrize(
    ("learnt", "sentence"),
    [
        (Learnt(), "not counted, as no earlier occurrence was measured"),
        (Learnt(1, 0.0), "not counted yet, as one earlier occurrence was measured, and none that it foretold"),
        (Learnt(4, 0.04, 30.0, 31.0), "not counted, as its 4 earlier occurrences did not foretell each other"),
        (
            Learnt(3, 0.941, 160.4, 80.2),
            "counted to 94 %, as its 3 earlier occurrences foretold each other: 160 GPUs came where 80 were expected",
        ),
    ],
)
def test_an_event_says_how_far_it_is_counted_and_why(learnt: Learnt, sentence: str) -> None:
    def taught(name: str, queues: Collection[str]) -> Learnt:
        return learnt if (name, queues) == ("spring festival", ()) else Learnt()

    assert told(CalendarSettings(events=(FESTIVAL,)), learnt=taught)[0].endswith(f"Asia/Shanghai: {sentence}")


def test_what_begins_after_the_forecast_ends_or_is_over_is_not_told() -> None:
    over = FESTIVAL.model_copy(update={"start": date(2026, 2, 1), "end": date(2026, 2, 2)})
    far = FESTIVAL.model_copy(update={"start": date(2026, 3, 20), "end": date(2026, 3, 21)})

    assert told(CalendarSettings(events=(over, far))) == []


def test_an_event_of_queues_that_are_not_forecast_is_not_told() -> None:
    theirs = FESTIVAL.model_copy(update={"queues": ("elsewhere",)})

    assert told(CalendarSettings(events=(theirs,))) == []


def test_a_reservation_says_whether_it_counts_and_why() -> None:
    night = {"start": datetime(2026, 3, 2, 20, tzinfo=UTC), "end": datetime(2026, 3, 3, 6, tzinfo=UTC)}
    announced = CalendarSettings(
        reservations=(Reservation(queue="research", gpus=64, **night), Reservation(queue="vision", gpus=8, **night))
    )

    assert told(announced, kept={LINES[0]: (1.0, 0.9, 0.5)}) == [
        "research has announced 64 GPUs from Mon 2 Mar 20:00 to Tue 3 Mar 06:00 UTC: counted, "
        "as 80 % of what it announced before was used",
        "vision has announced 8 GPUs from Mon 2 Mar 20:00 to Tue 3 Mar 06:00 UTC: not counted, "
        "as fewer than 3 were seen or they foretold nothing",
    ]
