"""Linear regression on lags and the calendar, over all lines at once, one for each lead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from forecasting.bands import LEADS_S, Bands
from forecasting.demand.calendar import UTC_PLACE, Place
from forecasting.demand.features import DIFFERENCES, NAMES, Questions, describe
from forecasting.forecasters.naive import plain
from forecasting.forecasters.pooled import (
    MIN_EXAMPLES,
    change_after,
    now_questions,
    past_questions,
    recent_past,
    spread_gpus,
    worthwhile,
)
from forecasting.grid import between
from forecasting.pooling import or_zero
from forecasting.protocol import State
from forecasting.rolling import until
from forecasting.store import floats, nested, number
from forecasting.windows import Sums, over_instants
from gyropilot.domain import DemandHistory, Floats, Window

JUDGED_SHARE = 1 / 3
"""Of the history, at its end: errors are measured there by weights that were learnt before it."""

ERRORS_PER_LINE = 300
FARTHEST = 3.0
"""In units of spread or less: a feature or a change beyond says no more than that it is large."""


@dataclass(frozen=True, eq=False)
class Ridge:
    """Ridge regression (Hoerl and Kennard 1970; scikit-learn) of changes in units of each line's spread.

    Direct: the weights of a lead are learnt for that lead, and those between two are interpolated. The band is split
    conformal: past errors at the end of the history of weights that were learnt before it.
    """

    rows: int = 8_000  # examples for each lead
    alpha: float = 300.0
    seed: int = 0
    changes: Bands = field(default_factory=Bands.none)
    errors: Bands = field(default_factory=Bands.none)
    weights: Floats = field(default_factory=lambda: np.zeros((len(LEADS_S), len(NAMES) + 1)))  # the last: constant
    place: Place = UTC_PLACE

    name = "ridge"

    def settled(self, place: Place) -> Self:
        """The same, by the clocks of `place`."""
        return replace(self, place=place)

    def fit(self, history: DemandHistory) -> Self:
        """Learns twice: on the earlier part to measure errors on the later one, then on all."""
        count = history.demand.shape[1]
        judged_from = count - round(count * JUDGED_SHARE)
        changes = Bands.of_changes(history)
        early = self._learn(until(history, judged_from - 1), changes)
        errors = _own_errors(history, changes, early, judged_from, self.place)
        return replace(self, changes=changes, errors=errors, weights=self._learn(history, changes))

    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        """(L, W, Q) GPUs."""
        changes, errors = self.changes.for_lines(history), self.errors.for_lines(history)
        recent = recent_past(history)
        described = Described.of(recent, changes)

        def answer(ahead_s: Floats) -> Floats:
            if not len(ahead_s) or not recent.demand.size or not self.weights.any():
                return plain(changes, history, ahead_s, quantiles)
            asked = now_questions(recent, np.arange(len(recent.lines)), ahead_s, self.place)
            moved = described.expected_change(asked, self.weights).reshape(len(recent.lines), len(ahead_s))
            centre = recent.demand[:, -1:] + moved
            own = errors.around(np.nan_to_num(centre), np.broadcast_to(ahead_s, centre.shape), quantiles)
            if np.isfinite(centre).all():
                return own
            return np.where(np.isfinite(centre)[..., None], own, plain(changes, history, ahead_s, quantiles))

        return over_instants(answer, windows, history.step)

    def state(self) -> State:
        """Its weights and its bands."""
        options = {"rows": self.rows, "alpha": self.alpha, "seed": self.seed, "place": self.place.state()}
        return {**options, "changes": self.changes.state(), "errors": self.errors.state(), "weights": self.weights}

    @classmethod
    def restored(cls, state: State) -> Self:
        """From what `state` gave."""
        changes, errors = (Bands.restored(nested(state, name)) for name in ("changes", "errors"))
        weights = floats(state, "weights", (len(LEADS_S), len(NAMES) + 1))
        rows, seed = (int(number(state, name)) for name in ("rows", "seed"))
        return cls(rows, number(state, "alpha"), seed, changes, errors, weights, Place.restored(state))

    def _learn(self, history: DemandHistory, changes: Bands) -> Floats:
        """(leads, features + 1) weights; zeros at leads with too few examples."""
        weights, described = np.zeros((len(LEADS_S), len(NAMES) + 1)), Described.of(history, changes)
        for k, lead_s in enumerate(LEADS_S[1:], start=1):
            asked = past_questions(history, np.array([lead_s]), self.rows, self.seed + k, self.place)
            if len(asked.line) >= MIN_EXAMPLES:
                spread = spread_gpus(changes, asked)
                target = np.clip(change_after(history, asked) / spread, -FARTHEST, FARTHEST)
                weights[k] = self._regress(described.features(asked, spread), target)
        return weights

    def _regress(self, features: Floats, target: Floats) -> Floats:
        from sklearn.linear_model import Ridge as Regression
        from sklearn.preprocessing import StandardScaler

        units = StandardScaler().fit(features)
        found = Regression(alpha=self.alpha).fit(units.transform(features), target)
        slopes = found.coef_ / units.scale_
        return np.append(slopes, found.intercept_ - units.mean_ @ slopes)


@dataclass(frozen=True, eq=False, slots=True)
class Described:
    """A history with what each question about it needs."""

    history: DemandHistory
    changes: Bands  # of its lines
    sums: Sums

    @classmethod
    def of(cls, history: DemandHistory, changes: Bands) -> Self:
        return cls(history, changes, Sums.of(history))

    def features(self, asked: Questions, spread: Floats) -> Floats:
        """(N, F) for a linear model: what is missing says nothing, what is huge no more than what is large."""
        features = describe(self.history, asked, spread, self.changes.scale[asked.line], self.sums)
        changes = features[:, DIFFERENCES]
        np.clip(changes, -FARTHEST, FARTHEST, out=changes)
        return or_zero(features)

    def expected_change(self, asked: Questions, weights: Floats) -> Floats:
        """(N,) GPUs by which demand is expected to change; 0 where that is too little to be told."""
        spread = spread_gpus(self.changes, asked)
        leads_s, which = asked.leads
        at_lead = (between(LEADS_S, leads_s) @ weights)[which]
        change = (np.sum(self.features(asked, spread) * at_lead[:, :-1], axis=1) + at_lead[:, -1]) * spread
        return worthwhile(change, self.changes.scale[asked.line])


def _own_errors(history: DemandHistory, changes: Bands, weights: Floats, judged_from: int, place: Place) -> Bands:
    """Bands of what `weights` got wrong from `judged_from` on; where they say nothing, those of changes."""
    described = Described.of(history, changes)
    lines, count = history.demand.shape
    step_s = history.step.total_seconds()

    def errors_at(steps: int) -> Floats:
        before = np.unique(np.linspace(judged_from, count - 1 - steps, ERRORS_PER_LINE).astype(np.int64))
        columns = before[(before >= judged_from) & (before < count - steps)]
        line, column = np.repeat(np.arange(lines), len(columns)), np.tile(columns, lines)
        asked = Questions(line, column, np.full(len(line), steps * step_s), place)
        error = change_after(history, asked) - described.expected_change(asked, weights)
        return error.reshape(lines, len(columns))

    if not weights.any() or not lines:
        return changes
    own, learnt = Bands.of_errors(history, errors_at, step_s), np.flatnonzero(weights.any(axis=1))
    # Changes were measured over the whole history: what is not learnt is known better from them.
    errors = changes.errors.copy()
    errors[:, learnt] = own.errors[:, learnt]
    return replace(own, errors=errors)
