"""Announced reservations: a floor under the forecast, of those who kept to what they announced before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import numpy as np

from forecasting.bands import row_quantiles
from gyropilot.domain import DemandHistory, Floats, Line, Window
from gyropilot.settings import CalendarSettings, Reservation

LEAST_PAST = 3
"""Reservations that must have passed before any is believed: fewer may have been kept by luck."""

BEFORE = timedelta(hours=1)
"""Demand this long before a reservation began is what would have been expected without it."""


@dataclass(frozen=True, eq=False, slots=True)
class Reservations:
    """What was announced, and how much of it each queue really used."""

    announced: tuple[Reservation, ...]
    kept: dict[Line, tuple[float, ...]]  # share of the announced GPUs that was used, of lines that are believed

    @classmethod
    def of(cls, settings: CalendarSettings, history: DemandHistory) -> Self:
        """Believes the lines whose past reservations foretold demand better than demand before them did."""
        past: dict[Line, list[tuple[float, float, float]]] = {}
        for reservation in settings.reservations:
            line = Line(reservation.queue, reservation.resource)
            if line in history.lines and (seen := _seen(history, line, reservation)):
                past.setdefault(line, []).append(seen)
        kept = {line: tuple(used / gpus for _, used, gpus in seen) for line, seen in past.items() if _foretold(seen)}
        return cls(settings.reservations, kept)

    def floor(
        self, lines: Sequence[Line], origin_s: int, windows: Sequence[Window], quantiles: Sequence[float]
    ) -> Floats:
        """(L, W, Q) GPUs that demand is not expected below: quantiles of the shares kept, of what is announced."""
        table = np.zeros((len(lines), len(windows), len(quantiles)))
        for row, line in enumerate(lines):
            if line in self.kept:
                shares = row_quantiles(np.array([self.kept[line]]), np.array(quantiles))[0]
                table[row] = self._announced_gpus(line, origin_s, windows)[:, None] * np.minimum(shares, 1.0)
        return table

    def _announced_gpus(self, line: Line, origin_s: int, windows: Sequence[Window]) -> Floats:
        """(W,) mean GPUs announced in each window after the origin."""
        gpus = np.zeros(len(windows))
        for reservation in self.announced:
            if Line(reservation.queue, reservation.resource) == line:
                gpus += [reservation.gpus * _overlap(reservation, origin_s, window) for window in windows]
        return gpus


def _seen(history: DemandHistory, line: Line, reservation: Reservation) -> tuple[float, float, float] | None:
    """Mean demand before and during a reservation that is over, and its GPUs; None: not over, or not seen."""
    begins, ends = (moment.timestamp() for moment in reservation.times())
    if not len(history.times) or history.times[-1] < ends:
        return None
    demand, times = history.of(line), history.times
    during = demand[(times > begins) & (times <= ends)]
    before = demand[(times > begins - BEFORE.total_seconds()) & (times <= begins)]
    if not (np.isfinite(during).any() and np.isfinite(before).any()):
        return None
    return float(np.nanmean(before)), float(np.nanmean(during)), float(reservation.gpus)


def _foretold(past: Sequence[tuple[float, float, float]]) -> bool:
    """Whether demand was nearer to at least what was announced than to what it had been."""
    announced = sum(abs(used - max(before, gpus)) for before, used, gpus in past)
    ignored = sum(abs(used - before) for before, used, _ in past)
    return len(past) >= LEAST_PAST and announced < ignored


def _overlap(reservation: Reservation, origin_s: int, window: Window) -> float:
    """Share of the window in which the reservation holds."""
    begins, ends = (moment.timestamp() - origin_s for moment in reservation.times())
    start, end = window.start.total_seconds(), window.end.total_seconds()
    return max(0.0, min(ends, end) - max(begins, start)) / (end - start)
