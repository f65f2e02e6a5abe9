"""The one door to the cluster: plain JSON in and out, errors as sentences, every write either real or a rehearsal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import urllib3
from kubernetes.client import ApiClient

from gyropilot.errors import ConflictError, ForbiddenError, KubernetesError, NotFoundError, SettingsError
from gyropilot.kubernetes.login import configuration
from gyropilot.settings import KubernetesSettings

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
FIELD_MANAGER = "gyropilot"

Json = dict[str, Any]

_ERRORS = {403: ForbiddenError, 404: NotFoundError, 409: ConflictError}


@dataclass(frozen=True, slots=True)
class Api:
    """HTTP verbs on Kubernetes paths. `rehearsing()` gives the same door with `dryRun=All` on every write."""

    client: ApiClient
    timeout_s: tuple[float, float]  # to connect, to read
    page_size: int
    dry_run: bool = False
    login: Callable[[], ApiClient] | None = None  # logs in anew, by the credentials as they are now

    @classmethod
    def connect(cls, settings: KubernetesSettings) -> Api:
        """Open the door with the kubeconfig named in the settings, else $KUBECONFIG or ~/.kube/config, else in-cluster.

        Raises SettingsError when none of them can be loaded. Nothing is sent yet.
        """

        def login() -> ApiClient:
            told = configuration(settings)
            told.retries = _retries(settings.retries)
            return ApiClient(told)

        timeout_s = (settings.connect_timeout.total_seconds(), settings.read_timeout.total_seconds())
        return cls(login(), timeout_s, settings.page_size, login=login)

    @property
    def host(self) -> str:
        return str(self.client.configuration.host)

    def rehearsing(self) -> Api:
        """The same door, whose writes the API server validates, admits, answers, and forgets."""
        return replace(self, dry_run=True)

    def get(self, path: str, **query: str | int) -> Json:
        return self._send("GET", path, query)

    def list(self, path: str, **query: str | int) -> list[Json]:
        """All items of a collection, page by page."""
        return [item for page in self.pages(path, **query) for item in page.get("items") or ()]

    def pages(self, path: str, **query: str | int) -> Iterator[Json]:
        """List answers of at most `page_size` items; the last one's metadata holds the version to watch from."""
        token = ""
        while True:
            page = self.get(path, limit=self.page_size, **query, **({"continue": token} if token else {}))
            yield page
            token = (page.get("metadata") or {}).get("continue") or ""
            if not token:
                return

    def watch(self, path: str, resource_version: str, seconds: int, **query: str | int) -> Iterator[Json]:
        """Events `{"type", "object"}` since a version, for at most `seconds`; the server closes the stream then."""
        query = {
            **query,
            "watch": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": seconds,
            "allowWatchBookmarks": "true",
        }
        response = self._open("GET", path, query, None, "", read_timeout=seconds + 15.0)
        pending = b""
        try:
            for chunk in response.stream(65536, decode_content=True):
                *lines, pending = (pending + chunk).split(b"\n")
                yield from (json.loads(line) for line in lines if line.strip())
            if pending.strip():
                raise ValueError("it ended within an event")
        except (ValueError, urllib3.exceptions.HTTPError) as problem:
            raise KubernetesError(f"the watch of {self.host}{path} broke off ({_cause(problem)})") from problem
        finally:
            response.close()  # a stream that was not read to its end must not be used again

    def create(self, path: str, body: Json) -> Json:
        return self._send("POST", path, self._write_query(), body, "application/json")

    def review(self, path: str, body: Json) -> Json:
        """Ask for a review (SelfSubjectAccessReview): a POST that stores nothing, so rehearsals send it as it is."""
        return self._send("POST", path, {}, body, "application/json")

    def patch(self, path: str, body: Json | Sequence[Json], content_type: str) -> Json:
        return self._send("PATCH", path, self._write_query(), body, content_type)

    def _write_query(self) -> dict[str, str | int]:
        return {"fieldManager": FIELD_MANAGER, **({"dryRun": "All"} if self.dry_run else {})}

    def _send(
        self, method: str, path: str, query: Mapping[str, str | int], body: object = None, content_type: str = ""
    ) -> Json:
        response = self._open(method, path, query, body, content_type, self.timeout_s[1])
        try:
            answer = json.loads(response.read())
        except urllib3.exceptions.HTTPError as problem:
            raise self._silence(problem) from problem
        except ValueError as problem:
            raise KubernetesError(
                f"{self.host}{path} answered no JSON ({problem}); is it a Kubernetes API?"
            ) from problem
        if not isinstance(answer, dict):
            raise KubernetesError(f"{self.host}{path} answered no object; is it a Kubernetes API?")
        return answer

    def _open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int],
        body: object,
        content_type: str,
        read_timeout: float,
    ) -> urllib3.BaseHTTPResponse:
        ask = partial(self._ask, method, path, query, body, content_type, read_timeout)
        response = ask()
        # The credentials may have been rotated. What was not authenticated was not done, so it may be sent again.
        if response.status == 401 and self._log_in_anew():
            response.close()
            response = ask()
        if response.status >= 300:
            raise self._refusal(method, path, response)
        return response

    def _log_in_anew(self) -> bool:
        """Whether the credentials could be read again; all doors that share the client use them from then on."""
        try:
            fresh = self.login() if self.login else None
        except SettingsError:
            return False
        # The kubeconfig's current context may be another cluster's by now, of which nothing was seen.
        if fresh is None or fresh.configuration.host != self.host:
            return False
        self.client.configuration, self.client.rest_client = fresh.configuration, fresh.rest_client
        return True

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int],
        body: object,
        content_type: str,
        read_timeout: float,
    ) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": "application/json", **({"Content-Type": content_type} if content_type else {})}
        payload = json.dumps(body).encode() if body is not None else None
        # The client decides how to authenticate (token, certificate, exec plug-in) and refreshes it.
        method, url, headers, _, _ = self.client.param_serialize(
            method, path, query_params=list(query.items()), header_params=headers, auth_settings=["BearerToken"]
        )
        try:
            answer: urllib3.BaseHTTPResponse = self.client.rest_client.pool_manager.request(
                method,
                url,
                body=payload,
                headers={name: value.strip() for name, value in headers.items()},  # a token's file ends in a newline
                preload_content=False,
                timeout=urllib3.Timeout(connect=self.timeout_s[0], read=read_timeout),
            )
        except urllib3.exceptions.HTTPError as problem:
            raise self._silence(problem) from problem
        except ValueError:  # which tells the header, and so the token
            raise KubernetesError(
                f"the credentials for {self.host} cannot be sent: they hold what no HTTP header may; check the token"
            ) from None
        return answer

    def _silence(self, problem: Exception) -> KubernetesError:
        return KubernetesError(
            f"the Kubernetes API at {self.host} does not answer ({_cause(problem)}); "
            "check the kubeconfig's server address, the network and that the API server runs"
        )

    def _refusal(self, method: str, path: str, response: urllib3.BaseHTTPResponse) -> KubernetesError:
        said = _said(response)
        sentence = f"{method} {path}: {response.status} {said}"
        if response.status == 401:
            sentence = (
                f"the Kubernetes API at {self.host} does not accept our credentials (401); "
                "renew the token or certificate"
            )
        if response.status == 400 and "HTTPS server" in said:
            sentence = f"{self.host} speaks TLS only ({said}); write https:// in the kubeconfig's server"
        error = _ERRORS.get(response.status, KubernetesError)(sentence)
        error.status, error.said = response.status, said
        return error


@contextmanager
def understood(where: str) -> Iterator[None]:
    """An answer of another form than Kubernetes gives becomes a KubernetesError."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as problem:
        raise KubernetesError(
            f"{where} answered what no Kubernetes API would ({_cause(problem)}); check the kubeconfig's server address"
        ) from problem


def _retries(count: int) -> urllib3.Retry:
    """Broken connections only, and of writes only those on which nothing was sent yet.

    urllib3 would silently repeat idempotent requests on a 429 or 503 that asks for it: that is the next cycle's task.
    """
    return urllib3.Retry(
        total=count,
        redirect=0,
        status=0,
        other=0,
        allowed_methods=["GET"],
        respect_retry_after_header=False,
    )


def _cause(problem: BaseException) -> str:
    reason = getattr(problem, "reason", None) or problem
    return f"{type(reason).__name__}: {reason}".split("\n")[0][:300]


def _said(response: urllib3.BaseHTTPResponse) -> str:
    """The refusal in the API server's own words, as far as they arrived."""
    try:
        body = response.read()
    except urllib3.exceptions.HTTPError as problem:
        return f"the answer broke off ({_cause(problem)})"
    try:
        status = json.loads(body)
    except ValueError:
        return body.decode(errors="replace").strip()[:300]
    told = (status.get("message") or status.get("reason")) if isinstance(status, dict) else None
    return str(told or status)[:500]
