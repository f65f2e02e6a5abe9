"""The one door to Prometheus: PromQL in, samples and arrays out, every failure a sentence.

Stands on prometheus-api-client's connection: its session, pool and retries. Requests go through that session, not
through `custom_query_range`, which puts the query into the URL, asks for any number of points at once, drops
warnings, and keeps objects for every sample.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import requests
import urllib3
from prometheus_api_client.prometheus_connect import PrometheusConnect

from gyropilot.errors import PrometheusError, SettingsError
from gyropilot.prometheus import complaints
from gyropilot.prometheus.access import Access, checked_url
from gyropilot.prometheus.series import Grid, Key, Labels, ShapeError, Table, read_matrix
from gyropilot.settings import PrometheusSettings

MAX_POINTS = 11_000  # per series and request: Prometheus refuses more
MAX_SAMPLES = 1_000_000  # per request, about: bounds what Prometheus holds for us at once; it refuses 50 million
_CONNECT_S = 5.0  # at most: where nothing is, nothing answers later either
_LOOKS = 8
_IN_FLIGHT = 2  # Prometheus works on the next part while this one is read
_BLOCK_BYTES = 1 << 18  # stays in the processor's cache


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of an instant answer."""

    labels: Mapping[str, str]
    value: float


class Client:
    """Asks one Prometheus. Safe to use from several threads."""

    def __init__(self, settings: PrometheusSettings) -> None:
        """Nothing is sent yet. Raises SettingsError where settings contradict each other."""
        self.url = checked_url(settings.url)
        self._timeout_s = settings.timeout.total_seconds()
        self._access = Access.of(settings)
        self._session = requests.Session()
        PrometheusConnect(self.url, session=self._session, retry=_Retries.at_most(settings.retries))

    def instant(self, promql: str, at: datetime) -> tuple[Sample, ...]:
        """What the query answers at one moment.

        Raises PrometheusError (QueryRefused when only this query is at fault); ObservationError on partial data.
        """
        with self._post("query", {"query": promql, "time": f"{at.timestamp():.3f}"}) as response:
            try:
                answer = json.loads(b"".join(self._blocks(response)))
                samples = tuple(Sample(one["metric"], float(one["value"][1])) for one in answer["data"]["result"])
            except (ValueError, KeyError, TypeError) as problem:
                raise complaints.strange(self.url, "it is no vector in JSON") from problem
        self._refuse_partial(answer)
        return samples

    def number(self, promql: str, at: datetime) -> float | None:
        """The one value that the query answers at one moment; None when it answers nothing."""
        return next((sample.value for sample in self.instant(promql, at)), None)

    def snapshot(self, promql: str, at: datetime, key: Callable[[Labels], Key]) -> Table:
        """The same as a table with one column."""
        second = int(at.timestamp())
        table = Table(Grid(second, 1, 1), key)
        for sample in self.instant(promql, at):
            table.put(dict(sample.labels), range(second, second + 1), np.array([sample.value]))
        return table

    def range(self, promql: str, grid: Grid, key: Callable[[Labels], Key]) -> Table:
        """The series of a query on a grid, one row per key; NaN where there is no sample.

        No request asks for more than 11,000 points a series or about a million samples in all.
        Raises PrometheusError; ObservationError on partial data.
        """
        series = self._most_series(promql, grid)
        table = Table(grid, key, series)
        points = max(1, min(MAX_POINTS, MAX_SAMPLES // series))
        pool = ThreadPoolExecutor(_IN_FLIGHT, "prometheus")
        try:
            for part in [pool.submit(self._read_part, promql, part, table) for part in grid.split(points)]:
                part.result()
        finally:
            pool.shutdown(cancel_futures=True)
        return table

    def _most_series(self, promql: str, grid: Grid) -> int:
        """How many series there were at most, of a few looks spread over the grid; at least 1."""
        apart_s = max(1, (grid.end_s - grid.start_s) // _LOOKS)
        start_s = grid.start_s // apart_s * apart_s  # some relatives of Prometheus move other starts
        looks = Grid(start_s, apart_s, (grid.end_s - start_s) // apart_s + 1)
        counts = Table(looks, lambda labels: ())
        self._read_part(f"count({promql})", looks, counts)
        return int(np.nanmax(counts.values, initial=1))

    def _read_part(self, promql: str, part: Grid, table: Table) -> None:
        asked = {"query": promql, "start": str(part.start_s), "end": str(part.end_s), "step": str(part.step_s)}
        with self._post("query_range", asked) as response:
            try:
                answer = read_matrix(self._blocks(response), part.step_s, table.put)
            except (ValueError, LookupError, TypeError) as problem:
                why = str(problem) if isinstance(problem, ShapeError) else "its series cannot be read"
                raise complaints.strange(self.url, why) from problem
        self._refuse_partial(answer)

    def _post(self, endpoint: str, asked: Mapping[str, str]) -> requests.Response:
        """An answer with status 200, its body not yet read."""
        try:
            response = self._session.post(
                f"{self.url}/api/v1/{endpoint}",
                data={**asked, "timeout": f"{self._timeout_s:g}s"},
                # Prometheus takes several times as long to compress an answer as to compute and send it.
                headers={"Accept-Encoding": "identity", **self._access.headers},
                auth=self._access,
                verify=self._access.verify,
                timeout=(min(_CONNECT_S, self._timeout_s), self._timeout_s),
                stream=True,
                allow_redirects=False,
            )
        except requests.exceptions.InvalidHeader:
            raise SettingsError(
                "prometheus.tenant or prometheus.headers holds characters that no header may hold; take them out"
            ) from None  # the cause would show the value, which may be a secret
        except requests.RequestException as problem:
            raise complaints.silent(self.url, problem, self._timeout_s) from problem
        if response.status_code != requests.codes.ok:
            with response:
                raise complaints.refusal(self.url, response, self._beginning(response), self._access.has_credentials)
        return response

    def _blocks(self, response: requests.Response) -> Iterator[bytes]:
        """The body in blocks that are worth reading."""
        block = bytearray()
        for piece in self._pieces(response):
            block += piece
            if len(block) >= _BLOCK_BYTES:
                yield bytes(block)
                block.clear()
        yield bytes(block)

    def _beginning(self, response: requests.Response) -> bytes:
        """As much of a refusal as came: whoever refuses may hang up at once."""
        found = bytearray()
        with suppress(PrometheusError):
            for piece in self._pieces(response):
                found += piece
                if len(found) >= _BLOCK_BYTES:
                    break
        return bytes(found)

    def _pieces(self, response: requests.Response) -> Iterator[bytes]:
        """The body as it comes, given up when it still comes after the time-out."""
        ends_s = time.monotonic() + self._timeout_s  # requests' own time-out begins anew with each read
        try:
            while piece := response.raw.read1(_BLOCK_BYTES, decode_content=True):
                if time.monotonic() > ends_s:
                    raise complaints.late(self.url, self._timeout_s)
                yield piece
        except urllib3.exceptions.HTTPError as problem:
            raise complaints.silent(self.url, problem, self._timeout_s) from problem

    def _refuse_partial(self, answer: Mapping[str, Any]) -> None:
        if (problem := complaints.partial(self.url, answer)) is not None:
            raise problem


class _Retries(urllib3.Retry):
    """Repeats what failed to connect, broke off before the answer, or met a busy server; queries change nothing."""

    @classmethod
    def at_most(cls, times: int) -> _Retries:
        """The first at once, then after 2, 4, 8 … seconds."""
        return cls(
            total=times,
            status_forcelist=(429, 502, 503, 504),
            allowed_methods=None,
            backoff_factor=1,
            backoff_max=30,
            raise_on_status=False,
            respect_retry_after_header=False,  # it may ask for hours
        )

    def increment(self, *args: Any, **kwargs: Any) -> _Retries:
        """As urllib3 does, save that a time-out is final: the same query would take as long again."""
        error = kwargs.get("error")
        if isinstance(error, urllib3.exceptions.ReadTimeoutError):
            raise error
        return super().increment(*args, **kwargs)
