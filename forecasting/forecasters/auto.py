"""The model that was best on the last days, per kind of line and reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Self

import numpy as np

from forecasting.demand.calendar import Place, place_of, settled
from forecasting.demand.seen import some_lines
from forecasting.forecasters.ets import Ets
from forecasting.forecasters.lightgbm_quantile import LightGbm
from forecasting.forecasters.naive import Naive
from forecasting.protocol import Forecaster, State
from forecasting.rolling import replay, until
from forecasting.store import nested
from gyropilot.domain import ALL_QUEUES, DemandHistory, Floats, Window

BUCKETS: Mapping[str, tuple[timedelta, ...]] = {
    "to 30 min": (timedelta(minutes=10), timedelta(minutes=30)),
    "to 3 h": (timedelta(hours=1), timedelta(hours=3)),
    "beyond": (timedelta(hours=6), timedelta(hours=12), timedelta(hours=24)),
}
"""Reaches of horizons that share a choice, each with the horizons that it is judged by; the last one has no end."""

GROUPS = ("queues", "quiet queues", "totals")
QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.99)
VALIDATION = timedelta(days=3)
ORIGIN_EVERY = timedelta(hours=3)
LEAST_GAIN = 0.02
"""A challenger must beat `Naive` by this share: with few days to judge by, less is luck."""

MAX_JUDGED_LINES = 200
INCUMBENT = "naive"


def candidates(num_threads: int = 1) -> dict[str, Forecaster]:
    """What `Auto` chooses from, the incumbent first."""
    models: tuple[Forecaster, ...] = (Naive(), Ets(), LightGbm(num_threads=num_threads))
    return {model.name: model for model in models}


@dataclass(eq=False)
class Auto:
    """Replays the last days with each candidate (rolling origin) and takes the one with the least pinball loss.

    Lines are grouped (busy queues, queues that are mostly at zero, totals), because three days of one
    line are too few to judge by. Before `fit`, and with less than twice the days of validation, it is `Naive`.
    """

    models: Mapping[str, Forecaster] = field(default_factory=candidates)
    chosen: Mapping[tuple[str, str], str] = field(default_factory=dict)  # (group, bucket) -> name of a model
    name: str = field(init=False)  # says what was chosen

    def __post_init__(self) -> None:
        self.name = self._said()

    @property
    def place(self) -> Place | None:
        """By whose clocks its candidates go."""
        return next((place for place in map(place_of, self.models.values()) if place is not None), None)

    def settled(self, place: Place) -> Self:
        """The same, whose candidates go by the clocks of `place`."""
        return type(self)({name: settled(model, place) for name, model in self.models.items()}, self.chosen)

    def fit(self, history: DemandHistory) -> Self:
        """Judges on the last days, then fits what was chosen on everything."""
        chosen = self._judge(history)
        wanted = {INCUMBENT, *chosen.values()}
        fitted = {name: model.fit(history) if name in wanted else model for name, model in self.models.items()}
        return type(self)(fitted, chosen)

    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        """(L, W, Q) GPUs, each line and window from the model that was chosen for it."""
        table = self.models[INCUMBENT].predict(history, windows, quantiles)
        buckets, groups = [_bucket(w.end) for w in windows], _grouped(history)
        for name in sorted(set(self.chosen.values()) - {INCUMBENT}):
            mine = np.zeros(table.shape[:2], dtype=bool)
            for group, rows in groups.items():
                mine[rows] = [self._choice(group, bucket) == name for bucket in buckets]
            at = [int(i) for i in np.flatnonzero(mine.any(axis=0))]
            if at:
                theirs = self.models[name].predict(history, [windows[i] for i in at], quantiles)
                table[:, at] = np.where(mine[:, at, None], theirs, table[:, at])
        return table

    def state(self) -> State:
        """What each model knows, and which was chosen for what."""
        models = {name: model.state() for name, model in self.models.items()}
        return {"models": models, "chosen": [[*key, name] for key, name in self.chosen.items()]}

    @classmethod
    def restored(cls, state: State) -> Self:
        """From what `state` of one with the usual candidates gave."""
        models = {
            name: type(blank).restored(nested(nested(state, "models"), name)) for name, blank in candidates().items()
        }
        return cls(models, {(group, bucket): name for group, bucket, name in state["chosen"]})

    def _said(self) -> str:
        """What was chosen: "auto: naive to 30 min, lightgbm + naive to 3 h, lightgbm beyond"."""
        groups = {group for group, _ in self.chosen} or {GROUPS[0]}
        names = [" + ".join(sorted({self._choice(group, b) for group in groups})) for b in BUCKETS]
        if len(set(names)) == 1:
            return f"auto: {names[0]}"
        return "auto: " + ", ".join(f"{name} {bucket}" for name, bucket in zip(names, BUCKETS, strict=True))

    def _choice(self, group: str, bucket: str) -> str:
        return self.chosen.get((group, bucket), INCUMBENT)

    def _judge(self, history: DemandHistory) -> dict[tuple[str, str], str]:
        """The best model per group and bucket; empty where the history is too short to tell."""
        count, held_out = history.demand.shape[1], round(VALIDATION / history.step)
        if count < 2 * held_out or not history.lines:
            return {}
        judged = _thinned(history, MAX_JUDGED_LINES)
        first = count - 1 - held_out
        columns = range(first, count - 1, max(1, round(ORIGIN_EVERY / history.step)))
        windows = [Window.step(horizon, history.step) for reach in BUCKETS.values() for horizon in reach]
        past = until(judged, first)
        losses = {
            name: replay(model.fit(past), judged, columns, windows, QUANTILES).loss()
            for name, model in self.models.items()
        }
        groups, buckets = _grouped(judged), [_bucket(w.end) for w in windows]
        return {
            (group, bucket): _best(losses, rows, [i for i, b in enumerate(buckets) if b == bucket])
            for group, rows in groups.items()
            for bucket in BUCKETS
        }


def _best(losses: Mapping[str, Floats], rows: Sequence[int], at: Sequence[int]) -> str:
    """The name with the least loss; the incumbent unless it is beaten clearly."""
    total = {name: float(loss[np.ix_(rows, at)].sum()) for name, loss in losses.items()}
    total[INCUMBENT] *= 1 - LEAST_GAIN
    return min(total, key=lambda name: (total[name], name != INCUMBENT))


def _bucket(horizon: timedelta) -> str:
    names = list(BUCKETS)
    return next((name for name in names[:-1] if horizon <= BUCKETS[name][-1]), names[-1])


def _grouped(history: DemandHistory) -> dict[str, list[int]]:
    """Rows of each group that has any."""
    demand = history.demand
    at_zero = (demand <= 0).sum(axis=1) > 0.5 * np.isfinite(demand).sum(axis=1)
    groups: dict[str, list[int]] = {name: [] for name in GROUPS}
    for row, line in enumerate(history.lines):
        groups["totals" if line.queue == ALL_QUEUES else "quiet queues" if at_zero[row] else "queues"].append(row)
    return {name: rows for name, rows in groups.items() if rows}


def _thinned(history: DemandHistory, most: int) -> DemandHistory:
    """At most `most` lines, evenly picked, the totals (which come last) among them."""
    if len(history.lines) <= most:
        return history
    return some_lines(history, np.linspace(0, len(history.lines) - 1, most).round().astype(int))
