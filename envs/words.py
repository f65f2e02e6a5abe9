"""Amounts in sentences."""

from __future__ import annotations


def counted(many: int, what: str) -> str:
    """1 job, 1,200 jobs."""
    return f"{many:,} {what}" if many == 1 else f"{many:,} {what}s"
