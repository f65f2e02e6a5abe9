from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from forecasting.forecasters.naive import Naive
from forecasting.protocol import State, updated
from forecasting.rolling import replay
from gyropilot.domain import DemandHistory, Floats, Window
from tests.fakes import history


@dataclass(frozen=True, eq=False)
class Counting:
    """Answers with how often it was updated."""

    updates: int = 0
    inner: Naive = field(default_factory=Naive)

    name = "counting"

    def fit(self, history: DemandHistory) -> Self:
        return self

    def update(self, history: DemandHistory) -> Self:
        return replace(self, updates=self.updates + 1)

    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        return 0 * self.inner.predict(history, windows, quantiles) + self.updates

    def state(self) -> State:
        return {"updates": self.updates}

    @classmethod
    def restored(cls, state: State) -> Self:
        return cls(state["updates"])


SEEN = history({"research": [8.0] * 12})


def test_one_that_learns_on_the_way_is_updated() -> None:
    learnt = updated(Counting(), SEEN)

    assert learnt.state() == {"updates": 1}


def test_one_that_does_not_is_left_as_it_was() -> None:
    naive = Naive()

    assert updated(naive, SEEN) is naive


def test_a_replay_updates_before_each_question() -> None:
    played = replay(Counting(), SEEN, [5, 6, 7], [Window.step(SEEN.step, SEEN.step)], [0.5])

    assert played.predicted[:, 0, 0, 0].tolist() == [1.0, 2.0, 3.0]
