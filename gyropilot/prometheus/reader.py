"""Reads Prometheus once per cycle: demand and its history, and whatever else is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from gyropilot.domain import DemandHistory, Line
from gyropilot.errors import ObservationError
from gyropilot.prometheus.client import Client
from gyropilot.prometheus.complaints import QueryRefused
from gyropilot.prometheus.demand import Demand, Source, by_line, kueue, pods, read_demand
from gyropilot.prometheus.metrics import Metrics
from gyropilot.prometheus.past import Past
from gyropilot.prometheus.queries import KUEUE_RUNNING, METRICS, POD_REQUESTS, MetricNeed, Queries
from gyropilot.prometheus.series import Grid
from gyropilot.settings import PrometheusSettings, format_duration

LATELY_S = 86_400
LOOK_BACK_S = 300
"""How long after its last sample Prometheus still shows a series: its default."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One metric that is read, and whether it is there now."""

    need: MetricNeed
    found: bool
    blocking: bool  # without it nothing can be observed


class PrometheusReader:
    """Reads one Prometheus."""

    def __init__(self, settings: PrometheusSettings, pool_label: str = "") -> None:
        """`pool_label`: the node label that names the pool, as in kubernetes.pool_label. Raises SettingsError."""
        self._settings = settings
        self._client = Client(settings)
        self._past = Past(self._client.range)
        self._queries = Queries(settings.labels, settings.queue_label, pool_label)

    def read(self, now: datetime) -> Metrics:
        """What is seen at `now`.

        Raises PrometheusError when it does not answer, ObservationError when it holds no demand or only partial data.
        """
        for source in self._sources(now):
            demand = self._history(source, now)
            if demand.seen:
                return self._metrics(source, demand, now)
        raise ObservationError(
            f"Prometheus at {self._client.url} holds no GPU demand: neither {KUEUE_RUNNING} (set "
            "`metrics.enableClusterQueueResources: true` in Kueue's configuration and scrape Kueue) nor "
            f"{POD_REQUESTS} (install kube-state-metrics) was found in {format_duration(self._settings.history)}; "
            "`gyropilot check` lists all metrics"
        )

    def found(self, names: Iterable[str], now: datetime) -> Mapping[str, bool]:
        """Whether each metric has a series now."""
        wanted = tuple(names)
        samples = self._client.instant(self._queries.found(wanted), now)
        there = {sample.labels["__name__"] for sample in samples}
        return {name: name in there for name in wanted}

    def preflight(self, now: datetime) -> tuple[Finding, ...]:
        """Every metric that is read, found or missing. Raises PrometheusError."""
        found = self.found([need.name for need in METRICS], now)
        return tuple(
            Finding(n, found[n.name], n.required and not found[n.name] and not found.get(n.instead, False))
            for n in METRICS
        )

    def _sources(self, now: datetime) -> list[Source]:
        """Kueue before pods, but what was there lately before what was there once.

        Lately is not now: while Kueue is down, pods would show half of its demand as if it were all.
        """
        sources = (kueue(self._queries), pods(self._queries))
        return sorted(sources, key=lambda source: not self._seen_lately(source, now))

    def _seen_lately(self, source: Source, now: datetime) -> bool:
        return self._client.number(self._queries.seen_within(source.sampled, LATELY_S), now) is not None

    def _newest_s(self, source: Source, now: datetime) -> float | None:
        return self._client.number(self._queries.newest_sample(source.sampled), now)

    def _history(self, source: Source, now: datetime) -> Demand:
        """The history on its grid; where the first sample is younger than the grid's last point, what is there now."""
        grid = Grid.ending(now, self._settings.history, self._settings.step)
        past = read_demand(source, lambda promql, row: self._past.range(promql, grid, row))
        return past if past.seen else self._snapshot(source, now)

    def _snapshot(self, source: Source, now: datetime) -> Demand:
        return read_demand(source, lambda promql, row: self._client.snapshot(promql, now, row))

    def _metrics(self, source: Source, demand: Demand, now: datetime) -> Metrics:
        present = self._snapshot(source, now)
        newest = present.history
        told, unknown = self._extras(now)
        cohorts, not_told = self._cohorts(now)
        return Metrics(
            history=demand.history,
            newest={
                line: (float(running), float(pending))
                for line, running, pending in zip(newest.lines, newest.running[:, 0], newest.pending[:, 0], strict=True)
                if np.isfinite(running + pending)
            },
            age=self._age(source, demand.history, now),
            source=source.name,
            suspended_seen=demand.suspended_seen and present.suspended_seen,
            quota_gpus=self._quota(now),
            cohorts=cohorts,
            pool_gpus=told["pool_gpus"],
            pool_idle_gpus=told["pool_idle_gpus"],
            pool_nodes=told["pool_nodes"],
            utilisation=told["utilisation"],
            memory_share=told["memory_share"],
            watts=told["watts"],
            inference_waiting=told["inference_waiting"],
            notes=(*demand.notes, *_short(demand.history, self._settings.history), *unknown, *not_told),
        )

    def _extras(self, now: datetime) -> tuple[dict[str, dict[str, float]], list[str]]:
        """What is good to know, by its name in Metrics, and a note on each that contradictory series hide."""
        ask = self._queries
        told: dict[str, dict[str, float]] = {}
        unknown = []
        for name, label, promql in (
            ("pool_gpus", "pool", ask.pool_gpus()),
            ("pool_idle_gpus", "pool", ask.pool_idle_gpus()),
            ("pool_nodes", "pool", ask.pool_nodes()),
            ("utilisation", "queue", ask.gpu_utilisation()),
            ("memory_share", "queue", ask.gpu_memory_share()),
            ("watts", "queue", ask.gpu_watts()),
            ("inference_waiting", "served", ask.inference_waiting()),
        ):
            try:
                told[name] = self._by(label, promql, now)
            except QueryRefused as problem:
                told[name] = {}
                unknown.append(f"{name} is not known: {problem}")
        return told, unknown

    def _age(self, source: Source, history: DemandHistory, now: datetime) -> timedelta:
        """How long ago the newest demand sample was taken, also when it is too old for Prometheus to show it."""
        newest_s = self._newest_s(source, now)
        if newest_s is None:
            newest_s = self._last_s(source, history)
        return max(timedelta(0), now - datetime.fromtimestamp(newest_s, UTC))

    def _last_s(self, source: Source, history: DemandHistory) -> float:
        step_s = int(history.step.total_seconds())
        seen = np.flatnonzero(np.isfinite(history.running).any(axis=0))
        last_s = int(history.times[seen[-1]] if len(seen) else history.times[0])
        after = datetime.fromtimestamp(last_s + step_s, UTC)
        exact = self._client.number(self._queries.last_sample(source.sampled, 2 * step_s), after)
        return exact if exact is not None else float(last_s)

    def _quota(self, now: datetime) -> dict[Line, float]:
        table = self._client.snapshot(self._queries.kueue_quota_gpus(), now, kueue(self._queries).row)
        return {line: float(row[0]) for line, row in by_line(table).items() if np.isfinite(row[0])}

    def _cohorts(self, now: datetime) -> tuple[dict[str, str], list[str]]:
        """The cohort of each queue that is in one, and a note where that is refused.

        Of a queue that has just moved, both cohorts are seen for minutes: it is in the one that was sampled last.
        Samples count for as long as `max_age` lets them be acted on.
        """
        within_s = max(LOOK_BACK_S, int(self._settings.max_age.total_seconds()))
        try:
            samples = self._client.instant(self._queries.kueue_cohorts(within_s), now)
        except QueryRefused as problem:
            return {}, [f"cohorts are not known: {problem}"]
        seen = sorted((s.value, s.labels.get("cluster_queue", ""), s.labels.get("cohort", "")) for s in samples)
        newest = {queue: cohort for _, queue, cohort in seen}
        return {queue: cohort for queue, cohort in newest.items() if queue and cohort}, []

    def _by(self, label: str, promql: str, now: datetime) -> dict[str, float]:
        """Values by one label, of those that were seen."""
        samples = self._client.instant(promql, now)
        return {s.labels.get(label, ""): s.value for s in samples if np.isfinite(s.value) and s.labels.get(label)}


def _short(history: DemandHistory, asked: timedelta) -> Iterator[str]:
    """Says where the history that is there begins later than was asked for."""
    seen = np.flatnonzero(np.isfinite(history.demand).any(axis=0))
    if not len(seen):
        return
    there = timedelta(seconds=int(history.times[-1] - history.times[seen[0]]))
    if there < asked * 0.95:
        begins = datetime.fromtimestamp(int(history.times[seen[0]]), UTC)
        yield (
            f"demand is seen only since {begins:%Y-%m-%d %H:%M} UTC, {format_duration(asked)} were asked for "
            "(Prometheus's retention, or metrics that are newer)"
        )
