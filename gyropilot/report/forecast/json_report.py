"""A forecast as plain JSON: null where nothing is known. docs/forecasting.md says what each key holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, timedelta

import numpy as np

from forecasting.foretold import Foretold
from gyropilot.domain import Line, Voice
from gyropilot.report import sure
from gyropilot.report.forecast.words import OUTLOOK_IS, headline, said
from gyropilot.report.json_report import Json, plain

HOUR = timedelta(hours=1)


def to_json(found: Foretold) -> str:
    """One object; ASCII only, so that any terminal and any file takes it."""
    return json.dumps(to_dict(found), indent=2, allow_nan=False)


def to_dict(found: Foretold) -> Json:
    """Every line at every window and quantile, and why it may be believed."""
    told: Json = plain(
        {
            "made_at": found.demand.made_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "forecaster": found.demand.forecaster,
            "quantiles": list(found.demand.quantiles),
            "windows": [*_windows(found)],
            "outlook": OUTLOOK_IS,
            "lines": [_line(found, line) for line in found.largest_first()],
            "cohorts": [*_cohorts(found)],
            "trust": sure.to_dict(found.demand) | {"known": list(found.outlook.trust.known)},
            "notes": said(found),
            "summary": headline(found),
        }
    )
    return told


def _windows(found: Foretold) -> list[Json]:
    """Seconds after `made_at` between which mean demand is told: steps for a day, hours for a week."""
    step = found.history.step
    spans = [(max(h - step, timedelta(0)), h) for h in found.demand.horizons]
    spans += [(h - HOUR, h) for h in found.outlook.horizons]
    return [{"start_s": start.total_seconds(), "end_s": end.total_seconds()} for start, end in spans]


def _line(found: Foretold, line: Line) -> Json:
    return {"queue": line.queue, **_figures(found, line), "listened_to": _shares(found.voices(line))}


def _cohorts(found: Foretold) -> Iterator[Json]:
    if found.cohorts is not None:
        totals, queues = found.cohorts
        for line in totals.largest_first():
            yield {"cohort": line.queue, "queues": list(queues[line]), **_figures(totals, line)}


def _figures(found: Foretold, line: Line) -> Json:
    return {
        "resource": line.resource,
        "newest_gpus": found.newest(line),
        "values": np.vstack([found.demand.of(line), found.outlook.of(line)]).tolist(),
    }


def _shares(voices: tuple[Voice, ...]) -> dict[str, dict[str, float]]:
    shares: dict[str, dict[str, float]] = {}
    for voice in voices:
        shares.setdefault(voice.bucket, {})[voice.expert] = voice.share
    return shares
