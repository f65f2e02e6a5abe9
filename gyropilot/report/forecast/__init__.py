"""What is expected of each queue, told to people and programs: as a page, as JSON, as text for a terminal."""

from __future__ import annotations

from forecasting.foretold import Foretold
from gyropilot.report import Format


def render(found: Foretold, format: Format) -> str:  # noqa: A002 - the word that the operator types
    """The forecast in one format."""
    if format == "html":
        from gyropilot.report.forecast.page import page
        from gyropilot.report.html import fill

        return fill("forecast.html", page(found))
    if format == "json":
        from gyropilot.report.forecast.json_report import to_json

        return to_json(found)
    from gyropilot.report.forecast.text import to_text

    return to_text(found)
