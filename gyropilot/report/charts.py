"""The pictures: demand fans, pool bars and effect whiskers, as inline SVG that the page's style sheet colours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import ceil

import numpy as np
from markupsafe import Markup

from gyropilot.domain import Floats, Interval, Pool
from gyropilot.report.axes import beside, gpu_ticks, time_label, time_ticks
from gyropilot.report.fans import Band, Fan
from gyropilot.report.svg import Point, Scale, drawing, line, path, rect, tag, text
from gyropilot.report.words import known, moment, number

ALONE = 7.0
"""Pixels: how wide a horizon is drawn that no line joins to its neighbours."""

BESIDE = 8
"""Pixels between the right edge and what is named there."""

LETTER = {"label": 7.3, "label strong": 8.3}
"""Pixels: how wide a letter of a label is on average, in the widest of the fonts that pages ask for."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The size of a chart and the room around its plot, in pixels."""

    width: int
    height: int
    left: int = 38
    right: int = 6
    top: int = 24
    bottom: int = 22
    time_ticks: int = 5
    labels: bool = False  # name the quantiles at the right edge


WIDE = Frame(1120, 340, right=124, top=26, bottom=26, time_ticks=9, labels=True)
NARROW = Frame(340, 260, time_ticks=4)
SMALL = Frame(360, 190, time_ticks=4)


@dataclass(frozen=True, eq=False)
class Plot:
    """A fan with its scales: what every part of the chart draws with."""

    fan: Fan
    frame: Frame
    x: Scale
    y: Scale
    clip: str

    def at(self, seconds_ahead: float, gpus: float) -> Point:
        return self.x(self.fan.now_s + seconds_ahead), self.y(gpus)

    @property
    def right(self) -> float:
        return float(self.frame.width - self.frame.right)

    @property
    def now(self) -> float:
        return self.x(self.fan.now_s)


def fan_chart(fan: Fan, frame: Frame, ident: str, name: str) -> Markup:
    """History on the left, the fan on the right, the limit across; one shared scale in GPUs."""
    frame = roomy(frame, fan)
    frame_right = frame.width - frame.right
    plot = Plot(
        fan,
        frame,
        x=Scale(fan.begin_s, fan.end_s, frame.left, frame_right),
        y=Scale(0.0, top_of(fan), frame.height - frame.bottom, frame.top),
        clip=f"{ident}-c",
    )
    layers = (_clip(plot), *_grid(plot), _demand(plot), *_now(plot), *_limit(plot), *_labels(plot), *_empty(plot))
    return drawing(ident, f"Demand of {name}", describe(fan), (frame.width, frame.height), *layers)


def roomy(frame: Frame, fan: Fan) -> Frame:
    """The same frame with room for all that is named at its right edge."""
    if not frame.labels:
        return frame
    widest = max((len(words) * LETTER[class_] for _, words, class_ in _marks(fan)), default=0.0)
    return replace(frame, right=max(frame.right, ceil(BESIDE + widest)))


def top_of(fan: Fan) -> float:
    """High enough for history, limit and the inner band; a wilder tail is cut off so that it hides nothing."""
    inner = fan.bands[-1].high if fan.bands else fan.median
    wanted = _peak(fan.demand, fan.running, inner, fan.median, np.array([gpus for _, gpus in fan.limit]))
    tail = _peak(*(band.high for band in fan.bands))
    return max(1.0, wanted, min(tail, 1.5 * wanted)) * 1.12


def _peak(*rows: Floats) -> float:
    return max((float(np.max(r[np.isfinite(r)], initial=0.0)) for r in rows), default=0.0)


def describe(fan: Fan) -> str:
    """The chart in words, for those who do not see it."""
    parts = [f"now {number(fan.latest)} GPUs running or waiting"]
    if len(fan.median) and np.isfinite(fan.median[-1]):
        parts.append(f"median forecast {number(float(fan.median[-1]))} at {_clock(fan.end_s)}")
    parts += [
        f"{band.share} between {number(float(band.low[-1]))} and {number(float(band.high[-1]))}"
        for band in fan.bands
        if np.isfinite(band.high[-1:]).any()
    ]
    if fan.limit:
        parts.append(f"limit {number(fan.limit_now)} GPUs, {number(fan.limit_after)} after approved changes")
    return "; ".join(parts)


def _clock(seconds: float) -> str:
    return moment(datetime.fromtimestamp(seconds, UTC))


def _clip(plot: Plot) -> Markup:
    frame = plot.frame
    window = rect((frame.left, frame.top), plot.right - frame.left, frame.height - frame.top - frame.bottom, "")
    return tag("clipPath", window, id=plot.clip)


def _grid(plot: Plot) -> Iterator[Markup]:
    frame = plot.frame
    floor = plot.y(0)
    yield text(frame.left - 6, frame.top - 10, "GPUs", "tick", "end")
    for gpus in gpu_ticks(plot.y.high * 0.98, about=3 if frame.height < 220 else 4):
        yield line((frame.left, plot.y(gpus)), (plot.right, plot.y(gpus)), "axis" if gpus == 0 else "grid")
        yield text(frame.left - 6, plot.y(gpus) + 4, number(gpus), "tick", "end")
    for when in time_ticks(int(plot.fan.begin_s), int(plot.fan.end_s), frame.time_ticks):
        x = plot.x(when.timestamp())
        yield line((x, floor), (x, floor + 4), "axis")
        at, anchor = beside(x, frame.left, plot.right)
        yield text(at, floor + 16, time_label(when), "tick", anchor)


def _demand(plot: Plot) -> Markup:
    """Everything that a wild tail may push out of the frame, cut at its edge."""
    fan = plot.fan
    parts = [*_unseen(plot), *_areas(plot)]
    anchor = fan.latest if len(fan.demand) and np.isfinite(fan.demand[-1]) else None
    for nth, band in enumerate(fan.bands):
        parts.append(_band(plot, band, anchor, "outer" if nth == 0 and len(fan.bands) > 1 else "inner"))
    start = [] if anchor is None else [plot.at(0, anchor)]
    ahead = zip(fan.ahead_s[: fan.joined], fan.median[: fan.joined], strict=True)
    parts.append(path([*start, *(plot.at(float(s), float(g)) for s, g in ahead if np.isfinite(g))], "median"))
    parts += _alone(plot)
    return tag("g", *parts, clip_path=f"url(#{plot.clip})")


def _areas(plot: Plot) -> Iterator[Markup]:
    """Running from the floor up, waiting on top of it, the sum as a line; gaps stay gaps."""
    fan = plot.fan
    xs = [plot.x(float(t)) for t in fan.times_s]
    for part in _runs(np.isfinite(fan.demand)):
        x, running, demand = xs[part], fan.running[part], fan.demand[part]
        tops = list(zip(x, (plot.y(g) for g in demand), strict=True))
        middles = list(zip(x, (plot.y(g) for g in running), strict=True))
        yield path([*middles, (x[-1], plot.y(0)), (x[0], plot.y(0))], "running", closed=True)
        if np.any(fan.pending[part] > 0):
            yield path([*tops, *reversed(middles)], "pending", closed=True)
        yield path(tops, "demand")


def _unseen(plot: Plot) -> Iterator[Markup]:
    fan = plot.fan
    for part in _runs(~np.isfinite(fan.demand)):
        first, last = max(0, part.start - 1), min(part.stop, len(fan.times_s) - 1)
        begin, end = plot.x(float(fan.times_s[first])), plot.x(float(fan.times_s[last]))
        yield rect((begin, plot.frame.top), max(1.0, end - begin), plot.y(0) - plot.frame.top, "unseen")
        if end - begin > 60 and np.isfinite(fan.demand).any():
            yield text((begin + end) / 2, plot.y(0) - 6, "not seen", "tick", "middle")


def _runs(flags: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Iterator[slice]:
    """Each unbroken stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        yield slice(int(begin), int(end))


def _band(plot: Plot, band: Band, anchor: float | None, class_: str) -> Markup:
    seen = np.flatnonzero(np.isfinite(band.low) & np.isfinite(band.high))
    seen = seen if plot.fan.joined is None else seen[seen < plot.fan.joined]
    ahead, low, high = plot.fan.ahead_s[seen], band.low[seen], band.high[seen]
    if not len(ahead):
        return Markup("")
    start = [] if anchor is None else [plot.at(0, anchor)]
    over = [plot.at(float(s), float(g)) for s, g in zip(ahead, high, strict=True)]
    under = [plot.at(float(s), float(g)) for s, g in zip(ahead, low, strict=True)]
    return path([*start, *over, *reversed(under)], class_, closed=True)


def _alone(plot: Plot) -> Iterator[Markup]:
    """Each horizon that no line may join, as a narrow bar per band and a stroke at the median."""
    fan = plot.fan
    for nth in range(len(fan.ahead_s) if fan.joined is None else fan.joined, len(fan.ahead_s)):
        if not np.isfinite(fan.median[nth]):
            continue
        x, y = plot.at(float(fan.ahead_s[nth]), float(fan.median[nth]))
        left = min(x, plot.right - ALONE / 2) - ALONE / 2  # the last one lies on the edge
        for band, class_ in zip(fan.bands, ("outer", "inner")[-len(fan.bands) :], strict=True):
            top, floor = plot.y(float(band.high[nth])), plot.y(float(band.low[nth]))
            yield rect((left, top), ALONE, floor - top, class_)
        yield line((left, y), (left + ALONE, y), "median")


def _now(plot: Plot) -> Iterator[Markup]:
    yield line((plot.now, plot.frame.top - 6), (plot.now, plot.y(0)), "now")
    label = f"now {datetime.fromtimestamp(plot.fan.now_s, UTC):%H:%M} UTC"
    yield text(plot.now, plot.frame.top - 10, label, "label strong", "middle")


def _limit(plot: Plot) -> Iterator[Markup]:
    """Thin over the past, of which only today's value is known; as a stair from now on."""
    fan = plot.fan
    if fan.limit_now is None or fan.limit_after is None:
        return
    level = fan.limit_now
    yield line((plot.frame.left, plot.y(level)), (plot.now, plot.y(level)), "limit past")
    stair = [plot.at(0, level)]
    for ahead, gpus in fan.limit[1:]:
        stair += [plot.at(ahead, level), plot.at(ahead, gpus)]
        level = gpus
    yield path([*stair, (plot.right, plot.y(level))], "limit")


def limit_words(fan: Fan) -> str:
    """capacity 96 → 112."""
    name = "quota" if fan.line.queue else "capacity"
    change = "" if fan.limit_after == fan.limit_now else f" → {number(fan.limit_after)}"
    return f"{name} {number(fan.limit_now)}{change}"


def _labels(plot: Plot) -> Iterator[Markup]:
    """Names at the right edge, pushed apart where they would touch; the limit's comes first."""
    if not plot.frame.labels:
        return
    marks = _marks(plot.fan)
    heights = _apart([max(plot.frame.top + 2.0, plot.y(m[0]) + 4) for m in marks], 15.0, plot.y(0))
    for height, (_, words, class_) in zip(heights, marks, strict=True):
        yield text(plot.right + BESIDE, height, words, class_)


def _marks(fan: Fan) -> list[tuple[float, str, str]]:
    """What is named at the right edge, the highest first: GPUs, words and class."""
    marks = [(gpus, words, "label") for gpus, words in _ends(fan)]
    if fan.limit_after is not None:
        marks.append((fan.limit_after, limit_words(fan), "label strong"))
    return sorted((m for m in marks if np.isfinite(m[0])), key=lambda m: -m[0])


def _ends(fan: Fan) -> Iterator[tuple[float, str]]:
    for band in fan.bands:
        if len(band.high):
            yield float(band.high[-1]), f"{100 * band.high_quantile:.3g} %: {number(float(band.high[-1]))}"
            yield float(band.low[-1]), f"{100 * band.low_quantile:.3g} %: {number(float(band.low[-1]))}"
    if len(fan.median):
        yield float(fan.median[-1]), f"median: {number(float(fan.median[-1]))}"


def _apart(heights: list[float], gap: float, floor: float) -> list[float]:
    """Pushed down until none touches, then the whole lifted if the last fell through the floor."""
    placed: list[float] = []
    for height in heights:
        placed.append(max(height, placed[-1] + gap) if placed else height)
    for i in range(len(placed) - 1, -1, -1):
        ceiling = floor if i == len(placed) - 1 else placed[i + 1] - gap
        placed[i] = min(placed[i], ceiling)
    return placed


def _empty(plot: Plot) -> Iterator[Markup]:
    fan = plot.fan
    middle = (plot.frame.top + plot.y(0)) / 2
    if not np.isfinite(fan.demand).any():
        yield text((plot.frame.left + plot.now) / 2, middle, "no history seen", "label", "middle")
    if not np.isfinite(fan.median).any():
        yield text((plot.now + plot.right) / 2, middle, "no forecast", "label", "middle")


def pool_bar(pool: Pool, after_gpus: float, scale_gpus: float, ident: str) -> Markup:
    """Busy, idle and coming GPUs in the room that the pool may grow into; the mark is where approved changes lead.

    Without a maximum no room is drawn: nobody knows how much there is.
    """
    width = Scale(0.0, scale_gpus, 0.0, 1000.0)
    busy = min(max(pool.gpus - pool.idle_gpus, 0.0), float(pool.gpus)) if np.isfinite(pool.idle_gpus) else 0.0
    coming = pool.gpus + pool.coming_gpus
    limit = coming if pool.max_nodes is None else pool.max_nodes * pool.gpus_per_node
    parts = [
        rect((0, 6), width(min(scale_gpus, float(limit))), 16, "room"),
        rect((width(pool.gpus), 6), width(coming - pool.gpus), 16, "coming"),
        rect((width(busy), 6), width(pool.gpus - busy), 16, "idle" if np.isfinite(pool.idle_gpus) else "unseen"),
        rect((0, 6), width(busy), 16, "busy"),
    ]
    if after_gpus != coming:
        parts.append(rect((min(width(after_gpus), 994.0), 0), 6, 28, "after"))
    words = f"{number(busy)} busy of {pool.gpus} GPUs, {pool.coming_gpus} coming, {number(after_gpus)} after changes"
    return drawing(ident, f"Pool {pool.name}", words, (1000, 28), *parts, preserveAspectRatio="none", class_="bar")


def whisker(interval: Interval, extent: tuple[float, float], class_: str = "") -> Markup:
    """The 10–90 % interval as a line and its middle as a dot, around a tick at zero; decoration beside its words."""
    if not known(interval) or extent[0] == extent[1]:
        return Markup("")
    x = Scale(extent[0], extent[1], 5.0, 91.0)
    return tag(
        "svg",
        line((x(0), 1), (x(0), 15), "axis"),
        line((x(interval.low), 8), (x(interval.high), 8), "whisker"),
        tag("circle", cx=x(interval.mid), cy=8, r=4, class_="dot"),
        width=96,
        height=16,
        viewBox="0 0 96 16",
        class_=f"whisk {class_}".strip(),
        aria_hidden="true",
    )


def extent_of(intervals: list[Interval]) -> tuple[float, float]:
    """The span that holds zero and every known interval, so that whiskers below each other can be compared."""
    ends = [v for i in intervals if known(i) for v in (i.low, i.high)]
    return min([0.0, *ends]), max([0.0, *ends])


def key_swatch(class_: str) -> Markup:
    """A legend's sample of one mark."""
    if class_ in ("median", "limit", "limit past"):
        return tag("svg", line((0, 6), (22, 6), class_), width=22, height=12, aria_hidden="true")
    return tag("svg", rect((0, 0), 22, 12, class_), width=22, height=12, aria_hidden="true")
