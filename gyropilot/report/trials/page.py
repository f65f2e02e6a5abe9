"""What stands on the page of pilots side by side, section by section, as values that the template only lays out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from markupsafe import Markup

from envs.terms import KINDS
from envs.trial import Trial
from gyropilot import __version__
from gyropilot.domain import Interval
from gyropilot.report import courses
from gyropilot.report.charts import extent_of, whisker
from gyropilot.report.simulation.words import kept_together
from gyropilot.report.svg import line, tag
from gyropilot.report.trials import charts
from gyropilot.report.trials.courses import course_of, layer_names
from gyropilot.report.trials.result import Difference, Trials
from gyropilot.report.trials.text import SERVICE, service
from gyropilot.report.trials.words import bound_sentence, headline, interval, met, percent
from gyropilot.report.waits import PANELS, Mark, queue_panels, waited, waits_chart
from gyropilot.report.words import number

Part = dict[str, Any]

COLOURS = 6
"""Of lines, beside that of the cheapest and that of the first."""

FAR = 300.0
"""Percent: beside who costs that much more, others could not be told apart; figures say it."""

TOLD_QUEUES = 200
"""In the table, the longest waits first."""


def page(found: Trials) -> Part:
    """Everything that the template names."""
    return {
        "version": __version__,
        "headline": headline(found),
        "heading": kept_together(headline(found)),
        "world": found.world,
        "met": met(found),
        "bound": bound_sentence(found),
        "first": found.trials[0].pilot,
        "several": len(found.trials) > 1,
        "kinds": [{"swatch": charts.kind_swatch(kind), "words": kind} for kind in found.kinds],
        "torn": any(trial.total_usd > _top_usd(found) for trial in found.trials),
        "paid": _costs(found),
        "bill": list(_bills(found)),
        "marks": courses.mark_key(layer_names(found), lost=True),
        "courses": list(_courses(found)),
        "days": _days(found),
        "waits": list(_panels(found)),
        "queues": _queues(found)[:TOLD_QUEUES],
        "more_queues": max(0, len(found.trials[0].waits) - 1 - TOLD_QUEUES),
        "service_names": SERVICE,
        "services": [
            {"pilot": trial.pilot, "class_": _class(found, trial), "cells": service(trial)} for trial in found.trials
        ],
        "pilots": [trial.pilot for trial in found.trials],
        "notes": found.file.notes,
    }


def _usd(usd: float) -> str:
    return f"{usd:,.0f}"


def _class(found: Trials, trial: Trial) -> str:
    """How a pilot is drawn: the cheapest, the one that was named first, and the others in their order."""
    special = {id(found.trials[0]): "first", id(found.ranking[0]): "ours"}
    others = [id(other) for other in found.trials if id(other) not in special]
    return special.get(id(trial)) or f"o{others.index(id(trial)) % COLOURS}"


def _top_usd(found: Trials) -> float:
    return max(0.0 if found.bound is None else found.bound.usd, courses.tamed([t.total_usd for t in found.trials]))


def _costs(found: Trials) -> list[Part]:
    """The bound and the plan, where they are known, and below them each pilot."""
    apart = [found.over_first(trial) for trial in found.trials]
    extent = extent_of([Interval(*each) for each in apart if each.high <= FAR])
    pilots = [_cost(found, nth, each, extent) for nth, each in enumerate(apart)]
    return [*(_yardstick(found, each) for each in _yardsticks(found)), *pilots]


class Yardstick(NamedTuple):
    """What pilots are measured by, and are not."""

    name: str
    usd: float
    by_kind: Mapping[str, float]
    over: float | None  # percent
    words: str


def _yardsticks(found: Trials) -> Iterator[Yardstick]:
    if found.bound is not None:
        yield Yardstick("bound", found.bound.usd, found.bound_by_kind, None, "no pilot can stay below")
    if found.plan is not None:
        by_kind = dict(zip(KINDS, found.plan.usd_by_kind.tolist(), strict=True))
        yield Yardstick(
            "plan", found.plan.usd, by_kind, found.plan_over_bound, "made and run knowing all jobs beforehand"
        )


def _yardstick(found: Trials, each: Yardstick) -> Part:
    least = None if found.bound is None else found.bound.usd
    return {
        "name": each.name,
        "class_": "nobody",
        "bar": charts.cost_bar(each.by_kind, least, _top_usd(found), f"paid-{each.name}", f"the {each.name}"),
        "usd": _usd(each.usd),
        "over": _over(each.over),
        "whisker": "",
        "apart": each.words,
    }


def _over(percent_: float | None) -> str:
    return "" if percent_ is None else f"{percent(percent_)} over the bound"


def _cost(found: Trials, nth: int, apart: Difference, extent: tuple[float, float]) -> Part:
    trial = found.trials[nth]
    least = None if found.bound is None else found.bound.usd
    told = {
        "name": trial.pilot,
        "class_": _class(found, trial),
        "bar": charts.cost_bar(trial.by_kind, least, _top_usd(found), f"paid-{nth}", trial.pilot),
        "usd": _usd(trial.total_usd),
        "over": _over(found.over_bound(trial)),
        "whisker": "",
        "apart": "",
    }
    if not nth:
        return told
    drawn = whisker(Interval(*apart), extent) if apart.high <= FAR else ""
    return {**told, "whisker": drawn, "apart": _apart(apart, found.trials[0].pilot)}


def _apart(apart: Difference, first: str) -> str:
    """−12.3 % to hold (−14.6 to −9.8 %)."""
    if math.isnan(apart.mid):
        return ""
    within = f" ({interval(apart)})" if interval(apart) else ""
    return f"{percent(apart.mid)} to {first}{within}"


def _bills(found: Trials) -> Iterator[Part]:
    """What stands in pictures above, as a table."""
    for each in _yardsticks(found):
        yield {"pilot": each.name, "class_": "nobody", "cells": _bill(found, each.by_kind, each.usd, each.over)}
    for trial in found.trials:
        cells = _bill(found, trial.by_kind, trial.total_usd, found.over_bound(trial))
        yield {"pilot": trial.pilot, "class_": _class(found, trial), "cells": cells}


def _bill(found: Trials, by_kind: Mapping[str, float], usd: float, over: float | None) -> list[str]:
    return [*(_usd(by_kind[kind]) for kind in found.kinds), _usd(usd), _usd(usd / found.days), percent(over)]


def _stroke(class_: str) -> Markup:
    return tag("svg", line((0, 6), (22, 6), class_), width=22, height=12, aria_hidden="true")


def _courses(found: Trials) -> Iterator[Part]:
    drawn = [course_of(found, trial) for trial in found.trials]
    axes = courses.shared(drawn)
    for nth, (course, trial) in enumerate(zip(drawn, found.trials, strict=True)):
        yield {
            "name": course.name,
            "facts": _facts(found, trial),
            "wide": courses.course_chart(course, axes, courses.WIDE, f"cw{nth}"),
            "narrow": courses.course_chart(course, axes, courses.NARROW, f"cn{nth}"),
        }


def _facts(found: Trials, trial: Trial) -> str:
    said = [
        f"{_usd(trial.total_usd)} USD",
        _over(found.over_bound(trial)),
        f"{100 * trial.utilisation:.0f} % of GPUs in use",
        f"{int(trial.stops.sum()):,} preempted",
    ]
    return " · ".join(filter(None, said))


def _days(found: Trials) -> Part | None:
    """Where there are at least two whole ones."""
    if len(found.trials[0].by_day) < 2:
        return None
    lines = [charts.Days(trial.pilot, _class(found, trial), trial.by_day) for trial in found.trials]
    key = [{"swatch": _stroke(f"curve {each.class_}"), "words": _named(each, charts.top_of(lines))} for each in lines]
    lines.sort(key=lambda each: each.class_ == "ours")  # drawn last, over the others
    return {
        "key": key,
        "wide": charts.days_chart(lines, charts.WIDE, "dw"),
        "narrow": charts.days_chart(lines, charts.NARROW, "dn"),
    }


def _named(days: charts.Days, top_usd: float) -> str:
    highest = float(days.usd.max())
    return days.name if highest <= top_usd else f"{days.name} (up to {number(highest)})"


def _panels(found: Trials) -> Iterator[Part]:
    """Of all queues, and of those with most jobs; their rows are pilots. Of one pilot alone, rows are queues."""
    if len(found.trials) == 1:
        yield from ({"name": "", "facts": "", "svg": svg} for svg in queue_panels(found.trials[0].waits))
        return
    everybody, *queues = zip(*(trial.waits for trial in found.trials), strict=True)
    queues.sort(key=lambda mine: -mine[0].jobs)
    longest_s = max(waits.p95_s for trial in found.trials for waits in trial.waits)
    for nth, mine in enumerate([everybody, *queues[: PANELS - 1]] if len(queues) > 1 else [everybody]):
        name = mine[0].queue or "all queues"
        marks = [Mark(t.pilot, _class(found, t), waits) for t, waits in zip(found.trials, mine, strict=True)]
        svg = waits_chart(marks, longest_s, f"w{nth}", f"Waits of {name}")
        yield {"name": name, "facts": f"{mine[0].jobs:,} jobs", "svg": svg}


def _queues(found: Trials) -> list[Part]:
    """The longest waits first."""
    rows = list(zip(*(trial.waits[1:] for trial in found.trials), strict=True))
    rows.sort(key=lambda mine: -max(waits.p95_s for waits in mine))
    return [
        {"name": mine[0].queue, "jobs": f"{mine[0].jobs:,}", "cells": [waited(waits) for waits in mine]}
        for mine in rows
    ]
