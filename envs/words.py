"""Amounts in sentences."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def counted(many: int, what: str) -> str:
    """1 job, 1,200 jobs."""
    return f"{many:,} {what}" if many == 1 else f"{many:,} {what}s"


def nearest(name: str, known: Iterable[str], likeness: float = 0.7) -> str | None:
    """Which of some names was meant by one that is none of them: None where nobody could tell."""
    close = difflib.get_close_matches(name.strip().lower().replace(" ", "_").replace("-", "_"), known, 1, likeness)
    return close[0] if close else None
