"""Values that hold until the next moment, thinned to what a picture can show, and drawn as stairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from envs.workloads import Floats, Ints
from gyropilot.report.svg import Scale, coordinate, tag


@dataclass(frozen=True, eq=False, slots=True)
class Stair:
    """Each value holds from its moment until the next, the last one until the end."""

    times_s: Floats  # (T,) ascending, at least one
    values: Floats  # (T,)
    end_s: float

    @property
    def peak(self) -> float:
        return float(self.values.max())

    @property
    def low(self) -> float:
        return float(self.values.min())

    @property
    def mean(self) -> float:
        """Over time."""
        span_s = self.end_s - self.times_s[0]
        held_s = np.diff(self.times_s, append=self.end_s)
        return float(self.values @ held_s / span_s) if span_s > 0 else float(self.values[0])

    def until(self, end_s: float) -> Stair:
        """Its beginning: what holds before a moment after its first."""
        kept = self.times_s < end_s
        return Stair(self.times_s[kept], self.values[kept], min(end_s, self.end_s))

    def thinned(self, columns: int) -> Stair:
        """What a picture of so many columns shows: of each column the lowest and the highest value stay."""
        begin_s = self.times_s[0]
        share = (self.times_s - begin_s) / max(self.end_s - begin_s, 1e-9)
        column = np.minimum((share * columns).astype(np.int64), columns - 1)
        first = np.flatnonzero(np.diff(column, prepend=-1))
        lowest, highest = (_where(self.values, first, extreme) for extreme in (np.minimum, np.maximum))
        # What holds across columns in which nothing happens has to stay, too.
        before_gaps = np.flatnonzero(np.diff(column, append=columns + 1) > 1)
        kept = np.unique(np.concatenate([[0], lowest, highest, before_gaps]))
        return Stair(self.times_s[kept], self.values[kept], self.end_s)


def _where(values: Floats, first: Ints, extreme: np.ufunc) -> Ints:
    """(C,) of each column, the rows of which begin at `first`, the first row that has its lowest or highest value."""
    column = np.repeat(np.arange(len(first)), np.diff(first, append=len(values)))
    hits = np.flatnonzero(values == extreme.reduceat(values, first)[column])
    found: Ints = hits[np.flatnonzero(np.diff(column[hits], prepend=-1))]
    return found


def stair_line(stair: Stair, x: Scale, y: Scale, class_: str) -> Markup:
    """Its upper edge."""
    return tag("path", d="".join(_steps(stair, x, y)), class_=class_)


def stair_area(stair: Stair, x: Scale, y: Scale, class_: str) -> Markup:
    """All that lies below it."""
    floor, left = _half(y(0.0)), _half(x(float(stair.times_s[0])))
    return tag("path", d="".join([*_steps(stair, x, y), f"V{floor}H{left}Z"]), class_=class_)


def _steps(stair: Stair, x: Scale, y: Scale) -> Iterator[str]:
    """Nothing is written where a step is too low to be seen: pages of long runs stay small."""
    height = _half(y(float(stair.values[0])))
    yield f"M{_half(x(float(stair.times_s[0])))} {height}"
    for time_s, value in zip(stair.times_s[1:], stair.values[1:], strict=True):
        reached = _half(y(float(value)))
        if reached != height:
            height = reached
            yield f"H{_half(x(float(time_s)))}V{height}"
    yield f"H{_half(x(stair.end_s))}"


def _half(value: float) -> str:
    """To half a pixel."""
    return coordinate(round(2 * value) / 2)
