"""What is learnt from forecasts whose outcome is known: whom to listen to, how far to correct, whether to doubt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

import numpy as np

from forecasting.grid import between, middles_s, restored_windows, saved_windows, window
from forecasting.losses import pinball
from forecasting.mixture.aggregation import USUAL_PACE, Pace, Weights, at, combined, linear_losses
from forecasting.mixture.calibration import Coverage, Steps, Tracker, adjusted
from forecasting.mixture.drift import Drift, Thresholds, expected_loss
from forecasting.mixture.said import Feedback
from forecasting.once import kept
from forecasting.pooling import Rows, mean_known
from forecasting.protocol import State
from forecasting.store import nested
from gyropilot.domain import Floats, Line, Window

LEVELS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99)
"""Quantiles that are learnt about; others are weighed like their neighbours."""

MEDIAN = (0.5,)
TENTH, NINTH = LEVELS.index(0.1), LEVELS.index(0.9)

HOURS = (2, 3, 4, 6, 9, 12, 16, 20, 24)

BUCKETS: Mapping[str, timedelta] = {
    "next hour": timedelta(hours=1),
    "1-6h": timedelta(hours=6),
    "6-24h": timedelta(days=9),
}
"""Of windows whose coverage is counted together: the last end of each."""

PROMPT = timedelta(hours=2)
"""Windows that end within this tell soon enough whether demand has shifted."""

STEPS = Steps(first=0.01, least=0.0025, own=0.05)
"""Chosen on the weeks before the last of five traces: faster gained on serving, and cost on batch; with larger steps of
its own each line held what it promised, and all together more, because lines that stay as they are hold everything."""

APART = Steps(first=0.03, least=0.03)
"""Of totals, and as long after months: how wide they should be changes with the weeks. Chosen on Helios Earth, 8 to 17
May, and Philly, 17 to 23 November: longer ones gained no more, and those that are longer in the tails cost what they
gained."""

THRESHOLDS = Thresholds(widen_at=10.0, shifted_at=20.0, widest=1.25)

LEAST_SPREAD = 0.005
"""Of a line's largest demand: what offsets are measured in where quantiles lie on one another."""


@kept
def learnt_about(step: timedelta) -> tuple[Window, ...]:
    """Windows in the order of their middles, none shorter than a step of the history."""
    tens = [window(end - 10, end) for end in (10, 30, 60)]
    hours = [window(60 * (hour - 1), 60 * hour) for hour in HOURS]
    fine = [w for w in (*tens, *hours) if w.end - w.start >= step]
    if step > timedelta(minutes=10):
        fine.insert(0, window(0, 60))
    usable = [w for w in fine if w.end - w.start >= step]
    return tuple(usable or [Window(n * step, (n + 1) * step) for n in range(3)])


@dataclass(frozen=True, eq=False, slots=True)
class Answer:
    """What is said about some windows (W) at some quantiles (Q)."""

    mixed: Floats  # (L, W, Q) GPUs, as experts are listened to
    told: Floats  # (L, W, Q) with offsets and widening
    spread: Floats  # (L, W) GPUs that offsets are measured in


@dataclass(frozen=True, eq=False, slots=True)
class Correction:
    """What is made of forecasts of some windows (W) at some quantiles (Q)."""

    offsets: Floats  # (L, W, Q) spreads that are added
    widening: Floats  # (L,)
    quantiles: Sequence[float]
    scale: Floats  # (L,) GPUs

    def told(self, mixed: Floats) -> Answer:
        """With offsets and widening."""
        tenth, ninth = self.quantiles.index(0.1), self.quantiles.index(0.9)
        spread = mixed[..., ninth] - mixed[..., tenth] + LEAST_SPREAD * self.scale[:, None]
        said = adjusted(mixed, self.offsets, spread)
        centre = said @ between(self.quantiles, MEDIAN).T
        wide = np.maximum(centre + (said - centre) * self.widening[:, None, None], 0.0)
        return Answer(mixed, wide, spread)


@dataclass(frozen=True, eq=False, slots=True)
class Lessons:
    """All that is learnt at each feedback."""

    windows: tuple[Window, ...]
    weights: Weights
    tracker: Tracker
    drift: Drift
    coverage: Coverage

    @classmethod
    def start(
        cls, experts: Sequence[str], prior: Sequence[float] | Floats, step: timedelta, pace: Pace = USUAL_PACE
    ) -> Self:
        """Nothing was learnt yet: experts are listened to as in `prior`, (E,) or (E, W, Q)."""
        windows = learnt_about(step)
        return cls(
            windows,
            Weights.start(experts, (len(windows), len(LEVELS)), prior=np.array(prior), pace=pace),
            Tracker.start(len(windows), LEVELS, steps=STEPS, apart=APART),
            Drift.start(thresholds=THRESHOLDS),
            Coverage.start([_bucket(w) for w in windows]),
        )

    @property
    def lines(self) -> tuple[Line, ...]:
        return self.weights.lines

    def for_lines(self, lines: Sequence[Line]) -> Self:
        """Rows in the order of `lines`."""
        if tuple(lines) == self.lines:
            return self
        return replace(
            self,
            weights=self.weights.for_lines(lines),
            tracker=self.tracker.for_lines(lines),
            drift=self.drift.for_lines(lines),
        )

    def mixed(self, experts: Floats, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        """(L, W, Q) from what experts say (E, L, W, Q) about any windows and quantiles."""
        return combined(
            at(self.weights.shares, _near(self.windows, tuple(windows)), between(LEVELS, quantiles)), experts
        )

    def correction(self, windows: Sequence[Window], quantiles: Sequence[float], scale: Floats) -> Correction:
        """Of what is `mixed`; `quantiles` hold 0.1 and 0.9, `scale` (L,) is the largest demand of each line."""
        near = _near(self.windows, tuple(windows))
        offsets = near @ self.tracker.offsets @ between(LEVELS, quantiles).T
        return Correction(offsets, self.drift.widening, quantiles, scale)

    def learnt(self, lines: Sequence[Line], came: Feedback, at: datetime, every: timedelta) -> Self:
        """Having seen what came of forecasts that were made `every` so often, each hour beyond PROMPT."""
        mine = self.for_lines(lines)
        fresh = _new_shares(self.windows, every)
        losses = linear_losses(came.actual, came.mixed, came.experts, LEVELS)
        drift = mine._shifts(came, at)
        return replace(
            mine,
            weights=mine.weights.learnt(losses, fresh[:, None]).relearnt(drift.newly),
            tracker=mine.tracker.learnt(came.actual, came.mixed, came.spread, fresh).relearnt(drift.newly),
            drift=drift,
            coverage=mine.coverage.learnt(lines, came.actual, came.told, LEVELS, at),
        )

    def refitted(self, prior: Floats, pace: Pace) -> Self:
        """After a fit: shifts are known to the experts, who may have had more to learn from than before."""
        return replace(self, weights=self.weights.from_now_on(prior, pace), drift=self.drift.refitted())

    def state(self) -> State:
        """As plain data."""
        parts = {name: getattr(self, name).state() for name in ("weights", "tracker", "drift", "coverage")}
        return {"windows": saved_windows(self.windows), **parts}

    @classmethod
    def restored(cls, state: State) -> Self:
        """From `state`."""
        return cls(
            restored_windows(state["windows"]),
            Weights.restored(nested(state, "weights")),
            Tracker.restored(nested(state, "tracker")),
            Drift.restored(nested(state, "drift")),
            Coverage.restored(nested(state, "coverage")),
        )

    def _shifts(self, came: Feedback, at: datetime) -> Drift:
        """Surprise at windows that tell soon: their mean loss per line beside the one that was expected."""
        prompt = _prompt(self.windows)
        actual, told = came.actual[:, prompt], came.told[:, prompt]
        loss = pinball(actual, told, LEVELS).mean(axis=-1)
        expected = np.where(np.isfinite(loss), expected_loss(told, LEVELS), np.nan)
        return self.drift.learnt(mean_known(loss), mean_known(expected), at)


@kept
def _near(windows: tuple[Window, ...], asked: tuple[Window, ...]) -> Floats:
    """(A, W) parts of the windows that are learnt about that make up each asked one, by the logarithm of leads."""
    known, wanted = (np.log(np.maximum(middles_s(some), 1.0)) for some in (windows, asked))
    return between(known, wanted)


@kept
def _new_shares(windows: Sequence[Window], every: timedelta) -> Floats:
    """(W,) how much of an outcome those before it did not tell: windows of forecasts in a row overlap."""
    apart = [every if w.end <= PROMPT else max(every, timedelta(hours=1)) for w in windows]
    return np.array([min(1.0, between / w.end) for between, w in zip(apart, windows, strict=True)])


@kept
def _prompt(windows: Sequence[Window]) -> Rows:
    """Those that tell soon; the first where none does."""
    return np.array([i for i, w in enumerate(windows) if w.end <= PROMPT] or [0], dtype=np.int64)


def _bucket(asked: Window) -> str:
    return next(name for name, last in BUCKETS.items() if asked.end <= last or name == list(BUCKETS)[-1])
