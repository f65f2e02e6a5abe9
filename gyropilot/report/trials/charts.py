"""The pictures of what pilots paid: by kind, and day by day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from envs.terms import KINDS
from envs.trial import Trial
from gyropilot.domain import Floats
from gyropilot.report.axes import gpu_ticks
from gyropilot.report.courses import tamed
from gyropilot.report.svg import Scale, drawing, line, path, rect, tag, text
from gyropilot.report.trials.result import Trials
from gyropilot.report.words import number

BAR = (1000, 28)

COLOURS = 6
"""Of lines, beside that of the cheapest and that of the first."""


def class_of(found: Trials, trial: Trial) -> str:
    """How a pilot is drawn: the cheapest, the one that was named first, and the others in their order."""
    special = {id(found.trials[0]): "first", id(found.ranking[0]): "ours"}
    others = [id(other) for other in found.trials if id(other) not in special]
    return special.get(id(trial)) or f"o{others.index(id(trial)) % COLOURS}"


def cost_bar(usd: Mapping[str, float], bound_usd: float | None, top_usd: float, ident: str, name: str) -> Markup:
    """What was paid, kind after kind; the stroke is what nobody can stay below. A bar beyond `top_usd` is torn off."""
    x = Scale(0.0, top_usd or 1.0, 0.0, BAR[0] - 4.0)
    parts, paid = [rect((0, 4), BAR[0], 20, "room")], 0.0
    for nth, kind in enumerate(KINDS):
        parts.append(rect((x(paid), 4), min(x(usd[kind]), BAR[0] - x(paid)), 20, f"k{nth}"))
        paid += usd[kind]
    if paid > top_usd * (1 + 1e-9):
        parts += [path([(at, 26), (at + 9, 2)], "torn") for at in (BAR[0] - 44, BAR[0] - 34)]
    if bound_usd is not None:
        parts.append(line((x(bound_usd), 0), (x(bound_usd), BAR[1]), "least"))
    words = ", ".join(f"{kind} {usd[kind]:,.0f} USD" for kind in KINDS if usd[kind])
    return drawing(ident, f"Cost of {name}", words or "nothing", BAR, *parts, preserveAspectRatio="none", class_="bar")


def kind_swatch(kind: str) -> Markup:
    """The legend's sample of a kind of cost."""
    return tag("svg", rect((0, 0), 22, 12, f"k{KINDS.index(kind)}"), width=22, height=12, aria_hidden="true")


@dataclass(frozen=True, slots=True)
class Frame:
    """The size of the picture of days, in pixels."""

    width: int
    height: int
    right: int  # for names, where there is room
    left: int = 54
    top: int = 24
    bottom: int = 26


WIDE = Frame(1120, 260, 190)
NARROW = Frame(340, 220, 8)
LETTERS = 26
"""Of a name, beside its line."""


@dataclass(frozen=True, eq=False, slots=True)
class Days:
    """What one pilot paid day by day; its class says how it is drawn."""

    name: str
    class_: str
    usd: Floats  # (D,)


def days_chart(days: Sequence[Days], frame: Frame, ident: str) -> Markup:
    """A line per pilot with a dot on each day."""
    count = len(days[0].usd)
    x = Scale(1.0, max(count, 2), frame.left + 14, frame.width - frame.right - 8)
    y = Scale(0.0, top_of(days), frame.height - frame.bottom, frame.top)
    clip = tag("clipPath", rect((0, frame.top - 8), frame.width, y.start - frame.top + 16, ""), id=f"{ident}-c")
    lines = (part for each in days for part in _line(each, x, y))
    drawn = (clip, tag("g", *lines, clip_path=f"url(#{ident}-c)"))
    words = "; ".join(
        f"{each.name} between {number(float(each.usd.min()))} and {number(float(each.usd.max()))}" for each in days
    )
    around = (*_levels(frame, y), *_dates(frame, x, y, count), *_names(days, frame, x, y))
    return drawing(ident, "USD per day", words, (frame.width, frame.height), *around, *drawn)


def top_of(days: Sequence[Days]) -> float:
    """USD up to which the picture goes; who pays far more than most is cut off."""
    return 1.08 * max(1.0, tamed([float(each.usd.max()) for each in days]))


def _line(days: Days, x: Scale, y: Scale) -> Iterator[Markup]:
    points = [(x(nth), y(float(usd))) for nth, usd in enumerate(days.usd, 1)]
    steps = "L".join(f"{left:.1f} {top:.1f}" for left, top in points)
    yield tag("path", d=f"M{steps}", class_=f"curve {days.class_}")
    if len(points) <= 40:
        yield from (tag("circle", cx=left, cy=top, r=3.2, class_=f"spot {days.class_}") for left, top in points)


def _levels(frame: Frame, y: Scale) -> Iterator[Markup]:
    yield text(frame.left - 6, frame.top - 10, "USD", "tick", "end")
    for usd in gpu_ticks(y.high * 0.98):
        yield line((frame.left, y(usd)), (frame.width - frame.right, y(usd)), "axis" if usd == 0 else "grid")
        yield text(frame.left - 6, y(usd) + 4, number(usd), "tick", "end")


def _dates(frame: Frame, x: Scale, y: Scale, count: int) -> Iterator[Markup]:
    every = next((n for n in (1, 2, 7, 14, 28, 91) if count / n <= frame.width / 70), 364)
    for day in range(1, count + 1, every):
        yield text(min(x(day), frame.width - 22), y(0) + 17, f"day {day}", "tick", "middle")


def _names(days: Sequence[Days], frame: Frame, x: Scale, y: Scale) -> Iterator[Markup]:
    """At the right edge, pushed apart where they would touch."""
    if frame is NARROW:
        return
    above = y.start + 19
    for each in sorted(days, key=lambda each: float(each.usd[-1])):
        above = min(max(y(float(each.usd[-1])), y.end) + 4, above - 15)
        cut = each.name if len(each.name) <= LETTERS else f"{each.name[: LETTERS - 1]}…"
        told = f"▲ {cut}" if each.usd[-1] > y.high else cut
        yield text(x.end + 14, above, told, "label strong" if each.class_ == "ours" else "label")
