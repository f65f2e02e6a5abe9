"""The demo's world as Kubernetes objects: nodes, Karpenter's pools, Kueue's queues and workloads, pods, jobs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from envs.replay import Share
from gyropilot.demo.gangs import Gang, dice, digest, ended, gangs, node_name, pods_of
from gyropilot.demo.kubernetes_stand_in import VERSION, Kind
from gyropilot.demo.world import COHORT, GPU, DemoPool, World
from gyropilot.domain import WorkloadKind

Json = dict[str, Any]

KUEUE = "kueue.x-k8s.io"
KARPENTER = "karpenter.sh"

NAMESPACE = Kind("Namespace", "namespaces", "", "v1")
NODE = Kind("Node", "nodes", "", "v1")
POD = Kind("Pod", "pods", "", "v1", namespaced=True)
JOB = Kind("Job", "jobs", "batch", "v1", namespaced=True)
NODE_POOL = Kind("NodePool", "nodepools", KARPENTER, "v1", scale=True)
NODE_CLAIM = Kind("NodeClaim", "nodeclaims", KARPENTER, "v1")
FLAVOR = Kind("ResourceFlavor", "resourceflavors", KUEUE, "v1beta2")
COHORTS = Kind("Cohort", "cohorts", KUEUE, "v1beta2")
CLUSTER_QUEUE = Kind("ClusterQueue", "clusterqueues", KUEUE, "v1beta2")
LOCAL_QUEUE = Kind("LocalQueue", "localqueues", KUEUE, "v1beta2", namespaced=True)
WORKLOAD = Kind("Workload", "workloads", KUEUE, "v1beta2", namespaced=True)
PRIORITY = Kind("WorkloadPriorityClass", "workloadpriorityclasses", KUEUE, "v1beta2")

PRIORITIES = {"normal": 0, "urgent": 10, "service": 1000}
PROTECTED_BECAUSE = "its results are due on Friday"
LINGERING = 12
"""Ended workloads whose objects are still there."""


def objects(world: World) -> dict[Kind, list[Json]]:
    """Everything that the API server of this world shows, by kind."""
    live, over = gangs(world), ended(world, LINGERING)
    queued = [gang for gang in live if gang.kind is not WorkloadKind.INFERENCE]
    return {
        NAMESPACE: [_namespace(name, world.began) for name in world.shares],
        NODE: [_node(pool, i, world.began) for pool in world.pools for i in range(pool.nodes)],
        NODE_POOL: [_node_pool(pool, world.began) for pool in world.pools],
        NODE_CLAIM: [_node_claim(pool, i, world.began) for pool in world.pools for i in range(pool.nodes)],
        POD: [_pod(gang, name, node) for gang in live for name, node in pods_of(gang)],
        JOB: [_job(gang) for gang in queued],
        FLAVOR: [_flavor(pool, world.began) for pool in world.pools],
        COHORTS: [_described(COHORTS, COHORT, world.began) | {"spec": {}}],
        CLUSTER_QUEUE: [_cluster_queue(name, world, live) for name in world.shares],
        LOCAL_QUEUE: [_local_queue(name, world.began) for name in world.shares],
        WORKLOAD: [_workload(gang, world.now, _protected(live)) for gang in live]
        + [_ended(g, world.now) for g in over],
        PRIORITY: [_priority(name, value, world.began) for name, value in PRIORITIES.items()],
    }


def _described(kind: Kind, name: str, created: datetime, namespace: str = "") -> Json:
    """The head that every object has."""
    metadata = {
        "name": name,
        **({"namespace": namespace} if namespace else {}),
        "uid": _uid(kind.kind, namespace, name),
        "resourceVersion": VERSION,
        "generation": 1,
        "creationTimestamp": _rfc3339(created),
        "labels": {},
        "annotations": {},
    }
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}


def _uid(*words: str) -> str:
    digits = digest(*words)
    return "-".join((digits[:8], digits[8:12], "4" + digits[13:16], "8" + digits[17:20], digits[20:32]))


def _rfc3339(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _condition(kind: str, holds: bool, reason: str, since: datetime, message: str = "") -> Json:
    return {
        "type": kind,
        "status": "True" if holds else "False",
        "reason": reason,
        "message": message or reason,
        "lastTransitionTime": _rfc3339(since),
    }


# -- nodes and what makes them -------------------------------------------------------------------------------------


def _namespace(name: str, created: datetime) -> Json:
    namespace = _described(NAMESPACE, name, created)
    namespace["metadata"]["labels"] = {"kubernetes.io/metadata.name": name}
    return namespace | {"spec": {}, "status": {"phase": "Active"}}


def _node_labels(pool: DemoPool) -> Json:
    return {
        f"{KARPENTER}/nodepool": pool.name,
        f"{KARPENTER}/capacity-type": pool.market.value,
        "node.kubernetes.io/instance-type": pool.instance_type,
        "topology.kubernetes.io/region": pool.region,
        "topology.kubernetes.io/zone": f"{pool.region}a",
        "nvidia.com/gpu.product": pool.model,
        "nvidia.com/gpu.count": str(pool.gpus_per_node),
        "nvidia.com/gpu.present": "true",
    }


def _node(pool: DemoPool, index: int, created: datetime) -> Json:
    name = node_name(pool, index)
    node = _described(NODE, name, created)
    node["metadata"]["labels"] = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", **_node_labels(pool)}
    has = {"cpu": "96", "memory": "1152Gi", "pods": "110", GPU: str(pool.gpus_per_node)}
    return node | {
        "spec": {
            "providerID": f"{pool.provider}:///{pool.region}a/i-{digest(name)[:17]}",
            "taints": [{"key": GPU, "value": "present", "effect": "NoSchedule"}],
        },
        "status": {
            "capacity": has,
            "allocatable": has,
            "conditions": [_condition("Ready", True, "KubeletReady", created, "kubelet is posting ready status")],
            "nodeInfo": {"kubeletVersion": "v1.36.0"},
        },
    }


def _node_pool(pool: DemoPool, created: datetime) -> Json:
    size = (
        {"replicas": pool.nodes, "limits": {"nodes": str(pool.max_nodes)}}
        if pool.static
        else {"limits": {GPU: str(pool.max_nodes * pool.gpus_per_node)}}
    )
    wants = {
        f"{KARPENTER}/capacity-type": pool.market.value,
        "node.kubernetes.io/instance-type": pool.instance_type,
        "topology.kubernetes.io/region": pool.region,
    }
    template = {
        "metadata": {"labels": {"nvidia.com/gpu.product": pool.model}},
        "spec": {
            "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "gpu"},
            "requirements": [{"key": key, "operator": "In", "values": [value]} for key, value in wants.items()],
            "taints": [{"key": GPU, "value": "present", "effect": "NoSchedule"}],
            "expireAfter": "Never",
        },
    }
    disruption = {"consolidationPolicy": "WhenEmpty", "consolidateAfter": "10m", "budgets": [{"nodes": "10%"}]}
    return _described(NODE_POOL, pool.name, created) | {
        "spec": {"template": template, "disruption": disruption, **size},
        "status": {
            "nodes": pool.nodes,
            "resources": {GPU: str(pool.gpus), "nodes": str(pool.nodes)},
            "conditions": [_condition("Ready", True, "Ready", created)],
        },
    }


def _node_claim(pool: DemoPool, index: int, created: datetime) -> Json:
    name = node_name(pool, index)
    claim = _described(NODE_CLAIM, name, created)
    claim["metadata"]["labels"] = _node_labels(pool)
    return claim | {
        "spec": {"nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "gpu"}},
        "status": {
            "nodeName": name,
            "allocatable": {GPU: str(pool.gpus_per_node)},
            "conditions": [_condition(kind, True, kind, created) for kind in ("Launched", "Registered", "Initialized")],
        },
    }


# -- queues --------------------------------------------------------------------------------------------------------


def _flavor(pool: DemoPool, created: datetime) -> Json:
    spec = {"nodeLabels": {f"{KARPENTER}/nodepool": pool.name}, "topologyName": "nodes"}
    return _described(FLAVOR, pool.name, created) | {"spec": spec}


def _priority(name: str, value: int, created: datetime) -> Json:
    return _described(PRIORITY, name, created) | {"value": value, "description": f"{name} work"}


def _cluster_queue(name: str, world: World, live: Sequence[Gang]) -> Json:
    own = [gang for gang in live if gang.queue == name]
    admitted = [gang for gang in own if gang.started]
    flavors = [{"name": f, "resources": [_quota(share)]} for f, share in world.shares[name].items()]
    usage = [_usage(f, share, admitted) for f, share in world.shares[name].items()]
    return _described(CLUSTER_QUEUE, name, world.began) | {
        "spec": {
            "cohortName": COHORT,
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
            "conditions": [_condition("Active", True, "Ready", world.began, "can admit new workloads")],
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


def _local_queue(name: str, created: datetime) -> Json:
    return _described(LOCAL_QUEUE, name, created, namespace=name) | {
        "spec": {"clusterQueue": name, "stopPolicy": "None"},
        "status": {"conditions": [_condition("Active", True, "Ready", created, "can submit new workloads")]},
    }


# -- workloads, jobs and pods --------------------------------------------------------------------------------------


def _protected(live: Sequence[Gang]) -> str:
    """The one gang that its owner asked to leave alone: the largest that runs without a checkpoint."""
    unsaved = [gang for gang in live if gang.started and gang.last_checkpoint is None and gang.queue != "serving"]
    return max(unsaved, key=lambda gang: (gang.gpus, gang.name)).name if unsaved else ""


def _workload(gang: Gang, now: datetime, protected: str) -> Json:
    workload = _described(WORKLOAD, _workload_name(gang), gang.submitted, namespace=gang.queue)
    workload["metadata"]["ownerReferences"] = [_owner(gang)]
    workload["metadata"]["labels"] = {f"{KUEUE}/job-uid": _owner(gang)["uid"], "gyropilot.io/kind": gang.kind.value}
    workload["metadata"]["annotations"] = _annotations(gang, protected)
    pod_set = {"name": "main", "count": gang.pods, "template": {"spec": _pod_spec(gang)}}
    workload["spec"] = {
        "active": True,
        "queueName": gang.queue,
        "priority": gang.priority,
        "priorityClassRef": {"group": KUEUE, "kind": PRIORITY.kind, "name": _priority_name(gang)},
        "podSets": [pod_set],
    }
    workload["status"] = _admitted(gang) if gang.started else _waiting(gang, now)
    return workload


def _annotations(gang: Gang, protected: str) -> Json:
    saved = {"gyropilot.io/last-checkpoint": _rfc3339(gang.last_checkpoint)} if gang.last_checkpoint else {}
    return saved | ({"gyropilot.io/protected": PROTECTED_BECAUSE} if gang.name == protected else {})


def _admitted(gang: Gang) -> Json:
    assert gang.started
    assignment = {
        "name": "main",
        "count": gang.pods,
        "flavors": {GPU: gang.flavor},
        "resourceUsage": {GPU: str(gang.gpus)},
    }
    status: Json = {
        "admission": {"clusterQueue": gang.queue, "podSetAssignments": [assignment]},
        "conditions": [
            _condition("QuotaReserved", True, "QuotaReserved", gang.started, f"quota reserved in {gang.queue}"),
            _condition("Admitted", True, "Admitted", gang.started, "the workload is admitted"),
            _condition("PodsReady", True, "Started", gang.started + timedelta(seconds=40), "all pods are ready"),
        ],
    }
    if gang.kind is WorkloadKind.SWEEP and dice(gang.name, "evicted") < 0.2:
        status["schedulingStats"] = {"evictions": [{"reason": "Preempted", "underlyingCause": "", "count": 1}]}
    return status


def _waiting(gang: Gang, now: datetime) -> Json:
    message = f"couldn't assign flavors to pod set main: insufficient unused quota or nodes for {GPU}"
    return {
        "resourceRequests": [{"name": "main", "resources": {GPU: str(gang.gpus)}}],
        "conditions": [_condition("QuotaReserved", False, "Pending", min(gang.submitted, now), message)],
    }


def _ended(gang: Gang, now: datetime) -> Json:
    workload = _workload(gang, now, "")
    workload["status"]["conditions"].append(_condition("Finished", True, "Succeeded", now, "job finished"))
    return workload


def _workload_name(gang: Gang) -> str:
    owner = "pod" if gang.kind is WorkloadKind.INFERENCE else "job"
    return f"{owner}-{gang.name}-{digest(gang.name)[:5]}"


def _owner(gang: Gang) -> Json:
    """Training is a Job; a service's replicas are pods of a Deployment, each a workload of its own."""
    kind = POD if gang.kind is WorkloadKind.INFERENCE else JOB
    name = gang.pod(0) if kind is POD else gang.name
    owner = {"apiVersion": kind.api_version, "kind": kind.kind, "name": name}
    return {**owner, "uid": _uid(kind.kind, gang.queue, name), "controller": True}


def _priority_name(gang: Gang) -> str:
    return next(name for name, value in PRIORITIES.items() if value == gang.priority)


def _job(gang: Gang) -> Json:
    job = _described(JOB, gang.name, gang.submitted, namespace=gang.queue)
    job["metadata"]["labels"] = {f"{KUEUE}/queue-name": gang.queue, f"{KUEUE}/priority-class": _priority_name(gang)}
    template = {"spec": {**_pod_spec(gang), "restartPolicy": "Never"}}
    return job | {
        "spec": {
            "parallelism": gang.pods,
            "completions": gang.pods,
            "suspend": gang.started is None,
            "template": template,
        },
        "status": {"active": gang.pods if gang.started else 0},
    }


def _pod(gang: Gang, name: str, node: str) -> Json:
    assert gang.started
    pod = _described(POD, name, gang.started, namespace=gang.queue)
    pod["metadata"]["labels"] = {
        f"{KUEUE}/cluster-queue-name": gang.queue,
        f"{KUEUE}/local-queue-name": gang.queue,
        f"{KUEUE}/podset": "main",
        f"{KUEUE}/managed": "true",
    }
    if gang.kind is not WorkloadKind.INFERENCE:
        pod["metadata"]["labels"]["job-name"] = gang.name
        pod["metadata"]["ownerReferences"] = [_owner(gang)]
    return pod | {
        "spec": {**_pod_spec(gang), "nodeName": node, "priority": gang.priority},
        "status": {"phase": "Running", "conditions": [_condition("Ready", True, "Ready", gang.started)]},
    }


def _pod_spec(gang: Gang) -> Json:
    has = {GPU: str(gang.gpus_per_pod)}
    container = {"name": "main", "image": "registry.example/train:1", "resources": {"requests": has, "limits": has}}
    return {"containers": [container], "tolerations": [{"key": GPU, "operator": "Exists"}]}
