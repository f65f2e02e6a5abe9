import math
from datetime import timedelta

import numpy as np
import pytest

from forecasting.bands import row_quantiles
from forecasting.compiled.bursts import sizes
from forecasting.demand.lineage import idle_s, joined, quieted, renamed, with_borrowed_pasts
from gyropilot.domain import DemandHistory, Line, Window
from tests.fakes import GPU, history

NAN = math.nan
DAY = 288
HOUR, A_DAY = (Window(timedelta(0), timedelta(hours=h)) for h in (1, 24))


def test_a_queue_that_vanished_as_another_appeared_with_like_demand_was_renamed() -> None:
    seen = history(
        {
            "nlp": [64.0] * 500 + [NAN] * 100,
            "language": [NAN] * 501 + [60.0] * 99,
            "vision": [60.0] * 600,
        }
    )

    assert renamed(seen) == {_line("language"): _line("nlp")}


def test_a_rename_is_found_where_nothing_is_known_of_the_first_part() -> None:
    unseen = [NAN] * 8 * DAY  # Prometheus keeps less than was asked for
    seen = history(
        {
            "nlp": [*unseen, *[64.0] * 500, *[NAN] * 100],
            "language": [*unseen, *[NAN] * 500, *[60.0] * 100],
            "vision": [*unseen, *[16.0] * 600],
        }
    )

    assert renamed(seen) == {_line("language"): _line("nlp")}


def test_what_came_and_went_within_a_day_is_nobodys_old_name() -> None:
    seen = history(
        {
            "trial": [*[NAN] * 488, *[64.0] * 12, *[NAN] * 100],
            "language": [*[NAN] * 500, *[60.0] * 100],
            "vision": [16.0] * 600,
        }
    )

    assert renamed(seen) == {}


@pytest.mark.parametrize(("seen_before", "found"), [(2 * DAY, True), (DAY // 2, False)])
def test_it_takes_a_day_that_was_seen_to_know_an_old_name_and_a_newcomer(seen_before: int, found: bool) -> None:
    unseen = [NAN] * (9 * DAY - seen_before)
    seen = history(
        {
            "nlp": [*unseen, *[64.0] * seen_before, *[NAN] * 100],
            "language": [*[NAN] * 9 * DAY, *[60.0] * 100],
        }
    )

    assert renamed(seen) == ({_line("language"): _line("nlp")} if found else {})


def test_a_renamed_queue_keeps_its_past() -> None:
    seen = history({"nlp": [64.0] * 500 + [NAN] * 100, "language": [NAN] * 500 + [60.0] * 100})

    assert joined(seen, renamed(seen)).of(_line("language")).tolist() == [64.0] * 500 + [60.0] * 100
    assert np.isnan(seen.of(_line("language"))[:500]).all()  # what was given is left as it was


def test_a_new_name_that_reads_zero_before_is_a_rename_too() -> None:
    seen = history({"nlp": [64.0] * 500 + [0.0] * 100, "language": [0.0] * 500 + [60.0] * 100})

    assert renamed(seen) == {_line("language"): _line("nlp")}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ([64.0] * 500 + [NAN] * 100, [NAN] * 501 + [8.0] * 99),  # another size
        ([64.0] * 400 + [NAN] * 200, [NAN] * 501 + [64.0] * 99),  # another time
        ([64.0] * 600, [NAN] * 501 + [64.0] * 99),  # did not vanish
        (([0.0] * 80 + [64.0] * 20) * 5 + [0.0] * 100, [NAN] * 501 + [64.0] * 99),  # pauses all the time
        ([64.0] * 500 + [0.0] * 100, [64.0] * 300 + [0.0] * 200 + [64.0] * 100),  # was there before
    ],
)
def test_an_unlike_newcomer_is_nobodys_heir(old: list[float], new: list[float]) -> None:
    assert renamed(history({"nlp": old, "language": new})) == {}


def test_one_old_name_has_one_heir_the_likest() -> None:
    heirs = {"a": [NAN] * 500 + [60.0] * 100, "b": [NAN] * 500 + [64.0] * 100}

    assert renamed(history({"nlp": [64.0] * 500 + [NAN] * 100, **heirs})) == {_line("b"): _line("nlp")}


def test_a_new_queue_borrows_the_past_of_the_sibling_nearest_in_size_scaled() -> None:
    seen = history(
        {
            "large": [400.0] * 5 * DAY,
            "like": [10.0, 30.0] * (5 * DAY // 2),
            "new": [NAN] * (5 * DAY - 24) + [20.0, 60.0] * 12,
        }
    )

    past = with_borrowed_pasts(seen).of(_line("new"))

    assert past.tolist() == [20.0, 60.0] * (5 * DAY // 2)


def test_a_queue_of_quite_another_size_borrows_nothing() -> None:
    seen = history({"large": [400.0] * 5 * DAY, "new": [NAN] * (5 * DAY - 24) + [8.0] * 24})

    assert np.isnan(with_borrowed_pasts(seen).of(_line("new"))[: 5 * DAY - 24]).all()


def test_a_queue_with_a_past_of_its_own_keeps_it() -> None:
    seen = history({"old": [64.0] * 5 * DAY, "late": [NAN] * 2 * DAY + [32.0] * 3 * DAY})

    assert np.array_equal(with_borrowed_pasts(seen).demand, seen.demand, equal_nan=True)


def test_a_dead_queue_has_a_narrow_band_in_which_the_first_burst_is_possible() -> None:
    quantiles = (0.5, 0.9, 0.95, 0.99)
    ten_days, hundred_days = (history({"old": [16.0] * 50 + [0.0] * n * DAY}) for n in (10, 100))
    wide = np.full((1, 1, 4), 16.0)

    tables = [quieted(wide, seen, [A_DAY], quantiles)[0, 0].tolist() for seen in (ten_days, hundred_days)]

    # After ten days it is 1 in 11 within a day; after a hundred, 1 in 101.
    assert tables == [[0.0, 0.0, 16.0, 16.0], [0.0, 0.0, 0.0, 0.0]]
    assert quieted(wide, hundred_days, [A_DAY], (0.5, 0.9, 0.95, 0.999))[0, 0, -1] == 16.0


def test_a_queue_that_was_always_busy_and_is_dead_for_eight_days_is_likelier_to_stay_dead_all_week() -> None:
    dead = history({"dead": [40.0] * 90 * DAY + [0.0] * 8 * DAY})
    ends = [Window(timedelta(hours=h - 1), timedelta(hours=h)) for h in (24, 96, 168)]

    told = quieted(np.zeros((1, 3, 3)), dead, ends, (0.5, 0.9, 0.99))[0]

    # Begun by then: 1 in 9, 4 in 12, 7 in 15.
    assert told.tolist() == [[0.0, 40.0, 40.0], [0.0, 40.0, 40.0], [0.0, 40.0, 40.0]]


def test_bursts_that_are_soon_over_are_seldom_there_at_a_given_hour() -> None:
    hourly = history({"dead": ([40.0] + [0.0] * 11) * 24 * 10 + [40.0] + [0.0] * 8 * DAY})  # one reading in twelve
    week = [Window(timedelta(hours=167), timedelta(hours=168))]

    # Begun by then 7 in 15, there in a twelfth of the time: 3.9 %.
    assert quieted(np.zeros((1, 1, 3)), hourly, week, (0.5, 0.95, 0.99))[0, 0].tolist() == [0.0, 0.0, 40.0]


def test_a_queue_that_was_never_used_may_begin_with_a_node() -> None:
    never = history({"new": [0.0] * 10 * DAY})

    assert quieted(np.zeros((1, 1, 2)), never, [A_DAY], (0.5, 0.99))[0, 0].tolist() == [0.0, 8.0]


def test_the_living_are_left_alone() -> None:
    seen = history({"a": [8.0] * 10 * DAY, "b": [8.0] * 9 * DAY + [0.0] * DAY})
    table = np.full((2, 1, 1), 5.0)

    assert quieted(table, seen, [HOUR], (0.9,)).tolist() == table.tolist()


def test_a_gap_is_not_a_time_without_demand() -> None:
    seen = history({"blind": [8.0] * DAY + [NAN] * 20 * DAY, "idle": [8.0] * DAY + [0.0] * 20 * DAY})

    assert idle_s(seen, (0, 1)).tolist() == [0.0, 20 * 86_400.0]


def test_answers_without_lines_and_without_readings() -> None:
    nothing = DemandHistory.empty()
    unread = DemandHistory((_line("a"),), np.empty(0, np.int64), np.empty((1, 0)), np.empty((1, 0)))

    for seen in (nothing, unread):
        assert renamed(seen) == {}
        assert joined(seen, renamed(seen)).demand.shape == with_borrowed_pasts(seen).demand.shape == seen.demand.shape
        assert idle_s(seen, range(len(seen.lines))).tolist() == [0.0] * len(seen.lines)


def _line(queue: str) -> Line:
    return Line(queue, GPU)


def test_the_total_of_a_resource_is_no_new_name_of_its_only_queue() -> None:
    gone, now = history({"nlp": [64.0] * 500 + [0.0] * 100}), history({"language": [0.0] * 500 + [60.0] * 100})
    whole = now.with_totals()
    both = DemandHistory(
        (*whole.lines, *gone.lines),
        whole.times,
        np.vstack([whole.running, gone.running]),
        np.vstack([whole.pending, gone.pending]),
    )

    assert renamed(both) == {_line("language"): _line("nlp")}


def test_bursts_are_as_large_as_the_quantiles_of_what_was_used() -> None:
    rng = np.random.default_rng(0)
    demand, ranks = np.floor(rng.random((2, 400)) * 16), rng.random((2, 3, 4))
    demand[1] = 0.0

    found = sizes(demand, np.array([0, 1]), ranks, 8.0)

    used = demand[0][demand[0] > 0]
    np.testing.assert_array_equal(found[0], row_quantiles(used[None], ranks[0].ravel())[0].reshape(3, 4))
    assert (found[1] == 8.0).all()
