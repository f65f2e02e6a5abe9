"""The control plane that other tests stand on."""

from __future__ import annotations

import pytest

from gyropilot.errors import ForbiddenError, KubernetesError
from tests.controlplane import objects
from tests.controlplane.plane import ControlPlane


def test_keeps_nodes_with_their_gpus(clean_plane: ControlPlane) -> None:
    clean_plane.apply([objects.gpu_node("kept-0", gpus=4)])

    node = clean_plane.api().get("/api/v1/nodes/kept-0")

    assert node["status"]["allocatable"]["nvidia.com/gpu"] == "4"
    assert node["status"]["conditions"][0]["type"] == "Ready"


def test_keeps_workloads_with_their_admission(clean_plane: ControlPlane) -> None:
    clean_plane.apply([objects.namespace("kept"), objects.workload("kept", "gang", admitted=objects.STAMP)])

    workload = clean_plane.api().get("/apis/kueue.x-k8s.io/v1beta2/namespaces/kept/workloads/gang")

    assert workload["status"]["admission"]["clusterQueue"] == "research"
    assert workload["spec"]["podSets"][0]["count"] == 1


def test_lets_a_stranger_do_nothing_until_granted(control_plane: ControlPlane) -> None:
    stranger = control_plane.api(control_plane.kubeconfig_for("stranger"))
    with pytest.raises(ForbiddenError):
        stranger.list("/api/v1/nodes")

    control_plane.grant("stranger", [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}])

    assert stranger.list("/api/v1/nodes") is not None


def test_a_service_account_logs_in_by_token(control_plane: ControlPlane) -> None:
    meta = {"name": "reader", "namespace": "default"}
    control_plane.apply([{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}])

    api = control_plane.api(control_plane.kubeconfig_for_service_account("default", "reader"))
    with pytest.raises(ForbiddenError):
        api.list("/api/v1/nodes")

    assert control_plane.audit("system:serviceaccount:default:reader")[-1].code == 403


def test_writes_every_request_down(control_plane: ControlPlane) -> None:
    before = len(control_plane.audit("admin"))

    control_plane.api().get("/api/v1/namespaces/default")

    event = control_plane.audit("admin")[before:][-1]
    assert (event.verb, event.uri, event.code) == ("get", "/api/v1/namespaces/default", 200)


def test_everything_runs(full_plane: ControlPlane) -> None:
    assert {"kueue", "kwok", "karpenter", "scheduler", "prometheus"} <= set(full_plane.running)


def test_says_when_a_stopped_server_does_not_answer(control_plane: ControlPlane) -> None:
    control_plane.stop("kube-apiserver")
    try:
        with pytest.raises(KubernetesError, match="does not answer"):
            control_plane.api(retries=0).get("/version")
    finally:
        control_plane.start("kube-apiserver")

    assert control_plane.api().get("/version")["major"] == "1"
