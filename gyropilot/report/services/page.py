"""The part of a page that tells what became of services: pictures, and a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from markupsafe import Markup

from envs.served import Served
from gyropilot.report.services import charts
from gyropilot.report.services.words import COLUMNS, cells, share
from gyropilot.report.svg import line, rect, tag

Part = dict[str, Any]

DRAWN = 24
"""Pictures; all are in the table."""


def parts(runs: Sequence[tuple[str, Sequence[Served]]]) -> Part:
    """What the template names of services, for each run by its name; of one alone that is empty."""
    rows = [(nth, name, found) for name, services in runs for nth, found in enumerate(services)]
    rows.sort(key=lambda row: row[0])  # those of one service stand together
    return {
        "served_names": COLUMNS,
        "served_key": _key(),
        "served": [_row(name, found) for _, name, found in rows],
        "served_charts": list(_charts(rows[:DRAWN])),
        "more_served": max(0, len(rows) - DRAWN),
    }


def _charts(rows: Sequence[tuple[int, str, Served]]) -> Iterator[Part]:
    for nth, (_, name, found) in enumerate(rows):
        yield {
            "name": _called(name, found),
            "facts": _facts(found),
            "wide": charts.service_chart(found, charts.WIDE, f"sw{nth}"),
            "narrow": charts.service_chart(found, charts.NARROW, f"sn{nth}"),
        }


def _facts(found: Served) -> str:
    kept = "kept" if found.kept else "missed"
    return f"{share(found.share_within)} within target, {share(found.service.target_share)} promised: {kept}"


def _row(name: str, found: Served) -> Part:
    return {"name": _called(name, found), "cells": cells(found)}


def _called(name: str, found: Served) -> str:
    return f"{found.service.name} · {name}" if name else found.service.name


def _key() -> list[Part]:
    marks = (
        (rect((0, 0), 22, 12, "running"), "load"),
        (line((0, 6), (22, 6), "asked"), "replicas that the autoscaler wants"),
        (rect((0, 0), 22, 12, "p0"), "replicas that answer"),
        (line((0, 6), (22, 6), "demand"), "time to answer"),
        (line((0, 6), (22, 6), "limit past"), "target"),
    )
    return [{"swatch": _swatch(drawn), "words": words} for drawn, words in marks]


def _swatch(drawn: Markup) -> Markup:
    return tag("svg", drawn, width=22, height=12, aria_hidden="true")
