"""What stands on the page of a simulation, section by section, as values that the template only lays out."""

from __future__ import annotations

from typing import Any

from envs.tally import Tally
from envs.words import counted
from gyropilot import __version__
from gyropilot.report import courses
from gyropilot.report.courses import mark_key
from gyropilot.report.services import page as services
from gyropilot.report.simulation.course import course_of, layer_names
from gyropilot.report.simulation.result import Simulation
from gyropilot.report.simulation.text import cells, columns
from gyropilot.report.simulation.words import (
    counted_unfit,
    few_waited_longest,
    headline,
    kept_together,
    least_told,
    span,
    tail,
    window,
)
from gyropilot.report.waits import queue_panels

Part = dict[str, Any]

TOLD_QUEUES = 200
"""In the table, the longest waits first."""


def page(found: Simulation) -> Part:
    """Everything that the template names."""
    figures = found.tally
    everybody, *queues = figures.waits
    queues.sort(key=lambda waits: -waits.p95_s)
    course = course_of(found)
    course = course.until(course.begin_s + courses.drawn_s(figures.counted_s, figures.lasted_s))
    axes = courses.shared([course])
    return {
        "version": __version__,
        "headline": headline(figures),
        "heading": kept_together(_short(figures)),
        "world": found.world,
        "jobs": f"{counted(everybody.jobs, 'job')} of {counted(len(queues), 'queue')}",
        "window": window(figures),
        "left_out": courses.left_out(figures.counted_s, figures.lasted_s),
        "figures": _figures(figures),
        "key": mark_key(layer_names(found), lost=False, demand=axes.demand),
        "demand": axes.demand,
        "wide": courses.course_chart(course, axes, courses.framed(courses.WIDE, axes), "cw"),
        "narrow": courses.course_chart(course, axes, courses.framed(courses.NARROW, axes), "cn"),
        **services.parts([("", found.services)]),
        "waits": list(queue_panels(figures.waits)),
        "least": least_told(figures.waits),
        "columns": columns(figures),
        "queues": [_row(cells(waits, figures)) for waits in (everybody, *queues[:TOLD_QUEUES])],
        "more_queues": max(0, len(queues) - TOLD_QUEUES),
        "notes": found.notes,
        "cannot_run": counted_unfit(found.unfit),
    }


def _short(figures: Tally) -> str:
    """The headline's beginning; the rest of it are the figures below."""
    return headline(figures).split(";")[0]


def _figures(figures: Tally) -> list[Part]:
    everybody = figures.waits[0]
    half, most = span(everybody.p50_s), span(everybody.p95_s)
    few = {"name": f"{tail(everybody)} waited", "unit": _or_more(everybody.p95_is_least, "more than"), "big": most}
    return [
        {"name": "half of all jobs waited", "unit": _or_more(everybody.p50_is_least, "at most"), "big": half},
        *([few] if few_waited_longest(everybody) else []),
        {"name": "longest wait", "unit": _or_more(everybody.others_are_least, ""), "big": span(everybody.longest_s)},
        {"name": "GPUs in use", "unit": "of those that were there", "big": f"{100 * figures.utilisation:.0f} %"},
    ]


def _or_more(is_least: bool, other: str) -> str:
    """Of a figure that is a lower bound, as jobs that never started wait on."""
    return "at least" if is_least else other


def _row(told: list[str]) -> Part:
    return {"name": told[0], "cells": told[1:]}
