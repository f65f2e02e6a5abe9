"""What a cluster did over time: demand against the GPUs that were there, what waited, and when work was lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil
from statistics import median_low
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from gyropilot.domain import Floats
from gyropilot.report.axes import gpu_ticks, time_label, time_ticks
from gyropilot.report.simulation.words import span
from gyropilot.report.stairs import Stair, stair_area, stair_line
from gyropilot.report.svg import Scale, drawing, line, rect, tag, text
from gyropilot.report.words import count, number

DAY_S = 86_400
HOUR_S = 3_600
SINCE_2001_S = 1e9
"""Times beyond it are taken for seconds since the epoch; smaller ones begin when a trace does."""

CUT = 3.0
"""How far beyond the usual a picture still goes."""

LONGER, MARGIN = 1.25, 1.1
"""A run that is so many times as long as what counts of it is not drawn to its end, but a little beyond that."""

LAYERS = 6
"""Colours that can be told apart."""

HOURS = (0.25, 0.5, 1, 2, 3, 6, 12, 24, 48)
DAYS = (1, 2, 3, 7, 14, 28, 91, 182)
"""From one tick to the next."""

FINENESS = 3
"""Pixels to a column at least: each shows its lowest and its highest value."""

LAYERS_AS_FINE = 40
"""Of all pictures together: where there are more, columns are wider, so that the page stays small."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The size of a picture and of its parts, in pixels."""

    width: int
    gpus: int  # how high demand is drawn
    waiting: int
    time_ticks: int
    left: int = 46
    right: int = 8
    top: int = 36  # faults are numbered there, and peaks told that leave their frame
    between: int = 30
    bottom: int = 24

    @property
    def floor(self) -> int:
        return self.top + self.gpus

    @property
    def height(self) -> int:
        return self.floor + self.between + self.waiting + self.bottom


WIDE = Frame(1120, 170, 56, time_ticks=12)
NARROW = Frame(340, 140, 48, time_ticks=5)


def framed(frame: Frame, axes: Axes) -> Frame:
    """With more room for what waits where demand is not drawn above it."""
    return frame if axes.demand else replace(frame, waiting=2 * frame.waiting)


class Event(NamedTuple):
    """Something that went wrong, as a picture shades it."""

    number: int
    begin_s: float
    end_s: float
    sentence: str


@dataclass(frozen=True, eq=False, slots=True)
class Course:
    """One run, in GPUs."""

    name: str
    layers: tuple[Stair, ...]  # each on top of those before it, drawn as class p0, p1, ...
    demand: Stair
    waiting: Stair
    lost_s: Floats  # moments at which work was lost
    limit: float | None = None  # GPUs that were there, where layers are who used them
    events: tuple[Event, ...] = ()

    @property
    def begin_s(self) -> float:
        return float(self.demand.times_s[0])

    @property
    def top(self) -> Stair:
        """All that was there."""
        return self.layers[-1]

    @property
    def words(self) -> str:
        """The picture for those who do not see it."""
        there = (
            f"there were between {number(self.top.low)} and {number(self.top.peak)}, on average {number(self.top.mean)}"
            if self.limit is None
            else f"of {number(self.limit)} up to {number(self.top.peak)} were used, on average {number(self.top.mean)}"
        )
        return (
            f"Demand was {number(self.demand.mean)} GPUs on average and at most {number(self.demand.peak)}; {there}. "
            f"Work waited for up to {count(self.waiting.peak, 'GPU')}, on average for {number(self.waiting.mean)}. "
            f"Work was lost at {count(len(self.lost_s), 'moment')}."
            f"{''.join(f' Shaded {event.number}: {event.sentence}.' for event in self.events)}"
        )

    def until(self, end_s: float) -> Course:
        """Its beginning."""
        return replace(
            self,
            layers=tuple(layer.until(end_s) for layer in self.layers),
            demand=self.demand.until(end_s),
            waiting=self.waiting.until(end_s),
            lost_s=self.lost_s[self.lost_s < end_s],
            events=tuple(event for event in self.events if event.begin_s < end_s),
        )


def drawn_s(counted_s: float, lasted_s: float) -> float:
    """How much of a run pictures show: all of it, but for a long time in which only stragglers run."""
    return lasted_s if lasted_s <= LONGER * counted_s else MARGIN * counted_s


def left_out(counted_s: float, lasted_s: float) -> str:
    """What pictures do not show, in a sentence; empty where they show all."""
    shown_s = drawn_s(counted_s, lasted_s)
    return (
        "" if shown_s >= lasted_s else f"Of {span(lasted_s)} the first {span(shown_s)} are drawn; then few jobs run on."
    )


@dataclass(frozen=True, slots=True)
class Axes:
    """What pictures share that are to be compared."""

    begin_s: float
    end_s: float
    gpus: float
    waiting: float
    fineness: int  # pixels to a column
    demand: bool = True  # whether its line is drawn: not where it would run far above all else


def shared(courses: Sequence[Course]) -> Axes:
    """High enough for all that was there, and for most of what was asked for: no wild backlog hides anything.

    Of jobs on a cluster that never changes a wild backlog is drawn below alone, where all of it has room.
    """
    there = max(max(course.top.peak, course.limit or 0.0) for course in courses)
    demand = min(tamed([course.demand.peak for course in courses]), CUT * there or np.inf)
    waiting = tamed([course.waiting.peak for course in courses])
    drowned = all(course.limit is not None and course.demand.peak > CUT * there for course in courses)
    first, layers = courses[0], sum(len(course.layers) for course in courses)
    return Axes(
        first.begin_s,
        first.demand.end_s,
        gpus=1.08 * max(1.0, there, 0.0 if drowned else demand),
        waiting=1.1 * max(1.0, waiting),
        fineness=max(FINENESS, ceil(FINENESS * layers / LAYERS_AS_FINE)),
        demand=not drowned,
    )


def tamed(peaks: Sequence[float]) -> float:
    """The highest of them, those left aside that are far beyond what half of them stay below: they are cut off."""
    usual = CUT * median_low(peaks)
    return max(peak for peak in peaks if peak <= usual) or max(peaks)


@dataclass(frozen=True, slots=True)
class _Plot:
    course: Course
    axes: Axes
    frame: Frame
    ident: str

    @property
    def x(self) -> Scale:
        return Scale(self.axes.begin_s, self.axes.end_s, self.frame.left, self.frame.width - self.frame.right)

    @property
    def y(self) -> Scale:
        return Scale(0.0, self.axes.gpus, self.frame.floor, self.frame.top)

    @property
    def below(self) -> Scale:
        """Of what waits."""
        top = self.frame.floor + self.frame.between
        return Scale(0.0, self.axes.waiting, top + self.frame.waiting, top)

    @property
    def columns(self) -> int:
        return (self.frame.width - self.frame.left - self.frame.right) // self.axes.fineness


def course_chart(course: Course, axes: Axes, frame: Frame, ident: str) -> Markup:
    """Demand as a line over what was there; below it what waited; between them a stroke where work was lost."""
    plot = _Plot(course, axes, frame, ident)
    around = (*_clips(plot), *_faults(plot), *_times(plot), *_levels(plot))
    parts = (*_there(plot), *_waiting(plot), *_lost(plot), *_cut(plot))
    return drawing(ident, course.name, course.words, (frame.width, frame.height), *around, *parts)


def _faults(plot: _Plot) -> Iterator[Markup]:
    """Each from top to bottom, with its number above where that has room."""
    free, top = plot.x.start, plot.frame.top
    for event in sorted(plot.course.events, key=lambda event: event.begin_s):
        left, right = plot.x(event.begin_s), min(plot.x(event.end_s), plot.x.end)
        wide = max(2.0, right - left)
        yield rect((left, top), wide, plot.below.start - top, "fault")
        yield rect((left, top), wide, 3, "fault-edge")
        middle = min(max(left + wide / 2, free + 7), plot.x.end - 7)
        if middle <= max(right, left + 14):
            free = middle + 7
            yield text(middle, top - 5, event.number, "tick faulty", "middle")


def _clips(plot: _Plot) -> Iterator[Markup]:
    for name, y in (("c", plot.y), ("w", plot.below)):
        window = rect((plot.x.start, y.end), plot.x.end - plot.x.start, y.start - y.end, "")
        yield tag("clipPath", window, id=f"{plot.ident}-{name}")


def _levels(plot: _Plot) -> Iterator[Markup]:
    yield text(plot.frame.left - 6, plot.frame.top - 11, "GPUs", "tick", "end")
    for y, about in ((plot.y, 4), (plot.below, 3)):
        for gpus in gpu_ticks(y.high * 0.98, about):
            yield line((plot.x.start, y(gpus)), (plot.x.end, y(gpus)), "axis" if gpus == 0 else "grid")
            yield text(plot.frame.left - 6, y(gpus) + 4, number(gpus), "tick", "end")


def _times(plot: _Plot) -> Iterator[Markup]:
    floor = plot.below.start
    for at_s, words in moments(plot.axes.begin_s, plot.axes.end_s, plot.frame.time_ticks):
        x = plot.x(at_s)
        yield line((x, plot.frame.top), (x, floor), "grid")
        yield line((x, floor), (x, floor + 4), "axis")
        if plot.x.start + 12 < x < plot.x.end - 12:
            yield text(x, floor + 17, words, "tick", "middle")


def mark_key(layers: Sequence[str], lost: bool, faults: bool = False, demand: bool = True) -> list[dict[str, object]]:
    """The legend: what marks mean, and whose each layer is."""
    shade = (rect((0, 0), 22, 12, "fault"), rect((0, 0), 22, 3, "fault-edge"))
    wrong = [_sample(Markup("").join(shade), "something went wrong, as numbered below")] if faults else []
    strokes = tag("path", d="M7 1v10M11 1v10M15 1v10", class_="lost")
    last = (
        _sample(strokes, "work lost: a job had to stop") if lost else _sample(_stroke("limit"), "GPUs that are there")
    )
    colours = [_sample(rect((0, 0), 22, 12, f"p{nth}"), name) for nth, name in enumerate(layers)]
    asked = [_sample(_stroke("asked"), "demand: running and waiting")] if demand else []
    return [*asked, *colours, _sample(rect((0, 0), 22, 12, "pending"), "waiting, below"), last, *wrong]


def _stroke(class_: str) -> Markup:
    return line((0, 6), (22, 6), class_)


def _sample(drawn: Markup, words: str) -> dict[str, object]:
    return {"swatch": tag("svg", drawn, width=22, height=12, aria_hidden="true"), "words": words}


def moments(begin_s: float, end_s: float, about: int) -> list[tuple[float, str]]:
    """Round moments with their names: dates where the times are of the calendar, else hours or days since it began."""
    if begin_s >= SINCE_2001_S:
        return [(when.timestamp(), time_label(when)) for when in time_ticks(int(begin_s), int(end_s), about)]
    span_s = end_s - begin_s
    unit_s, name, steps = (HOUR_S, "h", HOURS) if span_s <= 3 * DAY_S else (DAY_S, "d", DAYS)
    step = next((n for n in steps if span_s / unit_s / n <= about), float(ceil(span_s / unit_s / about)))
    return [(begin_s + n * step * unit_s, f"{n * step:g} {name}") for n in range(int(span_s / unit_s / step) + 1)]


def _there(plot: _Plot) -> Iterator[Markup]:
    """The highest first, each painted over by those below it."""
    stack = [
        stair_area(layer.thinned(plot.columns), plot.x, plot.y, f"layer p{nth}")
        for nth, layer in reversed(list(enumerate(plot.course.layers)))
    ]
    if plot.axes.demand:
        stack.append(stair_line(plot.course.demand.thinned(plot.columns), plot.x, plot.y, "asked"))
    yield tag("g", *stack, clip_path=f"url(#{plot.ident}-c)")
    if plot.course.limit is not None:
        level = plot.y(plot.course.limit)
        yield line((plot.x.start, level), (plot.x.end, level), "limit")


def _waiting(plot: _Plot) -> Iterator[Markup]:
    if plot.course.waiting.peak == 0:
        middle = (plot.x.start + plot.x.end) / 2
        yield text(middle, (plot.below.start + plot.below.end) / 2 + 4, "nothing waited", "tick halo", "middle")
        return
    area = stair_area(plot.course.waiting.thinned(plot.columns), plot.x, plot.below, "pending")
    yield tag("g", area, clip_path=f"url(#{plot.ident}-w)")


def _lost(plot: _Plot) -> Iterator[Markup]:
    """One stroke to a column, however often work was lost in it."""
    xs = np.unique(np.round([plot.x(float(at)) for at in plot.course.lost_s]))
    top = plot.frame.floor + 3
    if len(xs):
        yield tag("path", d="".join(f"M{x:.0f} {top}v9" for x in xs), class_="lost")


def _cut(plot: _Plot) -> Iterator[Markup]:
    """Says how high a peak is that leaves its frame, above it: there no line runs."""
    for stair, y, above in ((plot.course.demand, plot.y, 20), (plot.course.waiting, plot.below, 4)):
        if stair.peak > y.high and (stair is plot.course.waiting or plot.axes.demand):
            x = plot.x(float(stair.times_s[int(stair.values.argmax())]))
            inside = min(max(x, plot.x.start + 34), plot.x.end - 34)
            yield text(inside, y.end - above, f"▲ {number(stair.peak)}", "label strong halo", "middle")
