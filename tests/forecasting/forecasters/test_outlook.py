"""The foundation model within the mixture; most of it runs only where that is installed."""

from datetime import timedelta

import numpy as np
import pytest

from forecasting.forecasters import outlook
from forecasting.forecasters.outlook import MOST_LINES, Outlook, in_view
from forecasting.rolling import until
from gyropilot.domain import DemandHistory, Floats, Window
from tests.fakes import history

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
NEAR, FAR, BEYOND = Window(0 * HOUR, HOUR), Window(5 * HOUR, 6 * HOUR), Window(30 * HOUR, 31 * HOUR)
QUANTILES = (0.1, 0.5, 0.9)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows the model was asked about, each time; it says the newest mean plus the number of the step."""
    calls: list[int] = []

    def said(rows: list[Floats], steps: int = 48) -> Floats:
        calls.append(len(rows))
        ahead = np.arange(1.0, steps + 1)
        return np.array([np.repeat((row[-1] + ahead)[:, None], 9, axis=1) for row in rows])

    monkeypatch.setattr(outlook, "zero_shot", said)
    return calls


def test_speaks_of_two_hours_to_a_day_ahead_only(asked: list[int]) -> None:
    said = Outlook().predict(sawtooth(), [NEAR, FAR, BEYOND], QUANTILES)

    assert np.isfinite(said).all(axis=(0, 2)).tolist() == [False, True, False]
    assert [in_view(window, MINUTE) for window in (NEAR, FAR, BEYOND)] == [False, True, False]


def test_speaks_of_the_next_hour_where_steps_are_hours(asked: list[int]) -> None:
    seen = history({"chat": [float(n % 24) for n in range(240)]}, HOUR)

    assert Outlook().predict(seen, [NEAR], QUANTILES)[0, 0].tolist() == [24.0] * 3  # the newest mean and a step
    assert in_view(NEAR, HOUR)


def test_is_asked_once_an_hour(asked: list[int]) -> None:
    seen, model = sawtooth(), Outlook()

    for column in range(len(seen.times) - 121, len(seen.times)):  # the last one is at a full hour
        model.predict(until(seen, column), [FAR], QUANTILES)

    assert asked == [2, 2, 2]


def test_within_the_hour_windows_are_looked_up_where_they_lie_by_then(asked: list[int]) -> None:
    seen, model = sawtooth(), Outlook()
    at_hour = until(seen, len(seen.times) - 61)
    half_past = until(seen, len(seen.times) - 31)

    then, now = (model.predict(known, [FAR], [0.5])[0, 0, 0] for known in (at_hour, half_past))

    assert now == then + 1  # a step of half an hour later
    assert asked == [2]


def test_an_answer_does_not_depend_on_what_was_asked_before(asked: list[int]) -> None:
    seen, used = sawtooth(), Outlook()
    for column in (len(seen.times) - 200, len(seen.times) - 61):
        used.predict(until(seen, column), [FAR], QUANTILES)
    known = until(seen, len(seen.times) - 20)

    assert np.array_equal(used.predict(known, [FAR], QUANTILES), Outlook().predict(known, [FAR], QUANTILES))


def test_is_silent_about_lines_that_never_moved(asked: list[int]) -> None:
    moving: list[float] = sawtooth().demand[0].tolist()
    seen = history({"moves": moving, "idle": len(moving) * [0.0]}, MINUTE)

    moves, idle = Outlook().predict(seen, [FAR], QUANTILES)

    assert np.isfinite(moves).all()
    assert np.isnan(idle).all()


def test_is_silent_where_asking_would_hold_up_a_cycle(asked: list[int]) -> None:
    row = sawtooth().demand[0].tolist()
    many = history({f"queue-{i:02}": row for i in range(MOST_LINES + 1)}, MINUTE)

    assert np.isnan(Outlook().predict(many, [FAR], QUANTILES)).all()
    assert asked == []


def test_is_asked_again_where_the_past_turned_out_otherwise(asked: list[int]) -> None:
    seen, model = sawtooth(), Outlook()
    later = DemandHistory(seen.lines, seen.times, seen.running.copy(), seen.pending)
    later.running[0, -61] += 30

    for known in (seen, later):
        model.predict(until(known, len(seen.times) - 61), [FAR], QUANTILES)

    assert asked == [2, 2]


def test_is_silent_before_any_history(asked: list[int]) -> None:
    assert np.isnan(Outlook().predict(until(sawtooth(), -1), [FAR], QUANTILES)).all()
    assert asked == []


def sawtooth() -> DemandHistory:
    """Two queues over two days, the last reading at a full hour."""
    minutes = range(2 * 24 * 60 + 1)
    return history({"research": [10 + at % 90 for at in minutes], "batch": [20 + at % 150 for at in minutes]}, MINUTE)
