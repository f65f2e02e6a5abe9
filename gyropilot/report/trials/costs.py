"""The part of the page that tells what each pilot paid, beside what nobody can stay below."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from gyropilot.domain import Interval
from gyropilot.report import courses
from gyropilot.report.charts import extent_of, whisker
from gyropilot.report.trials.charts import class_of, cost_bar, kind_swatch
from gyropilot.report.trials.result import Difference, Trials, Yardstick
from gyropilot.report.trials.words import dollars, over_words
from gyropilot.report.words import less_or_more, less_to_more, percent_apart

Part = dict[str, Any]

FAR = 300.0
"""Percent: beside who costs that much more, others could not be told apart; figures say it."""

WORDS = {"bound": "no pilot can stay below", "clairvoyant plan": "made and run knowing all jobs beforehand"}


def parts(found: Trials) -> Part:
    """What the template names of costs."""
    return {
        "first": found.trials[0].pilot,
        "kinds": [{"swatch": kind_swatch(kind), "words": kind} for kind in found.kinds],
        "torn": any(trial.total_usd > _top_usd(found) for trial in found.trials),
        "paid": _costs(found),
        "bill": list(_bills(found)),
    }


def _top_usd(found: Trials) -> float:
    """Where bars end: who paid far more than most is torn off."""
    return max(*(each.usd for each in found.yardsticks), 0.0, courses.tamed([t.total_usd for t in found.trials]))


def _costs(found: Trials) -> list[Part]:
    """The bound and the plan, where they are known, and below them each pilot."""
    apart = [found.over_first(trial) for trial in found.trials]
    extent = extent_of([Interval(*each) for each in apart if each.high <= FAR])
    pilots = [_cost(found, nth, each, extent) for nth, each in enumerate(apart)]
    return [*(_yardstick(found, each) for each in found.yardsticks), *pilots]


def _yardstick(found: Trials, each: Yardstick) -> Part:
    least = None if found.bound is None else found.bound.usd
    return {
        "name": each.name,
        "class_": "nobody",
        "bar": cost_bar(each.by_kind, least, _top_usd(found), f"paid-{each.name.split()[0]}", f"the {each.name}"),
        "usd": dollars(each.usd),
        "over": over_words(each.over_bound),
        "whisker": "",
        "apart": WORDS[each.name],
    }


def _cost(found: Trials, nth: int, apart: Difference, extent: tuple[float, float]) -> Part:
    trial = found.trials[nth]
    least = None if found.bound is None else found.bound.usd
    told = {
        "name": trial.pilot,
        "class_": class_of(found, trial),
        "bar": cost_bar(trial.by_kind, least, _top_usd(found), f"paid-{nth}", trial.pilot),
        "usd": dollars(trial.total_usd),
        "over": over_words(found.over_bound(trial)),
        "whisker": "",
        "apart": "",
    }
    if not nth:
        return told
    drawn = whisker(Interval(*apart), extent) if apart.high <= FAR else ""
    return {**told, "whisker": drawn, "apart": _apart(apart, found.trials[0].pilot)}


def _apart(apart: Difference, first: str) -> str:
    """12.3 % less than hold (9.8 to 14.6 % less)."""
    if math.isnan(apart.mid):
        return ""
    within = "" if math.isnan(apart.low) else f" ({less_to_more(apart.low, apart.high)})"
    return f"{less_or_more(apart.mid)} than {first}{within}"


def _bills(found: Trials) -> Iterator[Part]:
    """What stands in pictures above, as a table."""
    for each in found.yardsticks:
        yield {"pilot": each.name, "class_": "nobody", "cells": _bill(found, each.by_kind, each.usd, each.over_bound)}
    for trial in found.trials:
        cells = _bill(found, trial.by_kind, trial.total_usd, found.over_bound(trial))
        yield {"pilot": trial.pilot, "class_": class_of(found, trial), "cells": cells}


def _bill(found: Trials, by_kind: Mapping[str, float], usd: float, over: float | None) -> list[str]:
    paid = [*(dollars(by_kind[kind]) for kind in found.kinds), dollars(usd), dollars(usd / found.days)]
    return paid if found.bound is None else [*paid, percent_apart(over)]
