"""What Gyropilot tells about itself: its own /metrics, and /healthz. docs/metrics.md lists them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from gyropilot.domain import Cycle, Line, Trust

_EXPORTED_QUANTILES = (0.1, 0.5, 0.9)
_EXPORTED_HORIZONS = (timedelta(hours=1), timedelta(hours=6), timedelta(hours=24))


class Telemetry:
    """The counters and gauges of one process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._whole = threading.Lock()  # a scrape sees a cycle's figures whole or not at all

        def counter(name: str, meaning: str, *labels: str) -> Counter:
            return Counter(f"gyropilot_{name}", meaning, labels, registry=registry)

        def gauge(name: str, meaning: str, *labels: str) -> Gauge:
            return Gauge(f"gyropilot_{name}", meaning, labels, registry=registry)

        self.cycles = counter("cycles", "Cycles by result: done, refused, unreachable or failed.", "result")
        self.fits = counter("fits", "Fits of the forecaster by result: done or failed.", "result")
        self.actions = counter("actions", "Actions wanted, by dial and verdict.", "dial", "verdict")
        self.objections = counter("objections", "Objections, by guardrail.", "rule")
        self.outcomes = counter("outcomes", "What became of approved actions, by dial and status.", "dial", "status")
        self.seconds = Histogram(
            "gyropilot_cycle_duration_seconds",
            "Wall time of one cycle.",
            buckets=(0.1, 0.3, 1, 3, 10, 30, 100),
            registry=registry,
        )
        self.last_cycle = gauge("last_cycle_timestamp_seconds", "When the last cycle that succeeded began.")
        self.age = gauge("observation_age_seconds", "Age of a source's newest reading.", "source")
        self.demand = gauge("queue_demand_gpus", "Running + pending GPUs as last seen.", "queue", "resource")
        self.capacity = gauge("pool_gpus", "GPUs on ready nodes as last seen.", "pool", "resource")
        self.forecast = gauge(
            "forecast_gpus",
            "Forecast demand by horizon and quantile; an empty queue is the total.",
            *("queue", "resource", "horizon", "quantile"),
        )

        self.fitted = gauge("forecaster_fitted_timestamp_seconds", "When the forecaster in force was fitted.")
        self.coverage = gauge(
            "forecast_coverage_ratio",
            "Of outcomes of late, the share within bands that should hold the nominal one.",
            *("group", "bucket", "nominal"),
        )
        self.shares = gauge(
            "forecast_expert_share", "How far each expert is listened to, mean over queues.", "expert", "bucket"
        )
        self.shifted = gauge("forecast_shifted_lines", "Queues and totals whose demand has shifted since the last fit.")

    def record(self, cycle: Cycle, seconds: float) -> None:
        """Counts one cycle that came to its end."""
        with self._whole:
            self._record(cycle, seconds)

    def exposition(self) -> bytes:
        """Everything in Prometheus's text format."""
        with self._whole:
            return generate_latest(self.registry)

    def _record(self, cycle: Cycle, seconds: float) -> None:
        self.cycles.labels("done").inc()
        self.seconds.observe(seconds)
        self.last_cycle.set(cycle.began_at.timestamp())
        for verdict in cycle.verdicts:
            self.actions.labels(verdict.action.dial.value, str(verdict)).inc()
            for objection in verdict.objections:
                self.objections.labels(objection.rule).inc()
        for outcome in cycle.outcomes:
            self.outcomes.labels(outcome.action.dial.value, outcome.status.value).inc()
        self._record_picture(cycle)

    def _record_picture(self, cycle: Cycle) -> None:
        # Queues and pools come and go: what is not there any more must not be exported for ever.
        for gauge in (self.age, self.demand, self.forecast, self.capacity):
            gauge.clear()
        for source, age in cycle.state.freshness.items():
            self.age.labels(source).set(age.total_seconds())
        for queue in cycle.state.queues:
            for resource in {*queue.running_gpus, *queue.pending_gpus}:
                self.demand.labels(queue.name, resource).set(queue.demand_gpus(resource))
        for pool in cycle.state.pools:
            self.capacity.labels(pool.name, pool.accelerator.resource).set(pool.gpus)
        for line in cycle.forecast.lines:
            self._record_forecast(cycle, line)
        self._record_trust(cycle.forecast.trust)

    def _record_trust(self, trust: Trust) -> None:
        for gauge in (self.coverage, self.shares):
            gauge.clear()
        if trust.fitted_at is not None:
            self.fitted.set(trust.fitted_at.timestamp())
        self.shifted.set(trust.shifted)
        for row in trust.realised:
            self.coverage.labels(row.group, row.bucket, f"{row.nominal:g}").set(row.coverage)
        for voice in trust.voices:
            self.shares.labels(voice.expert, voice.bucket).set(voice.share)

    def _record_forecast(self, cycle: Cycle, line: Line) -> None:
        for horizon in (h for h in _EXPORTED_HORIZONS if h <= cycle.forecast.horizons[-1]):
            for quantile in _EXPORTED_QUANTILES:
                labels = (line.queue, line.resource, f"{horizon // timedelta(hours=1)}h", f"{quantile:g}")
                self.forecast.labels(*labels).set(cycle.forecast.at(line, horizon, quantile))


@contextmanager
def serve(telemetry: Telemetry, listen: str, port: int, health: Callable[[], tuple[bool, str]]) -> Iterator[int]:
    """Answers /metrics and /healthz (200 or 503, one sentence) until the block ends; gives the port.

    Raises OSError when the port is taken.
    """
    server = ThreadingHTTPServer((listen, port), _answering(telemetry, health))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="metrics", daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answering(telemetry: Telemetry, health: Callable[[], tuple[bool, str]]) -> type[BaseHTTPRequestHandler]:
    """Knows two pages."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 30  # seconds in which a client must have asked, so that silent ones hold no thread

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            if path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, telemetry.exposition())
            elif path == "/healthz":
                well, sentence = health()
                said = json.dumps({"ok": well, "why": sentence}).encode()
                self._answer(200 if well else 503, "application/json", said)
            else:
                self._answer(404, "text/plain", b"/metrics and /healthz are here\n")

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name
            """Scrapes are not worth a line each."""

    return Handler
