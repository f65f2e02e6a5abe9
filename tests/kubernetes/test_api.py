"""The one door: what it sends, what it repeats, and what it says when the cluster does not answer well."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from gyropilot.errors import ConflictError, ForbiddenError, KubernetesError, NotFoundError
from gyropilot.kubernetes.api import MERGE_PATCH, Api
from gyropilot.settings import KubernetesSettings
from tests.controlplane import objects
from tests.controlplane.plane import ControlPlane


@dataclass
class Standin:
    """An HTTP server that answers the same to everything and remembers what it was asked."""

    status: int = 200
    body: bytes = b'{"items": []}'
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    port: int = 0

    token: str = ""  # that it wants; empty: none

    def write_kubeconfig(self, folder: Path, login: Mapping[str, str] | None = None, host: str = "127.0.0.1") -> Path:
        cluster = {"name": "c", "cluster": {"server": f"http://{host}:{self.port}"}}
        context = {"name": "c", "context": {"cluster": "c", "user": "c"}}
        users = [{"name": "c", "user": dict(login)}] if login else []
        config = {"clusters": [cluster], "contexts": [context], "users": users, "current-context": "c"}
        path = folder / "kubeconfig"
        path.write_text(json.dumps(config))
        return path

    def api(self, folder: Path, **settings: object) -> Api:
        path = self.write_kubeconfig(folder)
        return Api.connect(KubernetesSettings.model_validate({"kubeconfig": path, "retries": 2, **settings}))


@pytest.fixture
def standin() -> Iterator[Standin]:
    told = Standin()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            told.asked.append(f"{self.command} {self.path}")
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            welcome = not told.token or self.headers.get("Authorization") == f"Bearer {told.token}"
            self.send_response(told.status if welcome else 401)
            for name, value in {"Content-Length": str(len(told.body)), **told.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(told.body)

        def do_GET(self) -> None:
            self.answer()

        def do_PATCH(self) -> None:
            self.answer()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        told.port = server.server_address[1]
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield told
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_once_and_not_pestered(standin: Standin, tmp_path: Path, status: int) -> None:
    standin.status, standin.headers = status, {"Retry-After": "0"}
    standin.body = b'{"message": "too many requests"}'

    with pytest.raises(KubernetesError, match=f"{status} too many requests"):
        standin.api(tmp_path).get("/api/v1/nodes")

    assert standin.asked == ["GET /api/v1/nodes"]


@pytest.mark.parametrize(
    ("status", "error"), [(403, ForbiddenError), (404, NotFoundError), (409, ConflictError), (422, KubernetesError)]
)
def test_each_refusal_has_its_error_and_keeps_the_words(
    standin: Standin, tmp_path: Path, status: int, error: type[KubernetesError]
) -> None:
    standin.status, standin.body = status, b'{"message": "because"}'

    with pytest.raises(error) as told:
        standin.api(tmp_path).patch("/x", {}, MERGE_PATCH)

    assert (told.value.status, told.value.said) == (status, "because")


def test_says_when_what_answers_is_no_kubernetes(standin: Standin, tmp_path: Path) -> None:
    standin.body = b"<html>login</html>"

    with pytest.raises(KubernetesError, match="is it a Kubernetes API"):
        standin.api(tmp_path).get("/api/v1/nodes")


def test_a_broken_watch_is_an_error_of_ours(standin: Standin, tmp_path: Path) -> None:
    standin.body, standin.headers = b'{"type": "ADDED"', {"Content-Length": "999"}

    with pytest.raises(KubernetesError, match="broke off"):
        list(standin.api(tmp_path).watch("/api/v1/nodes", "1", 1))


def test_an_answer_cut_short_is_no_answer(standin: Standin, tmp_path: Path) -> None:
    standin.headers = {"Content-Length": "999"}

    with pytest.raises(KubernetesError, match="does not answer"):
        standin.api(tmp_path, retries=0).get("/api/v1/nodes")


@pytest.mark.parametrize("status", [403, 500])
def test_a_refusal_cut_short_is_a_refusal_still(standin: Standin, tmp_path: Path, status: int) -> None:
    standin.status, standin.headers = status, {"Content-Length": "999"}

    with pytest.raises(KubernetesError, match=f"{status} the answer broke off") as told:
        standin.api(tmp_path).patch("/x", {}, MERGE_PATCH)

    assert told.value.status == status


@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_that_is_no_object_is_an_error_of_ours(standin: Standin, tmp_path: Path, status: int) -> None:
    standin.status, standin.body = status, b"[1]"

    with pytest.raises(KubernetesError):
        standin.api(tmp_path).patch("/x", {}, MERGE_PATCH)


def test_says_who_does_not_answer(standin: Standin, tmp_path: Path) -> None:
    standin.port = 1

    with pytest.raises(KubernetesError, match=r"at http://127\.0\.0\.1:1 does not answer .* check the kubeconfig"):
        standin.api(tmp_path, retries=0).get("/version")


def test_says_that_a_server_wants_https(standin: Standin, tmp_path: Path) -> None:
    standin.status, standin.body = 400, b"Client sent an HTTP request to an HTTPS server."

    with pytest.raises(KubernetesError, match=r"speaks TLS only .* write https:// in the kubeconfig's server"):
        standin.api(tmp_path).get("/apis")


def test_a_watch_that_ends_within_an_event_broke_off(standin: Standin, tmp_path: Path) -> None:
    standin.body = b'{"type": "ADDED", "object"'

    with pytest.raises(KubernetesError, match="broke off"):
        list(standin.api(tmp_path).watch("/api/v1/nodes", "1", 1))


def with_token_file(standin: Standin, folder: Path) -> tuple[Api, Path]:
    """A door whose kubeconfig names a file that holds `old` and a newline; the server takes only `new`."""
    standin.token = "new"
    token = folder / "token"
    token.write_text("old\n")
    standin.write_kubeconfig(folder, {"tokenFile": str(token)})
    return Api.connect(KubernetesSettings(kubeconfig=folder / "kubeconfig", retries=0)), token


def test_a_token_that_was_rotated_is_read_again_and_the_request_sent_again(standin: Standin, tmp_path: Path) -> None:
    api, token = with_token_file(standin, tmp_path)
    token.write_text("new\n")

    assert api.rehearsing().patch("/x", {}, MERGE_PATCH) == {"items": []}
    assert api.get("/y") == {"items": []}
    assert [asked.split("?")[0] for asked in standin.asked] == ["PATCH /x", "PATCH /x", "GET /y"]


def test_a_token_that_no_header_takes_is_not_shown(standin: Standin, tmp_path: Path) -> None:
    standin.write_kubeconfig(tmp_path, {"token": "sec\nret"})

    with pytest.raises(KubernetesError, match="check the token") as told:
        Api.connect(KubernetesSettings(kubeconfig=tmp_path / "kubeconfig")).get("/x")

    assert "sec" not in str(told.value)
    assert told.value.__suppress_context__


def test_a_token_that_is_still_refused_is_told_after_one_more_try(standin: Standin, tmp_path: Path) -> None:
    api, _ = with_token_file(standin, tmp_path)

    with pytest.raises(KubernetesError, match="does not accept our credentials") as told:
        api.get("/x")

    assert standin.asked == ["GET /x", "GET /x"]
    assert told.value.status == 401


def test_credentials_of_another_cluster_are_not_taken_over(standin: Standin, tmp_path: Path) -> None:
    api, token = with_token_file(standin, tmp_path)
    token.write_text("new")
    standin.write_kubeconfig(tmp_path, {"tokenFile": str(token)}, host="localhost")

    with pytest.raises(KubernetesError, match="does not accept our credentials"):
        api.patch("/x", {}, MERGE_PATCH)

    assert standin.asked == ["PATCH /x?fieldManager=gyropilot"]


def test_a_kubeconfig_that_is_gone_leaves_the_refusal_as_it_was(standin: Standin, tmp_path: Path) -> None:
    api, _ = with_token_file(standin, tmp_path)
    (tmp_path / "kubeconfig").unlink()

    with pytest.raises(KubernetesError, match="does not accept our credentials"):
        api.get("/x")


def test_says_that_a_token_is_not_accepted(control_plane: ControlPlane, tmp_path: Path) -> None:
    wrong = control_plane.site.write_kubeconfig(tmp_path / "wrong", {"token": "wrong"})

    with pytest.raises(KubernetesError, match="does not accept our credentials"):
        control_plane.api(wrong).get("/api/v1/nodes")


def test_a_rehearsed_write_is_answered_and_forgotten(clean_plane: ControlPlane) -> None:
    clean_plane.apply([objects.node_pool("h100", replicas=2)])
    path = "/apis/karpenter.sh/v1/nodepools/h100"

    answer = clean_plane.api().rehearsing().patch(path, {"spec": {"replicas": 5}}, MERGE_PATCH)

    assert answer["spec"]["replicas"] == 5
    assert clean_plane.api().get(path)["spec"]["replicas"] == 2
    assert "dryRun=All" in next(e.uri for e in reversed(clean_plane.audit("admin")) if e.verb == "patch")
