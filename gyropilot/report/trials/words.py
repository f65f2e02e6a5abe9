"""Trials in words: the same in the terminal, on the page and in JSON."""

from __future__ import annotations

import math

from envs.trial import Trial
from envs.words import counted
from envs.workloads import DAY_S
from gyropilot.report.simulation.words import counted_while, span
from gyropilot.report.trials.result import Difference, Trials, difference
from gyropilot.report.words import less_or_more, percent_apart, tenths, within


def headline(found: Trials) -> str:
    """Who is cheapest, by how much, and how far over the bound: the summary of trials."""
    return f"{_first_place(found)}{_over_bound(found)}"


def _first_place(found: Trials) -> str:
    best, *others = found.ranking
    if best.total_usd <= 0:
        return "nothing was paid"
    if not others:
        return f"{best.pilot} paid {best.total_usd:,.0f} USD"
    alike = [other.pilot for other in others if same(other, best)]
    if alike:
        return f"{', '.join([best.pilot, *alike[:-1]])} and {alike[-1]} paid the same, {best.total_usd:,.0f} USD"
    apart = difference(best, others[0])
    sure = ": " if math.isnan(apart.low) or apart.high < 0 else ", but not surely: "
    return f"{best.pilot} is cheapest{sure}{compared(apart, others[0].pilot)}"


def compared(apart: Difference, other: str) -> str:
    """12.7 % less than hold (90 %: 8.0 to 20.0 % less)."""
    by = f"{less_or_more(apart.mid)} than {other}"
    if math.isnan(apart.low):
        return f"{by} (too few days for an interval)"
    return by + within(apart.low, apart.high)


def same(one: Trial, other: Trial) -> bool:
    """Whether both paid as much."""
    return math.isclose(one.total_usd, other.total_usd)


def _over_bound(found: Trials) -> str:
    over = found.over_bound(found.ranking[0])
    if over is None:
        return ""
    return f"; {tenths(over)} % over the bound" if over >= 0.05 else "; no more than the bound"


def bound_sentence(found: Trials) -> str:
    """What nobody can stay below; empty where that was not asked."""
    if found.bound is None:
        return ""
    plan = "" if found.plan is None else f"; a plan that did paid {found.plan.usd:,.0f}"
    return f"No pilot can pay less than {found.bound.usd:,.0f} USD, even if it knew all jobs beforehand{plan}."


def met(found: Trials) -> str:
    """What all of them met."""
    jobs = counted(len(found.file.table), "job")
    took = f"{found.days:.1f} days" if found.days >= 1 else span(found.days * DAY_S)
    return f"{jobs} in {took}; all pilots met the same jobs and the same losses."


def window(found: Trials) -> str:
    """Of which time GPU-hours are; empty where of all of it."""
    if found.counted_steps == len(found.trials[0].usd):
        return ""
    return counted_while(found.counted_days * DAY_S, found.days * DAY_S, "GPU-hours, use and turns")


def over_words(over_bound: float | None) -> str:
    """+31.4 % over the bound; empty where none is known."""
    return "" if over_bound is None else f"{percent_apart(over_bound)} over the bound"


def dollars(value: float) -> str:
    """12,340."""
    return f"{value:,.0f}"
