"""Our forecaster as it runs beside a cluster, which is more than a model: what `forecast`, `plan` and the daemon do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from forecasting.demand.seen import some_lines
from forecasting.forecast import expected
from forecasting.foresight import Foresight, Seen, Work
from forecasting.pooling import rows_of
from forecasting.protocol import Forecaster
from gyropilot.domain import ALL_QUEUES, DemandHistory, Floats, Window
from gyropilot.observe import going_on


@dataclass(slots=True)
class AsRun:
    """The forecaster in force on its way through time, fitted each `refit`, as each night, and early where that is due.

    It is shown what readings alone tell: a queue is known from its first one on, and gone an hour after its last.
    """

    foresight: Foresight
    refit: timedelta
    night: datetime | None = None  # of the last fit that was not early
    found: dict[str, datetime] = field(default_factory=dict)  # a sentence on each rename, and since which origin

    @property
    def name(self) -> str:
        return self.foresight.settings.model

    def forecast(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        """(L, W, Q) GPUs; NaN for queues that nobody has seen yet, 0 for those that are gone. Raises ForecastError."""
        told = np.full((len(history.lines), len(windows), len(quantiles)), np.nan)
        if history.end is None or not history.seen.any():
            return told
        seen = _seen(history, history.end)
        known, forecaster = self._kept_up(seen)
        self.found = {**dict.fromkeys(self.foresight.renamed, seen.at), **self.found}
        said = expected(forecaster, known, tuple(windows), tuple(quantiles), self.foresight.calendar)
        rows = rows_of(known.lines, history.lines)
        told[rows >= 0] = said[rows[rows >= 0]]
        told[rows_of(seen.gone.lines, history.lines) >= 0] = 0.0
        return told

    def notes(self) -> tuple[str, ...]:
        """What it found out on its way."""
        return tuple(f"{self.name}: {sentence}, from {at:%F %R} UTC on" for sentence, at in self.found.items())

    def _kept_up(self, seen: Seen) -> tuple[DemandHistory, Forecaster]:
        # What it said before is scored before it is fitted on what came: as between two nights.
        self.foresight.see(seen)
        for work in self._due(seen.at):
            work()
        return self.foresight.see(seen)

    def _due(self, now: datetime) -> Iterable[Work]:
        """The fit of a night; else what does not wait for one. The first fit, made just now, counts as one."""
        self.night = self.night or now
        if now - self.night < self.refit:
            return self.foresight.due(now)
        self.night = now
        return (self.foresight.fit,)


def _seen(history: DemandHistory, now: datetime) -> Seen:
    """What Prometheus would show: its queues, those apart that are gone; totals are added up from those that go on."""
    rows = [row for row, line in enumerate(history.lines) if line.queue != ALL_QUEUES and history.seen[row]]
    return Seen(*going_on(some_lines(history, rows)), now)
