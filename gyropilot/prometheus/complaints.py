"""What went wrong with Prometheus, as one sentence each: the address, the cause, the next step."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from gyropilot.errors import ObservationError, PrometheusError

_CREDENTIALS = "prometheus.bearer_token_file, or prometheus.username and prometheus.password"
_OVERLOADED = (429, 500, 502, 503, 504)
_SPEAKS_HTTP = re.compile("WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST")
_SPEAKS_HTTPS = re.compile("HTTP request to an HTTPS server|plain HTTP", re.IGNORECASE)  # Go; nginx, Apache


class QueryRefused(PrometheusError):  # noqa: N818 - an answer about one query; others may be answered
    """Prometheus understands or can bear this query not, or its series contradict each other."""


def silent(
    url: str, problem: requests.RequestException | urllib3.exceptions.HTTPError, timeout_s: float
) -> PrometheusError:
    """It gave no answer, or none to its end."""
    if isinstance(problem, requests.exceptions.SSLError):
        return _insecure(url, problem)
    timed_out = isinstance(problem, requests.Timeout) or "timed out" in str(problem)
    if timed_out and not isinstance(problem, requests.ConnectTimeout):
        return late(url, timeout_s)
    if isinstance(problem, urllib3.exceptions.HTTPError):
        return PrometheusError(
            f"Prometheus at {url} broke off in the middle of an answer; look at its log and at proxies before it; "
            "the next cycle asks again"
        )
    return PrometheusError(
        f"Prometheus at {url} cannot be reached ({_cause(problem)}); "
        "check prometheus.url, the network, and that Prometheus runs"
    )


def late(url: str, timeout_s: float) -> PrometheusError:
    """Its answer was not there in time, or not all of it."""
    return PrometheusError(
        f"Prometheus at {url} did not answer within {timeout_s:g} s; raise prometheus.timeout, "
        "shorten prometheus.history, or give Prometheus more memory and faster disks"
    )


def _insecure(url: str, problem: requests.exceptions.SSLError) -> PrometheusError:
    """No TLS connection could be made."""
    told = str(problem)
    if "CERTIFICATE_VERIFY_FAILED" in told:
        return PrometheusError(
            f"the certificate of Prometheus at {url} is not trusted ({_cause(problem)}); "
            "set prometheus.ca_file to its authority's certificate"
        )
    if _SPEAKS_HTTP.search(told):
        return PrometheusError(f"what listens at {url} speaks http, not https; write http:// in prometheus.url")
    return PrometheusError(
        f"no TLS connection to Prometheus at {url} ({_cause(problem)}); "
        "check the port in prometheus.url and what its server demands of clients"
    )


def refusal(url: str, response: requests.Response, body: bytes, has_credentials: bool) -> PrometheusError:
    """It answered with anything but 200; `body` is at least the beginning of what it said."""
    text = body.decode(errors="replace")
    status, said = response.status_code, _said(text)
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
    if status == 400 and _SPEAKS_HTTPS.search(text):
        return PrometheusError(f"what listens at {url} speaks https, not http; write https:// in prometheus.url")
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


def _said(text: str) -> str:
    """Its own words, short; a page of HTML is not worth quoting."""
    try:
        return str(json.loads(text)["error"])[:300]
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
    said = re.sub(r"\[[^]]*\] ", "", str(inner)).rsplit(": ", 1)[-1]
    return said[:200] or type(inner).__name__
