"""Real Kueue objects beside a real Prometheus that knows only kube-state-metrics: what waits is seen all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from gyropilot.domain import Line
from gyropilot.kubernetes.api import Api
from gyropilot.kubernetes.reader import KubernetesReader
from gyropilot.observe import Observer
from gyropilot.preflight import findings, to_text
from gyropilot.prometheus.reader import PrometheusReader
from gyropilot.settings import Settings
from tests.controlplane import objects
from tests.controlplane.plane import ControlPlane
from tests.fakes import GPU, NOW
from tests.prometheus.conftest import steady
from tests.servers import PrometheusServer, Series, openmetrics


def pods() -> Iterator[Series]:
    """One pod of 8 GPUs, as kube-state-metrics tells of it; without its labels, its namespace is its queue."""
    of = {"namespace": "research", "pod": "runs-0", "uid": "u"}
    asked = {"container": "main", "resource": "nvidia_com_gpu", "unit": "integer", "node": "a"}
    yield from steady("kube_pod_container_resource_requests", 8, **of, **asked)
    yield from steady("kube_pod_status_phase", 1, **of, phase="Running")


@pytest.fixture
def settings(clean_plane: ControlPlane, start_prometheus: Callable[..., PrometheusServer]) -> Settings:
    """8 GPUs run, and Kueue keeps a job of 16 suspended."""
    clean_plane.apply(
        [
            *(objects.namespace("research"), objects.gpu_node("a"), objects.resource_flavor()),
            *(objects.cluster_queue("research"), objects.local_queue("research", "research")),
            objects.workload("research", "runs", admitted=NOW),
            objects.workload("research", "waits", count=2),
            objects.pod("research", "runs-0", 8, node="a", phase="Running"),
        ]
    )
    told = {"url": start_prometheus(openmetrics(pods())).url, "history": "6h"}
    return Settings.model_validate({"prometheus": told, "kubernetes": {"kubeconfig": clean_plane.kubeconfig}})


def test_what_waits_is_demand_and_what_is_missing_is_said(settings: Settings) -> None:
    kubernetes = KubernetesReader(Api.connect(settings.kubernetes), settings)

    seen = Observer(PrometheusReader(settings.prometheus).read, kubernetes.read, settings)(NOW)

    assert seen.queue("research").running_gpus == {GPU: 8.0}
    assert seen.queue("research").pending_gpus == {GPU: 16.0}
    assert seen.history.of(Line("research", GPU))[-2:].tolist() == [8.0, 24.0]
    assert any("(16 GPUs), but history shows only what ran, so forecasts are too low" in note for note in seen.notes)


def test_the_preflight_says_it_last(settings: Settings) -> None:
    found = findings(settings, NOW)

    assert [each.name for each in found if each.required and not each.found] == []
    assert to_text(found).splitlines()[-1].startswith("a plan can be made, but Kueue runs and Prometheus does not know")
