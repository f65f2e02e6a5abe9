"""What naming an event is worth, and what it costs where the event means nothing.

    GYROPILOT_TRACES=folder python -m benchmarks.events

Real queues hour by hour, up to the last week of the trace, which is left to the final comparison. Six times half a day,
drawn ten times over (seeded), are given one name; in them demand is multiplied: by 1, so that the name means nothing,
by 1.4 and by 2. `anomaly`, which knows of no event, is fitted each day and asked every six hours for the next 24, and
what it says is moved as far as earlier occurrences let one believe. Each figure is a change in WQL, the mean over draws
and the worst: of all windows of all queues, and of windows about which an event says anything. The first week and the
first two occurrences are there to learn from; they count among all windows, and nothing is moved there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np

from benchmarks.running import run, traces
from forecasting.backtest.protocol import TENTHS, Bucket
from forecasting.demand.calendar import UTC_PLACE
from forecasting.demand.events import Named, Stretch
from forecasting.demand.trace import read_trace
from forecasting.forecasters.anomaly import Anomaly
from forecasting.losses import pinball
from forecasting.mixture.events import Events
from forecasting.rolling import until
from forecasting.windows import outcome
from gyropilot.domain import DemandHistory, Floats

TRACES = {"Helios Earth": ("demand_helios_earth_vc.parquet", 17), "Philly": ("demand_philly_vc_pass.parquet", 33)}
"""Each with the days of it that are replayed."""

HOUR = timedelta(hours=1)
DAY, ASKED_EVERY, HALF_DAY_S = 24, 6, 12 * 3_600
FACTORS, DRAWS, OCCURRENCES = (1.0, 1.4, 2.0), 10, 6
WINDOWS = Bucket.named("1-24h").windows


@dataclass(slots=True)
class Losses:
    """Pinball losses, added up."""

    without: float = 0.0
    named: float = 0.0
    without_near: float = 0.0
    named_near: float = 0.0

    def add(self, without: Floats, named: Floats) -> None:
        """Of one origin (L, W, Q); near is what an event says anything about."""
        near = (without != named).any(axis=-1)
        self.without += float(np.nansum(without))
        self.named += float(np.nansum(named))
        self.without_near += float(np.nansum(without[near]))
        self.named_near += float(np.nansum(named[near]))

    def changes(self) -> tuple[float, float]:
        """Of all windows, and of those near an event."""
        return self.named / self.without - 1, self.named_near / self.without_near - 1 if self.without_near else 0.0


def hourly(path: Path, days: int) -> DemandHistory:
    """The first days of a trace, in steps of an hour."""
    fine = read_trace(path, None).history
    each = max(1, round(HOUR / fine.step))
    whole = min(len(fine.times) // each, DAY * days) * each
    rows = fine.demand[:, :whole].reshape(len(fine.lines), -1, each).mean(axis=2)
    return DemandHistory(fine.lines, fine.times[each - 1 : whole : each], rows, np.zeros_like(rows))


def drawn(history: DemandHistory, seed: int) -> Named:
    """An event at random hours of days that are not of the first week."""
    rng, days = np.random.default_rng(seed), len(history.times) // DAY
    on = sorted(rng.choice(np.arange(7, days - 1), OCCURRENCES, replace=False).tolist())
    begins = [int(history.times[DAY * day + int(rng.integers(0, DAY))]) for day in on]
    return Named("drawn", (), tuple(Stretch(begin, begin + HALF_DAY_S) for begin in begins))


def multiplied(history: DemandHistory, event: Named, factor: float) -> DemandHistory:
    """So many times as much in the event."""
    inside = [(time.begin_s < history.times) & (history.times <= time.end_s) for time in event.times]
    running = history.running * np.where(np.any(inside, axis=0), factor, 1.0)
    return DemandHistory(history.lines, history.times, running, history.pending)


def replayed(history: DemandHistory, event: Named) -> Losses:
    """What the name changes."""
    model, events, losses = Anomaly(), Events().informed((event,)), Losses()
    for column in range(7 * DAY, len(history.times) - DAY, ASKED_EVERY):
        known = until(history, column)
        if not column % DAY:
            model, events = model.fit(known), events.fit(known, UTC_PLACE)
        said = model.predict(known, WINDOWS, TENTHS)
        came = outcome(history, column, WINDOWS)
        losses.add(*(pinball(came, table, TENTHS) for table in (said, events.moved(said, known, WINDOWS))))
    return losses


def rows(folder: Path) -> Iterator[tuple[str, float, Floats]]:
    """Each trace and factor with the changes (draws, 2)."""
    for name, (file, days) in TRACES.items():
        history = hourly(folder / file, days)
        for factor in FACTORS:
            print(f"{name}, demand times {factor:g}", file=sys.stderr)
            named = [drawn(history, seed) for seed in range(DRAWS)]
            yield name, factor, np.array([replayed(multiplied(history, e, factor), e).changes() for e in named])


def main() -> None:
    """Prints the table."""
    folder = traces()
    print(f"{'trace':14}{'demand':>8}{'all windows':>20}{'near an event':>20}")
    for name, factor, changes in rows(folder):
        cells = (f"{mean:+.1%} (to {worst:+.1%})" for mean, worst in zip(changes.mean(0), changes.max(0), strict=True))
        print(f"{name:14}{factor:>7g}x" + "".join(f"{cell:>20}" for cell in cells))


if __name__ == "__main__":
    run(main)
