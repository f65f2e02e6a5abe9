"""The checker finds what it is there to find: each test breaks one promise."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import numpy as np
import pytest

from forecasting.check import check_forecaster
from forecasting.forecasters.naive import Naive
from forecasting.protocol import State
from gyropilot.domain import DemandHistory, Floats, Window
from gyropilot.errors import ForecastError


@dataclass(eq=False)
class Obedient:
    """Does as `Naive` does; each test below changes one thing."""

    inner: Naive

    name = "broken"

    def fit(self, history: DemandHistory) -> Self:
        return type(self)(self.inner.fit(history))

    def state(self) -> State:
        return self.inner.state()

    @classmethod
    def restored(cls, state: State) -> Self:
        return cls(Naive.restored(state))

    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        return self.inner.predict(history, windows, quantiles)


class FitsItself(Obedient):
    def fit(self, history: DemandHistory) -> Self:
        self.inner = self.inner.fit(history)
        return self


class Crosses(Obedient):
    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        return super().predict(history, windows, quantiles)[..., ::-1]


class FillsGapsWithZero(Obedient):
    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        filled = (np.nan_to_num(history.running), np.nan_to_num(history.pending))
        return super().predict(DemandHistory(history.lines, history.times, *filled), windows, quantiles)


class WritesIntoTheHistory(Obedient):
    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        history.running[...] = np.nan_to_num(history.running) + 1
        return super().predict(history, windows, quantiles)


class RollsDice(Obedient):
    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        return super().predict(history, windows, quantiles) * np.random.default_rng().uniform(0.99, 1.01)


class RemembersTheFuture(Obedient):
    highest = 0.0

    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        self.highest = max(self.highest, float(np.max(history.demand, initial=0.0)))
        return super().predict(history, windows, quantiles) + 0.001 * self.highest


class RulesOutTheFirstBurst(Obedient):
    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        return super().predict(history, windows, quantiles) * bool(np.nansum(history.demand))


class AddsOneGpu(Obedient):
    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        return super().predict(history, windows, quantiles) + 1


class ForgetsWhatItLearnt(Obedient):
    def state(self) -> State:
        return Naive().state()


class HandsOutObjects(Obedient):
    def state(self) -> State:
        return {**self.inner.state(), "model": self.inner}


class AddsHoursUp(Obedient):
    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        hours = [max(1.0, (w.end - w.start) / timedelta(hours=1)) for w in windows]
        table: Floats = super().predict(history, windows, quantiles) * np.reshape(np.minimum(hours, 3), (-1, 1))
        return table


class Explodes(Obedient):
    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        table = super().predict(history, windows, quantiles)
        table[..., -1:] += 1_000
        return table


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (FitsItself, "fits itself"),
        (Crosses, "gave quantiles that cross"),
        (FillsGapsWithZero, "takes a gap for a zero"),
        (WritesIntoTheHistory, "changes the history that it is given"),
        (RollsDice, "gives two answers to one question"),
        (RemembersTheFuture, "knows what follows"),
        (RulesOutTheFirstBurst, "gives the first burst of a queue no chance"),
        (AddsOneGpu, "does not scale"),
        (ForgetsWhatItLearnt, "answers otherwise when it is restored"),
        (HandsOutObjects, "holds more than plain data"),
        (AddsHoursUp, "takes a wide window for something else than its parts"),
        (Explodes, "is absurdly high"),
    ],
)
def test_says_which_promise_was_broken(broken: type[Obedient], sentence: str) -> None:
    with pytest.raises(ForecastError, match=sentence):
        check_forecaster(lambda: broken(Naive()))


def test_does_not_ask_for_scale_where_none_is_claimed() -> None:
    check_forecaster(lambda: AddsOneGpu(Naive()), scale_free=False)


def test_says_nothing_about_one_that_keeps_its_word() -> None:
    check_forecaster(lambda: Obedient(Naive()))
