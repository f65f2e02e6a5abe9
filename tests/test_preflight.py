"""`gyropilot check`: what is needed is found, or missing with the fix."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gyropilot.demo import Demo, serve
from gyropilot.kubernetes.access import rule
from gyropilot.preflight import Finding, findings, to_text
from gyropilot.prometheus.queries import KUEUE_PENDING, KUEUE_RUNNING, METRICS
from gyropilot.settings import KubernetesSettings, PrometheusSettings, Settings
from tests.controlplane.plane import ControlPlane
from tests.fakes import NOW

NOBODY = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def world() -> Iterator[Demo]:
    with serve() as demo:
        yield demo


def missing(found: list[Finding]) -> list[Finding]:
    return [each for each in found if each.required and not each.found]


def test_everything_that_a_plan_needs_is_found_in_the_demo(world: Demo) -> None:
    found = findings(world.settings, world.now)

    assert missing(found) == []
    assert {each.kind for each in found} == {"server", "metric", "kind", "permission"}
    assert to_text(found).splitlines()[-1] == "everything that a plan needs is there"


def permission(name: str, found: bool = True, required: bool = True) -> Finding:
    fix = rule("", name.rsplit(maxsplit=1)[-1], ["get", "list", "watch"])
    return Finding("permission", name, "pools and their GPUs", required, found, fix)


def metric(name: str, found: bool = False) -> Finding:
    need = next(need for need in METRICS if need.name == name)
    return Finding("metric", name, need.answers, False, found, need.fix)


def test_verbs_of_one_resource_share_a_line() -> None:
    said = to_text([permission("get nodes"), permission("list nodes"), permission("watch nodes")])

    assert said.splitlines() == [
        "Permissions",
        "  found    get, list, watch nodes: pools and their GPUs",
        "",
        "everything that a plan needs is there",
    ]


def test_verbs_that_are_missing_stand_apart_with_one_fix() -> None:
    said = to_text([permission("get nodes"), permission("list nodes", False), permission("watch nodes", False)])

    assert said.splitlines() == [
        "Permissions",
        "  found    get nodes: pools and their GPUs",
        "  MISSING  list, watch nodes: pools and their GPUs",
        '           → {apiGroups: [""], resources: ["nodes"], verbs: ["get", "list", "watch"]}',
        "",
        "1 required missing: list, watch nodes",
    ]


def test_a_fix_of_several_metrics_is_said_once() -> None:
    said = to_text([metric("DCGM_FI_DEV_GPU_UTIL"), metric("kube_node_labels", True), metric("DCGM_FI_DEV_FB_USED")])

    assert said.splitlines()[:5] == [
        "Metrics",
        "  found    kube_node_labels: which pool a node belongs to",
        "  absent   DCGM_FI_DEV_GPU_UTIL: how busy GPUs are",
        "  absent   DCGM_FI_DEV_FB_USED: how much GPU memory is used",
        "           → install dcgm-exporter with DCGM_EXPORTER_KUBERNETES=true",
    ]


@pytest.mark.parametrize("unseen", [KUEUE_RUNNING, KUEUE_PENDING])
def test_kueue_without_its_metrics_is_in_the_verdict(world: Demo, unseen: str) -> None:
    found = [
        replace(f, found=False, required=False) if f.name == unseen else f for f in findings(world.settings, world.now)
    ]

    assert missing(found) == []
    assert to_text(found).splitlines()[-1] == (
        "a plan can be made, but Kueue runs and Prometheus does not know what waits in its queues: forecasts will be "
        "too low; set `metrics.enableClusterQueueResources: true` in Kueue's configuration and scrape it with a bearer "
        "token"
    )


def test_json_tells_each_need_apart(world: Demo) -> None:
    names = [each.to_dict()["name"] for each in findings(world.settings, world.now)]

    assert {"get nodes", "list nodes", "watch nodes"} <= set(names)


def test_says_as_whom_it_asked(control_plane: ControlPlane) -> None:
    settings = Settings(kubernetes=KubernetesSettings(kubeconfig=control_plane.kubeconfig_for("on-call")))

    said = to_text(findings(settings, NOW))

    assert re.search(r"found    Kubernetes API at https://\S+, asked as on-call: nodes, queues and workloads", said)


def test_what_is_missing_is_said_with_its_fix_and_the_rest_is_still_looked_for(world: Demo) -> None:
    settings = Settings(kubernetes=world.settings.kubernetes)

    found = findings(settings, world.now)

    (prometheus,) = missing(found)
    assert (prometheus.kind, prometheus.exit_code) == ("server", 2)
    assert "give --prometheus URL" in prometheus.fix
    assert "Kubernetes API at http://127.0.0.1" in to_text(found)


def test_servers_that_do_not_answer_are_unreachable(world: Demo, tmp_path: Path) -> None:
    config = tmp_path / "kubeconfig"
    config.write_text(re.sub(r"http://127\.0\.0\.1:\d+", NOBODY, world.kubeconfig.read_text()))
    silent = Settings(
        prometheus=PrometheusSettings(url=NOBODY, retries=0),
        kubernetes=KubernetesSettings(kubeconfig=config, retries=0),
    )

    assert [each.exit_code for each in missing(findings(silent, world.now))] == [4, 4]


def test_a_password_in_the_address_of_prometheus_is_not_shown(world: Demo) -> None:
    settings = Settings(prometheus=PrometheusSettings(url="http://me:hunter2@p"), kubernetes=world.settings.kubernetes)

    told = to_text(findings(settings, world.now))

    assert "MISSING  Prometheus at http://me:***@p" in told
    assert "hunter2" not in told
