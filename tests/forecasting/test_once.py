import gc
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from forecasting.compiled import loops
from forecasting.demand.seen import scale_gpus
from forecasting.demand.slots import Slots
from forecasting.mixture.aggregation import Weights
from forecasting.once import kept, once
from gyropilot.domain import DemandHistory, Floats, Window
from tests.fakes import history

HOUR = timedelta(hours=1)


def test_a_history_is_measured_once() -> None:
    measured: list[int] = []

    @once
    def readings(seen: DemandHistory) -> int:
        measured.append(len(seen.times))
        return len(seen.times)

    one, other = history({"research": [1.0, 2.0]}), history({"research": [1.0, 2.0]})

    assert [readings(one), readings(one), readings(other)] == [2, 2, 2]
    assert measured == [2, 2]


def test_what_was_measured_goes_with_its_history() -> None:
    alive: list[int] = []

    class Answer:
        def __init__(self) -> None:
            alive.append(1)

        def __del__(self) -> None:
            alive.pop()

    @once
    def measured(seen: DemandHistory) -> Answer:
        return Answer()

    measured(history({"research": [1.0]}))
    gc.collect()

    assert alive == []


def test_what_is_kept_is_asked_by_position() -> None:
    @kept
    def product(one: int, other: int = 1) -> int:
        return one * other

    assert product(2, 5) == 10
    with pytest.raises(TypeError, match="product is asked by position, not with other="):
        product(2, other=5)


def test_nobody_can_write_to_what_all_are_told() -> None:
    seen = history({"research": [1.0, 64.0]})
    slots, weights = Slots.measured(seen), Weights.start(("naive", "ets"), (1, 1), seen.lines)

    shared: list[Any] = [scale_gpus(seen), seen.seen, *seen.totals.values(), slots.bursty, slots.weekends]
    for array in (*shared, weights.shares):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_what_is_asked_about_the_same_windows_is_worked_out_once() -> None:
    asked: list[Sequence[Window]] = []

    @kept
    def lengths_h(windows: Sequence[Window], factor: float) -> Floats:
        asked.append(windows)
        return np.array([factor * ((w.end - w.start) / HOUR) for w in windows])

    first = lengths_h([Window(0 * HOUR, HOUR), Window(HOUR, 3 * HOUR)], 2.0)
    again = lengths_h((Window(0 * HOUR, HOUR), Window(HOUR, 3 * HOUR)), 2.0)

    assert first.tolist() == [2.0, 4.0]
    assert again is first
    assert len(asked) == 1
    assert lengths_h([Window(0 * HOUR, HOUR)], 2.0).tolist() == [2.0]


def test_loops_are_compiled_where_nothing_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(**options: Any) -> Callable[[Any], Any]:
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return lambda loop: loop

    monkeypatch.setattr(loops, "njit", refusing)

    @loops.compiled
    def twice(number: float) -> float:
        return 2 * number

    assert twice(4.0) == 8.0
