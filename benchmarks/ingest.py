"""How long a month of history takes to become arrays, and how much memory: against the client library's own path.

    python -m benchmarks.ingest                   1,000 series x 30 days x 5 min, back-filled into a real Prometheus
    python -m benchmarks.ingest --stand-in        answered from memory where Prometheus is not installed

Each way reads in a process of its own, so that its peak memory is its own; all must arrive at the same numbers.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import numpy as np

from gyropilot.domain import Floats
from gyropilot.prometheus.series import Grid
from tests.servers import PrometheusServer, Series, openmetrics

STEP_S = 300
METRIC = "kueue_cluster_queue_resource_usage"
SELECTOR = METRIC + '{resource="nvidia.com/gpu"}'
LIBRARY, PLAIN, OURS = "prometheus-api-client", "the same, uncompressed", "gyropilot"


def demand(series: int, points: int) -> Iterator[list[int]]:
    """GPUs per series: seeded walks that stay above zero, as queues' usage does."""
    rng = np.random.default_rng(4)
    for _ in range(series):
        yield np.abs(np.cumsum(rng.integers(-3, 4, points))).tolist()


def by_library(url: str, grid: Grid, headers: dict[str, str] | None = None) -> Floats:
    """One range query, then one array a series: the quickest of the ways in which its users go on."""
    from prometheus_api_client import PrometheusConnect

    start, end = (datetime.fromtimestamp(second, UTC) for second in (grid.start_s, grid.end_s))
    answer = PrometheusConnect(url, headers=headers).custom_query_range(SELECTOR, start, end, str(STEP_S))
    return np.array([[float(value) for _, value in series["values"]] for series in answer])


def by_library_uncompressed(url: str, grid: Grid) -> Floats:
    """The same, told not to ask for compression: what that alone is worth."""
    return by_library(url, grid, {"Accept-Encoding": "identity"})


def by_gyropilot(url: str, grid: Grid) -> Floats:
    """As the reader reads Kueue's gauges."""
    from gyropilot.prometheus.client import Client
    from gyropilot.settings import PrometheusSettings

    client = Client(PrometheusSettings(url=url))
    return client.range(SELECTOR, grid, lambda labels: (labels["cluster_queue"],)).values


WAYS: dict[str, Callable[[str, Grid], Floats]] = {
    LIBRARY: by_library,
    PLAIN: by_library_uncompressed,
    OURS: by_gyropilot,
}


def measure(way: str, url: str, grid: Grid) -> None:
    """Prints seconds, peak MB, and what was read, for the parent."""
    began = time.perf_counter()
    values = WAYS[way](url, grid)
    seconds = time.perf_counter() - began
    print(json.dumps([seconds, peak_mb(), [*values.shape, float(values.sum())]]))


def peak_mb() -> float:
    """The most memory that this process ever held; getrusage would count its parent's, too."""
    status = Path("/proc/self/status").read_text().split("VmHWM:")[1]
    return int(status.split(maxsplit=1)[0]) / 1024


def main() -> None:
    options = _options()
    if options.way:
        measure(options.way, options.url, Grid(options.start, STEP_S, options.points))
        return
    grid = Grid.ending(datetime.now(UTC), timedelta(days=options.days), timedelta(seconds=STEP_S))
    print(
        f"{options.series:,} series x {options.days} days x 5 min = {options.series * grid.count:,} samples", flush=True
    )
    with _server(options.stand_in, options.series, grid) as url:
        figures = {way: _in_its_own_process(way, url, grid) for way in WAYS}
    if len({tuple(read) for _, _, read in figures.values()}) != 1:
        sys.exit(f"the ways read different numbers: {[read for _, _, read in figures.values()]}")
    print(f"{'way':28}{'seconds':>10}{'peak MB':>10}")
    for way, (seconds, peak_mb, _) in figures.items():
        print(f"{way:28}{seconds:10.1f}{peak_mb:10.0f}")
    print(f"ratio: {figures[LIBRARY][0] / figures[OURS][0]:.1f} times faster, ", end="")
    print(f"{figures[LIBRARY][1] / figures[OURS][1]:.1f} times less memory")


def _in_its_own_process(way: str, url: str, grid: Grid) -> tuple[float, float, list[float]]:
    told = ["--way", way, "--url", url, "--start", str(grid.start_s), "--points", str(grid.count)]
    done = subprocess.run([sys.executable, "-m", "benchmarks.ingest", *told], check=True, stdout=subprocess.PIPE)
    seconds, peak_mb, read = json.loads(done.stdout)
    return seconds, peak_mb, read


@contextmanager
def _server(stand_in: bool, series: int, grid: Grid) -> Iterator[str]:
    """The address of something that holds the series."""
    if stand_in:
        with StandIn(series, grid) as url:
            yield url
        return
    times = grid.times.tolist()
    held = (
        Series(METRIC, {"cluster_queue": f"queue-{row}", "resource": "nvidia.com/gpu"}, times, values)
        for row, values in enumerate(demand(series, grid.count))
    )
    with tempfile.TemporaryDirectory() as folder, PrometheusServer(Path(folder), openmetrics(held)) as server:
        yield server.url


class StandIn:
    """Answers range queries from memory, byte for byte as Prometheus writes them, uncompressed."""

    def __init__(self, series: int, grid: Grid) -> None:
        self.grid = grid
        times = grid.times.tolist()
        self.texts = []  # per series: its samples, and where each begins
        for values in demand(series, grid.count):
            samples = [f'[{second},"{value}"],'.encode() for second, value in zip(times, values, strict=True)]
            self.texts.append((b"".join(samples), np.cumsum([0, *map(len, samples)])))

    def __enter__(self) -> str:
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def __exit__(self, *problem: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def answer(self, asked: dict[str, str]) -> bytes:
        """The body for a range query; `count(…)` is asked with a coarser step, once."""
        if asked["query"].startswith("count("):
            series = [b'{"metric":{},"values":[[%d,"%d"]]}' % (int(asked["start"]), len(self.texts))]
        else:
            first, last = ((int(asked[end]) - self.grid.start_s) // STEP_S for end in ("start", "end"))
            series = [
                b'{"metric":{"cluster_queue":"queue-%d"},"values":[%s]}' % (row, text[at[first] : at[last + 1] - 1])
                for row, (text, at) in enumerate(self.texts)
            ]
        return b'{"status":"success","data":{"resultType":"matrix","result":[%s]}}' % b",".join(series)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._send(urlsplit(self.path).query)

            def do_POST(self) -> None:
                self._send(self.rfile.read(int(self.headers["Content-Length"])).decode())

            def _send(self, asked: str) -> None:
                body = stand_in.answer(dict(parse_qsl(asked)))
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the library
                return

        return Handler


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=1000, help="how many (1000)")
    parser.add_argument(
        "--days", type=int, default=30, help="of history, at 5 minutes (30; the library takes up to 38)"
    )
    parser.add_argument("--stand-in", action="store_true", help="without a Prometheus")
    for name, kind in (("--way", str), ("--url", str), ("--start", int), ("--points", int)):
        parser.add_argument(name, type=kind, help=argparse.SUPPRESS)  # for the processes that measure
    return parser.parse_args()


if __name__ == "__main__":
    main()
