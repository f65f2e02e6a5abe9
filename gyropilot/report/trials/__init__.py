"""What came of pilots on the same jobs, side by side, told to people and programs: as a page, as JSON, as text."""

from __future__ import annotations

from gyropilot.report import Format
from gyropilot.report.trials.jobs import write_jobs
from gyropilot.report.trials.result import Trials

__all__ = ["Trials", "render", "write_jobs"]


def render(found: Trials, format: Format, width: int | None = None) -> str:  # noqa: A002 - the word that is typed
    """The trials in one format; text for a terminal of so many columns."""
    if format == "html":
        from gyropilot.report.html import fill
        from gyropilot.report.trials.page import page

        return fill("trials.html", page(found))
    if format == "json":
        from gyropilot.report.trials.json_report import to_json

        return to_json(found)
    from gyropilot.report.trials.text import to_text

    return to_text(found, width)
