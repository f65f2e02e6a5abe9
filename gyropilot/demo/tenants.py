"""Queues, and the workloads, jobs and pods of those who use them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from envs.replay import Share
from gyropilot.demo.gangs import Gang, dice, digest
from gyropilot.demo.kinds import (
    CLUSTER_QUEUE,
    JOB,
    KUEUE,
    LOCAL_QUEUE,
    NAMESPACE,
    POD,
    PRIORITY,
    WORKLOAD,
    Json,
    condition,
    described,
    rfc3339,
    uid,
)
from gyropilot.demo.story import GPU
from gyropilot.demo.world import World
from gyropilot.domain import WorkloadKind

PRIORITIES = {"normal": 0, "urgent": 10, "service": 1000}
PROTECTED_BECAUSE = "its results are due on Friday"


def namespace(name: str, created: datetime) -> Json:
    shown = described(NAMESPACE, name, created)
    shown["metadata"]["labels"] = {"kubernetes.io/metadata.name": name}
    return shown | {"spec": {}, "status": {"phase": "Active"}}


def priority_class(name: str, value: int, created: datetime) -> Json:
    return described(PRIORITY, name, created) | {"value": value, "description": f"{name} work"}


def cluster_queue(name: str, world: World, live: Sequence[Gang]) -> Json:
    own = [gang for gang in live if gang.queue == name]
    admitted = [gang for gang in own if gang.started]
    flavors = [{"name": f, "resources": [_quota(share)]} for f, share in world.shares[name].items()]
    usage = [_usage(f, share, admitted) for f, share in world.shares[name].items()]
    return described(CLUSTER_QUEUE, name, world.began) | {
        "spec": {
            "cohortName": world.cluster.cohorts[name],
            "queueingStrategy": "BestEffortFIFO",
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}},
            "resourceGroups": [{"coveredResources": [GPU], "flavors": flavors}],
            "flavorFungibility": {"whenCanBorrow": "MayStopSearch", "whenCanPreempt": "TryNextFlavor"},
            "preemption": {"reclaimWithinCohort": "Never", "withinClusterQueue": "Never"},
            "fairSharing": {"weight": "1"},
            "stopPolicy": "None",
        },
        "status": {
            "flavorsReservation": usage,
            "flavorsUsage": usage,
            "pendingWorkloads": len(own) - len(admitted),
            "reservingWorkloads": len(admitted),
            "admittedWorkloads": len(admitted),
            "conditions": [condition("Active", True, "Ready", world.began, "can admit new workloads")],
        },
    }


def _quota(share: Share) -> Json:
    quota = {"name": GPU, "nominalQuota": str(share.nominal)}
    limits = {"borrowingLimit": share.borrowing_limit, "lendingLimit": share.lending_limit}
    return quota | {name: str(limit) for name, limit in limits.items() if limit is not None}


def _usage(flavor: str, share: Share, admitted: Sequence[Gang]) -> Json:
    total = sum(gang.gpus for gang in admitted if gang.flavor == flavor)
    borrowed = max(0, total - share.nominal)
    return {"name": flavor, "resources": [{"name": GPU, "total": str(total), "borrowed": str(borrowed)}]}


def local_queue(name: str, created: datetime) -> Json:
    return described(LOCAL_QUEUE, name, created, namespace=name) | {
        "spec": {"clusterQueue": name, "stopPolicy": "None"},
        "status": {"conditions": [condition("Active", True, "Ready", created, "can submit new workloads")]},
    }


def protected(live: Sequence[Gang]) -> str:
    """The one gang that its owner asked to leave alone: the one saved last, which would else make way first."""
    saved = [(gang.gpus >= 4, gang.last_checkpoint, gang.name) for gang in live if gang.last_checkpoint]
    return max(saved)[2] if saved else ""


def workload(gang: Gang, protected: str = "") -> Json:
    """The Workload of a gang; `protected` names the gang that must be left alone."""
    shown = described(WORKLOAD, _workload_name(gang), gang.submitted, namespace=gang.queue)
    shown["metadata"]["ownerReferences"] = [_owner(gang)]
    shown["metadata"]["labels"] = {f"{KUEUE}/job-uid": _owner(gang)["uid"], "gyropilot.io/kind": gang.kind.value}
    shown["metadata"]["annotations"] = _annotations(gang, protected)
    pod_set = {"name": "main", "count": gang.pods, "template": {"spec": _pod_spec(gang)}}
    shown["spec"] = {
        "active": True,
        "queueName": gang.queue,
        "priority": gang.priority,
        "priorityClassRef": {"group": KUEUE, "kind": PRIORITY.kind, "name": _priority_name(gang)},
        "podSets": [pod_set],
    }
    shown["status"] = _admitted(gang, gang.started) if gang.started else _waiting(gang)
    return shown


def _annotations(gang: Gang, protected: str) -> Json:
    saved = {"gyropilot.io/last-checkpoint": rfc3339(gang.last_checkpoint)} if gang.last_checkpoint else {}
    return saved | ({"gyropilot.io/protected": PROTECTED_BECAUSE} if gang.name == protected else {})


def _admitted(gang: Gang, since: datetime) -> Json:
    assignment = {
        "name": "main",
        "count": gang.pods,
        "flavors": {GPU: gang.flavor},
        "resourceUsage": {GPU: str(gang.gpus)},
    }
    status: Json = {
        "admission": {"clusterQueue": gang.queue, "podSetAssignments": [assignment]},
        "conditions": [
            condition("QuotaReserved", True, "QuotaReserved", since, f"quota reserved in {gang.queue}"),
            condition("Admitted", True, "Admitted", since, "the workload is admitted"),
            condition("PodsReady", True, "Started", since + timedelta(seconds=40), "all pods are ready"),
        ],
    }
    if gang.kind is WorkloadKind.SWEEP and dice(gang.name, "evicted") < 0.2:
        status["schedulingStats"] = {"evictions": [{"reason": "Preempted", "underlyingCause": "", "count": 1}]}
    return status


def _waiting(gang: Gang) -> Json:
    message = f"couldn't assign flavors to pod set main: insufficient unused quota or nodes for {GPU}"
    return {
        "resourceRequests": [{"name": "main", "resources": {GPU: str(gang.gpus)}}],
        "conditions": [condition("QuotaReserved", False, "Pending", gang.submitted, message)],
    }


def ended_workload(gang: Gang, now: datetime) -> Json:
    """The same, done."""
    shown = workload(gang)
    shown["status"]["conditions"].append(condition("Finished", True, "Succeeded", now, "job finished"))
    return shown


def _workload_name(gang: Gang) -> str:
    owner = "pod" if gang.kind is WorkloadKind.INFERENCE else "job"
    return f"{owner}-{gang.name}-{digest(gang.name)[:5]}"


def _owner(gang: Gang) -> Json:
    """Training is a Job; a service's replicas are pods of a Deployment, each a workload of its own."""
    kind = POD if gang.kind is WorkloadKind.INFERENCE else JOB
    name = gang.pod(0) if kind is POD else gang.name
    owner = {"apiVersion": kind.api_version, "kind": kind.kind, "name": name}
    return {**owner, "uid": uid(kind.kind, gang.queue, name), "controller": True}


def _priority_name(gang: Gang) -> str:
    return next(name for name, value in PRIORITIES.items() if value == gang.priority)


def job(gang: Gang) -> Json:
    shown = described(JOB, gang.name, gang.submitted, namespace=gang.queue)
    shown["metadata"]["labels"] = {f"{KUEUE}/queue-name": gang.queue, f"{KUEUE}/priority-class": _priority_name(gang)}
    template = {"spec": {**_pod_spec(gang), "restartPolicy": "Never"}}
    return shown | {
        "spec": {
            "parallelism": gang.pods,
            "completions": gang.pods,
            "suspend": gang.started is None,
            "template": template,
        },
        "status": {"active": gang.pods if gang.started else 0},
    }


def pod(gang: Gang, name: str, node: str) -> Json:
    since = gang.started or gang.submitted
    shown = described(POD, name, since, namespace=gang.queue)
    shown["metadata"]["labels"] = {
        f"{KUEUE}/cluster-queue-name": gang.queue,
        f"{KUEUE}/local-queue-name": gang.queue,
        f"{KUEUE}/podset": "main",
        f"{KUEUE}/managed": "true",
    }
    if gang.kind is not WorkloadKind.INFERENCE:
        shown["metadata"]["labels"]["job-name"] = gang.name
        shown["metadata"]["ownerReferences"] = [_owner(gang)]
    return shown | {
        "spec": {**_pod_spec(gang), "nodeName": node, "priority": gang.priority},
        "status": {"phase": "Running", "conditions": [condition("Ready", True, "Ready", since)]},
    }


def _pod_spec(gang: Gang) -> Json:
    has = {GPU: str(gang.gpus_per_pod)}
    container = {"name": "main", "image": "registry.example/train:1", "resources": {"requests": has, "limits": has}}
    return {"containers": [container], "tolerations": [{"key": GPU, "operator": "Exists"}]}
