"""Services in words and figures: the same in the terminal and on the page."""

from __future__ import annotations

import math

from envs.served import Served
from gyropilot.report.words import number

COLUMNS = (
    "asked", "replicas wanted", "answering", "within target", "p50", "p95", "p99", "most waiting", "longest backlog",
)  # fmt: skip


def cells(found: Served) -> list[str]:
    """A row, as COLUMNS names it."""
    unit = found.service.unit
    return [
        f"{number(found.asked)} {unit}",
        f"{found.wanted.mean:.1f} (up to {found.wanted.peak:,})",
        f"{found.ran_mean:.1f} (up to {found.ran_peak:,})",
        share(found.share_within),
        *(answer(seconds) for seconds in (found.p50_s, found.p95_s, found.p99_s)),
        f"{number(found.most_waiting)} {unit}" if found.most_waiting else "none",
        answer(found.longest_backlog_s) if found.longest_backlog_s else "none",
    ]


def sentence(found: Served) -> str:
    """Whether the service kept its promise."""
    service = found.service
    kept = "kept" if found.kept else "missed"
    left = f"; {number(found.unanswered)} {service.unit} still waited at the end" if found.unanswered > 0.5 else ""
    return (
        f"{service.name} {kept} its target: {share(found.share_within)} of requests answered within "
        f"{answer(service.target_s)}, {share(service.target_share)} promised{left}"
    )


def share(value: float) -> str:
    """97.1 %; 100 % only where nothing is missing."""
    percent = math.floor(1_000 * value + 1e-9) / 10
    return f"{percent:g} %"


def answer(seconds: float) -> str:
    """A time to answer: 0.24 s, 12 s, 3.4 min, 2.1 h; never."""
    if not math.isfinite(seconds):
        return "never"
    for unit, length in (("h", 3_600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"
