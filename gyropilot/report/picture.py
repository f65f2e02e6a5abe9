"""The total demand fan as one SVG file of its own, for a page that cannot hold the whole report."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

from markupsafe import Markup

from gyropilot.domain import Cycle
from gyropilot.report import story
from gyropilot.report.charts import Frame, fan_chart
from gyropilot.report.fans import Fan, fan_of, totals
from gyropilot.report.svg import drawing, line, rect, tag, text
from gyropilot.report.words import TOTAL, moment

_WIDTH, _HEIGHT, _MARGIN = 1000, 456, 32
_CHART = Frame(_WIDTH - 2 * _MARGIN, 310, right=124, top=26, bottom=26, time_ticks=8, labels=True)

# A light card of its own: the page around it may be white or dark, and an image cannot know.
_STYLE = """
svg { --sans: -apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  --paper: #fcfbf8; --ink: #1a2027; --muted: #5a646e; --grid: #e7e3d8; --unseen: #efebdf;
  --demand: #175a8c; --running: #a9c6dc; --pending: #e3a13c; --limit: #b3261e; }
.card { fill: var(--paper); stroke: #d9d5c9; }
.title { font-size: 22px; font-weight: 700; fill: var(--ink); letter-spacing: -.3px; }
"""


def total_picture(cycle: Cycle) -> str:
    """A standalone SVG: headline, legend and the largest total's fan on a card."""
    lines = totals(cycle)
    headline = story.headline(cycle)
    said = f"{story.what_happened(cycle)} {cycle.sentence}. {moment(cycle.began_at)}"
    chart = _chart(fan_of(cycle, lines[0])) if lines else [text(_MARGIN, 140, "No demand was seen.", "label")]
    return str(
        drawing(
            "gyropilot",
            headline,
            said,
            (_WIDTH, _HEIGHT),
            tag("style", Markup(_STYLE + (files("gyropilot.report") / "templates/chart.css").read_text("utf-8"))),
            tag("rect", x=0.5, y=0.5, width=_WIDTH - 1, height=_HEIGHT - 1, rx=10, class_="card"),
            _title(headline),
            text(_MARGIN, 72, said, "label"),
            *chart,
            width=_WIDTH,
            height=_HEIGHT,
        )
    )


def _title(headline: str) -> Markup:
    """As large as its length allows: three fifths of its size is what a letter of the widest fonts is wide."""
    size = min(22.0, (_WIDTH - 2 * _MARGIN) / 0.6 / max(1, len(headline)))
    return tag("text", headline, x=_MARGIN, y=48, class_="title", style=f"font-size: {size:.1f}px")


def _chart(fan: Fan) -> Iterator[Markup]:
    yield from _legend(fan)
    placed = {"x": _MARGIN, "y": 130, "width": _CHART.width, "height": _CHART.height}
    yield tag("svg", fan_chart(fan, _CHART, "total", TOTAL), **placed)


def _legend(fan: Fan) -> Iterator[Markup]:
    names = ("inner",) if len(fan.bands) == 1 else ("outer", "inner")
    bands = [(name, f"{band.share} of futures") for name, band in zip(names, fan.bands, strict=False)]
    marks = [("running", "running"), ("pending", "waiting"), ("median", "demand, then median forecast")]
    x = float(_MARGIN)
    for mark, words in (*marks, *reversed(bands), ("limit", "capacity")):
        flat = mark in ("median", "limit")
        yield line((x, 102), (x + 22, 102), mark) if flat else rect((x, 96), 22, 12, mark)
        yield text(x + 29, 106, words, "label")
        x += 29 + 7.0 * len(words) + 18
