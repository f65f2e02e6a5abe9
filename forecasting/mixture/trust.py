"""Why a forecast may be believed: whom it listens to, how often it was right of late, what surprises it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import numpy as np

from forecasting.mixture.ensemble import Ensemble
from forecasting.mixture.lessons import Lessons
from forecasting.mixture.said import Said
from forecasting.pooling import rows_of
from forecasting.protocol import Forecaster
from gyropilot.domain import ALL_QUEUES, Floats, Line, Trust, Voice

TOLD_SURPRISES = 12
"""Of which sentences are said; after an outage all lines surprise, and nobody reads a thousand."""


def lessons_of(model: Forecaster) -> Lessons | None:
    """What a forecaster has learnt from its own forecasts; None where it does not learn from them."""
    return model.lessons if isinstance(model, Ensemble) else None


def trust(model: Forecaster, lines: Sequence[Line], now: datetime) -> Trust:
    """How far what `model` says of `lines` may be believed. Nothing is claimed of what has not been measured."""
    lessons = lessons_of(model)
    if lessons is None or not isinstance(model, Ensemble):
        return Trust()
    mine = lessons.for_lines(lines)
    queues = [line for line in lines if line.queue != ALL_QUEUES]
    return Trust(
        voices=voices(mine, queues, model.kept),
        realised=mine.coverage.realised(),
        shifted=int(mine.drift.shifted.sum()),
        surprises=_first(mine.drift.sentences(now)),
    )


def voices(lessons: Lessons, lines: Collection[Line], kept: Sequence[Said] = ()) -> tuple[Voice, ...]:
    """The share of each expert in each bucket of windows, mean over lines, windows and quantiles.

    Where an expert had nothing to say in the newest forecast of `kept`, its share is the others'.
    """
    rows = [row for row, line in enumerate(lessons.lines) if line in lines]
    if not rows:
        return ()
    heard = lessons.weights.shares[:, rows].mean(axis=-1) * _spoke(lessons, kept)[:, rows]
    shares = (heard / np.maximum(heard.sum(axis=0), 1e-12)).mean(axis=1)
    found = []
    for bucket in dict.fromkeys(lessons.coverage.buckets):
        within = [w for w, name in enumerate(lessons.coverage.buckets) if name == bucket]
        mean = shares[:, within].mean(axis=1)
        found += [Voice(bucket, lessons.weights.experts[e], float(mean[e])) for e in np.argsort(-mean, kind="stable")]
    return tuple(found)


def _spoke(lessons: Lessons, kept: Sequence[Said]) -> Floats:
    """(E, L, W) 0 where an expert had no answer when all windows were asked about last, else 1."""
    windows = len(lessons.windows)
    spoke = np.ones((len(lessons.weights.experts), len(lessons.lines), windows))
    newest = next((said for said in reversed(kept) if len(said.which) == windows), None)
    if newest is not None:
        rows = rows_of(newest.lines, lessons.lines)
        known = rows >= 0
        spoke[:, known] = np.isfinite(newest.experts[:, rows[known]]).any(axis=-1)
    return spoke


def shifts(model: Forecaster) -> int:
    """How many lines want a new fit, because their demand is not what it was."""
    lessons = lessons_of(model)
    return 0 if lessons is None else int(lessons.drift.shifted.sum())


def _first(sentences: Sequence[str]) -> tuple[str, ...]:
    left = len(sentences) - TOLD_SURPRISES
    more = (f"and {left} more like these",) if left > 0 else ()
    return (*sentences[:TOLD_SURPRISES], *more)
