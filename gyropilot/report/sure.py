"""How sure a forecast is, in words: whom it listens to, how often its bands held, what surprises it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from gyropilot.domain import DemandForecast, Realised, Trust, Voice
from gyropilot.report.words import UNKNOWN, count, percent

Part = dict[str, Any]

LEAST_SHARE = 0.02
"""Experts that are hardly listened to are left out."""

GROUPS = ("queues", "totals", "cohorts")

WARNED_OF, LEAST_HELD = 0.8, 0.65
"""Of bands that are to hold the one, those that hold less than the other are warned of."""

MEANINGS = {
    "forest": "what followed moments like this one, in any queue",
    "jobs": "how long what runs is likely to go on, and what usually arrives",
    "analog": "what followed moments like this one, in this queue",
    "anomaly": "what is usual at this hour, moved by what is unusual now for as long as that used to last",
    "profile": "what past days had at this hour",
    "smoothing": "the rhythm of its days and what is unusual now, smoothed as would have been best of late",
    "foundation": "how many other series went on from where this one is, two hours to a day ahead",
    "stl": "rhythm of day and week, and the level around it",
    "ridge": "a line through the newest readings and the calendar",
    "seasonal-naive": "as a day or a week ago",
    "naive": "as it is now",
}
"""What an expert goes by."""


def spoken(bucket: str) -> str:
    """next hour; 1–6 h; 6–24 h."""
    hours = bucket.removesuffix("h").replace("-", "\N{EN DASH}")
    return bucket if bucket == "next hour" else f"{hours} h"


def buckets(trust: Trust) -> list[str]:
    """In the order of their windows."""
    return list(dict.fromkeys([*(v.bucket for v in trust.voices), *(r.bucket for r in trust.realised)]))


def listened(voices: Iterable[Voice], bucket: str) -> str:
    """forest 48 %, analog 30 %, ridge 12 %."""
    mine = [v for v in voices if v.bucket == bucket and v.share >= LEAST_SHARE]
    return ", ".join(f"{v.expert} {percent(v.share)}" for v in mine)


def kept_together(words: str) -> str:
    """For a page: no line begins with a unit."""
    return words.replace(" %", "\N{NO-BREAK SPACE}%").replace(" GPU", "\N{NO-BREAK SPACE}GPU")


def groups(trust: Trust) -> list[str]:
    """Of lines: cohorts only where any are counted."""
    counted = {row.group for row in trust.realised}
    return [group for group in GROUPS if group != "cohorts" or group in counted]


def held(realised: Iterable[Realised], group: str, bucket: str, nominal: float) -> Realised | None:
    """What was counted, if anything was."""
    return next((r for r in realised if (r.group, r.bucket, r.nominal) == (group, bucket, nominal)), None)


def sentences(forecast: DemandForecast) -> list[str]:
    """Everything about it, one sentence each: the same in a terminal as on a page."""
    trust = forecast.trust
    told = [f"{forecast.forecaster}: {trust.origin}"] if trust.origin else []
    told += [f"{spoken(b)}: listens to {words}" for b in buckets(trust) if (words := listened(trust.voices, b))]
    told += [words for b in buckets(trust) for group in GROUPS if (words := _held_words(trust, group, b))]
    return [*told, *narrow(trust), *trust.surprises, *trust.renamed, *trust.known]


def narrow(trust: Trust) -> list[str]:
    """1–6 h: 80 % bands of totals held only 58 % of late: they are too narrow, leave room."""
    return [
        f"{spoken(r.bucket)}: {percent(r.nominal)} bands of {r.group} held only {percent(r.coverage)} of late: "
        "they are too narrow, leave room"
        for r in trust.realised
        if r.nominal == WARNED_OF and r.coverage < LEAST_HELD
    ]


def _held_words(trust: Trust, group: str, bucket: str) -> str:
    """next hour: of outcomes of late lay 81 % in 80 % bands, 94 % in 95 % bands (1,240 outcomes of queues)."""
    mine = [r for r in trust.realised if (r.group, r.bucket) == (group, bucket)]
    if not mine:
        return ""
    shares = ", ".join(f"{percent(r.coverage)} in {percent(r.nominal)} bands" for r in mine)
    return (
        f"{spoken(bucket)}: of outcomes of late lay {shares} ({count(round(mine[0].outcomes), 'outcome')} of {group})"
    )


def passage(forecast: DemandForecast) -> Part:
    """The parts of the section "How sure" on a page."""
    trust = forecast.trust
    experts = dict.fromkeys(v.expert for v in trust.voices if v.share >= LEAST_SHARE)
    return {
        "origin": f"{forecast.forecaster}, {trust.origin}." if trust.origin else "",
        "groups": groups(trust),
        "rows": [_row(trust, bucket) for bucket in buckets(trust)],
        "experts": [(name, MEANINGS[name]) for name in experts if name in MEANINGS],
        "sentences": [*narrow(trust), *trust.surprises, *trust.renamed, *trust.known],
        "measured": bool(trust.realised),
    }


def _row(trust: Trust, bucket: str) -> Part:
    return {
        "name": spoken(bucket),
        "listened": kept_together(listened(trust.voices, bucket)) or UNKNOWN,
        "cells": [cell for nominal in (0.8, 0.95) for cell in _cells(trust, bucket, nominal)],
    }


def _cells(trust: Trust, bucket: str, nominal: float) -> Iterator[str]:
    for group in groups(trust):
        found = held(trust.realised, group, bucket, nominal)
        yield percent(found.coverage) if found else UNKNOWN


def to_dict(forecast: DemandForecast) -> Part:
    """For JSON."""
    trust = forecast.trust
    shares: dict[str, dict[str, float]] = {}
    for voice in trust.voices:
        shares.setdefault(voice.bucket, {})[voice.expert] = voice.share
    return {
        "origin": trust.origin,
        "fitted_at": trust.fitted_at.isoformat().replace("+00:00", "Z") if trust.fitted_at else None,
        "listened_to": shares,
        "realised": [row._asdict() for row in trust.realised],
        "shifted_lines": trust.shifted,
        "surprises": list(trust.surprises),
        "renamed": list(trust.renamed),
        "known": list(trust.known),
    }
