"""A backtest in words: the same in the terminal, on the page and in JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime

from forecasting.backtest.result import PLAIN, Result, Row, Score, Versus
from gyropilot.report.words import UNKNOWN, count, day, signed

TITLES = {
    "wql": "WQL",
    "p95_pinball": "P95",
    "p99_pinball": "P99",
    "crps": "CRPS",
    "mase": "MASE",
    "coverage80": "in 80 %",
    "coverage95": "in 95 %",
}

SAME = "as much"
LEAST = 0.05
"""In percent: less than that would be told as 0.0."""


def headline(found: Result) -> str:
    """How the drawn model fares: the summary of a backtest."""
    if len(found.replay.models) > 1 and all(not math.isfinite(row.scores["wql"].value) for row in _ends(found)):
        return "there was no demand in what was scored, so that nobody can say who loses more of it"
    return "; ".join(filter(None, (distance(found), beside_naive(found))))


def distance(found: Result) -> str:
    """How the drawn model fares against the best peer, else against the first row: at first, and over all."""
    first, *_ = ends = _ends(found)
    last = ends[-1]
    if against(first)["wql"].other == first.model:
        return f"{first.model}: WQL {figure(first.scores['wql'].value)} for {spoken(first.bucket)}"
    whom = "the best peer" if found.replay.peers else against(first)["wql"].other
    less = _less(against(first)["wql"])
    told = f"{first.model} loses {less} {'as' if less == SAME else 'than'} {whom} for {spoken(first.bucket)}"
    return told if last is first else f"{told}, {_less(against(last)['wql'])} for {spoken(last.bucket)}"


def beside_naive(found: Result) -> str:
    """The same against "demand stays", with its interval; empty where peers, or that model itself, are told already."""
    if found.replay.peers or PLAIN in (found.replay.drawn.model, found.replay.models[0]):
        return ""
    told = [
        f"{_less(row.versus_plain['wql'])}{_bracketed(row.versus_plain['wql'].percent)} for {spoken(row.bucket)}"
        for row in _ends(found)
        if row.versus_plain is not None
    ]
    return f"against {PLAIN} {', '.join(told)}" if told else ""


def _ends(found: Result) -> list[Row]:
    """The drawn model on the first and on the last bucket, once where there is one."""
    rows = [found.row(found.replay.drawn.model, bucket.name) for bucket in found.replay.plan.buckets]
    return rows if len(rows) == 1 else [rows[0], rows[-1]]


def _bracketed(score: Score) -> str:
    """[−14.6 to −4.5 %] after a space, empty where there is no interval."""
    interval = percent_span(score)
    return f" [{interval}]" if interval else ""


def _less(versus: Versus) -> str:
    value = versus.percent.value
    if not math.isfinite(value):
        return "nobody knows how much more or less"
    if abs(value) < LEAST:
        return SAME
    told = f"{abs(value):.1f}" if abs(value) < 99.95 else f"{abs(value):,.0f}"
    return f"{told} % {'less' if value < 0 else 'more'}"


def against(row: Row) -> Mapping[str, Versus]:
    """What a row is measured by: the best peer where there is one, else the first row."""
    return row.versus_first if row.versus_peer is None else row.versus_peer


def spoken(bucket: str) -> str:
    """The next hour, 1h, 1–24h."""
    return "the next hour" if bucket == "next hour" else bucket.replace("-", "\N{EN DASH}")


def asked_of(found: Result) -> str:
    """What was asked of whom: 56 origins, 18 May 00:00 to 24 May 2020 21:00 UTC, 16 queues."""
    plan = found.replay.plan
    first, last = (datetime.fromtimestamp(int(plan.history.times[c]), UTC) for c in (plan.origins[0], plan.origins[-1]))
    total = any(not line.queue and on for line, on in zip(plan.history.lines, plan.scored, strict=True))
    return (
        f"{count(len(plan.origins), 'origin')} from {day(first)} {first:%H:%M} to {day(last)} {last:%Y %H:%M} UTC, "
        f"{count(int(plan.scored.sum()), 'total' if total else 'queue')}"
    )


def unit(found: Result) -> str:
    """What demand is counted in: GPUs, or the name of the trace's column."""
    resource = found.replay.plan.history.lines[0].resource
    return "GPUs" if "/" in resource else resource


def figure(value: float) -> str:
    """0.0311, 7.78, 124."""
    if not math.isfinite(value):
        return UNKNOWN
    return f"{value:.4f}" if value < 1 else f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def milliseconds(seconds: float) -> str:
    """0.042, 1.3, 240: never with an exponent."""
    told = 1000 * seconds
    if not math.isfinite(told):
        return UNKNOWN
    return f"{told:,.0f}" if told >= 9.95 else f"{told:.1f}" if told >= 0.95 else f"{told:.3f}"


def shown(name: str, value: float) -> str:
    """A score as its unit asks for: coverage in percent."""
    if name.startswith("coverage"):
        return UNKNOWN if not math.isfinite(value) else f"{100 * value:.1f} %"
    return figure(value)


def span(name: str, score: Score) -> str:
    """Its 90 % interval, empty where there is none."""
    if not math.isfinite(score.low):
        return ""
    return f"{shown(name, score.low).removesuffix(' %')}–{shown(name, score.high)}"


def percent(value: float) -> str:
    """−12.3 %."""
    return UNKNOWN if not math.isfinite(value) else f"{_tenth(value)} %"


def _tenth(value: float) -> str:
    return signed(value) if abs(value) >= 9.95 else f"{value:+.1f}".replace("-", "\N{MINUS SIGN}")


def percent_span(score: Score) -> str:
    """−14.6 to −4.5 %."""
    return "" if not math.isfinite(score.low) else f"{_tenth(score.low)} to {_tenth(score.high)} %"
