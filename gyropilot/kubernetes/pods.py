"""Pods that ask for accelerators: what they hold, and queues and workloads where Kueue is absent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from gyropilot.domain import WorkloadKind
from gyropilot.kubernetes.api import Json
from gyropilot.kubernetes.objects import Owner, created, owner, parse_time, pod_needs

LIVE = {"fieldSelector": "status.phase!=Succeeded,status.phase!=Failed"}


@dataclass(frozen=True, slots=True)
class Pod:
    """What matters of one pod that asks for accelerators and has not finished."""

    namespace: str
    name: str
    node: str  # empty: not bound
    needs: Mapping[str, int]  # by accelerator resource
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    owner: Owner | None
    submitted: datetime
    started: datetime | None
    priority: int
    uid: str = ""
    selects: Mapping[str, str] = field(default_factory=dict)  # node labels that it asks for
    seeks_node: bool = False  # the scheduler looks for a node and has found none


@dataclass(frozen=True, slots=True)
class PodGang:
    """Pods of one owner, taken as one workload."""

    namespace: str
    name: str
    queue: str
    resource: str
    pods: tuple[Pod, ...]

    @property
    def gpus(self) -> int:
        return sum(pod.needs[self.resource] for pod in self.pods)

    @property
    def running_gpus(self) -> int:
        return sum(pod.needs[self.resource] for pod in self.pods if pod.node)

    @property
    def started(self) -> datetime | None:
        """When its first pod was; None while none is bound."""
        return min((pod.started or pod.submitted for pod in self.pods if pod.node), default=None)

    @property
    def waiting_since(self) -> datetime | None:
        return min((pod.submitted for pod in self.pods if not pod.node), default=None)


def parse_pod(raw: Json) -> Pod | None:
    """A Pod object, reduced to what matters; None when it holds no accelerator or has finished."""
    needs = pod_needs(raw["spec"])
    status = raw.get("status") or {}
    if not needs or status.get("phase") in ("Succeeded", "Failed"):
        return None
    meta, spec = raw["metadata"], raw["spec"]
    return Pod(
        namespace=meta["namespace"],
        name=meta["name"],
        node=spec.get("nodeName") or "",
        needs=needs,
        labels=meta.get("labels") or {},
        annotations=meta.get("annotations") or {},
        owner=owner(meta),
        submitted=created(meta),
        started=parse_time(status.get("startTime")),
        priority=spec.get("priority") or 0,
        uid=meta.get("uid", ""),
        selects=spec.get("nodeSelector") or {},
        seeks_node=_seeks_node(raw),
    )


def _seeks_node(raw: Json) -> bool:
    waits = (raw.get("status") or {}).get("phase") == "Pending" and not raw["spec"].get("nodeName")
    return waits and not raw["spec"].get("schedulingGates") and "deletionTimestamp" not in raw["metadata"]


def held_gpus(pods: Iterable[Pod]) -> dict[tuple[str, str], int]:
    """Accelerators held on each node, by (node, resource)."""
    held: dict[tuple[str, str], int] = {}
    for pod in pods:
        if pod.node:
            for resource, gpus in pod.needs.items():
                held[pod.node, resource] = held.get((pod.node, resource), 0) + gpus
    return held


def pod_gangs(pods: Iterable[Pod], queue_label: str) -> list[PodGang]:
    """Pods by owner, in the queue that their label or else their namespace names; unlabelled ones in queue ""."""
    by_owner: dict[tuple[str, str, str, str], list[Pod]] = {}
    for pod in pods:
        queue = pod.labels.get(queue_label, "") if queue_label else pod.namespace
        name = pod.owner.name if pod.owner else pod.name
        by_owner.setdefault((pod.namespace, name, queue, _largest(pod.needs)), []).append(pod)
    return [PodGang(*key, tuple(members)) for key, members in sorted(by_owner.items(), key=lambda pair: pair[0])]


def kind_of_owner(kind: str) -> WorkloadKind:
    """What a workload is for, by what made it; training unless it serves."""
    serving = ("Deployment", "ReplicaSet", "StatefulSet", "LeaderWorkerSet", "RayService", "InferenceService")
    return WorkloadKind.INFERENCE if kind in serving else WorkloadKind.TRAINING


def annotations_by_owner(pods: Sequence[Pod]) -> dict[str, list[Mapping[str, str]]]:
    """Annotations of pods by the uid of their controller."""
    found: dict[str, list[Mapping[str, str]]] = {}
    for pod in pods:
        if pod.owner and pod.annotations:
            found.setdefault(pod.owner.uid, []).append(pod.annotations)
    return found


def _largest(needs: Mapping[str, int]) -> str:
    return max(sorted(needs), key=lambda resource: needs[resource])
