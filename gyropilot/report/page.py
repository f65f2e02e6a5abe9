"""What stands on the HTML page, section by section, as values that the template only lays out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

from gyropilot import __version__
from gyropilot.domain import Action, Cycle, Effect, Interval, Line, OutcomeStatus, Pool, Queue
from gyropilot.report import charts, fans, story, sure
from gyropilot.report.names import named
from gyropilot.report.words import TOTAL, count, duration, known, moment, number, percent, still, visible

DRAWN_QUEUES = 24  # as charts; every queue is in the table

DRAWN_DEEDS = 150  # in full, of those approved and of those held back; the rest is in tables

GLANCED = 8  # actions on the first screen; all stand further down

_BETWEEN_PARTS = re.compile(r"(?<=[./])(?=[^\W\d])|(?=\[)")

Part = dict[str, Any]
Extents = Mapping[str, tuple[float, float]]


def page(cycle: Cycle) -> Part:
    """Everything that the template names."""
    told = {**_head(cycle), **_demand(cycle), **_queues(cycle), **_pools(cycle), **_deeds(cycle), **_foot(cycle)}
    return {**told, "sure": sure.passage(cycle.forecast)}


def _head(cycle: Cycle) -> Part:
    approved, held = story.effect_of(cycle, approved=True), story.effect_of(cycle, approved=False)
    return {
        "headline": _kept_together(story.headline(cycle), story.over(approved)),
        "summary": cycle.sentence,
        "what_happened": story.what_happened(cycle),
        "acted": any(o.status in (OutcomeStatus.DONE, OutcomeStatus.FAILED) for o in cycle.outcomes),
        "mode": cycle.mode,
        "decided_at": moment(cycle.began_at),
        "over": story.over(approved),
        "figures": [_key_figure(f, approved, held) for f in story.FIGURES],
        "loss": story.loss(approved),
        "glances": [_glance(cycle, True), _glance(cycle, False)] if cycle.verdicts else [],
    }


def _glance(cycle: Cycle, approved: bool) -> Part:
    """One line per action, so that the first screen already says what would change and what was held back."""
    told, name = [d for d in story.deeds(cycle) if d.verdict.approved is approved], named(cycle)
    return {
        "title": f"{len(told)} {'approved' if approved else 'held back'}",
        "held": not approved,
        "deeds": [
            {
                "number": deed.number,
                "subject": name(deed.action).subject,
                "change": story.change(deed.action),
                "rules": _rules(deed),
            }
            for deed in told[:GLANCED]
        ],
        "more": max(0, len(told) - GLANCED),
    }


def _kept_together(sentence: str, over: str) -> str:
    """So that no line of the headline begins with a unit."""
    unit = over.replace(" ", "\N{NO-BREAK SPACE}")
    hours = "\N{NO-BREAK SPACE}GPU\N{NON-BREAKING HYPHEN}"
    return sentence.replace(" GPU-", hours).replace(over, unit)


def _key_figure(figure: story.Figure, approved: Effect, held: Effect) -> Part:
    ours, theirs = figure.of(approved), figure.of(held)
    extent = charts.extent_of([ours, theirs])
    return {
        "name": figure.name,
        "unit": figure.unit,
        "middle": figure.middle(approved),
        "range": figure.range(approved) or ("nothing approved changes it" if still(ours) else ""),
        "direction": _direction(ours),
        "whisker": charts.whisker(ours, extent),
        "held": "" if still(theirs) else f"{figure.middle(held)} ({figure.range(held)})",
        "held_whisker": "" if still(theirs) else charts.whisker(theirs, extent, "held"),
    }


def _direction(interval: Interval) -> str:
    if still(interval) or not known(interval):
        return "calm"
    if interval.low < 0 < interval.high:
        return "unsure"
    return "less" if interval.mid < 0 else "more"


def _demand(cycle: Cycle) -> Part:
    lines = fans.totals(cycle)
    drawn = [fans.fan_of(cycle, line) for line in lines]
    return {
        "totals": [_total(fan, nth) for nth, fan in enumerate(drawn)],
        "key": _key(drawn[0].bands) if drawn else [],
        "ahead": fans.ahead(cycle.forecast),
    }


def _total(fan: fans.Fan, nth: int) -> Part:
    name = f"{TOTAL}, {fan.line.resource}"
    return {
        "name": fan.line.resource,
        "facts": _latest(fan),
        "limit": charts.limit_words(fan),
        "wide": charts.fan_chart(fan, charts.WIDE, f"t{nth}w", name),
        "narrow": charts.fan_chart(fan, charts.NARROW, f"t{nth}n", name),
    }


def _latest(fan: fans.Fan) -> str:
    return "no demand seen" if fan.latest is None else f"{count(fan.latest, 'GPU')} running or waiting at the last look"


def _key(bands: tuple[fans.Band, ...]) -> list[Part]:
    names = ("outer", "inner") if len(bands) > 1 else ("inner",)
    shown = [(name, f"{band.share} of futures") for name, band in zip(names, bands, strict=False)]
    marks = [
        ("running", "running"),
        ("pending", "waiting"),
        ("median", "demand, then median forecast"),
        *reversed(shown),
        ("limit", "capacity or quota"),
        ("limit past", "as it is now, drawn over the past"),
        ("unseen", "not seen"),
    ]
    return [{"swatch": charts.key_swatch(mark), "words": words} for mark, words in marks]


def _queues(cycle: Cycle) -> Part:
    lines = fans.queue_lines(cycle)
    by_name = {q.name: q for q in cycle.state.queues}
    several = len({line.resource for line in lines}) > 1
    drawn = lines[:DRAWN_QUEUES]
    return {
        "table_title": f"{'All ' if len(lines) > 1 else ''}{count(len(lines), 'queue')} as a table",
        "queues_lede": _queues_lede(len(lines), len(drawn)),
        "fans": [_queue_fan(cycle, line, by_name.get(line.queue), nth, several) for nth, line in enumerate(drawn)],
        "queues": [_queue_row(cycle, line, by_name.get(line.queue), several) for line in lines],
    }


def _queues_lede(many: int, drawn: int) -> str:
    if not many:
        return "No queue was seen."
    which = f"The {drawn} largest of {many} queues; all are in the table below." if drawn < many else ""
    return f"{which} Each chart has its own scale; the red line is the queue's quota, before and after.".strip()


def _queue_fan(cycle: Cycle, line: Line, queue: Queue | None, nth: int, several: bool) -> Part:
    fan = fans.fan_of(cycle, line)
    facts = [f"{line.resource}"] if several else []
    if queue is not None:
        facts.append(f"{number(queue.running_gpus.get(line.resource, 0.0))} running")
        facts.append(f"{number(queue.pending_gpus.get(line.resource, 0.0))} waiting")
        facts += [f"{percent(queue.utilisation)} busy"] if queue.utilisation is not None else []
    late = queue is not None and queue.oldest_wait is not None and queue.oldest_wait > queue.target_wait
    return {
        "name": line.queue,
        "facts": " · ".join(facts),
        "limit": charts.limit_words(fan) if fan.limit else "",
        "alarm": f"oldest wait {duration(queue.oldest_wait)}" if queue is not None and late else "",
        "svg": charts.fan_chart(fan, charts.SMALL, f"q{nth}", f"queue {line.queue}"),
    }


def _queue_row(cycle: Cycle, line: Line, queue: Queue | None, several: bool) -> Part:
    seen = queue or Queue(line.queue)
    forecast = cycle.forecast
    told = line in forecast.lines and bool(forecast.horizons)
    peaks = [forecast.peak(line, forecast.horizons[-1], q) if told else None for q in (0.5, 0.9)]
    return {
        "name": f"{line.queue} ({line.resource})" if several else line.queue,
        "cells": [
            number(seen.running_gpus.get(line.resource)),
            number(seen.pending_gpus.get(line.resource)),
            number(seen.nominal_gpus(line.resource)) if seen.quotas else number(None),
            duration(seen.oldest_wait),
            percent(seen.utilisation),
            *(number(p) for p in peaks),
        ],
    }


def _pools(cycle: Cycle) -> Part:
    marks = [
        ("busy", "busy"),
        ("idle", "idle"),
        ("coming", "coming"),
        ("room", "room to grow"),
        ("after", "after approved changes"),
    ]
    ordered = sorted(cycle.state.pools, key=lambda p: (p.accelerator.resource, -p.gpus, p.name))
    return {
        "pools": [_pool(cycle, pool, nth) for nth, pool in enumerate(ordered)],
        "pool_key": [{"swatch": charts.key_swatch(mark), "words": words} for mark, words in marks],
    }


def _pool(cycle: Cycle, pool: Pool, nth: int) -> Part:
    planned = pool.gpus + pool.coming_gpus
    after = planned + fans.approved_gpus(cycle, pool.dial_target)
    limit = "" if pool.max_nodes is None else f" · max {number(pool.max_nodes * pool.gpus_per_node)}"
    coming = f" · {pool.coming_gpus} coming" if pool.coming_gpus else ""
    return {
        "name": pool.name,
        "facts": _pool_facts(pool),
        "bar": charts.pool_bar(pool, after, _pool_scale(cycle, pool.accelerator.resource), f"p{nth}"),
        "words": f"{number(pool.gpus - pool.idle_gpus)} busy · {number(pool.idle_gpus)} idle{coming}{limit}",
        "moves": f"{number(planned)} → {number(after)} GPUs" if after != planned else "",
    }


def _pool_facts(pool: Pool) -> str:
    place = " ".join(p for p in (pool.provider, pool.region) if p)
    price = f"${pool.price_usd_per_gpu_hour:.2f} a GPU-hour" if pool.price_usd_per_gpu_hour else "price not known"
    nodes = f"{count(pool.ready_nodes, 'node')} × {pool.gpus_per_node}"
    facts = (str(pool.accelerator), nodes, pool.market.value, place, price, f"{duration(pool.lead_time)} lead time")
    return " · ".join(f for f in facts if f)


def _pool_scale(cycle: Cycle, resource: str) -> float:
    """One scale for all pools of a resource; a limit far above what is there does not flatten the rest."""
    pools = cycle.state.pools_of(resource)
    after = [p.gpus + p.coming_gpus + max(0, fans.approved_gpus(cycle, p.dial_target)) for p in pools]
    limits = [p.max_nodes * p.gpus_per_node for p in pools if p.max_nodes is not None]
    return max(1.0, min(max(limits, default=0.0), 2.0 * max(after)), 1.1 * max(after))


def _deeds(cycle: Cycle) -> Part:
    effects = [v.action.expected for v in cycle.verdicts]
    extents = {f.name: charts.extent_of([f.of(e) for e in effects]) for f in story.FIGURES}
    acted = any(o.status is OutcomeStatus.DONE for o in cycle.outcomes)
    return {
        "taken_title": "What was approved and turned" if acted else "What would change, and why",
        "approved": _listed(cycle, True, extents),
        "held": _listed(cycle, False, extents),
        "rules": story.rules(cycle),
    }


def _listed(cycle: Cycle, approved: bool, extents: Extents) -> Part:
    """The first in full, and all others as rows of a table: a thousand drawn ones open in no browser at once."""
    told, name = [d for d in story.deeds(cycle) if d.verdict.approved is approved], named(cycle)
    return {
        "drawn": [_deed(deed, name(deed.action), extents) for deed in told[:DRAWN_DEEDS]],
        "others": [_deed_row(deed, name(deed.action)) for deed in told[DRAWN_DEEDS:]],
    }


def _deed(deed: story.Deed, action: Action, extents: Extents) -> Part:
    diff = deed.outcome.diff if deed.outcome else ""
    shown = [f for f in story.FIGURES if not still(f.of(action.expected))]
    return {
        "number": deed.number,
        "approved": deed.verdict.approved,
        "verdict": str(deed.verdict),
        "dial": action.dial.value.replace("-", " "),
        "subject": action.subject,
        "target": _breakable(action.target),
        "change": story.change(action),
        "gpus": story.gpus_moved(action),
        "reason": action.reason,
        "objections": deed.verdict.objections,
        "outcome": deed.outcome,
        "diff": _breakable(diff),
        "short_diff": diff.count("\n") < 6,
        "effects": [_effect(f, action.expected, extents) for f in shown],
        "loss": story.loss(action.expected),
    }


def _deed_row(deed: story.Deed, action: Action) -> Part:
    return {
        "number": deed.number,
        "subject": action.subject,
        "dial": action.dial.value.replace("-", " "),
        "change": story.change(action),
        "became": _rules(deed) or (deed.outcome.status.value if deed.outcome else str(deed.verdict)),
    }


def _rules(deed: story.Deed) -> str:
    return ", ".join(dict.fromkeys(o.rule for o in deed.verdict.objections))


def _breakable(words: str) -> Markup:
    """A path that breaks between its parts where a line is too short for it, and not amid a word."""
    return Markup("<wbr>").join(escape(visible(part)) for part in _BETWEEN_PARTS.split(words))


def _effect(figure: story.Figure, effect: Effect, extents: Extents) -> Part:
    unit = (
        ""
        if figure.unit == "USD" or not figure.range(effect)
        else f" {figure.unit.replace('GPU-hours', 'GPU-h').replace(' CO₂e', '')}"
    )
    return {
        "name": figure.name,
        "middle": figure.middle(effect) + unit,
        "whisker": charts.whisker(figure.of(effect), extents[figure.name]),
        "range": figure.range(effect),
    }


def _foot(cycle: Cycle) -> Part:
    ages = [f"{source} {duration(age)}" for source, age in sorted(cycle.state.freshness.items())]
    return {
        "notes": cycle.state.notes,
        "ages": ", ".join(ages),
        "version": __version__,
        "pilot": cycle.intent.pilot,
        "forecaster": cycle.forecast.forecaster or "not named",
    }
