"""What is expected of each queue, a day in full and a week in outline, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np

from forecasting.mixture.lessons import Lessons
from forecasting.mixture.trust import voices
from gyropilot.domain import ALL_QUEUES, DemandForecast, DemandHistory, Line, Voice


class Cohorts(NamedTuple):
    """What is expected of groups of queues that share quota."""

    totals: Foretold  # its lines bear the names of cohorts
    queues: Mapping[Line, tuple[str, ...]]  # that are added up in each line


@dataclass(frozen=True, eq=False, slots=True)
class Foretold:
    """Two forecasts of the same lines from the same moment."""

    history: DemandHistory  # as it was seen, with totals
    demand: DemandForecast  # a day: the step that ends at each horizon
    outlook: DemandForecast  # a week: the hour that ends at each horizon
    lessons: Lessons | None  # of a forecaster that learns from its own forecasts
    notes: tuple[str, ...] = ()
    cohorts: Cohorts | None = None

    def of_queue(self, name: str) -> Self:
        """Only the lines of one queue."""
        rows = [row for row, line in enumerate(self.demand.lines) if line.queue == name]
        return replace(self, demand=_some(self.demand, rows), outlook=_some(self.outlook, rows), cohorts=None)

    @property
    def of_one_queue(self) -> bool:
        """Whether only the lines of one queue are left."""
        return bool(self.demand.lines) and all(line.queue != ALL_QUEUES for line in self.demand.lines)

    def largest_first(self) -> Iterator[Line]:
        """Totals, then queues by the largest median that is expected of them."""
        medians = self.demand.gpus[..., self.demand.quantiles.index(0.5)].max(axis=1, initial=0.0)
        rows = sorted(range(len(medians)), key=lambda row: (self.demand.lines[row].queue != ALL_QUEUES, -medians[row]))
        return (self.demand.lines[row] for row in rows)

    def newest(self, line: Line) -> float | None:
        """GPUs at the newest reading; None: not seen."""
        seen = self.history.of(line)[-1:]
        return float(seen[0]) if np.isfinite(seen).all() and len(seen) else None

    def voices(self, line: Line) -> tuple[Voice, ...]:
        """Whom the forecaster listens to about one line."""
        return voices(self.lessons.for_lines(self.history.lines), [line]) if self.lessons else ()


def _some(forecast: DemandForecast, rows: list[int]) -> DemandForecast:
    return replace(forecast, lines=tuple(forecast.lines[row] for row in rows), gpus=forecast.gpus[rows])
