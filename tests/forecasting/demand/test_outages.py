from datetime import timedelta

import numpy as np
import pytest

from forecasting.demand.outages import outages, totals_without_outages, without_outages
from gyropilot.domain import DemandHistory
from tests.fakes import history

DAY = 288
BEGIN, END = 6 * DAY, 6 * DAY + 100


def cluster(*still: tuple[int, int], queues: int = 5, days: int = 12) -> DemandHistory:
    """Queues that are always in use but for some stretches, in which none is, with their total."""
    row = np.full(days * DAY, 8.0)
    for begin, end in still:
        row[begin:end] = 0.0
    return history({f"queue-{i}": row.tolist() for i in range(queues)}).with_totals()


def test_an_outage_is_when_all_queues_stand_still_at_once() -> None:
    assert np.flatnonzero(outages(cluster((BEGIN, END)))).tolist() == list(range(BEGIN, END))


def test_an_outage_that_goes_on_is_one_already() -> None:
    assert np.flatnonzero(outages(cluster((12 * DAY - 5, 12 * DAY)))).tolist() == list(range(12 * DAY - 5, 12 * DAY))


@pytest.mark.parametrize(
    "seen",
    [
        cluster(),
        cluster((BEGIN, END), queues=3),  # may end together by themselves
        cluster((BEGIN, BEGIN + 3 * DAY + 1)),  # that is how things are by now
        cluster(*((day * DAY, day * DAY + 60) for day in range(1, 12))),  # each night
        cluster((0, END)),  # nothing was there before
    ],
)
def test_other_stillness_is_none(seen: DemandHistory) -> None:
    assert not outages(seen).any()
    assert without_outages(seen) is seen
    assert totals_without_outages(seen) is seen


def test_queues_that_end_one_after_the_other_are_no_outage() -> None:
    rows = {f"queue-{i}": [*[8.0] * (BEGIN - i), *[0.0] * 100, *[8.0] * (6 * DAY + i)] for i in range(5)}

    assert not outages(history(rows).with_totals()).any()


def test_a_gap_is_no_outage() -> None:
    assert not outages(cluster((BEGIN, BEGIN))).any()
    seen = cluster((BEGIN, END))
    unseen = np.where(seen.running == 0, np.nan, seen.running)

    assert not outages(DemandHistory(seen.lines, seen.times, unseen, seen.pending)).any()


def test_what_an_outage_left_is_unseen_in_totals_or_in_all() -> None:
    seen = cluster((BEGIN, END))

    in_totals, in_all = (
        np.isnan(taken.demand).sum(axis=1) for taken in (totals_without_outages(seen), without_outages(seen))
    )

    assert in_totals.tolist() == [0, 0, 0, 0, 0, 100]
    assert in_all.tolist() == [100] * 6
    assert np.isfinite(seen.demand).all()


def test_an_outage_of_long_ago_is_no_matter_lately() -> None:
    seen = cluster((BEGIN, END))

    assert totals_without_outages(seen, timedelta(days=3)) is seen
    assert totals_without_outages(seen, timedelta(days=6)) is not seen


def test_nothing_seen_is_no_outage() -> None:
    assert outages(DemandHistory.empty()).tolist() == []
