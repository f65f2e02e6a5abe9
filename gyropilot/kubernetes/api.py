"""The one door to the cluster: plain JSON in and out, errors as sentences, every write either real or a rehearsal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import urllib3
from kubernetes.client import ApiClient, Configuration
from kubernetes.config import ConfigException, load_incluster_config, load_kube_config

from gyropilot.errors import ConflictError, ForbiddenError, KubernetesError, NotFoundError, SettingsError
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

    @classmethod
    def connect(cls, settings: KubernetesSettings) -> Api:
        """Open the door with the kubeconfig named in the settings, else $KUBECONFIG or ~/.kube/config, else in-cluster.

        Raises SettingsError when none of them can be loaded. Nothing is sent yet.
        """
        configuration = Configuration()
        try:
            _load(settings, configuration)
        except (ConfigException, OSError, ValueError) as problem:
            raise SettingsError(
                f"no usable kubeconfig ({problem}); set kubernetes.kubeconfig in gyropilot.yaml, "
                "GYROPILOT_KUBERNETES__KUBECONFIG, --kubeconfig or $KUBECONFIG"
            ) from problem
        configuration.retries = _retries(settings.retries)
        return cls(
            ApiClient(configuration),
            (settings.connect_timeout.total_seconds(), settings.read_timeout.total_seconds()),
            settings.page_size,
        )

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
        headers = {"Accept": "application/json", **({"Content-Type": content_type} if content_type else {})}
        payload = json.dumps(body).encode() if body is not None else None
        # The client decides how to authenticate (token, certificate, exec plug-in) and refreshes it.
        method, url, headers, _, _ = self.client.param_serialize(
            method, path, query_params=list(query.items()), header_params=headers, auth_settings=["BearerToken"]
        )
        try:
            response = self.client.rest_client.pool_manager.request(
                method,
                url,
                body=payload,
                headers=headers,
                preload_content=False,
                timeout=urllib3.Timeout(connect=self.timeout_s[0], read=read_timeout),
            )
        except urllib3.exceptions.HTTPError as problem:
            raise self._silence(problem) from problem
        if response.status >= 300:
            raise self._refusal(method, path, response)
        return response

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
        error = _ERRORS.get(response.status, KubernetesError)(sentence)
        error.status, error.said = response.status, said
        return error


def _load(settings: KubernetesSettings, configuration: Configuration) -> None:
    path = settings.kubeconfig
    try:
        load_kube_config(
            config_file=str(path) if path else None, context=settings.context, client_configuration=configuration
        )
    except ConfigException:
        if path:
            raise
        load_incluster_config(client_configuration=configuration)


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
