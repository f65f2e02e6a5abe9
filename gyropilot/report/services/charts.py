"""A service over time: what it was asked for, the replicas that were wanted and that answered, and how long it took."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from envs.served import Served
from gyropilot.domain import Floats
from gyropilot.report.axes import gpu_ticks
from gyropilot.report.courses import moments
from gyropilot.report.services.words import answer, sentence
from gyropilot.report.stairs import Stair, stair_area, stair_line
from gyropilot.report.svg import Scale, drawing, line, rect, tag, text
from gyropilot.report.words import number

CUT = 4.0
"""Times to answer are drawn up to so many times the target; how high they went is written there."""

FINENESS = 2
"""Pixels to a column."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The size of a picture and of its three parts, in pixels."""

    width: int
    time_ticks: int
    heights: tuple[int, int, int] = (54, 96, 76)
    left: int = 58
    right: int = 8
    top: int = 22
    between: int = 30
    bottom: int = 24

    @property
    def tops(self) -> tuple[int, int, int]:
        load, replicas, _ = self.heights
        second = self.top + load + self.between
        return self.top, second, second + replicas + self.between

    @property
    def height(self) -> int:
        return self.tops[2] + self.heights[2] + self.bottom


WIDE = Frame(1120, 12)
NARROW = Frame(340, 5)


@dataclass(frozen=True, slots=True)
class _Part:
    """One of the three: its name stands above it."""

    name: str
    y: Scale
    ticks: list[tuple[float, str]]


def service_chart(found: Served, frame: Frame, ident: str) -> Markup:
    """Load, replicas and times to answer, one below the other."""
    x = Scale(found.began_s, found.began_s + found.load.end_s, frame.left, frame.width - frame.right)
    loads, replicas, answers = parts = _parts(found, frame)
    columns = (frame.width - frame.left - frame.right) // FINENESS
    drawn = (
        stair_area(_load(found).thinned(columns), x, loads.y, "running"),
        stair_area(_ran(found).thinned(columns), x, replicas.y, "layer p0"),
        stair_line(_wanted(found).thinned(columns), x, replicas.y, "asked"),
        *_answers(found, x, answers.y, columns, ident),
    )
    around = (mark for part in parts for mark in _around(part, x))
    box = (frame.width, frame.height)
    return drawing(ident, found.service.name, sentence(found), box, *_times(parts, x, frame), *around, *drawn)


def _parts(found: Served, frame: Frame) -> tuple[_Part, _Part, _Part]:
    unit, share = found.service.unit, 100 * found.service.target_share
    scales = [(_load(found).peak, f"{unit} a second"), (max(found.wanted.peak, found.ran_peak), "replicas")]
    loads, replicas = (_part(name, top, frame, nth) for nth, (top, name) in enumerate(scales))
    target_s, floor = found.service.target_s, frame.tops[2] + frame.heights[2]
    y = Scale(0.0, CUT * target_s, floor, frame.tops[2])
    ticks = [(0.0, "0"), *((times * target_s, answer(times * target_s)) for times in (1.0, CUT / 2, CUT))]
    return loads, replicas, _Part(f"{share:g} % answered within", y, ticks)


def _part(name: str, top: float, frame: Frame, nth: int) -> _Part:
    y = Scale(0.0, 1.06 * max(top, 1.0), frame.tops[nth] + frame.heights[nth], frame.tops[nth])
    return _Part(name, y, [(tick, number(tick)) for tick in gpu_ticks(y.high * 0.98, 3)])


def _load(found: Served) -> Stair:
    return Stair(found.began_s + found.load.times_s, found.load.per_s, found.began_s + found.load.end_s)


def _wanted(found: Served) -> Stair:
    at_s, replicas = found.wanted.changes
    return Stair(found.began_s + at_s, replicas.astype(np.float64), found.began_s + found.load.end_s)


def _ran(found: Served) -> Stair:
    return _stretched(found, found.ran.astype(np.float64))


def _stretched(found: Served, values: Floats) -> Stair:
    return Stair(found.began_s + found.edges_s[:-1], values, found.began_s + found.load.end_s)


def _answers(found: Served, x: Scale, y: Scale, columns: int, ident: str) -> Iterator[Markup]:
    """The quantile that is promised, and the target; where nothing comes there is nothing to answer."""
    seconds = np.where(found.answers.requests > 0, found.answers.quantiles(found.service.target_share), 0.0)
    peak, cut = float(seconds.max()), y.high
    drawn = stair_line(_stretched(found, np.minimum(seconds, 1.2 * cut)).thinned(columns), x, y, "demand")
    yield tag("clipPath", rect((x.start, y.end - 1), x.end - x.start, y.start - y.end + 2, ""), id=f"{ident}-c")
    yield tag("g", drawn, clip_path=f"url(#{ident}-c)")
    target = y(found.service.target_s)
    yield line((x.start, target), (x.end, target), "limit past")
    if peak > cut:
        at = x(found.began_s + float(found.edges_s[int(seconds.argmax())]))
        inside = min(max(at, x.start + 34), x.end - 34)
        yield text(inside, y.end + 11, f"▲ {answer(peak)}", "label strong halo", "middle")


def _around(part: _Part, x: Scale) -> Iterator[Markup]:
    yield text(x.start, part.y.end - 8, part.name, "tick")
    for value, words in part.ticks:
        at = part.y(value)
        yield line((x.start, at), (x.end, at), "axis" if value == 0 else "grid")
        yield text(x.start - 6, at + 4, words, "tick", "end")


def _times(parts: tuple[_Part, ...], x: Scale, frame: Frame) -> Iterator[Markup]:
    for at_s, words in moments(x.low, x.high, frame.time_ticks):
        at = x(at_s)
        for part in parts:
            yield line((at, part.y.end), (at, part.y.start), "grid")
        if x.start + 12 < at < x.end - 12:
            yield text(at, parts[-1].y.start + 17, words, "tick", "middle")
