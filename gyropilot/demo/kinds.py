"""The kinds of object in the demo's cluster, and what every object of them has."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gyropilot.demo.gangs import digest
from gyropilot.demo.kubernetes_stand_in import VERSION, Kind

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
COHORT = Kind("Cohort", "cohorts", KUEUE, "v1beta2")
CLUSTER_QUEUE = Kind("ClusterQueue", "clusterqueues", KUEUE, "v1beta2")
LOCAL_QUEUE = Kind("LocalQueue", "localqueues", KUEUE, "v1beta2", namespaced=True)
WORKLOAD = Kind("Workload", "workloads", KUEUE, "v1beta2", namespaced=True)
PRIORITY = Kind("WorkloadPriorityClass", "workloadpriorityclasses", KUEUE, "v1beta2")


def described(kind: Kind, name: str, created: datetime, namespace: str = "") -> Json:
    """The head that every object has."""
    metadata = {
        "name": name,
        **({"namespace": namespace} if namespace else {}),
        "uid": uid(kind.kind, namespace, name),
        "resourceVersion": VERSION,
        "generation": 1,
        "creationTimestamp": rfc3339(created),
        "labels": {},
        "annotations": {},
    }
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}


def uid(*words: str) -> str:
    digits = digest(*words)
    return "-".join((digits[:8], digits[8:12], "4" + digits[13:16], "8" + digits[17:20], digits[20:32]))


def rfc3339(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def condition(kind: str, holds: bool, reason: str, since: datetime, message: str = "") -> Json:
    return {
        "type": kind,
        "status": "True" if holds else "False",
        "reason": reason,
        "message": message or reason,
        "lastTransitionTime": rfc3339(since),
    }
