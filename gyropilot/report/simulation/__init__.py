"""What became of jobs on a simulated cluster, told to people and programs: as a page, as JSON, as text."""

from __future__ import annotations

from gyropilot.report import Format
from gyropilot.report.simulation.jobs import write_jobs
from gyropilot.report.simulation.result import Simulation

__all__ = ["Simulation", "render", "write_jobs"]


def render(found: Simulation, format: Format, width: int | None = None) -> str:  # noqa: A002 - the word that is typed
    """The simulation in one format; text for a terminal of so many columns."""
    if format == "html":
        from gyropilot.report.html import fill
        from gyropilot.report.simulation.page import page

        return fill("simulation.html", page(found))
    if format == "json":
        from gyropilot.report.simulation.json_report import to_json

        return to_json(found)
    from gyropilot.report.simulation.text import to_text

    return to_text(found, width)
