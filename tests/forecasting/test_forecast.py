from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import numpy as np
import pytest

from forecasting.forecast import forecast, known, outlook
from forecasting.forecasters.naive import Naive
from forecasting.protocol import State
from gyropilot.domain import ALL_QUEUES, DemandHistory, Floats, Line, Window
from gyropilot.errors import ForecastError
from gyropilot.settings import CalendarSettings, ForecastSettings, Reservation
from tests.fakes import GPU, NOW, history

SETTINGS = ForecastSettings(horizons=(timedelta(minutes=5), timedelta(hours=1)), quantiles=(0.1, 0.5, 0.9))
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@dataclass
class Fixed:
    """Answers with the same number of GPUs everywhere and writes down what it was asked."""

    gpus: Floats
    asked: list[Window]

    name = "fixed"

    def fit(self, history: DemandHistory) -> Self:
        return self

    def state(self) -> State:
        return {"gpus": self.gpus}

    @classmethod
    def restored(cls, state: State) -> Self:
        return cls(state["gpus"], [])

    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        self.asked.extend(windows)
        return np.broadcast_to(self.gpus, (len(history.lines), len(windows), len(quantiles)))


def test_tells_each_queue_and_the_total() -> None:
    seen = history({"research": [8.0] * 288, "vision": [16.0] * 288})

    told = forecast(Naive(), known(seen), SETTINGS, NOW)

    assert told.made_at == NOW
    assert told.lines == (Line("research", GPU), Line("vision", GPU), Line(ALL_QUEUES, GPU))
    assert told.gpus[:, 0, 1] == pytest.approx([8.0, 16.0, 24.0])


def test_total_is_forecast_from_its_own_history() -> None:
    up, down = [8.0, 16.0] * 1_000, [16.0, 8.0] * 1_000  # whose sum never moves

    told = forecast(Naive(), known(history({"up": up, "down": down})), SETTINGS, NOW)

    assert told.at(Line(ALL_QUEUES, GPU), HOUR, 0.9) == pytest.approx(24.0, abs=0.1)


def test_a_total_knows_no_names() -> None:
    nan = float("nan")
    now = history({"language": [*[nan] * 6, 10.0, 12.0], "vision": [*[nan] * 4, *[4.0] * 4]})
    before = history({"nlp": [*[8.0] * 5, nan, nan, nan], "old-vision": [*[4.0] * 3, nan, *[0.0] * 4]})

    assert known(now, gone=before).of(Line(ALL_QUEUES, GPU)).tolist() == [12.0, 12.0, 12.0, 8.0, 12.0, 4.0, 14.0, 16.0]
    assert known(now, gone=before).lines == (*now.lines, Line(ALL_QUEUES, GPU))


def test_a_total_was_not_seen_where_nobody_was() -> None:
    nan = float("nan")
    now, before = history({"language": [nan, nan, nan, 8.0]}), history({"nlp": [8.0, nan, nan, nan]})

    assert np.isnan(known(now, gone=before).of(Line(ALL_QUEUES, GPU))).tolist() == [False, True, True, False]


def test_what_goes_on_outside_all_queues_is_in_no_total() -> None:
    now, elsewhere = history({"research": [8.0] * 4}), history({"no-queue": [64.0] * 4})

    assert known(now, gone=elsewhere).of(Line(ALL_QUEUES, GPU)).tolist() == [8.0] * 4


def test_horizons_count_from_now_and_not_from_the_newest_reading() -> None:
    fixed = Fixed(np.array(1.0), [])

    forecast(fixed, known(history({"research": [8.0] * 288})), SETTINGS, NOW + 3 * MINUTE)

    assert fixed.asked == [Window(3 * MINUTE, 8 * MINUTE), Window(58 * MINUTE, 63 * MINUTE)]


def test_starts_from_the_newest_reading_before_any_history_exists() -> None:
    told = forecast(Naive(), known(history({"research": [40.0]})), SETTINGS, NOW)

    low, mid, high = told.of(Line("research", GPU))[1]
    assert mid == 40.0
    assert low < 36.0
    assert high > 44.0


def test_guesses_a_little_for_a_queue_that_was_never_seen() -> None:
    told = forecast(Naive(), known(history({"research": [np.nan] * 12})), SETTINGS, NOW)

    low, mid, high = told.of(Line("research", GPU))[1]
    assert (low, mid) == (0.0, 0.0)
    assert 0.5 < high < 8.0


def test_has_no_lines_when_nothing_was_seen_at_all() -> None:
    told = forecast(Naive(), known(DemandHistory.empty()), SETTINGS, NOW)

    assert told.lines == ()
    assert told.gpus.shape == (0, 2, 3)


def test_learns_the_totals_too() -> None:
    fitted = Naive().fit(known(history({"research": [8.0] * 288})))

    assert isinstance(fitted, Naive)
    assert fitted.bands.lines == (Line("research", GPU), Line(ALL_QUEUES, GPU))


@pytest.mark.parametrize(
    ("gpus", "sentence"),
    [
        (np.array(np.nan), "fixed gave a number that is not finite; choose another forecast.model"),
        (np.array([0.0, 1.0, np.inf]), "fixed gave a number that is not finite"),
        (np.array(-1.0), "fixed gave negative demand"),
        (np.array([3.0, 2.0, 1.0]), "fixed gave quantiles that cross"),
    ],
)
def test_refuses_a_table_that_no_pilot_may_act_on(gpus: Floats, sentence: str) -> None:
    with pytest.raises(ForecastError, match=sentence):
        forecast(Fixed(gpus, []), known(history({"research": [8.0] * 12})), SETTINGS, NOW)


def test_refuses_a_history_from_the_future() -> None:
    with pytest.raises(ForecastError, match="check the clocks"):
        forecast(Naive(), known(history({"research": [8.0] * 12})), SETTINGS, NOW - HOUR)


def test_the_outlook_is_of_hours_up_to_a_week_ahead() -> None:
    fixed = Fixed(np.array(1.0), [])

    told = outlook(fixed, known(history({"research": [8.0] * 288})), SETTINGS, NOW + 3 * MINUTE)

    assert [h / HOUR for h in told.horizons] == [48, 72, 96, 120, 144, 168]
    assert fixed.asked[0] == Window(47 * HOUR + 3 * MINUTE, 48 * HOUR + 3 * MINUTE)


def test_a_queue_that_is_dead_for_long_has_no_demand_whatever_the_model_says() -> None:
    dead = history({"busy": [8.0] * 4032, "dead": [8.0] * 864 + [0.0] * 3168})

    told = forecast(Fixed(np.array([4.0, 5.0, 6.0]), []), known(dead), SETTINGS, NOW)

    assert told.of(Line("dead", GPU)).max() == 0.0
    assert told.of(Line("busy", GPU))[0].tolist() == [4.0, 5.0, 6.0]


def announced(past: int) -> CalendarSettings:
    """Afternoons on which 64 GPUs were reserved, and one to come in half an hour."""
    noons = [NOW - timedelta(days=day) for day in range(1, past + 1)]
    spans = [(noon, noon + 6 * HOUR) for noon in noons] + [(NOW + 30 * MINUTE, NOW + 6 * HOUR)]
    return CalendarSettings(
        reservations=tuple(Reservation(queue="research", gpus=64, start=begin, end=end) for begin, end in spans)
    )


def kept_to() -> DemandHistory:
    """A week of four GPUs, and of 64 in the six hours after each noon; NOW is a noon."""
    since_noon_s = 300 * np.arange(-2015, 1) % 86_400
    reserved = (since_noon_s > 0) & (since_noon_s <= 6 * 3600)
    return history({"research": list(np.where(reserved, 64.0, 4.0)), "vision": [8.0] * 2016})


def test_a_reservation_of_those_who_keep_to_it_is_a_floor_and_raises_the_total() -> None:
    seen = known(kept_to())
    fixed = Fixed(np.array([4.0, 5.0, 6.0]), [])

    told = forecast(fixed, seen, SETTINGS, NOW, announced(5))

    research, total = Line("research", GPU), Line(ALL_QUEUES, GPU)
    assert told.of(research)[1].tolist() == [64.0, 64.0, 64.0]
    assert told.of(research)[0].tolist() == [4.0, 5.0, 6.0]
    assert told.of(total)[1].tolist() == [4.0 + 60.0, 5.0 + 59.0, 6.0 + 58.0]


def test_a_reservation_that_nobody_has_kept_to_yet_is_told_and_not_counted() -> None:
    told = forecast(Naive(), known(kept_to()), SETTINGS, NOW, announced(2))

    assert told.of(Line("research", GPU))[1, 1] < 10
    assert told.trust.known[0].startswith("research has announced 64 GPUs from Mon 2 Mar 12:30")
