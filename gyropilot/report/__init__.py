"""A cycle told to people and programs: as a page, as JSON, as text for a terminal."""

from __future__ import annotations

from typing import Literal

from gyropilot.domain import Cycle

Format = Literal["text", "json", "html"]


def render(cycle: Cycle, format: Format, width: int = 100) -> str:  # noqa: A002 - the word that the operator types
    """The cycle in one format; `width` is in columns and counts for text only."""
    if format == "html":
        from gyropilot.report.html import to_html

        return to_html(cycle)
    if format == "json":
        from gyropilot.report.json_report import to_json

        return to_json(cycle)
    from gyropilot.report.text import to_text

    return to_text(cycle, width)
