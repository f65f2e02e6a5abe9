"""A simulation in words: the same in the terminal, on the page and in JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from envs.tally import Tally, Waits
from envs.unfit import Unfit
from envs.words import counted
from gyropilot.report.words import UNKNOWN

TWENTY = 20
"""Of fewer jobs nobody is one in twenty."""


def headline(found: Tally) -> str:
    """What all of it comes to."""
    everybody = found.waits[0]
    never = f", {everybody.never_started:,} never started" if everybody.never_started else ""
    left = f", {everybody.left_waiting:,} left before starting" if everybody.left_waiting else ""
    within = f" of the first {span(found.counted_s)}" if runs_out(found) else ""
    return (
        f"{counted(everybody.jobs, 'job')} used {hours(found.used_gpu_hours)} of {hours(found.provisioned_gpu_hours)} "
        f"GPU-hours{within} ({100 * found.utilisation:.0f} %){never}{left}{_waited(everybody)}"
    )


def _waited(waits: Waits) -> str:
    """Empty where all left before they started."""
    if not waits.waited:
        return ""
    if not waits.longest_s:
        return "; nobody else waited" if waits.left_waiting else "; nobody waited"
    return f"; half of them {_half(waits)}, {_most(waits)}"


def _most(waits: Waits) -> str:
    if few_waited_longest(waits):
        return f"{tail(waits)} {'at least' if waits.p95_is_least else 'more than'} {span(waits.p95_s)}"
    return f"the longest {'at least ' if waits.others_are_least else ''}{span(waits.longest_s)}"


def few_waited_longest(waits: Waits) -> bool:
    """Whether there are one in twenty that waited, and longer than all others did."""
    return waits.waited >= TWENTY and 0 < waits.p95_s < waits.longest_s


def tail(waits: Waits) -> str:
    """How many waited longer than `p95_s`: 7 %, as 2 of 30 did; at least 5 % where it is a lower bound."""
    percent = 5.0 if waits.p95_is_least else 100 * waits.beyond_p95 / waits.waited
    return f"{percent:.0f} %" if percent >= 0.95 else f"{percent:.1g} %"


def _half(waits: Waits) -> str:
    if waits.p50_is_least:
        return f"waited at least {span(waits.p50_s)}"
    return f"waited {span(waits.p50_s)} or less" if waits.p50_s else "did not wait"


def waits_told(waits: Waits) -> tuple[str, str]:
    """Half of all jobs, and nineteen in twenty, waited no longer than that: 12 min, ≥ 3.4 h; dashes where all left."""
    if not waits.waited:
        return UNKNOWN, UNKNOWN
    return at_least(waits.p50_s, waits.p50_is_least), at_least(waits.p95_s, waits.p95_is_least)


def at_least(seconds: float, is_least: bool) -> str:
    """≥ 3.4 h: that long or longer."""
    return f"≥ {span(seconds)}" if is_least else span(seconds)


def least_told(some: Iterable[Waits]) -> str:
    """What ≥ means beside waits, where any of them stands so; else empty."""
    if not any(waits.never_started for waits in some):
        return ""
    return "≥ is that long or longer: jobs that never started count with all the time until the run ended."


def counted_unfit(unfit: Sequence[Unfit]) -> str:
    """3 jobs and 2 replicas; empty where all can run."""
    jobs = sum(each.jobs for each in unfit if each.service is None)
    replicas = sum(each.jobs for each in unfit if each.service is not None)
    return " and ".join(counted(many, what) for many, what in ((jobs, "job"), (replicas, "replica")) if many)


def runs_out(found: Tally) -> bool:
    """Whether something ran on while the cluster stood idle."""
    return found.counted_s < found.lasted_s


def window(found: Tally) -> str:
    """Of which time GPU-hours are."""
    if runs_out(found):
        counted = counted_while(found.counted_s, found.lasted_s, "use, and the GPU-hours told with it,")
        return f"GPU-hours by queue are of the whole run; {counted}"
    return "GPUs are there from the first submission to the last end."


def counted_while(counted_s: float, lasted_s: float, what: str) -> str:
    """Of which time that is, where it is not all of it."""
    return (
        f"{what} are of the first {span(counted_s)} of {span(lasted_s)}: while jobs come, and until less "
        "than a tenth of the GPUs that were ever in use at once still are."
    )


def hours(gpu_hours: float) -> str:
    """12,340, 7.4, 0.25: an hour of one GPU is not told as none."""
    size = abs(gpu_hours)
    return f"{gpu_hours:,.0f}" if size >= 9.95 or not size else f"{gpu_hours:.1f}" if size >= 0.95 else f"{size:.2g}"


def in_time(waits: Waits) -> str:
    """93 %; empty where nothing was due."""
    return "" if waits.in_time_share is None else f"{100 * waits.in_time_share:.0f} %"


def span(seconds: float) -> str:
    """A time as people say it: 0 s, 45 s, 12 min, 3.4 h, 2.1 d."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5_400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3_600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} d"


def kept_together(sentence: str) -> str:
    """So that no line of a heading ends within a unit or before it."""
    joined = sentence.replace("GPU-hours", "GPU\N{NON-BREAKING HYPHEN}hours")
    return joined.replace(" %", "\N{NO-BREAK SPACE}%").replace(" USD", "\N{NO-BREAK SPACE}USD")
