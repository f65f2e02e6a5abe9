"""A cycle as one HTML file that opens anywhere, without a network and without a script."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gyropilot.domain import Cycle
from gyropilot.report.page import page
from gyropilot.report.words import visible


def to_html(cycle: Cycle) -> str:
    """The whole report. Every text of the cluster's is escaped, by jinja2 or by `svg.tag`."""
    return fill("report.html", page(cycle))


def fill(template: str, parts: Mapping[str, Any]) -> str:
    """A page of this package's look, from what its template names."""
    return _environment().get_template(template).render(parts)


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
