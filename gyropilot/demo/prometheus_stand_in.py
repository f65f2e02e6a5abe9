"""A Prometheus as far as Gyropilot asks it: it knows the answers to Gyropilot's own queries, at any moment.

Queries are told by their text, so nothing here parses PromQL; any other query is refused with a sentence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import numpy as np

from envs.workloads import Floats
from gyropilot.demo.loopback import Reply, Request
from gyropilot.demo.series import Vector

MOST_POINTS = 11_000
"""Per series of one answer: Prometheus's own limit."""


class _BadDataError(Exception):
    """A parameter cannot be read."""


@dataclass(frozen=True, slots=True)
class PrometheusStandIn:
    """Answers requests from vectors by query."""

    vectors: Mapping[str, Vector]
    now_s: float  # of the epoch: what `time` defaults to

    def __call__(self, request: Request) -> Reply:
        try:
            return self._answer(request)
        except _BadDataError as problem:
            return _error(400, "bad_data", str(problem))

    def _answer(self, request: Request) -> Reply:
        match request.path:
            case "/api/v1/query":
                return self._query(_parameters(request))
            case "/api/v1/query_range":
                return self._query_range(_parameters(request))
            case "/api/v1/status/buildinfo" | "/-/healthy" | "/-/ready":
                return _success({"version": "3.0.0-demo"})
        return _error(404, "not_found", f"the demo's Prometheus has no {request.path}")

    def _query(self, given: Mapping[str, str]) -> Reply:
        at_s = _number(given, "time") if "time" in given else self.now_s
        vector = self.vectors.get(_text(given, "query"))
        if vector is None:
            return _unknown(given)
        values = vector.at(np.array([at_s]))[:, 0]
        found = [
            {"metric": dict(labels), "value": _sample(at_s, value)}
            for labels, value in zip(vector.labels, values.tolist(), strict=True)
            if not math.isnan(value)
        ]
        return _success({"resultType": "vector", "result": found})

    def _query_range(self, given: Mapping[str, str]) -> Reply:
        moments_s = _moments(*(_number(given, name) for name in ("start", "end", "step")))
        vector = self.vectors.get(_text(given, "query"))
        if vector is None:
            return _unknown(given)
        rows = vector.at(moments_s)
        matrix = [
            {"metric": dict(labels), "values": samples}
            for labels, row in zip(vector.labels, rows, strict=True)
            if (samples := _samples(moments_s, row))
        ]
        return _success({"resultType": "matrix", "result": matrix})


def _parameters(request: Request) -> Mapping[str, str]:
    """Of the URL, and of a form in the body."""
    form = parse_qs(request.body.decode()) if request.content_type.startswith("application/x-www-form") else {}
    return {name: values[0] for name, values in (*request.query.items(), *form.items())}


def _text(given: Mapping[str, str], name: str) -> str:
    if not given.get(name):
        raise _BadDataError(f'invalid parameter "{name}": it is missing')
    return given[name]


def _number(given: Mapping[str, str], name: str) -> float:
    try:
        return float(_text(given, name))
    except ValueError:
        raise _BadDataError(f'invalid parameter "{name}": cannot parse {given[name]!r} as seconds') from None


def _moments(start_s: float, end_s: float, step_s: float) -> Floats:
    if step_s <= 0:
        raise _BadDataError('invalid parameter "step": zero or negative query resolution step widths are not accepted')
    steps = math.floor((end_s - start_s) / step_s)
    if steps < 0:
        raise _BadDataError('invalid parameter "end": end timestamp must not be before start time')
    if steps > MOST_POINTS:
        raise _BadDataError(f"exceeded maximum resolution of {MOST_POINTS:,} points per timeseries")
    return start_s + step_s * np.arange(steps + 1, dtype=np.float64)


def _samples(moments_s: Floats, values: Floats) -> list[list[Any]]:
    seen = ~np.isnan(values)
    return [_sample(*pair) for pair in zip(moments_s[seen].tolist(), values[seen].tolist(), strict=True)]


def _sample(at_s: float, value: float) -> list[Any]:
    """Whole numbers without a point, as Prometheus writes them."""
    return [_whole(at_s), str(_whole(value))]


def _whole(number: float) -> float:
    return int(number) if number.is_integer() else number


def _success(data: Any) -> Reply:
    return Reply(200, {"status": "success", "data": data})


def _error(status: int, kind: str, sentence: str) -> Reply:
    return Reply(status, {"status": "error", "errorType": kind, "error": sentence})


def _unknown(given: Mapping[str, str]) -> Reply:
    return _error(422, "execution", f"the demo's Prometheus answers Gyropilot's own queries only, not {given['query']}")
