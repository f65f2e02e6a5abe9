"""Whether quantiles are exceeded as often as they say, and what is added to them so that they are.

Conformal quantile tracking (Gibbs and Candes 2021; Angelopoulos, Candes and Tibshirani 2023, "Conformal PID control"):
an offset per line, window and quantile moves up a small step after an outcome above it, and down a smaller one after
an outcome below, whatever the model and the data. Outcomes come in late; each is held against the offsets of today,
not of then, so that a delay never makes them swing.

A total is one line, and a day ahead it has one outcome a day that is new: edge by edge it would take months to become
right. So the edges of its central intervals also part and meet together, as in the symmetric correction of Romano,
Patterson and Candes (2019), "Conformalized quantile regression", and windows learn that from their neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Self

import numpy as np
from numpy.typing import NDArray

from forecasting.grid import between, nearby
from forecasting.pooling import GROUPS, followed, group_means, groups_of, members, or_zero, rows_of
from forecasting.protocol import State
from forecasting.store import floats, lines_from_state, lines_to_state, nested, number, plain, texts
from gyropilot.domain import Floats, Line, Realised


@dataclass(frozen=True, slots=True)
class Steps:
    """How far offsets move after one outcome, in spreads of the line."""

    first: float = 0.02  # at the median, while little was seen
    least: float = 0.005  # in the long run: the smaller the sharper, the larger the sooner right again
    patience: float = 50.0  # outcomes after which a step has shrunk by 0.7
    tail: float = 0.5  # steps grow by (1 / (4 q (1 - q))) to this power, because quantiles lie further apart there
    own: float = 0.25  # part of a step that moves the line's own offset, beside that of all lines
    together: float = 2.0  # steps of n lines together are longer by sqrt(n), at most by this: their mean is surer
    leak: float = 0.02  # by which a line's own offset falls back to that of all lines, per step
    most: float = 10.0  # spreads that an offset may reach

    def of(self, count: Floats, levels: Floats) -> Floats:
        """(..., Q) after `count` (...) outcomes; shrinking as in Angelopoulos, Barber and Bates (2024)."""
        size = np.maximum(self.least, self.first / np.sqrt(1 + count / self.patience))
        steps: Floats = size[..., None] * (0.25 / (levels * (1 - levels))) ** self.tail
        return steps


USUAL_STEPS = Steps()
NO_STEPS = Steps(first=0.0, least=0.0)

TOTALS = GROUPS.index("totals")

REACH = 3.0
"""Over so many neighbours on either side windows learn together how wide totals are: a standard deviation."""


@dataclass(frozen=True, eq=False, slots=True)
class Tracker:
    """What is added to quantiles, in spreads: learnt by all lines of a group together, and by each line alone."""

    lines: tuple[Line, ...]
    levels: Floats  # (Q,) quantiles, ascending
    own: Floats  # (L, W, Q) spreads
    pooled: Floats  # (G, W, Q) spreads
    count: Floats  # (L, W) outcomes seen
    pooled_count: Floats  # (G, W)
    steps: Steps
    apart: Steps  # of both edges of a total's central intervals, away from each other or nearer

    @classmethod
    def start(
        cls,
        windows: int,
        quantiles: Sequence[float],
        lines: Sequence[Line] = (),
        steps: Steps = USUAL_STEPS,
        apart: Steps = NO_STEPS,
    ) -> Self:
        """Adds nothing yet."""
        counts, levels = len(quantiles), np.asarray(quantiles, dtype=np.float64)
        own, pooled = np.zeros((len(lines), windows, counts)), np.zeros((len(GROUPS), windows, counts))
        return cls(tuple(lines), levels, own, pooled, own[..., 0].copy(), pooled[..., 0].copy(), steps, apart)

    @property
    def offsets(self) -> Floats:
        """(L, W, Q) spreads that are added."""
        return self.own + self.pooled[groups_of(self.lines)]

    def adjusted(self, table: Floats, spread: Floats) -> Floats:
        """(L, W, Q) `table` moved by offsets in units of `spread` (L, W): ascending, nothing below zero."""
        return adjusted(table, self.offsets, spread)

    def learnt(self, actual: Floats, said: Floats, spread: Floats, fresh: Floats | float = 1.0) -> Self:
        """Having seen what came, (L, W); NaN: not seen.

        `said` (L, W, Q) and `spread` (L, W) are what was handed to `adjusted` at the time, not what it answered.
        `fresh` broadcasts to (L, W): how much each outcome says that those before it did not. Forecasts of six
        hours ahead that are made each hour err together: 1/6.
        """
        seen = np.isfinite(actual) & np.isfinite(said).all(axis=-1) & (spread > 0)
        miss = np.where(seen[..., None], self._miss(actual, said, spread), np.nan)
        new, groups = np.where(seen, fresh, 0.0), groups_of(self.lines)
        moved = or_zero(miss) - self.steps.leak * self.own
        own = self.own + self.steps.own * self.steps.of(self.count, self.levels) * new[..., None] * moved
        pooled_new = or_zero(group_means(np.where(seen, new, np.nan)[..., None], groups)[..., 0])
        longer = np.minimum(np.sqrt(members(groups) @ seen), self.steps.together)
        together = or_zero(group_means(miss, groups)) * (longer * pooled_new)[..., None]
        pooled = self.pooled + self.steps.of(self.pooled_count, self.levels) * together
        pooled[TOTALS] += self._parted(together[TOTALS], pooled_new[TOTALS])
        most = self.steps.most
        return replace(
            self,
            own=np.clip(own, -most, most),
            pooled=np.clip(pooled, -most, most),
            count=self.count + new,
            pooled_count=self.pooled_count + pooled_new,
        )

    def for_lines(self, lines: Sequence[Line]) -> Self:
        """Rows in the order of `lines`: new ones get what all lines add, vanished ones are forgotten."""
        if tuple(lines) == self.lines:
            return self
        rows = rows_of(self.lines, lines)
        own, count = followed(self.own, rows, 0, 0.0), followed(self.count, rows, 0, 0.0)
        return replace(self, lines=tuple(lines), own=own, count=count)

    def relearnt(self, shifted: NDArray[np.bool_]) -> Self:
        """With long steps again for `shifted` (L,) lines."""
        return replace(self, count=np.where(shifted[:, None], 0.0, self.count))

    def state(self) -> State:
        """As plain data."""
        arrays = {name: getattr(self, name) for name in ("levels", "own", "pooled", "count", "pooled_count")}
        steps = {"steps": asdict(self.steps), "apart": asdict(self.apart)}
        return {"lines": lines_to_state(self.lines), **steps, **arrays}

    @classmethod
    def restored(cls, state: State) -> Self:
        """From `state`."""
        lines = lines_from_state(nested(state, "lines"))
        windows, levels = np.shape(state.get("pooled", ()))[1:2], np.shape(state.get("levels", ()))
        return cls(
            lines,
            floats(state, "levels", levels),
            floats(state, "own", (len(lines), *windows, *levels)),
            floats(state, "pooled", (len(GROUPS), *windows, *levels)),
            floats(state, "count", (len(lines), *windows)),
            floats(state, "pooled_count", (len(GROUPS), *windows)),
            plain(Steps, state, "steps"),
            plain(Steps, state, "apart"),
        )

    def _parted(self, miss: Floats, new: Floats) -> Floats:
        """(W, Q) spreads by which quantiles of totals move, as far up above the median as down below it.

        After what they missed (W, Q), of which a share `new` (W,) is new. What no outcome confirms falls back.
        """
        known = _apart(self.pooled[TOTALS], self.levels)
        wanted = _apart(miss, self.levels) - self.apart.leak * new[:, None] * known
        steps: Floats = self.apart.of(self.pooled_count[TOTALS], self.levels) * (nearby(len(new), REACH) @ wanted)
        return steps

    def _miss(self, actual: Floats, said: Floats, spread: Floats) -> Floats:
        """(L, W, Q) q where the outcome lies above, q - 1 where below; NaN: nothing is learnt.

        An outcome on the edge of a band is within it. That an idle queue stays at zero, as was said, says nothing of
        others, and its offsets must not wind up meanwhile.
        """
        came = actual[..., None]
        answer = np.maximum(said + self.offsets * spread[..., None], 0.0)
        on_edge = np.where(self.levels == 0.5, 0.0, np.where(self.levels < 0.5, self.levels, self.levels - 1))
        side = np.where(came > answer, self.levels, np.where(came < answer, self.levels - 1, on_edge))
        miss: Floats = np.where((came == 0) & ((said == 0) | (answer == 0)), np.nan, side)
        return miss


def _apart(values: Floats, levels: Floats) -> Floats:
    """(W, Q) the part of `values` (W, Q) that is alike on both sides of the median, but for its sign."""
    return (values - values @ between(levels, 1 - levels).T) / 2


def adjusted(table: Floats, offsets: Floats, spread: Floats) -> Floats:
    """(L, W, Q) `table` + offsets (L, W, Q) in units of `spread` (L, W): ascending, nothing below zero."""
    moved: Floats = np.maximum(np.sort(table + offsets * spread[..., None], axis=-1), 0.0)
    return moved


@dataclass(frozen=True, eq=False, slots=True)
class Coverage:
    """Counts of outcomes within central intervals, which fade with time."""

    buckets: tuple[str, ...]  # (W,) of each window
    nominals: tuple[float, ...]  # (N,)
    half_life: timedelta
    inside: Floats  # (G, W, N)
    counted: Floats  # (G, W, N)
    at: datetime | None = None  # of the newest outcome

    @classmethod
    def start(
        cls,
        buckets: Sequence[str],
        nominals: Sequence[float] = (0.8, 0.95),
        half_life: timedelta = timedelta(days=7),
    ) -> Self:
        """Has counted nothing; `buckets` names one for each window, and windows may share it."""
        none = np.zeros((len(GROUPS), len(buckets), len(nominals)))
        return cls(tuple(buckets), tuple(nominals), half_life, none, none)

    def learnt(
        self, lines: Sequence[Line], actual: Floats, said: Floats, quantiles: Sequence[float], at: datetime
    ) -> Self:
        """Having seen at `at` what came (L, W) and what was said (L, W, Q), edges inside; NaN: not seen.

        An interval that reaches beyond the outermost of `quantiles` is not counted.
        """
        belong, seen = members(groups_of(lines)), np.isfinite(actual)
        kept = 1.0 if self.at is None else 0.5 ** (max(at - self.at, timedelta(0)) / self.half_life)
        inside, counted = kept * self.inside, kept * self.counted
        for n, nominal in enumerate(self.nominals):
            edges = np.array([0.5 - nominal / 2, 0.5 + nominal / 2])
            if edges[0] < quantiles[0] - 1e-9 or edges[1] > quantiles[-1] + 1e-9:
                continue
            low, high = np.moveaxis(said @ between(quantiles, edges).T, -1, 0)
            inside[..., n] += belong @ (seen & (actual >= low) & (actual <= high))
            counted[..., n] += belong @ seen
        newest = at if self.at is None else max(at, self.at)
        return replace(self, inside=inside, counted=counted, at=newest)

    def realised(self) -> tuple[Realised, ...]:
        """For each group, bucket and nominal coverage of which anything was counted."""
        names = tuple(dict.fromkeys(self.buckets))
        rows = []
        for g, group in enumerate(GROUPS):
            for bucket in names:
                mine = [w for w, name in enumerate(self.buckets) if name == bucket]
                inside, counted = self.inside[g, mine].sum(axis=0), self.counted[g, mine].sum(axis=0)
                rows += [
                    Realised(group, bucket, nominal, float(inside[n] / counted[n]), float(counted[n]))
                    for n, nominal in enumerate(self.nominals)
                    if counted[n] > 0
                ]
        return tuple(rows)

    def state(self) -> State:
        """As plain data."""
        return {
            "buckets": list(self.buckets),
            "nominals": np.array(self.nominals),
            "half_life_s": self.half_life.total_seconds(),
            "inside": self.inside,
            "counted": self.counted,
            "at_s": None if self.at is None else self.at.timestamp(),
        }

    @classmethod
    def restored(cls, state: State) -> Self:
        """From `state`."""
        buckets, counts = texts(state, "buckets"), np.shape(state.get("nominals", ()))
        shape, at_s = (len(GROUPS), len(buckets), *counts), state.get("at_s")
        return cls(
            buckets,
            tuple(floats(state, "nominals", counts).tolist()),
            timedelta(seconds=number(state, "half_life_s")),
            floats(state, "inside", shape),
            floats(state, "counted", shape),
            None if at_s is None else datetime.fromtimestamp(number(state, "at_s"), UTC),
        )
