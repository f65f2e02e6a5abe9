"""What stands on the page of pilots side by side, section by section, as values that the template only lays out."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Any

from markupsafe import Markup

from envs.trial import Trial
from envs.workloads import DAY_S
from gyropilot import __version__
from gyropilot.report import courses
from gyropilot.report.services import page as served
from gyropilot.report.simulation.words import counted_unfit, kept_together
from gyropilot.report.svg import line, tag
from gyropilot.report.trials import charts, costs, losses, waits
from gyropilot.report.trials.charts import class_of
from gyropilot.report.trials.courses import course_of, layer_names
from gyropilot.report.trials.faults import events
from gyropilot.report.trials.result import Trials
from gyropilot.report.trials.text import service, service_names
from gyropilot.report.trials.words import bound_sentence, dollars, headline, met, over_words, same, window
from gyropilot.report.words import number

Part = dict[str, Any]


def page(found: Trials) -> Part:
    """Everything that the template names."""
    return {
        "version": __version__,
        "headline": headline(found),
        "heading": kept_together(headline(found)),
        "world": found.world,
        "met": met(found),
        "bound": bound_sentence(found),
        "several": len(found.trials) > 1,
        "decided": len(found.trials) > 1 and not same(*found.ranking[:2]),
        **costs.parts(found),
        "marks": courses.mark_key(layer_names(found), lost=True, faults=bool(found.faults)),
        "events": events(found),
        "window": window(found),
        "left_out": courses.left_out(found.counted_days * DAY_S, found.days * DAY_S),
        "courses": list(_courses(found)),
        **served.parts([(t.pilot, mine) for t, mine in zip(found.trials, found.services, strict=False)]),
        "days": _days(found),
        **waits.parts(found),
        "service_names": service_names(found),
        "services": [
            {"pilot": trial.pilot, "class_": class_of(found, trial), "cells": service(found, trial)}
            for trial in found.trials
        ],
        "losses": list(losses.rows(found)),
        "loss_names": losses.NAMES,
        "notes": found.notes,
        "cannot_run": counted_unfit(found.unfit),
    }


def _stroke(class_: str) -> Markup:
    return tag("svg", line((0, 6), (22, 6), class_), width=22, height=12, aria_hidden="true")


def _courses(found: Trials) -> Iterator[Part]:
    end_s = found.began_s + courses.drawn_s(found.counted_days * DAY_S, found.days * DAY_S)
    drawn = [course_of(found, trial).until(end_s) for trial in found.trials]
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
        f"{dollars(trial.total_usd)} USD",
        over_words(found.over_bound(trial)),
        f"{100 * found.use(trial).share:.0f} % of GPUs in use",
        f"{int(trial.stops.sum()):,} preempted",
    ]
    return " · ".join(filter(None, said))


def _days(found: Trials) -> Part | None:
    """Where there are at least two whole ones."""
    if len(found.trials[0].by_day) < 2:
        return None
    shown = max(2, ceil(courses.drawn_s(found.counted_days, found.days)))
    lines = [charts.Days(trial.pilot, class_of(found, trial), trial.by_day[:shown]) for trial in found.trials]
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
