"""SVG by small functions: one door, `tag`, through which every text and every attribute is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup, escape

from gyropilot.report.words import visible

Point = tuple[float, float]


def tag(name: str, *children: object, **attributes: object) -> Markup:
    """One element. `class_` reads class, `stroke_width` stroke-width; None leaves an attribute out."""
    pairs = [(key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items() if value is not None]
    opening = Markup("").join(Markup(' {}="{}"').format(key, _text(value)) for key, value in pairs)
    return Markup("<{0}{1}>{2}</{0}>").format(name, opening, Markup("").join(_text(c) for c in children))


def _text(value: object) -> Markup:
    if isinstance(value, Markup):
        return value
    if isinstance(value, float):
        return Markup(coordinate(value))
    return escape(visible(str(value)))


def coordinate(value: float) -> str:
    """A tenth of a pixel is as fine as anybody sees."""
    return f"{value:.1f}".removesuffix(".0")


def drawing(
    ident: str, title: str, description: str, box: tuple[int, int], *children: object, **attributes: object
) -> Markup:
    """A picture that a screen reader can tell: title and description come first."""
    return tag(
        "svg",
        tag("title", title, id=f"{ident}-t"),
        tag("desc", description, id=f"{ident}-d"),
        *children,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {box[0]} {box[1]}",
        role="img",
        aria_labelledby=f"{ident}-t {ident}-d",
        **attributes,
    )


def text(x: float, y: float, words: object, class_: str, anchor: str = "start") -> Markup:
    return tag("text", words, x=x, y=y, class_=class_, text_anchor=None if anchor == "start" else anchor)


def line(start: Point, end: Point, class_: str) -> Markup:
    return tag("line", x1=start[0], y1=start[1], x2=end[0], y2=end[1], class_=class_)


def rect(corner: Point, width: float, height: float, class_: str) -> Markup:
    return tag("rect", x=corner[0], y=corner[1], width=max(0.0, width), height=max(0.0, height), class_=class_)


def path(points: Iterable[Point], class_: str, closed: bool = False) -> Markup:
    """A line through the points, or the area that they surround."""
    steps = "L".join(f"{coordinate(x)} {coordinate(y)}" for x, y in points)
    return tag("path", d=f"M{steps}{'Z' if closed else ''}", class_=class_) if steps else Markup("")


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values linearly to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        span = (self.high - self.low) or 1.0
        return self.start + (value - self.low) / span * (self.end - self.start)
