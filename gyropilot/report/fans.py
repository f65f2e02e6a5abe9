"""What a chart of demand shows: thinned history, the fan of quantiles, and the limit it runs against."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from gyropilot.domain import ALL_QUEUES, ClusterState, Cycle, DemandForecast, DemandHistory, Floats, Line
from gyropilot.report.axes import span_before
from gyropilot.report.words import duration, number

POINTS = 200  # of history per chart: more cannot be seen and would cost megabytes on large clusters
_BANDS = ((0.025, 0.975), (0.1, 0.9))


@dataclass(frozen=True, eq=False)
class Band:
    """The space between two quantiles, from now on."""

    low_quantile: float
    high_quantile: float
    low: Floats  # (H,)
    high: Floats  # (H,)

    @property
    def share(self) -> str:
        """How often reality is expected within it: 80 %."""
        return f"{100 * (self.high_quantile - self.low_quantile):.3g} %"


@dataclass(frozen=True, eq=False)
class Fan:
    """Demand of one line: what was, what is expected, and what it may grow to."""

    line: Line
    now_s: float
    times_s: NDArray[np.int64]  # (T,)
    running: Floats  # (T,) NaN: not seen
    pending: Floats  # (T,)
    ahead_s: Floats  # (H,) seconds after now, ascending
    bands: tuple[Band, ...]  # widest first
    median: Floats  # (H,)
    limit: tuple[tuple[float, float], ...] = ()  # (seconds after now, GPUs from then on), ascending
    joined: int | None = None  # horizons that lines may join; of those beyond each stands alone; None: all

    @property
    def demand(self) -> Floats:
        return self.running + self.pending

    @property
    def begin_s(self) -> float:
        return float(min(self.times_s[0], self.now_s)) if len(self.times_s) else self.now_s - 6 * 3600

    @property
    def end_s(self) -> float:
        return self.now_s + (float(self.ahead_s[-1]) if len(self.ahead_s) else 3600.0)

    @property
    def latest(self) -> float | None:
        """The newest demand that was seen."""
        seen = self.demand[np.isfinite(self.demand)]
        return float(seen[-1]) if len(seen) else None

    @property
    def limit_now(self) -> float | None:
        return self.limit[0][1] if self.limit else None

    @property
    def limit_after(self) -> float | None:
        return self.limit[-1][1] if self.limit else None


def fan_of(cycle: Cycle, line: Line) -> Fan:
    """Everything that the chart of one line shows."""
    longest = cycle.forecast.horizons[-1] if cycle.forecast.horizons else timedelta(hours=1)
    seen = _with_total(cycle.state) if line.queue == ALL_QUEUES else cycle.state.history
    return fan(seen, cycle.forecast, line, span_before(longest), limit_of(cycle, line))


def fan(
    history: DemandHistory,
    forecast: DemandForecast,
    line: Line,
    before: timedelta,
    limit: tuple[tuple[float, float], ...] = (),
) -> Fan:
    """What the chart of one line shows of a forecast and of the time `before` it."""
    times, running, pending = _recent(history, line, forecast.made_at - before)
    table = forecast.of(line) if line in forecast.lines else np.full((len(forecast.horizons), 1), np.nan)
    quantiles = forecast.quantiles if line in forecast.lines else (0.5,)
    return Fan(
        line=line,
        now_s=forecast.made_at.timestamp(),
        times_s=times,
        running=running,
        pending=pending,
        ahead_s=np.array([h.total_seconds() for h in forecast.horizons]),
        bands=tuple(_bands(table, quantiles)),
        median=at_quantile(table, quantiles, 0.5),
        limit=limit,
    )


def limit_of(cycle: Cycle, line: Line) -> tuple[tuple[float, float], ...]:
    """(seconds after now, GPUs from then on): the capacity that a total, the quota that a queue may grow to."""
    return tuple(_capacity(cycle, line.resource) if line.queue == ALL_QUEUES else _quota(cycle, line))


def ahead(forecast: DemandForecast) -> str:
    """How far the forecast reaches, in the unit that the expected effects use: 24 h."""
    longest = forecast.horizons[-1] if forecast.horizons else timedelta(0)
    return duration(longest) if longest < timedelta(hours=1) else f"{number(longest / timedelta(hours=1))} h"


def totals(cycle: Cycle) -> list[Line]:
    """The sum over queues of each resource, largest first."""
    resources = {line.resource for line in cycle.forecast.lines} | set(cycle.state.resources)
    return by_size(cycle, [Line(ALL_QUEUES, r) for r in resources])


def queue_lines(cycle: Cycle) -> list[Line]:
    """Every line of a queue that was seen, forecast or given quota, largest first."""
    quotas = {Line(q.name, quota.accelerator.resource) for q in cycle.state.queues for quota in q.quotas}
    lines = {*cycle.forecast.lines, *cycle.state.history.lines, *quotas}
    return by_size(cycle, [line for line in lines if line.queue != ALL_QUEUES])


def by_size(cycle: Cycle, lines: list[Line]) -> list[Line]:
    """By expected or present use, then by name."""
    return sorted(lines, key=lambda line: (-_size(cycle, line), line))


def _size(cycle: Cycle, line: Line) -> float:
    if line.queue == ALL_QUEUES:
        used = sum(q.demand_gpus(line.resource) for q in cycle.state.queues)
    else:
        used = sum(q.demand_gpus(line.resource) for q in cycle.state.queues if q.name == line.queue)
    expected = largest(cycle.forecast, line)
    return float(np.nan_to_num(max(used, expected)))


def largest(forecast: DemandForecast, line: Line) -> float:
    """The peak of the median; zero when not forecast."""
    if line not in forecast.lines or not forecast.horizons:
        return 0.0
    median = at_quantile(forecast.of(line), forecast.quantiles, 0.5)
    return float(np.max(np.nan_to_num(median), initial=0.0))


def at_quantile(table: Floats, quantiles: tuple[float, ...], wanted: float) -> Floats:
    """(H,) of an (H, Q) table, interpolated, held at the ends."""
    return np.array([np.interp(wanted, quantiles, row) for row in table], dtype=np.float64)


def _bands(table: Floats, quantiles: tuple[float, ...]) -> Iterator[Band]:
    covered = [(lo, hi) for lo, hi in _BANDS if quantiles[0] <= lo + 1e-9 and hi - 1e-9 <= quantiles[-1]]
    for low, high in covered or [(quantiles[0], quantiles[-1])] * (len(quantiles) > 1):
        yield Band(low, high, at_quantile(table, quantiles, low), at_quantile(table, quantiles, high))


def _with_total(state: ClusterState) -> DemandHistory:
    """What queues demanded together that are gone by now is of the total too, as it is in what is forecast of it."""
    has_total = any(line.queue == ALL_QUEUES for line in state.history.lines)
    return state.history if has_total or not state.history.lines else state.history.with_totals(state.gone)


def _recent(history: DemandHistory, line: Line, since: datetime) -> tuple[NDArray[np.int64], Floats, Floats]:
    if line not in history.lines:
        return np.empty(0, np.int64), np.empty(0), np.empty(0)
    row = history.lines.index(line)
    keep = history.times >= since.timestamp()
    size = max(1, -(-(int(keep.sum()) - 1) // (POINTS - 1)))
    times = history.times[keep]
    parts = [times[:-1][::-1][::size][::-1], times[-1:]]
    return np.concatenate(parts), thin(history.running[row, keep], size), thin(history.pending[row, keep], size)


def thin(values: Floats, size: int) -> Floats:
    """The newest value as it is, and of those before it the mean of every `size`; NaN where none of them was seen."""
    older, newest = values[:-1], values[-1:]
    padded = np.concatenate([np.full(-len(older) % size, np.nan), older]).reshape(-1, size)
    seen = np.isfinite(padded)
    sums = np.where(seen, padded, 0.0).sum(axis=1)
    means: Floats = np.divide(sums, seen.sum(axis=1), out=np.full(len(padded), np.nan), where=seen.any(axis=1))
    return np.concatenate([means, newest])


def _quota(cycle: Cycle, line: Line) -> Iterator[tuple[float, float]]:
    queue = next((q for q in cycle.state.queues if q.name == line.queue), None)
    if queue is None or not queue.quotas:
        return
    now = float(queue.nominal_gpus(line.resource))
    targets = {q.dial_target for q in queue.quotas if q.accelerator.resource == line.resource}
    moved = sum(approved_gpus(cycle, target) for target in targets)
    yield 0.0, now
    if moved:
        yield 0.0, now + moved


def _capacity(cycle: Cycle, resource: str) -> Iterator[tuple[float, float]]:
    """Ready GPUs, then what is coming and what is approved, each when it arrives."""
    level = float(cycle.state.capacity_gpus(resource))
    yield 0.0, level
    steps: list[tuple[float, float]] = []
    for pool in cycle.state.pools_of(resource):
        change = approved_gpus(cycle, pool.dial_target)
        lead_s = pool.lead_time.total_seconds()
        steps += [(lead_s, float(pool.coming_gpus)), (lead_s if change > 0 else 0.0, float(change))]
    for arrives, gpus in sorted(step for step in steps if step[1]):
        level += gpus
        yield arrives, level


def approved_gpus(cycle: Cycle, dial_target: str) -> int:
    """GPUs that the approved actions on one dial stand for."""
    return sum(v.action.gpus for v in cycle.verdicts if v.approved and v.action.target == dial_target and dial_target)
