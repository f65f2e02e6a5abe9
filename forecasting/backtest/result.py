"""What a backtest found: a row per model and bucket, each score with its interval and its distance to the best peer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from forecasting.backtest.bootstrap import by_day, draws, interval, ratio
from forecasting.backtest.protocol import Bucket
from forecasting.backtest.run import Replay
from forecasting.backtest.tally import SCORES
from gyropilot.domain import Floats

SEED = 0
COMPARED = ("wql", "p95_pinball", "p99_pinball")
DAY_S = 86_400
PLAIN = "naive"
"""Demand stays as it is: the model that any other has to beat to be worth running."""

LEAST_DAYS = 5
"""Intervals from fewer days than that say little: they draw from a handful of values."""


@dataclass(frozen=True, slots=True)
class Score:
    """A figure with its 90 % interval; NaN where it is not known, the interval also where there is one day only."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Versus:
    """How much more (+) or less (−) than another model by the same score, in percent."""

    other: str
    percent: Score


@dataclass(frozen=True, slots=True)
class Row:
    """One model on one bucket."""

    model: str
    bucket: str
    scores: Mapping[str, Score]  # by the names in SCORES
    versus_first: Mapping[str, Versus]  # by COMPARED: against the first row, SeasonalNaive
    versus_peer: Mapping[str, Versus] | None  # by COMPARED: against the best peer; None: no peer took part
    versus_plain: Mapping[str, Versus] | None  # by COMPARED: against "naive"; None: it took no part
    outcomes: int  # that were scored: queues x windows x origins
    seconds_per_queue: float  # for one queue at one origin, its share of the fits included


@dataclass(frozen=True, eq=False, slots=True)
class Result:
    """A backtest, ready to be told."""

    replay: Replay
    rows: tuple[Row, ...]  # by bucket, then in the order of the models
    notes: tuple[str, ...]

    def row(self, model: str, bucket: str) -> Row:
        return next(r for r in self.rows if (r.model, r.bucket) == (model, bucket))

    @property
    def days(self) -> int:
        """On how many UTC days origins lie: what intervals are drawn from."""
        return len(np.unique(_days(self.replay)))

    @property
    def doubt(self) -> str:
        """What has to be said beside the intervals; empty where they may be trusted."""
        return f"intervals from {self.days} days only: not to be trusted" if 1 < self.days < LEAST_DAYS else ""


def result(replay: Replay, notes: Sequence[str] = (), seed: int = SEED) -> Result:
    """The scores of a replay; `notes` are what is to be said besides."""
    rows = [row for bucket in replay.plan.buckets for row in _rows(replay, bucket, seed)]
    found = Result(replay, tuple(rows), (*notes, *replay.plan.notes, *_counted(replay)))
    return replace(found, notes=(*found.notes, found.doubt)) if found.doubt else found


def _rows(replay: Replay, bucket: Bucket, seed: int) -> list[Row]:
    sums = _Sums.of(replay, bucket, seed)
    peers = [nth for nth, name in enumerate(replay.models) if name in replay.peers]
    plain = [nth for nth, name in enumerate(replay.models) if name == PLAIN and name not in replay.peers]
    took = replay.seconds / (len(replay.plan.origins) * len(replay.plan.history.lines))
    return [
        Row(
            model=name,
            bucket=bucket.name,
            scores={score: sums.score(nth, at) for at, score in enumerate(SCORES)},
            versus_first=_versus(replay, sums, nth, [0]),
            versus_peer=_versus(replay, sums, nth, peers) if peers else None,
            versus_plain=_versus(replay, sums, nth, plain) if plain else None,
            outcomes=sums.outcomes,
            seconds_per_queue=float(took[nth]),
        )
        for nth, name in enumerate(replay.models)
    ]


@dataclass(frozen=True, eq=False, slots=True)
class _Sums:
    """Of one bucket, by day, with the draws of days that all models share."""

    parts: Floats  # (M, D, S)
    wholes: Floats  # (D, S)
    drawn: Floats  # (draws, D) how often each day is in each draw; no draws where there is one day
    outcomes: int

    @classmethod
    def of(cls, replay: Replay, bucket: Bucket, seed: int) -> _Sums:
        within, day = replay.plan.within(bucket), _days(replay)
        parts = np.stack([tally.parts[:, within].sum(axis=1) for tally in replay.tallies])
        wholes = np.stack([tally.wholes[within].sum(axis=0) for tally in replay.tallies])
        many = len(np.unique(day))
        return cls(
            parts=by_day(parts, day).transpose(1, 0, 2),
            wholes=by_day(wholes, day),
            drawn=draws(many, seed) if many > 1 else np.empty((0, many)),
            outcomes=sum(int(tally.lines[within].sum()) for tally in replay.tallies),
        )

    def score(self, model: int, score: int) -> Score:
        part, whole = self.parts[model, :, score], self.wholes[:, score]
        value = ratio(part.sum(), whole.sum())
        return Score(float(value), *interval(ratio(self.drawn @ part, self.drawn @ whole)))

    def best(self, models: Sequence[int], score: int) -> int:
        """The model of the least loss."""
        return min(models, key=lambda model: float(self.parts[model, :, score].sum()))

    def percent(self, model: int, other: int, score: int) -> Score:
        """How much more a model loses than another on the same days; NaN where no demand is there to lose of."""
        if not self.wholes[:, score].any():
            return Score(*[float("nan")] * 3)
        mine, theirs = self.parts[model, :, score], self.parts[other, :, score]
        value = 100 * (ratio(mine.sum(), theirs.sum()) - 1)
        drawn = 100 * (ratio(self.drawn @ mine, self.drawn @ theirs) - 1)
        return Score(float(value), *interval(drawn))


def _versus(replay: Replay, sums: _Sums, model: int, others: Sequence[int]) -> dict[str, Versus]:
    """Against the best of some others, score by score."""
    told = {}
    for score in COMPARED:
        at = SCORES.index(score)
        best = sums.best(others, at)
        told[score] = Versus(replay.models[best], sums.percent(model, best, at))
    return told


def _days(replay: Replay) -> NDArray[np.int64]:
    """(O,) UTC day of each origin."""
    days: NDArray[np.int64] = replay.plan.history.times[replay.plan.origins] // DAY_S
    return days


def _counted(replay: Replay) -> list[str]:
    """What was not scored, and why the intervals are missing where they are."""
    scored = sum(int(tally.lines.sum()) for tally in replay.tallies)
    left_out = sum(int(tally.left_out.sum()) for tally in replay.tallies)
    windows = len(replay.tallies) * len(replay.plan.windows) * int(replay.plan.scored.sum())
    notes = [f"{scored:,} of {windows:,} outcomes were scored (queues x windows x origins)"]
    if unknown := windows - scored - left_out:
        why = "the readings are missing, or the window ends after the history"
        notes.append(f"{unknown:,} {_are(unknown)} not known: {why}")
    if left_out:
        notes.append(f"{left_out:,} {_are(left_out)} left out for all, because some model gave no answer")
    if len(np.unique(_days(replay))) < 2:
        notes.append("the origins lie within one day, so there are no intervals; test more than one day")
    return notes


def _are(many: int) -> str:
    return "is" if many == 1 else "are"
