"""A backtest as plain JSON: null where nothing is known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from forecasting.backtest.result import Result, Row, Score, Versus
from gyropilot.report.backtest.words import headline
from gyropilot.report.json_report import Json, plain


def to_json(found: Result) -> str:
    """One object; ASCII only, so that any terminal and any file takes it."""
    return json.dumps(to_dict(found), indent=2, allow_nan=False)


def to_dict(found: Result) -> Json:
    """Every row with every score, its interval, and its distance to the best peer."""
    plan = found.replay.plan
    origins = [_moment(int(plan.history.times[column])) for column in plan.origins]
    told: Json = plain(
        {
            "step_s": int(plan.history.step.total_seconds()),
            "origins": len(origins),
            "first_origin": origins[0],
            "last_origin": origins[-1],
            "queues": int(plan.scored.sum()),
            "rows": [_row(row) for row in found.rows],
            "notes": list(found.notes),
            "summary": headline(found),
        }
    )
    return told


def _row(row: Row) -> Json:
    return {
        "model": row.model,
        "bucket": row.bucket,
        **{name: score.value for name, score in row.scores.items()},
        "vs_best_peer": None if row.versus_peer is None else _versus(row.versus_peer, "peer"),
        "seconds_per_queue": row.seconds_per_queue,
        "intervals": {name: [score.low, score.high] for name, score in row.scores.items()},
        "vs_seasonal_naive": _versus(row.versus_first, ""),
        "vs_naive": None if row.versus_plain is None else _versus(row.versus_plain, ""),
        "outcomes": row.outcomes,
    }


def _versus(versus: Mapping[str, Versus], who: str) -> Json:
    """Percent as [low, mid, high]; the peer is the best by that very score."""
    told: Json = {}
    for score, against in versus.items():
        short = score.removesuffix("_pinball")
        told[short] = _interval(against.percent)
        if who:
            told[who if short == "wql" else f"{short}_{who}"] = against.other
    return told


def _interval(score: Score) -> list[float]:
    return [score.low, score.value, score.high]


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
