import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.grid import window
from forecasting.mixture.said import Feedback, Said, feedback
from forecasting.rolling import until
from forecasting.store import load, save
from gyropilot.domain import ALL_QUEUES, DemandHistory, Line
from gyropilot.errors import ForecastError
from tests.fakes import GPU, history

WINDOWS = (window(0, 10), window(20, 30), window(0, 60))
RESEARCH, VISION, TOTAL = Line("research", GPU), Line("vision", GPU), Line(ALL_QUEUES, GPU)
COUNTING = history({"research": [float(t) for t in range(40)], "vision": [100.0 + t for t in range(40)]})


def said(
    seen: DemandHistory, column: int, told: float = 7.0, lines: Sequence[Line] | None = None, which: Sequence[int] = ()
) -> Said:
    """That each line is at `told`, two experts one and two above it; of all windows, or of those at `which`."""
    lines = tuple(lines or seen.lines)
    windows = np.array(which or range(len(WINDOWS)), dtype=np.int64)
    table = np.full((len(lines), len(windows), 3), told, dtype=np.float32)
    spread = np.full(table.shape[:2], 2.0, dtype=np.float32)
    scored = np.zeros(len(windows), dtype=bool)
    return Said(int(seen.times[column]), lines, windows, scored, np.stack([table + 1, table + 2]), table, table, spread)


def told_of(came: Feedback) -> list[float | None]:
    """What had been said about each window, of the first line; None: nothing."""
    return [None if np.isnan(value) else float(value) for value in came.told[0, :, 1]]


def test_a_window_is_scored_once_it_has_ended() -> None:
    kept = (said(COUNTING, 10),)

    before, nothing = feedback(kept, WINDOWS, until(COUNTING, 11))
    left, (came,) = feedback(kept, WINDOWS, until(COUNTING, 12))

    assert before == kept
    assert nothing == []
    assert came.actual[:, 0].tolist() == [11.5, 111.5]  # the mean of the next two readings
    assert told_of(came) == [7.0, None, None]
    assert left[0].scored.tolist() == [True, False, False]


def test_it_comes_with_what_each_expert_said_and_what_was_made_of_it() -> None:
    _, (came,) = feedback((said(COUNTING, 10),), WINDOWS, until(COUNTING, 12))

    assert came.experts[:, 0, 0, 0].tolist() == [8.0, 9.0]
    assert came.mixed[0, 0].tolist() == [7.0, 7.0, 7.0]
    assert came.spread[0, 0] == 2.0


def test_nothing_is_scored_twice_and_what_is_scored_whole_is_forgotten() -> None:
    left, first = feedback((said(COUNTING, 10),), WINDOWS, until(COUNTING, 16))
    again, second = feedback(left, WINDOWS, until(COUNTING, 16))
    forgotten, third = feedback(again, WINDOWS, until(COUNTING, 22))

    assert [told_of(came) for came in first] == [[7.0, 7.0, None]]
    assert second == []
    assert [told_of(came) for came in third] == [[None, None, 7.0]]
    assert forgotten == ()


def test_forecasts_of_one_window_are_scored_one_after_the_other_the_oldest_first() -> None:
    kept = tuple(said(COUNTING, column, told=column) for column in (2, 8, 14))

    left, rounds = feedback(kept, WINDOWS, until(COUNTING, 20))

    assert [told_of(came) for came in rounds] == [[2.0, 2.0, 2.0], [8.0, 8.0, 8.0], [14.0, 14.0, None]]
    assert [came.actual[0, 0] for came in rounds] == [3.5, 9.5, 15.5]
    assert [one.scored.tolist() for one in left] == [[True, True, False]]


def test_forecasts_of_some_windows_only_are_scored_for_those() -> None:
    kept = (said(COUNTING, 4, told=4.0), said(COUNTING, 5, told=5.0, which=[1]))

    left, rounds = feedback(kept, WINDOWS, until(COUNTING, 12))

    assert [told_of(came) for came in rounds] == [[4.0, 4.0, None], [None, 5.0, None]]
    assert left == (left[0],)
    assert left[0].at_s == kept[0].at_s


def test_a_line_that_came_since_has_nothing_to_learn() -> None:
    kept = (said(COUNTING, 10, lines=[RESEARCH]),)

    _, (came,) = feedback(kept, WINDOWS, until(COUNTING, 12))

    assert came.actual[0, 0] == 11.5
    assert np.isnan(came.actual[1]).all()
    assert np.isnan(came.experts[:, 1]).all()


def test_a_line_that_went_since_is_left_out_and_order_does_not_matter() -> None:
    kept = (said(COUNTING, 10, lines=[TOTAL, VISION, RESEARCH]),)

    _, (came,) = feedback(kept, WINDOWS, until(COUNTING, 12))

    assert came.actual[:, 0].tolist() == [11.5, 111.5]
    assert came.told.shape[0] == 2


def test_what_began_before_the_history_is_not_known_and_forgotten() -> None:
    kept = (said(COUNTING, 2),)
    trimmed = DemandHistory(COUNTING.lines, COUNTING.times[5:], COUNTING.running[:, 5:], COUNTING.pending[:, 5:])

    left, (came,) = feedback(kept, WINDOWS, trimmed)

    assert np.isnan(came.actual).all()
    assert left == ()


def test_a_gap_is_no_outcome() -> None:
    gappy = COUNTING.running.copy()
    gappy[0, 11:13] = np.nan
    seen = DemandHistory(COUNTING.lines, COUNTING.times, gappy, COUNTING.pending)

    left, (came,) = feedback((said(seen, 10),), WINDOWS, until(seen, 12))

    assert np.isnan(came.actual[0, 0])
    assert came.actual[1, 0] == 111.5
    assert left[0].scored.tolist() == [True, False, False]


def test_what_was_said_of_totals_can_be_left_out() -> None:
    alone = said(COUNTING, 10, lines=[RESEARCH, TOTAL, VISION]).without_totals()

    assert alone.lines == (RESEARCH, VISION)
    assert alone.experts.shape == (2, 2, 3, 3)
    assert alone.told.shape == (2, 3, 3)


def test_is_the_same_after_a_restart(tmp_path: Path) -> None:
    half_scored, _ = feedback((said(COUNTING, 10),), WINDOWS, until(COUNTING, 16))

    save({"kept": [one.state() for one in half_scored]}, tmp_path / "kept.npz")
    again = [Said.restored(state, experts=2, levels=3) for state in load(tmp_path / "kept.npz")["kept"]]

    late = until(COUNTING, 22)
    (_, expected), (_, found) = (feedback(kept, WINDOWS, late) for kept in (half_scored, again))
    for then, now in zip(expected, found, strict=True):
        for part, other in zip(then, now, strict=True):
            np.testing.assert_array_equal(part, other)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        ({"which": np.array([0, 2, 1])}, "do not name each window once, in order"),
        ({"which": np.array([0, 1, 1])}, "do not name each window once, in order"),
        ({"which": np.array([-1, 1, 2])}, "do not name each window once, in order"),
        ({"which": np.array([0.0, 1.0, 2.0])}, "no array 'which'"),
        ({"which": np.array([0, 1])}, "no array 'told'"),
        ({"told": np.zeros((2, 3, 3))}, "no array 'told' .* type float32"),
        ({"scored": np.zeros(2, dtype=bool)}, "no array 'scored'"),
        ({"scored": np.zeros(3, dtype=np.int64)}, "no array 'scored' .* type bool"),
        ({"experts": np.zeros((2, 2, 3, 4), dtype=np.float32)}, "no array 'experts'"),
        ({"experts": np.zeros((3, 2, 3, 3), dtype=np.float32)}, "no array 'experts'"),
        ({"mixed": np.zeros((3, 3, 3), dtype=np.float32)}, "no array 'mixed'"),
        ({"spread": np.zeros((2, 2), dtype=np.float32)}, "no array 'spread'"),
        ({"lines": {"queues": ["research"], "resources": [GPU]}}, "no array 'told'"),
        ({"lines": []}, "no mapping 'lines'"),
        ({"at_s": 1e300}, "no number 'at_s'"),
        ({"at_s": float("nan")}, "no number 'at_s'"),
    ],
)
def test_what_is_not_about_its_lines_and_windows_is_refused(damage: dict[str, object], why: str) -> None:
    with pytest.raises(ForecastError, match=f"{why}.*delete it, the next fit makes a new one"):
        Said.restored({**said(COUNTING, 10).state(), **damage}, experts=2, levels=3)


def test_what_was_said_of_windows_that_nobody_learns_about_is_forgotten() -> None:
    strange, known = said(COUNTING, 10, which=[1, 2, 3]), said(COUNTING, 10)

    alone = feedback((strange,), WINDOWS, until(COUNTING, 12))
    left, (came,) = feedback((strange, known), WINDOWS, until(COUNTING, 12))

    assert alone == ((), [])
    assert [one.which.tolist() for one in left] == [[0, 1, 2]]
    assert told_of(came) == [7.0, None, None]


@settings(max_examples=60, deadline=None)
@given(origins=st.sets(st.integers(0, 30), min_size=1), ticks=st.sets(st.integers(0, 38)))
def test_whenever_it_is_asked_each_forecast_is_held_against_what_came_once(origins: set[int], ticks: set[int]) -> None:
    kept = tuple(said(COUNTING, column, told=column) for column in sorted(origins))
    scored: list[tuple[int, float]] = []

    for tick in [*sorted(ticks), 39]:
        known = tuple(one for one in kept if one.at_s <= COUNTING.times[tick])
        later = tuple(one for one in kept if one.at_s > COUNTING.times[tick])
        left, rounds = feedback(known, WINDOWS, until(COUNTING, tick))
        kept = (*left, *later)
        for came, w in itertools.product(rounds, range(len(WINDOWS))):
            if np.isfinite(came.told[0, w, 0]):
                steps = [round(edge.total_seconds() / 300) for edge in (WINDOWS[w].start, WINDOWS[w].end)]
                origin = int(came.told[0, w, 0])
                assert came.actual[0, w] == pytest.approx(np.mean(range(origin + 1 + steps[0], origin + 1 + steps[1])))
                scored.append((origin, w))

    ended = [(o, w) for o in origins for w in range(3) if o + WINDOWS[w].end.total_seconds() / 300 <= 39]
    assert sorted(scored) == sorted(ended)
