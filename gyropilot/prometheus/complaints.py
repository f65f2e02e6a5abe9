"""What went wrong with Prometheus, as one sentence each: the address, the cause, the next step."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests

from gyropilot.errors import ObservationError, PrometheusError

_CREDENTIALS = "prometheus.bearer_token_file, or prometheus.username and prometheus.password"
_OVERLOADED = (429, 500, 502, 503, 504)


class QueryRefused(PrometheusError):  # noqa: N818 - an answer about one query; others may be answered
    """Prometheus understands or can bear this query not, or its series contradict each other."""


def silent(url: str, problem: requests.RequestException, timeout_s: float) -> PrometheusError:
    """It gave no answer, or none to its end."""
    if isinstance(problem, requests.exceptions.SSLError):
        return PrometheusError(
            f"the certificate of Prometheus at {url} is not trusted ({_cause(problem)}); "
            "set prometheus.ca_file to its authority's certificate"
        )
    late = isinstance(problem, requests.Timeout) or "timed out" in str(problem)
    if late and not isinstance(problem, requests.ConnectTimeout):
        return PrometheusError(
            f"Prometheus at {url} did not answer within {timeout_s:g} s; raise prometheus.timeout, "
            "shorten prometheus.history, or give Prometheus more memory and faster disks"
        )
    if isinstance(problem, requests.exceptions.ChunkedEncodingError):
        return PrometheusError(
            f"Prometheus at {url} broke off in the middle of an answer; look at its log and at proxies before it; "
            "the next cycle asks again"
        )
    return PrometheusError(
        f"Prometheus at {url} cannot be reached ({_cause(problem)}); "
        "check prometheus.url, the network, and that Prometheus runs"
    )


def refusal(url: str, response: requests.Response, has_credentials: bool) -> PrometheusError:
    """It answered with anything but 200."""
    status, said = response.status_code, _said(response)
    if status in (401, 403):
        found = (
            f"wrong token or password ({status})" if has_credentials else f"no token or password was given ({status})"
        )
        return PrometheusError(f"Prometheus at {url} refuses us: {found}; check {_CREDENTIALS}")
    if 300 <= status < 400:
        target = urlsplit(response.headers.get("Location", ""))
        return PrometheusError(
            f"{url} is no Prometheus API: it redirects ({status}) to {target.netloc}{target.path}; set prometheus.url "
            f"to where it really is, or give what its login wants: {_CREDENTIALS}"
        )
    if status in (400, 422):
        return QueryRefused(
            f"Prometheus at {url} cannot answer a query ({status}: {said}); where it names a limit, raise "
            "--query.max-samples there, or shorten prometheus.history here"
        )
    if status in _OVERLOADED:
        return PrometheusError(
            f"Prometheus at {url} is overloaded, starting or behind a broken proxy ({status}: {said}); "
            "look at its log; the next cycle asks again"
        )
    return PrometheusError(f"{url} is no Prometheus API ({status}: {said}); check prometheus.url and its path prefix")


def strange(url: str, why: str) -> PrometheusError:
    """It answered 200 with something that is not an answer of Prometheus."""
    return PrometheusError(
        f"{url} answers, but not as Prometheus does ({why}); check prometheus.url and its path prefix"
    )


def partial(url: str, answer: Mapping[str, Any]) -> ObservationError | None:
    """Why its data cannot be relied on; None where it can."""
    warnings = answer.get("warnings") or (["isPartial"] if answer.get("isPartial") else [])
    if not warnings:
        return None
    return ObservationError(
        f"Prometheus at {url} gives partial data ({'; '.join(map(str, warnings))[:300]}); "
        "bring back the stores that it cannot reach"
    )


def _said(response: requests.Response) -> str:
    """Its own words, short; a page of HTML is not worth quoting."""
    try:
        text = response.content[:100_000].decode(errors="replace")
        return str(json.loads(text)["error"])[:300]
    except requests.RequestException:
        return "it broke off"
    except (ValueError, KeyError, TypeError):
        first = text.strip().split("\n")[0][:100]
        return "a page, no JSON" if first.startswith("<") else first or "without a word"


def _cause(problem: BaseException) -> str:
    """The innermost reason, without the repetitions that the libraries wrap round it."""
    inner = problem
    while (reason := getattr(inner, "reason", None) or (inner.args[0] if inner.args else None)) is not None:
        if not isinstance(reason, BaseException):
            break
        inner = reason
    said = str(inner).rsplit(": ", 1)[-1]
    return re.sub(r"^\[[^]]*\] ", "", said)[:200] or type(inner).__name__
