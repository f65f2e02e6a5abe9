import numpy as np

from forecasting.demand.pasts import Pasts
from gyropilot.domain import DemandHistory, Line
from tests.fakes import GPU, history

WEEK = 2016
OLD, NEW = Line("old", GPU), Line("young", GPU)


def with_young(seen: int = 100) -> DemandHistory:
    """One queue of a week, and one that was first seen some steps ago."""
    old = list(np.tile([16.0, 32.0], WEEK // 2))
    return history({"old": old, "young": [np.nan] * (WEEK - seen) + old[-seen:]}).with_totals()


def later(seen: DemandHistory, steps: int) -> DemandHistory:
    """As a later tick sees it: the grid has moved on."""
    times = seen.times + steps * int(seen.step.total_seconds())
    running, pending = (np.roll(rows, -steps, axis=1) for rows in (seen.running, seen.pending))
    running[:, -steps:] = 8.0
    return DemandHistory(seen.lines, times, running, pending)


def test_a_young_queue_takes_the_past_of_its_sibling_and_totals_do_not() -> None:
    seen = with_young()

    full = Pasts.of(seen).added_to(seen)

    assert np.array_equal(full.of(NEW), seen.of(OLD))
    assert np.array_equal(full.running[-1], seen.running[-1])


def test_what_was_found_is_taken_at_later_ticks_too() -> None:
    seen = with_young()
    now = later(seen, 3)

    full = Pasts.of(seen).added_to(now)

    assert np.array_equal(full.of(NEW)[: WEEK - 103], seen.of(OLD)[3 : WEEK - 100])
    assert list(full.of(NEW)[-3:]) == [8.0, 8.0, 8.0]


def test_a_history_in_which_all_have_their_own_past_is_not_copied() -> None:
    seen = history({"old": [16.0] * WEEK}).with_totals()

    assert Pasts.of(seen).added_to(seen) is seen


def test_a_queue_that_is_gone_by_then_is_no_matter() -> None:
    seen = with_young()
    alone = history({"old": [16.0] * WEEK})

    assert Pasts.of(seen).added_to(alone) is alone


def test_another_grid_takes_nothing() -> None:
    seen = with_young()
    shifted = DemandHistory(seen.lines, seen.times + 7, seen.running, seen.pending)

    assert Pasts.of(seen).added_to(shifted) is shifted


def test_a_queue_goes_on_from_one_that_exists_no_more() -> None:
    level = 40.0 + 8.0 * np.random.default_rng(3).integers(-1, 2, WEEK)
    gone = history({"vision": [*level[:-500], *[np.nan] * 500]})
    seen = history({"vision-2": [*[np.nan] * (WEEK - 500), *level[-500:]], "other": [8.0, 16.0] * (WEEK // 2)})

    pasts = Pasts.of(seen.with_totals(), gone)
    full = pasts.added_to(seen)

    assert pasts.renamed == {Line("vision-2", GPU): Line("vision", GPU)}
    assert list(full.of(Line("vision-2", GPU))) == list(level)
