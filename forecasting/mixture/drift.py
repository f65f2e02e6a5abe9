"""Whether a line's demand has shifted: forecasts that were right err again and again.

A cumulative sum (Page 1954, "Continuous inspection schemes") per line over its pinball loss, in units of the loss that
was to be expected: it rises while losses are clearly larger than usual and falls back otherwise. At a first threshold
bands are widened, at a second the line counts as shifted. One loss, however large, counts as a few usual ones: a gang
that comes or goes is demand as usual, and only what lasts is a shift.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Self

import numpy as np
from numpy.typing import NDArray

from forecasting.losses import pinball
from forecasting.pooling import followed, rows_of
from forecasting.protocol import State
from forecasting.store import floats, lines_from_state, lines_to_state, nested, plain
from gyropilot.domain import ALL_QUEUES, Floats, Line

CALM, SURPRISED, SHIFTED = 0.0, 1.0, 2.0
LEAST_WIDENING = 1.05
"""Below this a band is as it was."""

USUAL_WITHIN = (0.25, 4.0)
"""Usual losses are believed to be within these factors of what a forecast itself expects."""

PRIOR_FEEDBACKS = 20.0
"""As many feedbacks as the belief that losses are as a forecast expects is worth."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When surprise is more than luck; sums are in usual losses."""

    slack: float = 1.0  # usual losses by which a loss must exceed the usual one to count
    most: float = 5.0  # usual losses that a single one counts as, at most
    widen_at: float = 7.0  # three extreme losses in a row
    shifted_at: float = 12.0  # four of them
    widest: float = 2.0  # factor by which bands are widened at most
    half_life: float = 12.0  # feedbacks after which half of the widening is gone
    memory: float = 500.0  # feedbacks over which it is learnt what is usual
    least_gpus: float = 0.1  # losses below this surprise nobody


USUAL_THRESHOLDS = Thresholds()


@dataclass(frozen=True, eq=False, slots=True)
class Drift:
    """How surprising each line has been of late."""

    lines: tuple[Line, ...]
    usual: Floats  # (L,) losses in units of the expected ones
    count: Floats  # (L,) feedbacks that this was learnt from
    rise: Floats  # (L,) the cumulative sum
    rising_since_s: Floats  # (L,) epoch seconds of the first feedback that made it rise; NaN: it is at zero
    level: Floats  # (L,) CALM, SURPRISED or SHIFTED
    since_s: Floats  # (L,) epoch seconds at which that began; NaN where calm
    widening: Floats  # (L,) factor for the width of bands, 1 where calm
    thresholds: Thresholds
    newly: NDArray[np.bool_]  # (L,) found to have shifted by the newest feedback

    @classmethod
    def start(cls, lines: Sequence[Line] = (), thresholds: Thresholds = USUAL_THRESHOLDS) -> Self:
        """All lines are calm."""
        arrays = {name: np.full(len(lines), calm) for name, calm in _WHEN_CALM.items()}
        return cls(tuple(lines), **arrays, thresholds=thresholds, newly=np.zeros(len(lines), bool))

    @property
    def shifted(self) -> NDArray[np.bool_]:
        """(L,) lines for which a new fit is wanted."""
        shifted: NDArray[np.bool_] = self.level == SHIFTED
        return shifted

    def learnt(self, losses: Floats, expected: Floats, at: datetime, fresh: Floats | float = 1.0) -> Self:
        """Having seen at `at` losses (L,) where `expected` (L,) were to be expected, in GPUs; NaN: not seen.

        `fresh` broadcasts to (L,): how much each feedback says that those before it did not.
        """
        seen = np.isfinite(losses) & np.isfinite(expected)
        new = np.where(seen, fresh, 0.0)
        in_expected = np.where(seen, losses, 0.0) / np.maximum(
            np.where(seen, expected, 0.0), self.thresholds.least_gpus
        )
        in_usual = np.minimum(in_expected / self.usual, self.thresholds.most)
        rise = np.maximum(0.0, self.rise + new * (in_usual - 1 - self.thresholds.slack))
        weight = new / (PRIOR_FEEDBACKS + np.minimum(self.count, self.thresholds.memory))
        usual = np.clip(self.usual * (1 + weight * (in_usual - 1)), *USUAL_WITHIN)
        return replace(self, usual=usual, count=self.count + new)._risen(rise, new, at.timestamp())

    def for_lines(self, lines: Sequence[Line]) -> Self:
        """Rows in the order of `lines`; new ones are calm, vanished ones are forgotten."""
        if tuple(lines) == self.lines:
            return self
        rows = rows_of(self.lines, lines)
        arrays = {name: followed(getattr(self, name), rows, 0, calm) for name, calm in _WHEN_CALM.items()}
        newly = followed(self.newly.astype(np.float64), rows, 0, 0.0) > 0
        return type(self)(tuple(lines), **arrays, thresholds=self.thresholds, newly=newly)

    def refitted(self) -> Self:
        """After a new fit: no line is shifted any more, and what is usual is learnt anew for those that were."""
        anew = self.shifted
        return replace(
            self,
            usual=np.where(anew, 1.0, self.usual),
            count=np.where(anew, 0.0, self.count),
            level=np.where(anew, SURPRISED, self.level),
        )

    def sentences(self, now: datetime) -> tuple[str, ...]:
        """What an operator should know, one sentence per line that is not calm, shifted ones first."""
        rows = sorted(np.flatnonzero(self.level > CALM).tolist(), key=lambda row: -self.level[row])
        return tuple(self._sentence(row, now) for row in rows)

    def state(self) -> State:
        """As plain data."""
        arrays = {name: getattr(self, name) for name in _WHEN_CALM}
        return {"lines": lines_to_state(self.lines), "thresholds": asdict(self.thresholds), **arrays}

    @classmethod
    def restored(cls, state: State) -> Self:
        """From `state`."""
        lines = lines_from_state(nested(state, "lines"))
        arrays = {name: floats(state, name, (len(lines),)) for name in _WHEN_CALM}
        thresholds = plain(Thresholds, state, "thresholds")
        return cls(lines, **arrays, thresholds=thresholds, newly=np.zeros(len(lines), bool))

    def _risen(self, rise: Floats, new: Floats, at_s: float) -> Self:
        """With sums at `rise`: levels and widening follow, and a sum that found a shift starts again at zero."""
        limits = self.thresholds
        surprised, newly = rise >= limits.widen_at, rise >= limits.shifted_at
        began_s = np.where(rise > 0, np.fmin(self.rising_since_s, at_s), np.nan)
        faded = 1 + (self.widening - 1) * 0.5 ** (new / limits.half_life)
        wanted = 1 + (limits.widest - 1) * np.minimum(1.0, rise / limits.shifted_at)
        widening = np.where(surprised, np.maximum(faded, wanted), faded)
        calm = widening < LEAST_WIDENING
        level = np.maximum(self.level, np.where(newly, SHIFTED, np.where(surprised, SURPRISED, CALM)))
        return replace(
            self,
            rise=np.where(newly, 0.0, rise),
            rising_since_s=np.where(newly, np.nan, began_s),
            level=np.where(calm, CALM, level),
            since_s=np.where(calm, np.nan, np.where(surprised, np.fmin(self.since_s, began_s), self.since_s)),
            widening=np.where(calm, 1.0, widening),
            newly=newly,
        )

    def _sentence(self, row: int, now: datetime) -> str:
        began = datetime.fromtimestamp(float(self.since_s[row]), UTC)
        since = began.strftime("%H:%M" if now - began < timedelta(hours=20) else "%-d %b %H:%M") + " UTC"
        if self.level[row] == SHIFTED:
            return f"demand of {self._name(row)} has shifted since {since}: bands widened, weights relearnt"
        return f"demand of {self._name(row)} is surprising since {since}: bands widened"

    def _name(self, row: int) -> str:
        """As an operator says it; the resource is told where the queue wants more than one."""
        line = self.lines[row]
        queue = "all queues" if line.queue == ALL_QUEUES else f"queue {line.queue}"
        several = sum(other.queue == line.queue for other in self.lines) > 1
        return f"{queue} ({line.resource})" if several else queue


_WHEN_CALM = {
    "usual": 1.0,
    "count": 0.0,
    "rise": 0.0,
    "rising_since_s": np.nan,
    "level": CALM,
    "since_s": np.nan,
    "widening": 1.0,
}
"""The arrays of `Drift`, and what they hold for a line of which nothing is known."""


def expected_loss(said: Floats, quantiles: Sequence[float]) -> Floats:
    """(L, W) mean pinball loss over quantiles that a forecast (L, W, Q) itself expects, if it is right."""
    levels = np.asarray(quantiles, dtype=np.float64)
    edges = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2, [1.0]])
    expected: Floats = pinball(said, said[..., None, :], quantiles).mean(axis=-1) @ np.diff(edges)
    return expected
