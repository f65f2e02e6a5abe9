"""Builders of Kubernetes objects as plain JSON; `ControlPlane.apply` writes them, status included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]

GPU = "nvidia.com/gpu"
H100 = "NVIDIA-H100-80GB-HBM3"
KUEUE = "kueue.x-k8s.io/v1beta2"
STAMP = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
FAKE = {"kwok.x-k8s.io/node": "fake"}


def rfc3339(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def namespace(name: str, **annotations: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "annotations": annotations}}


def gpu_node(
    name: str,
    *,
    pool: str = "h100",
    gpus: int = 8,
    model: str = H100,
    resource: str = GPU,
    labels: Mapping[str, str] | None = None,
    ready: bool = True,
    cordoned: bool = False,
    resources: Mapping[str, int] | None = None,
) -> Object:
    """A node of a Karpenter pool; `resources` adds to or replaces `{resource: gpus}`. Played by kwok where it runs."""
    base = {"kubernetes.io/hostname": name, "karpenter.sh/nodepool": pool, "nvidia.com/gpu.product": model}
    offered = {resource: str(gpus), **{key: str(count) for key, count in (resources or {}).items()}}
    capacity = {"cpu": "192", "memory": "2Ti", "pods": "110", **offered}
    condition = {
        "type": "Ready",
        "status": "True" if ready else "False",
        "reason": "KubeletReady",
        "message": "",
        "lastHeartbeatTime": rfc3339(STAMP),
        "lastTransitionTime": rfc3339(STAMP),
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {**base, **(labels or {})}, "annotations": dict(FAKE)},
        "spec": {"unschedulable": True} if cordoned else {},
        "status": {"allocatable": capacity, "capacity": capacity, "conditions": [condition]},
    }


def unclaimed_node(name: str, pool: str) -> Object:
    """One of a pool by the label `pool`: a Karpenter that runs waits for ever for the claim of one that says it is its.

    Until then it does nothing at all.
    """
    node = gpu_node(name, labels={"pool": pool})
    del node["metadata"]["labels"]["karpenter.sh/nodepool"]
    return node


def resource_flavor(name: str = "h100", labels: Mapping[str, str] | None = None) -> Object:
    """By default of the nodes of the Karpenter pool of the same name."""
    node_labels = {"karpenter.sh/nodepool": name} if labels is None else dict(labels)
    return {
        "apiVersion": KUEUE,
        "kind": "ResourceFlavor",
        "metadata": {"name": name},
        "spec": {"nodeLabels": node_labels},
    }


def quota(nominal: int, borrowing: int | None = None, lending: int | None = None) -> Object:
    limits = {"borrowingLimit": borrowing, "lendingLimit": lending}
    return {"nominalQuota": str(nominal), **{k: str(v) for k, v in limits.items() if v is not None}}


def cluster_queue(
    name: str,
    cohort: str = "all",
    quotas: Mapping[str, Object | int] | None = None,
    resource: str = GPU,
    weight: str | None = None,
    annotations: Mapping[str, str] | None = None,
    stop_policy: str = "None",
) -> Object:
    """`quotas` by flavor: `{"h100": 16}` or `{"h100": quota(16, borrowing=8)}`; one resource, all namespaces."""
    flavors = [
        {"name": flavor, "resources": [{"name": resource, **(quota(q) if isinstance(q, int) else q)}]}
        for flavor, q in (quotas or {"h100": 16}).items()
    ]
    spec: Object = {
        **({"cohortName": cohort} if cohort else {}),
        "namespaceSelector": {},
        "resourceGroups": [{"coveredResources": [resource], "flavors": flavors}],
        "stopPolicy": stop_policy,
        **({"fairSharing": {"weight": weight}} if weight else {}),
    }
    meta = {"name": name, "annotations": dict(annotations or {})}
    return {"apiVersion": KUEUE, "kind": "ClusterQueue", "metadata": meta, "spec": spec}


def local_queue(namespace: str, queue: str, name: str = "main") -> Object:
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": KUEUE, "kind": "LocalQueue", "metadata": meta, "spec": {"clusterQueue": queue}}


def node_pool(
    name: str,
    replicas: int | None = None,
    limits: Mapping[str, int] | None = None,
    requirements: Sequence[Object] = (),
    labels: Mapping[str, str] | None = None,
) -> Object:
    """Static with `replicas`, else dynamic; Karpenter's kwok provider makes its nodes where it runs."""
    template = {
        "metadata": {"labels": dict(labels or {})},
        "spec": {
            "nodeClassRef": {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "default"},
            "requirements": list(requirements),
        },
    }
    spec: Object = {"template": template}
    if replicas is not None:
        spec["replicas"] = replicas
    if limits is not None:
        spec["limits"] = {key: str(value) for key, value in limits.items()}
    return {"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": name}, "spec": spec}


def node_class() -> Object:
    meta = {"name": "default"}
    return {"apiVersion": "karpenter.kwok.sh/v1alpha1", "kind": "KWOKNodeClass", "metadata": meta, "spec": {}}


def requirement(key: str, *values: str, operator: str = "In") -> Object:
    return {"key": key, "operator": operator, "values": list(values)}


def pod_spec(gpus: int, resource: str = GPU, node: str | None = None) -> Object:
    need = {resource: str(gpus)}
    container = {"name": "main", "image": "busybox", "resources": {"requests": need, "limits": need}}
    return {"containers": [container], "restartPolicy": "Never", **({"nodeName": node} if node else {})}


def pod(
    namespace: str,
    name: str,
    gpus: int = 1,
    node: str | None = None,
    phase: str = "Pending",
    resource: str = GPU,
    **metadata: Any,
) -> Object:
    """A plain pod; bound where `node` is given."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": pod_spec(gpus, resource, node),
        "status": {"phase": phase},
    }


def job(
    namespace: str,
    name: str,
    *,
    gpus: int = 8,
    parallelism: int = 1,
    local_queue: str = "main",
    annotations: Mapping[str, str] | None = None,
    run_for: str | None = None,
    resource: str = GPU,
) -> Object:
    """A suspended batch Job for Kueue; its pods succeed after `run_for` (a Go duration) where kwok runs."""
    delay = {"pod-complete.stage.kwok.x-k8s.io/delay": run_for} if run_for else {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"kueue.x-k8s.io/queue-name": local_queue},
            "annotations": dict(annotations or {}),
        },
        "spec": {
            "suspend": True,
            "parallelism": parallelism,
            "completions": parallelism,
            "template": {"metadata": {"annotations": delay}, "spec": pod_spec(gpus, resource)},
        },
    }


def workload(
    namespace: str,
    name: str,
    *,
    gpus: int = 8,
    count: int = 1,
    queue: str = "research",
    local_queue: str = "main",
    flavor: str = "h100",
    admitted: datetime | None = None,
    resource: str = GPU,
    priority: int = 0,
    active: bool = True,
    finished: bool = False,
    min_count: int | None = None,
    owner: tuple[str, str] | None = ("Job", "batch/v1"),
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Object:
    """A Kueue Workload of `count` pods of `gpus` each: admitted at a time, or pending."""
    pod_set: Object = {"name": "main", "count": count, "template": {"spec": pod_spec(gpus, resource)}}
    if min_count is not None:
        pod_set["minCount"] = min_count
    meta: Object = {
        "name": name,
        "namespace": namespace,
        "labels": dict(labels or {}),
        "annotations": dict(annotations or {}),
    }
    if owner:
        kind, version = owner
        reference = {"apiVersion": version, "kind": kind, "name": f"owner-of-{name}", "uid": f"uid-of-{name}"}
        meta["ownerReferences"] = [{**reference, "controller": True}]
    return {
        "apiVersion": KUEUE,
        "kind": "Workload",
        "metadata": meta,
        "spec": {"queueName": local_queue, "active": active, "priority": priority, "podSets": [pod_set]},
        "status": _workload_status({resource: str(gpus * count)}, queue, flavor, admitted, finished),
    }


def _workload_status(
    need: Mapping[str, str], queue: str, flavor: str, admitted: datetime | None, finished: bool
) -> Object:
    if admitted is None:
        return {
            "conditions": [_condition("QuotaReserved", "False", "Pending", "no quota", STAMP)],
            "resourceRequests": [{"name": "main", "resources": dict(need)}],
        }
    assignment = {"name": "main", "flavors": dict.fromkeys(need, flavor), "resourceUsage": dict(need), "count": 1}
    done = [_condition("Finished", "True", "Succeeded", "done", admitted)] if finished else []
    return {
        "admission": {"clusterQueue": queue, "podSetAssignments": [assignment]},
        "conditions": [
            _condition("QuotaReserved", "True", "QuotaReserved", "reserved", admitted),
            _condition("Admitted", "True", "Admitted", "admitted", admitted),
            *done,
        ],
    }


def _condition(kind: str, status: str, reason: str, message: str, when: datetime) -> Object:
    said = {"type": kind, "status": status, "reason": reason, "message": message}
    return {**said, "lastTransitionTime": rfc3339(when)}
