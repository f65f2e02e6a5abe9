"""How long jobs waited, as a picture: half of them up to the ring, nineteen in twenty up to the dot.

A triangle stands instead of the dot where they waited that long or longer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from envs.tally import Waits
from gyropilot.report.simulation.words import span, waits_told
from gyropilot.report.svg import Scale, drawing, line, tag, text
from gyropilot.report.words import TOTAL

ROW = 34
PANEL = 270
PANELS = 8
"""At most."""

ROWS = 6
"""Of a panel whose rows are queues."""

LETTERS = 24
"""Of a name, before it would run into its figures; the tables have all of it."""

SHORTEST_S = 900.0
"""That a scale goes to: nobody's minute looks long."""

TICKS_S = (0, 60, 600, 3_600, 36_000, 4 * 86_400, 40 * 86_400)


@dataclass(frozen=True, slots=True)
class Mark:
    """A row: whose jobs, and how it is drawn (ours, first, best, other)."""

    name: str
    class_: str
    waits: Waits

    @property
    def words(self) -> str:
        """12 min / 3.4 h."""
        return waited(self.waits)


def waited(waits: Waits) -> str:
    """12 min / ≥ 3.4 h: half of all jobs, and nineteen in twenty, waited no longer."""
    return " / ".join(waits_told(waits)) if waits.started else "never started"


def queue_panels(waits: Sequence[Waits]) -> Iterator[Markup]:
    """Of all queues (first), then of those with the longest waits, a row each."""
    everybody, *queues = waits
    queues.sort(key=lambda mine: -mine.p95_s)
    rows = [Mark(TOTAL, "ours", everybody), *(Mark(mine.queue or "", "first", mine) for mine in queues)]
    longest_s = max(mine.p95_s for mine in waits)
    for nth in range(min(PANELS, -(-len(rows) // ROWS))):
        yield waits_chart(rows[nth * ROWS : (nth + 1) * ROWS], longest_s, f"w{nth}", "Waits by queue")


def waits_chart(marks: Sequence[Mark], longest_s: float, ident: str, title: str) -> Markup:
    """A row per mark, on a scale that shows minutes and days alike, up to `longest_s`."""
    x = Scale(0.0, _stretched(max(longest_s, SHORTEST_S)), 6.0, PANEL - 8.0)
    height = ROW * len(marks)
    rows = (part for nth, mark in enumerate(marks) for part in _row(mark, x, ROW * nth + 15.0))
    words = "; ".join(f"{mark.name} {mark.words}" for mark in marks)
    return drawing(ident, title, words, (PANEL, height + 22), *_ticks(x, longest_s, height), *rows)


def _stretched(seconds: float) -> float:
    return math.log1p(seconds / 60)


def _ticks(x: Scale, longest_s: float, height: float) -> Iterator[Markup]:
    named = x.start
    for seconds in (s for s in TICKS_S if s <= max(longest_s, SHORTEST_S)):
        at = x(_stretched(seconds))
        yield line((at, 0), (at, height), "axis" if seconds == 0 else "grid")
        if seconds == 0 or named + 36 < at < x.end - 12:
            named = at
            yield text(at, height + 14, _tick(seconds), "tick", "middle" if seconds else "start")


def _tick(seconds: int) -> str:
    return "0" if not seconds else span(seconds).replace(".0", "").replace("60 s", "1 min").replace("60 min", "1 h")


def _row(mark: Mark, x: Scale, y: float) -> Iterator[Markup]:
    name = mark.name if len(mark.name) <= LETTERS else f"{mark.name[: LETTERS - 1]}…"
    yield text(11, y, name, "label strong halo" if mark.class_ == "ours" else "label halo")
    yield text(PANEL - 4, y, mark.words, "label halo", "end")
    if mark.waits.waited:
        half, most = x(_stretched(mark.waits.p50_s)), x(_stretched(mark.waits.p95_s))
        yield line((half, y + 9), (most, y + 9), f"span {mark.class_}")
        yield _end(most, y + 9, mark)
        yield tag("circle", cx=half, cy=y + 9, r=4.0, class_=f"ring {mark.class_}")


def _end(x: float, y: float, mark: Mark) -> Markup:
    if mark.waits.p95_is_least:
        return tag("path", d=f"M{x - 4:.1f} {y - 5:.1f}v10L{x + 6:.1f} {y:.1f}Z", class_=f"spot {mark.class_}")
    return tag("circle", cx=x, cy=y, r=4.5, class_=f"spot {mark.class_}")
