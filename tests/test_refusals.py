"""Every way in which a plan cannot be made: the exit code, the sentence, and nothing on stdout."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gyropilot.cli import main
from tests.command import gyropilot
from tests.controlplane.objects import GPU, cluster_queue, gpu_node, local_queue, namespace, resource_flavor
from tests.controlplane.plane import ControlPlane
from tests.controlplane.site import missing
from tests.servers import PrometheusServer, Series, openmetrics

BCRYPT_OF_SECRET = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def plane(clean_plane: ControlPlane) -> ControlPlane:
    """One node, one queue."""
    clean_plane.apply(
        [namespace("team"), gpu_node("a"), resource_flavor(), cluster_queue("team"), local_queue("team", "team")]
    )
    return clean_plane


@pytest.fixture(scope="module")
def fresh(start_prometheus: Callable[..., PrometheusServer]) -> PrometheusServer:
    return start_prometheus(usage(until_s=int(time.time()) + 1800))


def usage(until_s: int) -> Iterator[str]:
    """Queue `team` runs 4 GPUs, a sample a minute for two hours."""
    times = range(until_s - 7200, until_s + 60, 60)
    labels = {"cluster_queue": "team", "flavor": "h100", "resource": GPU, "replica_role": "leader"}
    yield from openmetrics(
        [
            Series("kueue_cluster_queue_resource_usage", labels, times, [4.0] * len(times)),
            Series("kueue_cluster_queue_resource_pending", labels, times, [0.0] * len(times)),
        ]
    )


Refused = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Refused:
    """Runs `plan` in an empty folder, without a process of its own; what it said, in one sentence on stderr."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("GYROPILOT_") or name == "KUBECONFIG"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GYROPILOT_PROMETHEUS__RETRIES", "0")

    def refused(code: int, *args: str) -> str:
        monkeypatch.setattr(sys, "argv", ["gyropilot", "plan", "--format", "json", *args])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        assert (ended.value.code, out) == (code, ""), err
        assert err.startswith("gyropilot: ")
        return str(err)

    return refused


def test_a_plan_is_made_where_nothing_is_wrong(plane: ControlPlane, fresh: PrometheusServer, tmp_path: Path) -> None:
    done = gyropilot("plan", "--prometheus", fresh.url, "--kubeconfig", str(plane.kubeconfig), folder=tmp_path)

    assert done.returncode == 0, done.stderr


def test_no_prometheus_url_is_a_matter_of_settings(refused: Refused) -> None:
    assert "prometheus.url is empty; give --prometheus URL" in refused(2)


def test_a_prometheus_that_was_stopped_is_unreachable(
    plane: ControlPlane, start_prometheus: Callable[..., PrometheusServer], refused: Refused
) -> None:
    server = start_prometheus(usage(until_s=int(time.time())))
    server.stop()

    said = refused(4, "--prometheus", server.url, "--kubeconfig", str(plane.kubeconfig))

    assert f"Prometheus at {server.url}" in said


def test_a_prometheus_that_stopped_scraping_is_stale(
    plane: ControlPlane, start_prometheus: Callable[..., PrometheusServer], refused: Refused
) -> None:
    server = start_prometheus(usage(until_s=int(time.time()) - 1800))

    said = refused(3, "--prometheus", server.url, "--kubeconfig", str(plane.kubeconfig))

    assert "newest demand reading in Prometheus is 3" in said
    assert "check that Prometheus scrapes its targets" in said


def test_an_empty_prometheus_is_refused_with_what_is_missing(
    plane: ControlPlane, start_prometheus: Callable[..., PrometheusServer], refused: Refused
) -> None:
    server = start_prometheus()

    said = refused(3, "--prometheus", server.url, "--kubeconfig", str(plane.kubeconfig))

    assert "holds no GPU demand: neither kueue_cluster_queue_resource_usage" in said


def test_a_wrong_token_of_prometheus_is_named_and_not_shown(
    plane: ControlPlane, start_prometheus: Callable[..., PrometheusServer], tmp_path: Path, refused: Refused
) -> None:
    server = start_prometheus(web={"basic_auth_users": {"reader": BCRYPT_OF_SECRET}}, login=("reader", "secret"))
    config = tmp_path / "gyropilot.yaml"
    config.write_text(f"prometheus: {{url: '{server.url}', bearer_token: hunter2}}")

    said = refused(4, "--kubeconfig", str(plane.kubeconfig))

    assert "401" in said
    assert "hunter2" not in said


def test_an_address_that_is_no_prometheus_is_named(plane: ControlPlane, refused: Refused) -> None:
    said = refused(4, "--prometheus", NOWHERE, "--kubeconfig", str(plane.kubeconfig))

    assert NOWHERE in said


def test_an_unreachable_api_server_is_named(
    fresh: PrometheusServer, plane: ControlPlane, tmp_path: Path, refused: Refused
) -> None:
    text = plane.kubeconfig.read_text().replace(plane.site.server, "https://127.0.0.1:9")
    (tmp_path / "kubeconfig").write_text(text)

    said = refused(4, "--prometheus", fresh.url, "--kubeconfig", str(tmp_path / "kubeconfig"))

    assert "the Kubernetes API at https://127.0.0.1:9 does not answer" in said


def test_a_wrong_token_of_the_api_server_is_named_and_not_shown(
    fresh: PrometheusServer, plane: ControlPlane, tmp_path: Path, refused: Refused
) -> None:
    kubeconfig = plane.site.write_kubeconfig(tmp_path / "kubeconfig", {"token": "hunter2"})

    said = refused(4, "--prometheus", fresh.url, "--kubeconfig", str(kubeconfig))

    assert "does not accept our credentials (401); renew the token or certificate" in said
    assert "hunter2" not in said


def test_an_account_without_rights_is_told_the_rule_to_add(
    fresh: PrometheusServer, plane: ControlPlane, refused: Refused
) -> None:
    kubeconfig = plane.kubeconfig_for("nobody-in-particular")

    said = refused(4, "--prometheus", fresh.url, "--kubeconfig", str(kubeconfig))

    assert 'apiGroups: [""], resources: ["nodes"]' in said


def test_a_kubeconfig_that_is_not_there_is_a_matter_of_settings(
    fresh: PrometheusServer, tmp_path: Path, refused: Refused
) -> None:
    said = refused(2, "--prometheus", fresh.url, "--kubeconfig", str(tmp_path / "absent"))

    assert "no usable kubeconfig" in said


def test_a_cluster_without_kueue_and_without_queues_is_refused(
    fresh: PrometheusServer, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, refused: Refused
) -> None:
    if why := missing():
        pytest.skip(why)
    bare = ControlPlane.started(tmp_path_factory.mktemp("bare"))
    try:
        bare.apply([gpu_node("a")])
        said = refused(3, "--prometheus", fresh.url, "--kubeconfig", str(bare.kubeconfig))
    finally:
        bare.stop()

    assert "no queues; install Kueue and create ClusterQueues, or set kubernetes.queue_label" in said


def test_a_mistyped_setting_is_named_with_the_one_that_was_meant(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "gyropilot.yaml").write_text("prometheus: {urll: http://x}")

    said = refused(2)

    assert "prometheus.urll is no setting (did you mean prometheus.url?); it is set in gyropilot.yaml" in said


def test_a_journal_that_is_not_there_is_said_by_report_and_history(tmp_path: Path) -> None:
    for command in ("report", "history"):
        done = gyropilot(command, folder=tmp_path)

        assert done.returncode == 2
        assert "no journal at sqlite:///gyropilot.db; `gyropilot once` or `run` writes one" in done.stderr
