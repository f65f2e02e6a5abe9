"""The pictures of a backtest, as inline SVG that the page's style sheet colours."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from forecasting.backtest.result import Score
from gyropilot.domain import Floats
from gyropilot.report.axes import beside, time_label, time_ticks
from gyropilot.report.backtest.words import figure, percent
from gyropilot.report.charts import Frame
from gyropilot.report.svg import Point, Scale, drawing, line, path, rect, tag, text
from gyropilot.report.words import number

PANEL = 270  # pixels wide: four of them stand side by side
ROW = 34
LETTERS = 33
"""Of a model's name, before it would run into its figure; the tables have all of it."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One model in a picture; its class says whether it is ours, the first row, a peer or another."""

    name: str
    class_: str
    score: Score


def cut(name: str) -> str:
    """The beginning of a name that is too long for a picture."""
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…"


def ladder(marks: Sequence[Mark], ident: str, title: str) -> Markup:
    """A row per model: its name, its score, and a line for the 90 % interval, from zero on one scale."""
    top = max([e for m in marks for e in (m.score.value, m.score.high) if math.isfinite(e)], default=1.0)
    x = Scale(0.0, top * 1.04 or 1.0, 1.0, PANEL - 5.0)
    height = ROW * len(marks) + 4
    rungs = (part for nth, mark in enumerate(marks) for part in _rung(mark, x, ROW * nth + 14.0))
    words = "; ".join(f"{m.name} {figure(m.score.value)}" for m in marks)
    zero = line((x(0), 0), (x(0), height), "axis")
    return drawing(ident, title, words, (PANEL, height), zero, *rungs)


def _rung(mark: Mark, x: Scale, y: float) -> Iterator[Markup]:
    yield text(7, y, cut(mark.name), "label")
    yield text(PANEL - 2, y, figure(mark.score.value), "label strong", "end")
    yield line((x(0), y + 10), (x.end, y + 10), "grid")
    if math.isfinite(mark.score.low):
        yield line((x(mark.score.low), y + 10), (x(mark.score.high), y + 10), f"span {mark.class_}")
    if math.isfinite(mark.score.value):
        yield tag("circle", cx=x(mark.score.value), cy=y + 10, r=4.5, class_=f"spot {mark.class_}")


@dataclass(frozen=True, eq=False, slots=True)
class Curve:
    """One model along an axis."""

    name: str
    class_: str
    xs: Floats
    ys: Floats


def leads(curves: Sequence[Curve], frame: Frame, ident: str) -> Markup:
    """How the loss grows with every hour ahead."""
    top = max([float(np.max(c.ys[np.isfinite(c.ys)], initial=0.0)) for c in curves], default=0.0) * 1.08
    last = max([float(c.xs[-1]) for c in curves], default=1.0)
    x = Scale(0.0, last, frame.left, frame.width - frame.right)
    y = Scale(0.0, top or 1.0, frame.height - frame.bottom, frame.top)
    drawn = [path(_points(c, x, y), f"curve {c.class_}") for c in curves]
    around = (*_losses(frame, y), *_hours(frame, x, last, y(0)), *_names(curves, frame, x, y))
    words = "; ".join(f"{c.name} from {figure(float(c.ys[0]))} to {figure(float(c.ys[-1]))}" for c in curves)
    return drawing(ident, "Loss by hours ahead", words, (frame.width, frame.height), *around, *drawn)


def _points(curve: Curve, x: Scale, y: Scale) -> list[Point]:
    return [(x(float(a)), y(float(b))) for a, b in zip(curve.xs, curve.ys, strict=True) if math.isfinite(b)]


def _losses(frame: Frame, y: Scale) -> Iterator[Markup]:
    yield text(frame.left - 6, frame.top - 10, "WQL", "tick", "end")
    for loss in round_steps(y.high, 4):
        height = y(loss)
        yield line((frame.left, height), (frame.width - frame.right, height), "axis" if loss == 0 else "grid")
        yield text(frame.left - 6, height + 4, f"{loss:.3g}", "tick", "end")


def round_steps(top: float, about: int) -> list[float]:
    """From zero to `top` in steps of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(top / about))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= top / about)
    return [n * step for n in range(int(top / step) + 1)]


def _hours(frame: Frame, x: Scale, last: float, floor: float) -> Iterator[Markup]:
    step = next((s for s in (1, 3, 6, 12, 24, 48) if last / s <= 8), 24)
    for hour in range(step, int(last) + 1, step):
        yield line((x(hour), floor), (x(hour), floor + 4), "axis")
        yield text(min(x(hour), frame.width - frame.right - 8), floor + 16, f"{hour} h", "tick", "middle")


def _names(curves: Sequence[Curve], frame: Frame, x: Scale, y: Scale) -> Iterator[Markup]:
    """At the right edge, where there is room: ours, and whoever it is measured by, pushed apart."""
    named = sorted((c for c in curves if frame.labels and c.class_ != "other"), key=lambda c: float(c.ys[-1]))
    above = y.start
    for curve in (c for c in named if math.isfinite(c.ys[-1])):
        above = min(y(float(curve.ys[-1])) + 4, above - 15)
        yield text(x.end + 8, above, cut(curve.name), "label strong" if curve.class_ == "ours" else "label")


def reliability(curves: Sequence[Curve], ident: str, title: str) -> Markup:
    """Of all outcomes, the share below each quantile: on the diagonal every quantile is what it claims."""
    box = Frame(PANEL, PANEL, left=42, right=8, top=10, bottom=26)
    x = Scale(0.0, 1.0, box.left, box.width - box.right)
    y = Scale(0.0, 1.0, box.height - box.bottom, box.top)
    parts = [line((x(0), y(0)), (x(1), y(1)), "now")]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(line((x(0), y(share)), (x(1), y(share)), "axis" if share == 0 else "grid"))
        parts.append(text(box.left - 5, y(share) + 4, f"{100 * share:.0f} %", "tick", "end"))
    for share in (0.1, 0.5, 0.9):
        parts.append(text(x(share), y(0) + 17, f"{100 * share:.0f} %", "tick", "middle"))
    for curve in curves:
        parts.append(path(_points(curve, x, y), f"curve {curve.class_}"))
    parts += [_spot(a, b, x, y) for c in curves if c.class_ == "ours" for a, b in zip(c.xs, c.ys, strict=True)]
    words = "; ".join(f"{c.name}: {_told(c, 0.1)}, {_told(c, 0.5)}, {_told(c, 0.9)}" for c in curves)
    return drawing(ident, title, words, (box.width, box.height), *parts)


def _spot(a: float, b: float, x: Scale, y: Scale) -> Markup:
    return tag("circle", cx=x(float(a)), cy=y(float(b)), r=2.6, class_="spot ours") if math.isfinite(b) else Markup("")


def _told(curve: Curve, level: float) -> str:
    share = float(np.interp(level, curve.xs, curve.ys))
    return f"{100 * share:.0f} % below the {100 * level:.0f} % quantile" if math.isfinite(share) else "nothing scored"


@dataclass(frozen=True, eq=False, slots=True)
class Outlook:
    """What was said at one origin about the hours that follow it."""

    ends_s: Floats  # (W,)
    low95: Floats  # (W,) GPUs
    low80: Floats
    median: Floats
    high80: Floats
    high95: Floats


def past(times_s: Floats, demand: Floats, outlooks: Sequence[Outlook], ident: str, name: str) -> Markup:
    """Demand as it came, and under it what was said of each day at its first origin."""
    frame = Frame(360, 180, left=50, top=8, time_ticks=4)
    x = Scale(float(times_s[0]), float(times_s[-1]), frame.left, frame.width - frame.right)
    y = Scale(0.0, _top(demand, outlooks), frame.height - frame.bottom, frame.top)
    window = rect((frame.left, frame.top), x.end - x.start, y.start - y.end, "")
    clip = tag("clipPath", window, id=f"{ident}-c")
    fans = [part for outlook in outlooks for part in _fan(outlook, x, y)]
    came = [path(points, "demand") for points in _unbroken(times_s, demand, x, y)]
    drawn = tag("g", *fans, *came, clip_path=f"url(#{ident}-c)")
    seen = demand[np.isfinite(demand)]
    words = f"between {number(float(seen.min()))} and {number(float(seen.max()))}" if len(seen) else "not seen"
    parts = (clip, *_levels(frame, y), *_days(frame, times_s, x, y(0)), drawn)
    return drawing(ident, f"Demand of {name} and what was said of it", words, (frame.width, frame.height), *parts)


def _top(demand: Floats, outlooks: Sequence[Outlook]) -> float:
    """High enough for what came and for most of what was said; a wilder tail is cut off."""
    came = float(np.max(demand[np.isfinite(demand)], initial=0.0))
    said = max([float(np.max(o.high80[np.isfinite(o.high80)], initial=0.0)) for o in outlooks], default=0.0)
    return max(1.0, came, min(said, 1.5 * came)) * 1.1


def _fan(outlook: Outlook, x: Scale, y: Scale) -> Iterator[Markup]:
    for low, high, class_ in ((outlook.low95, outlook.high95, "outer"), (outlook.low80, outlook.high80, "inner")):
        seen = np.isfinite(low)
        over = [(x(float(t)), y(float(v))) for t, v in zip(outlook.ends_s[seen], high[seen], strict=True)]
        under = [(x(float(t)), y(float(v))) for t, v in zip(outlook.ends_s[seen], low[seen], strict=True)]
        yield path([*over, *reversed(under)], class_, closed=True)
    middle = zip(outlook.ends_s, outlook.median, strict=True)
    yield path([(x(float(t)), y(float(v))) for t, v in middle if math.isfinite(v)], "median")


def _unbroken(times_s: Floats, demand: Floats, x: Scale, y: Scale) -> Iterator[list[Point]]:
    """The line in as many pieces as gaps leave of it."""
    seen = np.concatenate([[False], np.isfinite(demand), [False]])
    edges = np.flatnonzero(np.diff(seen.astype(np.int8)))
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        yield [(x(float(times_s[i])), y(float(demand[i]))) for i in range(begin, end)]


def _levels(frame: Frame, y: Scale) -> Iterator[Markup]:
    for level in round_steps(y.high, 3):
        yield line((frame.left, y(level)), (frame.width - frame.right, y(level)), "axis" if level == 0 else "grid")
        yield text(frame.left - 6, y(level) + 4, number(level), "tick", "end")


def _days(frame: Frame, times_s: Floats, x: Scale, floor: float) -> Iterator[Markup]:
    for when in time_ticks(int(times_s[0]), int(times_s[-1]), frame.time_ticks):
        at = x(when.timestamp())
        yield line((at, floor), (at, floor + 4), "axis")
        place, anchor = beside(at, frame.left, frame.width - frame.right)
        yield text(place, floor + 16, time_label(when), "tick", anchor)


def difference(score: Score, extent: tuple[float, float]) -> Markup:
    """A percentage with its interval around a tick at zero; decoration beside its words."""
    if not math.isfinite(score.low) or extent[0] == extent[1]:
        return Markup("")
    x = Scale(extent[0], extent[1], 5.0, 155.0)
    return tag(
        "svg",
        line((x(0), 1), (x(0), 15), "axis"),
        line((x(score.low), 8), (x(score.high), 8), "whisker"),
        tag("circle", cx=x(score.value), cy=8, r=4, class_="dot"),
        tag("title", percent(score.value)),
        width=160,
        height=16,
        viewBox="0 0 160 16",
        class_="whisk far",
        aria_hidden="true",
    )
