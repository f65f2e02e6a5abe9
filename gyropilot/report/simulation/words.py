"""A simulation in words: the same in the terminal, on the page and in JSON."""

from __future__ import annotations

from envs.tally import Tally


def headline(found: Tally) -> str:
    """What all of it comes to."""
    everybody = found.waits[0]
    never = f", {everybody.never_started:,} never started" if everybody.never_started else ""
    return (
        f"{everybody.jobs:,} jobs used {found.used_gpu_hours:,.0f} of {found.provisioned_gpu_hours:,.0f} GPU-hours "
        f"({100 * found.utilisation:.0f} %){never}; half of them waited {span(everybody.p50_s)} or less, 5 % more "
        f"than {span(everybody.p95_s)}"
    )


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
