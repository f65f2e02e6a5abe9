"""The replay: at each origin everybody is shown what was known then, answers, and is scored on what came."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import numpy as np

from forecasting.backtest.entrants import Peer, answer
from forecasting.backtest.protocol import HOUR, QUANTILES, Plan
from forecasting.backtest.tally import Tally
from forecasting.rolling import until
from forecasting.windows import Sums
from gyropilot.domain import DemandHistory, Floats, Line, Window
from gyropilot.errors import SettingsError

DRAWN_LINES = 6
"""Lines whose forecasts are kept for the pictures, largest demand first."""


@dataclass(frozen=True, eq=False, slots=True)
class Answer:
    """What one model said at one origin."""

    model: str
    origin: datetime
    lines: tuple[Line, ...]
    windows: tuple[Window, ...]
    gpus: Floats  # (L, W, Q) at QUANTILES; NaN: no answer


@dataclass(frozen=True, eq=False, slots=True)
class Drawn:
    """What one model said about the largest lines, beside what came: for pictures."""

    model: str
    rows: tuple[int, ...]  # lines of the history
    gpus: Floats  # (O, rows, W, Q)


@dataclass(frozen=True, eq=False, slots=True)
class Replay:
    """A whole backtest, summed up; O origins, M models."""

    plan: Plan
    models: tuple[str, ...]
    peers: frozenset[str]
    tallies: tuple[Tally, ...]  # one per origin
    seconds: Floats  # (M,) that each model took in all, fits included
    drawn: Drawn


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who else hears of the replay while it runs."""

    heard: Callable[[Answer], None] = lambda answer: None
    told: Callable[[str], None] = lambda phrase: None


@dataclass(slots=True)
class _Replaying:
    plan: Plan
    entrants: Sequence[Peer]
    listeners: Listeners
    timer: Callable[[], float]
    seconds: Floats
    drawn: list[Floats]

    @classmethod
    def of(cls, plan: Plan, entrants: Sequence[Peer], listeners: Listeners, timer: Callable[[], float]) -> Self:
        return cls(plan, entrants, listeners, timer, np.zeros(len(entrants)), [])

    def said(self, known: DemandHistory, phrase: str) -> list[Floats]:
        """Everybody's answer (L, W, Q), and how long each took."""
        windows, answers = self.plan.windows, []
        for nth, entrant in enumerate(self.entrants):
            self.listeners.told(f"{phrase}: {entrant.name}")
            began = self.timer()
            gpus = answer(entrant, known, windows, QUANTILES)
            self.seconds[nth] += self.timer() - began
            answers.append(gpus)
            if known.end is not None:
                self.listeners.heard(Answer(entrant.name, known.end, known.lines, windows, gpus))
        return answers


def replay(
    plan: Plan,
    own: Sequence[Peer],
    peers: Sequence[Peer],
    timer: Callable[[], float],
    listeners: Listeners = Listeners(),
) -> Replay:
    """Runs a plan. `timer` gives seconds, as time.perf_counter does. Raises ForecastError where a model fails."""
    entrants: list[Peer] = [*own, *peers]
    names = tuple(entrant.name for entrant in entrants)
    if len(set(names)) < len(names):
        raise SettingsError(f"two models of one name in {', '.join(names)}; name each once in --models")
    came, scale = outcomes(plan), hourly_change(until(plan.history, int(plan.origins[0])))
    rows, shown = _largest(plan), _shown(own)
    running, tallies = _Replaying.of(plan, entrants, listeners, timer), []
    for nth, column in enumerate(plan.origins):
        known = until(plan.history, int(column))
        said = running.said(known, f"origin {nth + 1} of {len(plan.origins)}")
        tallies.append(Tally.of(came[nth], said, scale))
        running.drawn.append(said[shown][list(rows)])
    drawn = Drawn(names[shown], rows, np.array(running.drawn))
    return Replay(plan, names, frozenset(p.name for p in peers), tuple(tallies), running.seconds, drawn)


def outcomes(plan: Plan) -> Floats:
    """(O, L, W) mean demand that came in each window; NaN where it is not known, and of lines that do not count."""
    sums = Sums.of(plan.history)
    came = np.stack([sums.means_after(plan.origins, window).T for window in plan.windows], axis=-1)
    came[:, ~plan.scored] = np.nan
    return came


def hourly_change(history: DemandHistory) -> Floats:
    """(L,) mean absolute change of demand over an hour: the scale of MASE; NaN where it never changed."""
    lag = max(1, round(HOUR / history.step))
    change = np.abs(history.demand[:, lag:] - history.demand[:, :-lag])
    seen = np.isfinite(change).sum(axis=1)
    total = np.nansum(change, axis=1)
    scale: Floats = np.divide(total, seen, out=np.full(len(total), np.nan), where=(seen > 0) & (total > 0))
    return scale


def _largest(plan: Plan) -> tuple[int, ...]:
    """The scored lines of the largest demand since the first origin."""
    lately = np.nan_to_num(plan.history.demand[:, plan.origins[0] :]).mean(axis=1)
    order = np.argsort(-np.where(plan.scored, lately, -1.0), kind="stable")
    return tuple(int(row) for row in order[: min(DRAWN_LINES, int(plan.scored.sum()))])


def _shown(own: Sequence[Peer]) -> int:
    """The model whose forecasts are drawn: the one that is in force by default, else the first that is no baseline."""
    names = [entrant.name for entrant in own]
    return names.index("gyropilot") if "gyropilot" in names else min(1, len(names) - 1)
