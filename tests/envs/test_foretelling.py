"""Forecasts of a simulated cluster are made when somebody looks, and are what they would have been in their time."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pytest

from envs.foretelling import Foretelling, Glance
from envs.recorded import Record
from envs.workloads import Floats
from forecasting.forecasters.naive import Naive
from forecasting.protocol import Forecaster, State
from gyropilot.domain import ALL_QUEUES, DemandHistory, Line, Window
from tests.fakes import GPU, state

STEPS = 60
STEP_S = 300.0


@dataclass(frozen=True)
class Counting:
    """Forecasts how often it learnt, and from how much."""

    fits: int = 0
    updates: int = 0
    seen: int = 0
    name = "counting"

    def fit(self, history: DemandHistory) -> Self:
        return replace(self, fits=self.fits + 1, seen=self.seen + len(history.times))

    def update(self, history: DemandHistory) -> Self:
        return replace(self, updates=self.updates + 1)

    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        shape = (len(history.lines), len(windows), len(quantiles))
        return np.full(shape, 1e6 * self.fits + 1e3 * self.updates + self.seen)

    def state(self) -> State:
        return {}

    @classmethod
    def restored(cls, state: State) -> Self:
        return cls()


class Together(Naive):
    """Naive, and nobody knows that it looks at each line alone."""

    each_alone = False


def recorded() -> Record:
    record = Record.blank(("a", "b"), GPU, STEPS, 0.0, STEP_S)
    for nth, gpus in enumerate(np.floor(np.random.default_rng(0).random((STEPS + 1, 2)) * 64)):
        record.note(nth, gpus, gpus[::-1])
    return record


@pytest.mark.parametrize("model", [Naive(), Counting()], ids=["naive", "counting"])
def test_who_looks_seldom_sees_what_who_always_looks_sees(model: Forecaster) -> None:
    often, seldom = (Foretelling.of(recorded(), model) for _ in range(2))

    always = [often.by(nth)() for nth in range(STEPS)]
    late = {nth: look() for nth, look in [(nth, seldom.by(nth)) for nth in range(STEPS)] if nth in (31, 44, 59)}

    for nth, told in late.items():
        assert told.made_at == always[nth].made_at
        np.testing.assert_array_equal(told.gpus, always[nth].gpus)


def test_totals_are_foretold_alone_as_they_are_with_all_queues() -> None:
    alone, together = (Foretelling.of(recorded(), model) for model in (Naive(), Together()))
    total, queue = Line(ALL_QUEUES, GPU), Line("b", GPU)

    looks = [(alone.by(nth)(), together.by(nth)()) for nth in range(STEPS)]

    for lazy, told in looks:
        assert (lazy.lines, lazy.made_at, lazy.forecaster) == (told.lines, told.made_at, told.forecaster)
        np.testing.assert_array_equal(lazy.of(total), told.of(total))
    assert alone.whole.told is None  # nobody asked about a queue
    np.testing.assert_array_equal(looks[-1][0].of(queue), looks[-1][1].of(queue))
    assert alone.whole.told is not None


def test_a_copy_goes_on_where_it_was_copied() -> None:
    looked = Foretelling.of(recorded(), Naive())
    looked.by(0)()

    copied = deepcopy(looked)

    np.testing.assert_array_equal(copied.by(1)().gpus, looked.by(1)().gpus)
    np.testing.assert_array_equal(copied.by(3)().of(Line(ALL_QUEUES, GPU)), looked.by(3)().of(Line(ALL_QUEUES, GPU)))


def test_a_forecast_is_at_most_a_quarter_of_an_hour_old() -> None:
    looked = Foretelling.of(recorded(), Naive())

    ages = [looked.whole.record.at(nth) - looked.by(nth)().made_at for nth in range(7)]

    assert [age.total_seconds() / 60 for age in ages] == [0, 5, 10, 0, 5, 10, 0]


def test_nothing_is_forecast_for_who_does_not_look() -> None:
    looked = Foretelling.of(recorded(), Counting())

    views = [Glance.of(state, looked.by(nth)) for nth in range(STEPS)]

    assert looked.whole.forecaster == Counting()
    assert views[-1].forecast is views[-1].forecast
    assert looked.whole.forecaster != Counting()


def test_an_earlier_forecast_cannot_be_made_after_more_was_learnt() -> None:
    looked = Foretelling.of(recorded(), Naive())
    early, late = looked.by(0), looked.by(3)
    late()

    with pytest.raises(ValueError, match="in the order of their steps"):
        early()


def test_a_view_that_is_changed_keeps_its_forecast() -> None:
    looked = Foretelling.of(recorded(), Naive())
    glance = Glance.of(state, looked.by(0))

    changed = replace(glance, state=state([]))

    assert changed.forecast is glance.forecast
    assert changed.state.pools == ()
    with pytest.raises(AttributeError, match="a view has no weather"):
        glance.weather  # noqa: B018
