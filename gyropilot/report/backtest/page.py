"""What stands on a backtest's page, section by section, as values that the template only lays out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from forecasting.backtest.protocol import HOUR, QUANTILES, Bucket
from forecasting.backtest.result import Result, Row, Versus
from gyropilot import __version__
from gyropilot.report.backtest import charts, queues
from gyropilot.report.backtest.words import (
    TITLES,
    against,
    asked_of,
    beside_naive,
    distance,
    headline,
    milliseconds,
    percent,
    percent_span,
    shown,
    span,
    spoken,
    unit,
)
from gyropilot.report.charts import Frame
from gyropilot.report.svg import line, tag
from gyropilot.report.words import duration

Part = dict[str, Any]

WIDE = Frame(1120, 300, left=46, right=210, labels=True)
NARROW = Frame(340, 240, left=46)
KEY = {"ours": "", "first": "the first row", "best": "best peer in some bucket", "other": "others"}


def page(found: Result) -> Part:
    """Everything that the template names."""
    return {
        "version": __version__,
        "headline": headline(found),
        "heading": _kept_together(distance(found)),
        "beside": _kept_together(_beside(found)),
        "tested": asked_of(found),
        "ours": found.replay.drawn.model,
        "peers": len(found.replay.peers),
        "unit": unit(found),
        "whom": "the best peer" if found.replay.peers else found.replay.models[0],
        "figures": _figures(found),
        "key": list(_key(found)),
        "ladders": [_ladder(found, bucket, nth) for nth, bucket in enumerate(found.replay.plan.buckets)],
        "leads": _leads(found),
        "reliability": [_reliability(found, bucket, nth) for nth, bucket in enumerate(found.replay.plan.buckets)],
        "titles": [TITLES[name] for name in TITLES],
        "tables": [_table(found, bucket) for bucket in found.replay.plan.buckets],
        "notes": found.notes,
        "refit": duration(found.replay.plan.refit),
        "step": duration(found.replay.plan.history.step),
        **queues.parts(found),
    }


def _beside(found: Result) -> str:
    """What stands below the heading, as sentences."""
    return " ".join(f"{words[0].upper()}{words[1:]}." for words in (beside_naive(found), found.doubt) if words)


def _kept_together(sentence: str) -> str:
    """So that no line of the heading ends within a name or before a unit."""
    joined = sentence.replace("\N{EN DASH}", "\N{WORD JOINER}\N{EN DASH}\N{WORD JOINER}")
    return joined.replace("-", "\N{NON-BREAKING HYPHEN}").replace(" %", "\N{NO-BREAK SPACE}%")


def class_of(found: Result, model: str) -> str:
    """How a model is drawn: ours, the first row, a best peer, another."""
    best = {row.versus_peer["wql"].other for row in found.rows if row.versus_peer}
    if model == found.replay.drawn.model:
        return "ours"
    return "first" if model == found.replay.models[0] else "best" if model in best else "other"


def _key(found: Result) -> Iterator[Part]:
    classes = {class_of(found, model): model for model in found.replay.models}
    for class_, words in KEY.items():
        if class_ in classes:
            swatch = tag("svg", line((0, 6), (22, 6), f"curve {class_}"), width=22, height=12, aria_hidden="true")
            named = classes[class_] if class_ in ("ours", "first") else words
            yield {"swatch": swatch, "words": named}


def _figures(found: Result) -> list[Part]:
    rows = [found.row(found.replay.drawn.model, bucket.name) for bucket in found.replay.plan.buckets]
    compared = [row for row in rows if against(row)["wql"].other != row.model]
    known = [e for row in compared for v in against(row).values() for e in (v.percent.low, v.percent.high)]
    ends = [0.0, *(e for e in known if math.isfinite(e))]
    return [_figure(row, (min(ends), max(ends))) for row in compared]


def _figure(row: Row, extent: tuple[float, float]) -> Part:
    first, *others = against(row).items()
    return {
        "name": spoken(row.bucket),
        "other": first[1].other,
        "direction": _direction(first[1]),
        **_told(*first, extent),
        "others": [_told(name, versus, extent) for name, versus in others],
    }


def _told(score: str, versus: Versus, extent: tuple[float, float]) -> Part:
    return {
        "score": TITLES[score],
        "middle": percent(versus.percent.value),
        "whisker": charts.difference(versus.percent, extent),
        "range": percent_span(versus.percent),
    }


def _direction(versus: Versus) -> str:
    """In colour only where the whole interval lies on one side."""
    ends = versus.percent.low, versus.percent.high
    return "less" if max(ends) < 0 else "more" if min(ends) > 0 else "unsure"


def _ladder(found: Result, bucket: Bucket, nth: int) -> Part:
    rows = [row for row in found.rows if row.bucket == bucket.name]
    rows.sort(key=lambda row: _last_if_unknown(row.scores["wql"].value))
    marks = [charts.Mark(row.model, class_of(found, row.model), row.scores["wql"]) for row in rows]
    return {"name": spoken(bucket.name), "svg": charts.ladder(marks, f"l{nth}", f"WQL for {spoken(bucket.name)}")}


def _last_if_unknown(value: float) -> float:
    return value if math.isfinite(value) else math.inf


def _leads(found: Result) -> Part | None:
    """WQL hour by hour, where at least three hours were asked about."""
    windows = found.replay.plan.windows
    hours = [at for at, window in enumerate(windows) if window.end - window.start == HOUR]
    if len(hours) < 3:
        return None
    ends = np.array([windows[at].end / HOUR for at in hours])
    parts = np.sum([tally.parts[:, hours, 0] for tally in found.replay.tallies], axis=0)
    wholes = np.sum([tally.wholes[hours, 0] for tally in found.replay.tallies], axis=0)
    loss = np.divide(parts, wholes, out=np.full(parts.shape, np.nan), where=wholes > 0)
    curves = [
        charts.Curve(name, class_of(found, name), ends, loss[nth]) for nth, name in enumerate(found.replay.models)
    ]
    curves.sort(key=lambda curve: list(reversed(KEY)).index(curve.class_))
    return {"wide": charts.leads(curves, WIDE, "hw"), "narrow": charts.leads(curves, NARROW, "hn")}


def _reliability(found: Result, bucket: Bucket, nth: int) -> Part:
    within = found.replay.plan.within(bucket)
    below = np.sum([tally.below[:, within].sum(axis=1) for tally in found.replay.tallies], axis=0)
    count = max(1, sum(int(tally.lines[within].sum()) for tally in found.replay.tallies))
    levels = np.array(QUANTILES)
    curves = [
        charts.Curve(name, class_, levels, below[at] / count)
        for at, name in enumerate(found.replay.models)
        if (class_ := class_of(found, name)) != "other"
    ]
    curves.sort(key=lambda curve: list(reversed(KEY)).index(curve.class_))
    mine = found.row(found.replay.drawn.model, bucket.name).scores
    inner, outer = (shown(name, mine[name].value) for name in ("coverage80", "coverage95"))
    words = _kept_together(f"80 % holds {inner}, 95 % holds {outer}")
    svg = charts.reliability(curves, f"r{nth}", f"Reliability for {spoken(bucket.name)}")
    return {"name": spoken(bucket.name), "words": words, "svg": svg}


def _table(found: Result, bucket: Bucket) -> Part:
    rows = [row for row in found.rows if row.bucket == bucket.name]
    best = {name: _best(rows, name) for name in TITLES if not name.startswith("coverage")}
    return {
        "name": spoken(bucket.name),
        "outcomes": f"{rows[0].outcomes:,}",
        "rows": [
            {
                "model": row.model,
                "class_": class_of(found, row.model),
                "cells": [
                    {"value": shown(n, s.value), "range": span(n, s), "best": best.get(n) == row.model}
                    for n, s in row.scores.items()
                ],
                "versus": "" if against(row)["wql"].other == row.model else percent(against(row)["wql"].percent.value),
                "ms": milliseconds(row.seconds_per_queue),
            }
            for row in rows
        ],
    }


def _best(rows: list[Row], score: str) -> str | None:
    known = [row for row in rows if math.isfinite(row.scores[score].value)]
    return min(known, key=lambda row: row.scores[score].value).model if known else None
