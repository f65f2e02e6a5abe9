"""Histories and models so small that their scores can be worked out by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Self

import numpy as np

from forecasting.backtest.entrants import Own, Peer
from forecasting.backtest.protocol import Plan, Protocol
from forecasting.backtest.result import Result, result
from forecasting.backtest.run import Listeners, Replay, replay
from forecasting.protocol import Forecaster, State
from gyropilot.domain import DemandHistory, Floats, Line, Window

GPU = "nvidia.com/gpu"
MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


def hourly(demand: dict[str, Sequence[float]], step: timedelta = HOUR, begin: datetime = MIDNIGHT) -> DemandHistory:
    """Demand of each queue at each step from `begin` on, nothing pending."""
    rows = np.array([list(values) for values in demand.values()], dtype=np.float64)
    times = int(begin.timestamp()) + np.arange(rows.shape[1], dtype=np.int64) * int(step.total_seconds())
    return DemandHistory(tuple(Line(name, GPU) for name in demand), times, rows, np.zeros_like(rows))


@dataclass(eq=False)
class Says:
    """A forecaster that says of each line what `rule` makes of its newest reading, at every quantile."""

    name: str = "says"
    rule: Callable[[float], float] = lambda newest: newest
    fits: list[datetime] = field(default_factory=list)
    asked: list[DemandHistory] = field(default_factory=list)

    def fit(self, history: DemandHistory) -> Self:
        assert history.end is not None
        self.fits.append(history.end)
        return self

    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        self.asked.append(history)
        said = np.array([self.rule(float(value)) for value in history.demand[:, -1]])
        return np.broadcast_to(said[:, None, None], (len(said), len(windows), len(quantiles))).copy()

    def state(self) -> State:
        return {"name": self.name}

    @classmethod
    def restored(cls, state: State) -> Self:
        return cls(state["name"])


@dataclass(frozen=True, eq=False)
class Stranger:
    """A peer that says what a function of the history says."""

    name: str
    answer: Callable[[DemandHistory, Sequence[Window], Sequence[float]], Floats]

    def forecast(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        return self.answer(history, windows, quantiles)


def stranger(name: str, rule: Callable[[float], float] = lambda newest: newest) -> Stranger:
    """A peer that answers as `Says` does."""
    return Stranger(name, Says(name, rule).predict)


def own(model: Forecaster, refit: timedelta = timedelta(days=1)) -> Own:
    return Own(model.name, model, refit)


def replayed(
    history: DemandHistory,
    models: Sequence[Forecaster],
    peers: Sequence[Peer] = (),
    listeners: Listeners | None = None,
    **protocol: Any,
) -> Replay:
    """A replay in which everybody takes one second for each answer."""
    told = Protocol(**{"buckets": ("1h",), **protocol})
    plan = Plan.of(history, told)
    ticks = count()
    entrants = [own(model, told.refit) for model in models]
    return replay(plan, entrants, peers, lambda: float(next(ticks)), listeners or Listeners())


def backtested(
    history: DemandHistory, models: Sequence[Forecaster], peers: Sequence[Peer] = (), **protocol: Any
) -> Result:
    return result(replayed(history, models, peers, **protocol))
