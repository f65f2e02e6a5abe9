"""A cycle as one HTML file that opens anywhere, without a network and without a script."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gyropilot.domain import Cycle
from gyropilot.report.page import page
from gyropilot.report.words import visible


def to_html(cycle: Cycle) -> str:
    """The whole report. Every text of the cluster's is escaped, by jinja2 or by `svg.tag`."""
    return _environment().get_template("report.html").render(page(cycle))


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("gyropilot.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shown(value: object) -> object:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
