from datetime import timedelta
from typing import Any

import pytest

from forecasting.demand.reservations import Reservations
from gyropilot.domain import DemandHistory, Line, Window
from gyropilot.settings import CalendarSettings
from tests.fakes import GPU, NOW, history

RESEARCH = Line("research", GPU)
HOUR = [Window(timedelta(hours=h), timedelta(hours=h + 1)) for h in range(3)]
ORIGIN_S = int(NOW.timestamp())


def test_a_queue_that_kept_to_its_reservations_is_believed() -> None:
    kept = Reservations.of(_announced(24, 16, 8, -1), _used(32.0))

    floor = kept.floor([RESEARCH], ORIGIN_S, HOUR, [0.1, 0.5])[0]

    assert floor.tolist() == [[0.0, 0.0], [32.0, 32.0], [32.0, 32.0]]  # announced for in an hour's time


def test_a_queue_that_did_not_show_up_is_not_believed() -> None:
    broken = Reservations.of(_announced(24, 16, 8, -1), _used(0.0))

    assert not broken.floor([RESEARCH], ORIGIN_S, HOUR, [0.5]).any()


def test_a_reservation_half_used_lifts_the_floor_by_half() -> None:
    # 24 of 32 GPUs each time: nearer to what was announced than to none.
    partly = Reservations.of(_announced(24, 16, 8, -1), _used(24.0))

    assert partly.floor([RESEARCH], ORIGIN_S, HOUR[1:2], [0.5])[0, 0, 0] == pytest.approx(24.0)


def test_two_past_reservations_are_too_few() -> None:
    few = Reservations.of(_announced(16, 8, -1), _used(32.0))

    assert not few.floor([RESEARCH], ORIGIN_S, HOUR, [0.5]).any()


def test_knows_nothing_of_queues_without_reservations_or_history() -> None:
    kept = Reservations.of(_announced(24, 16, 8, -1), DemandHistory.empty())

    assert kept.kept == {}
    assert kept.floor([RESEARCH, Line("vision", GPU)], ORIGIN_S, HOUR, [0.5]).shape == (2, 3, 1)


def test_part_of_a_window_counts_in_part() -> None:
    kept = Reservations.of(_announced(24, 16, 8, -1), _used(32.0))
    half = [Window(timedelta(minutes=30), timedelta(minutes=90))]

    assert kept.floor([RESEARCH], ORIGIN_S, half, [0.5])[0, 0, 0] == pytest.approx(16.0)


def _announced(*hours_ago: int) -> CalendarSettings:
    """Reservations of 32 GPUs for two hours each."""
    starts = [NOW - timedelta(hours=ago) for ago in hours_ago]
    spans: list[dict[str, Any]] = [{"start": start, "end": start + timedelta(hours=2)} for start in starts]
    return CalendarSettings.model_validate({"reservations": [{"queue": "research", "gpus": 32, **s} for s in spans]})


def _used(gpus: float) -> DemandHistory:
    """Two hours of `gpus` from 24, 16 and 8 hours ago, else nothing."""
    return history({"research": [0.0] * 12 + ([gpus] * 24 + [0.0] * 72) * 3})
