"""A backtest told to people and programs: as a page, as JSON, as text for a terminal."""

from __future__ import annotations

from forecasting.backtest.result import Result
from gyropilot.report import Format


def render(found: Result, format: Format) -> str:  # noqa: A002 - the word that the operator types
    """The backtest in one format."""
    if format == "html":
        from gyropilot.report.backtest.page import page
        from gyropilot.report.html import fill

        return fill("backtest.html", page(found))
    if format == "json":
        from gyropilot.report.backtest.json_report import to_json

        return to_json(found)
    from gyropilot.report.backtest.text import to_text

    return to_text(found)
