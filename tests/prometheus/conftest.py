"""One Prometheus that holds several small clusters, told apart by the label `cluster`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from gyropilot.prometheus.reader import PrometheusReader
from gyropilot.settings import PrometheusSettings
from tests.fakes import GPU, NOW
from tests.servers import PrometheusServer, Series, openmetrics

MIG = "nvidia.com/mig-1g.10gb"
USAGE = "kueue_cluster_queue_resource_usage"
PENDING = "kueue_cluster_queue_resource_pending"
QUOTA = "kueue_cluster_queue_nominal_quota"

Span = tuple[int, int]  # minutes before NOW


def steady(metric: str, value: float, *spans: Span, **labels: str) -> Iterator[Series]:
    """One value, sampled each minute in some spans of time; by default in the last six hours, up to NOW."""
    now = int(NOW.timestamp())
    for begin, end in spans or ((360, 0),):
        times = range(now - begin * 60, now - end * 60 + 1, 60)
        yield Series(metric, labels, times, [value] * len(times))


def _kueue(metric: str, value: float, *spans: Span, **labels: str) -> Iterator[Series]:
    """As both replicas of Kueue's manager export it; the follower lags behind by 2 GPUs."""
    told = {"cohort": "all", "resource": GPU, **labels}
    yield from steady(metric, value, *spans, **told, replica_role="leader", pod="kueue-a")
    yield from steady(metric, max(0.0, value - 2), *spans, **told, replica_role="follower", pod="kueue-b")


def _full_cluster() -> Iterator[Series]:
    """Two queues on two flavors, one of them also on MIG slices; nothing was scraped from 3 h to 2 h ago."""
    seen: Sequence[Span] = ((360, 181), (120, 0))
    of = {"cluster": "full"}
    yield from _kueue(USAGE, 24, *seen, **of, cluster_queue="research", flavor="h100")
    yield from _kueue(USAGE, 8, *seen, **of, cluster_queue="research", flavor="a100")
    yield from _kueue(USAGE, 5, *seen, **of, cluster_queue="research", flavor="mig", resource=MIG)
    yield from _kueue(USAGE, 0, *seen, **of, cluster_queue="product", flavor="h100")
    yield from _kueue(USAGE, 99, *seen, **of, cluster_queue="product", flavor="h100", resource="cpu")
    yield from _kueue(PENDING, 16, *seen, **of, cluster_queue="research")
    yield from _kueue(PENDING, 0, *seen, **of, cluster_queue="product")
    yield from _kueue(QUOTA, 32, *seen, **of, cluster_queue="research", flavor="h100")
    yield from _kueue(QUOTA, 16, *seen, **of, cluster_queue="research", flavor="a100")


def _older_clusters() -> Iterator[Series]:
    yield from steady(USAGE, 8, cluster="no-pending", cluster_queue="research", flavor="h100", resource=GPU)
    yield from steady(USAGE, 8, (360, 47), cluster="stale", cluster_queue="research", flavor="h100", resource=GPU)
    yield from steady(PENDING, 4, (360, 47), cluster="stale", cluster_queue="research", resource=GPU)
    yield from steady("kube_pod_status_phase", 1, cluster="stale", namespace="lab", pod="web", phase="Running")
    for flavor in ("h100", "a100"):  # its queue has moved to another cohort, and the older series is shown still
        of = {"cluster": "moved", "cluster_queue": "research", "flavor": flavor, "resource": GPU}
        yield from steady(USAGE, 8, (360, 2), **of, cohort="products")
        yield from steady(USAGE, 8, (1, 0), **of, cohort="labs")
    yield from steady(USAGE, 8, (360, 2), cluster="left", cluster_queue="a", resource=GPU, cohort="labs")
    yield from steady(USAGE, 8, (1, 0), cluster="left", cluster_queue="a", resource=GPU)
    yield from steady(USAGE, 8, cluster="torn", cluster_queue="research", flavor="h100", resource=GPU)
    yield from _node("n1", cluster="torn")
    yield from steady("kube_node_labels", 1, cluster="torn", node="n1", label_karpenter_sh_nodepool="a100")
    yield from steady(USAGE, 8, (50 * 60, 0), cluster="fine", cluster_queue="research", flavor="h100", resource=GPU)
    yield from steady(PENDING, 4, (50 * 60, 0), cluster="fine", cluster_queue="research", resource=GPU)


def _pod(name: str, gpus: int, phase: str, node: str = "", *spans: Span, **labels: str) -> Iterator[Series]:
    """As two replicas of kube-state-metrics export it."""
    of = {"cluster": "pods", "namespace": "lab", "pod": name, "uid": f"uid-{name}"}
    bound = {"node": node} if node else {}
    for instance in ("ksm-a", "ksm-b"):
        asks = {"container": "main", "resource": "nvidia_com_gpu", "unit": "integer", **bound, "instance": instance}
        yield from steady("kube_pod_container_resource_requests", gpus, *spans, **of, **asks)
        for other in ("Pending", "Running", "Succeeded"):
            is_it = float(other == phase)
            yield from steady("kube_pod_status_phase", is_it, *spans, **of, phase=other, instance=instance)
        yield from steady("kube_pod_labels", 1, *spans, **of, **labels, instance=instance)


def _node(name: str, ready: bool = True, cordoned: bool = False, cluster: str = "pods") -> Iterator[Series]:
    of = {"cluster": cluster, "node": name}
    yield from steady("kube_node_status_allocatable", 8, **of, resource="nvidia_com_gpu", unit="integer")
    yield from steady("kube_node_status_allocatable", 96, **of, resource="cpu", unit="core")
    yield from steady("kube_node_status_condition", float(ready), **of, condition="Ready", status="true")
    yield from steady("kube_node_spec_unschedulable", float(cordoned), **of)
    yield from steady("kube_node_labels", 1, **of, label_karpenter_sh_nodepool="h100")


def _gpu(metric: str, value: float, uuid: str, pod: str = "", **labels: str) -> Iterator[Series]:
    """As dcgm-exporter's sample arrives when the scrape does not honour labels."""
    on = {"exported_pod": pod, "exported_namespace": "lab"} if pod else {}
    own = {"pod": "dcgm-exporter-x", "namespace": "gpu-operator"}
    yield from steady(metric, value, cluster="pods", UUID=uuid, Hostname="n1", **own, **on, **labels)


def _pod_cluster() -> Iterator[Series]:
    """No Kueue: three pods of two teams on three nodes, of which one is cordoned and one is not ready."""
    yield from _pod("train", 4, "Running", "n1", label_team="vision")
    yield from _pod("pulling", 1, "Pending", "n1", (60, 0), label_team="vision")
    yield from _pod("waits", 8, "Pending", "", (60, 0), label_team="speech")
    yield from _pod("done", 8, "Succeeded", "n2", label_team="speech")
    yield from _node("n1")
    yield from _node("n2", cordoned=True)
    yield from _node("n3", ready=False)
    yield from _gpu("DCGM_FI_DEV_GPU_UTIL", 80, "GPU-1", "train")
    yield from _gpu("DCGM_FI_DEV_GPU_UTIL", 0, "GPU-9")
    yield from _gpu("DCGM_FI_DEV_FB_USED", 60_000, "GPU-1", "train")
    yield from _gpu("DCGM_FI_DEV_FB_FREE", 20_000, "GPU-1", "train")
    yield from _gpu("DCGM_FI_DEV_POWER_USAGE", 700, "GPU-1", "train")
    yield from _gpu("DCGM_FI_DEV_POWER_USAGE", 300, "GPU-2", "train", GPU_I_ID="1")
    yield from _gpu("DCGM_FI_DEV_POWER_USAGE", 300, "GPU-2", GPU_I_ID="2")
    yield from steady("vllm:num_requests_waiting", 3, cluster="pods", model_name="llama", engine="0", job="vllm")
    yield from steady("vllm:num_requests_waiting", 4, cluster="pods", model_name="llama", engine="1", job="vllm")
    yield from steady("tgi_queue_size", 2, cluster="pods", job="tgi-mistral")


@pytest.fixture(scope="session")
def prometheus(start_prometheus: Callable[..., PrometheusServer]) -> PrometheusServer:
    """Clusters `full`, `no-pending`, `stale`, `moved`, `left`, `torn` (a node in two pools), `fine`, `pods`."""
    series = (*_full_cluster(), *_older_clusters(), *_pod_cluster())
    return start_prometheus(openmetrics(series))


@pytest.fixture(scope="session")
def reader_of(prometheus: PrometheusServer) -> Callable[..., PrometheusReader]:
    """A reader of one of the clusters, over six hours unless told otherwise."""

    def make(cluster: str, **settings: Any) -> PrometheusReader:
        told = {"url": prometheus.url, "labels": {"cluster": cluster}, "history": "6h", "retries": 0, **settings}
        return PrometheusReader(PrometheusSettings.model_validate(told))

    return make
