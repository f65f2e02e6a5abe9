"""The part of the page that tells how long jobs waited: pictures of the largest queues, a table of all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from envs.words import counted
from gyropilot.report.simulation.words import in_time, least_told
from gyropilot.report.trials.charts import class_of
from gyropilot.report.trials.result import Trials
from gyropilot.report.waits import PANELS, Mark, queue_panels, waited, waits_chart
from gyropilot.report.words import TOTAL

Part = dict[str, Any]

TOLD_QUEUES = 200
"""In the table, the longest waits first."""


def parts(found: Trials) -> Part:
    """What the template names of waits."""
    return {
        "waits": list(_panels(found)),
        "least": least_told(trial.waits[0] for trial in found.trials),
        "queues": _queues(found)[:TOLD_QUEUES],
        "more_queues": max(0, len(found.trials[0].waits) - 1 - TOLD_QUEUES),
        "deadlines": _deadlines(found)[:TOLD_QUEUES],
        "pilots": [trial.pilot for trial in found.trials],
    }


def _panels(found: Trials) -> Iterator[Part]:
    """Of all queues, and of those with most jobs; their rows are pilots. Of one pilot alone, rows are queues."""
    if len(found.trials) == 1:
        yield from ({"name": "", "facts": "", "svg": svg} for svg in queue_panels(found.trials[0].waits))
        return
    everybody, *queues = zip(*(trial.waits for trial in found.trials), strict=True)
    queues.sort(key=lambda mine: -mine[0].jobs)
    longest_s = max(waits.p95_s for trial in found.trials for waits in trial.waits)
    for nth, mine in enumerate([everybody, *queues[: PANELS - 1]] if len(queues) > 1 else [everybody]):
        name = mine[0].queue or TOTAL
        marks = [Mark(t.pilot, class_of(found, t), waits) for t, waits in zip(found.trials, mine, strict=True)]
        svg = waits_chart(marks, longest_s, f"w{nth}", f"Waits of {name}")
        yield {"name": name, "facts": counted(mine[0].jobs, "job"), "svg": svg}


def _deadlines(found: Trials) -> list[Part]:
    """Of all queues, then of each in which anything was due."""
    rows = zip(*(trial.waits for trial in found.trials), strict=True)
    return [
        {"name": mine[0].queue or TOTAL, "jobs": f"{mine[0].due:,}", "cells": [in_time(waits) for waits in mine]}
        for mine in rows
        if mine[0].due
    ]


def _queues(found: Trials) -> list[Part]:
    """The longest waits first."""
    rows = list(zip(*(trial.waits[1:] for trial in found.trials), strict=True))
    rows.sort(key=lambda mine: -max(waits.p95_s for waits in mine))
    return [
        {"name": mine[0].queue, "jobs": f"{mine[0].jobs:,}", "cells": [waited(waits) for waits in mine]}
        for mine in rows
    ]
