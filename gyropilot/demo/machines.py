"""Nodes, what makes them, and the flavors that Kueue knows them by."""

from __future__ import annotations

from datetime import datetime

from gyropilot.demo.gangs import digest, node_name
from gyropilot.demo.kinds import FLAVOR, KARPENTER, NODE, NODE_CLAIM, NODE_POOL, Json, condition, described
from gyropilot.demo.story import GPU, DemoPool


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


def node(pool: DemoPool, index: int, created: datetime) -> Json:
    name = node_name(pool, index)
    shown = described(NODE, name, created)
    shown["metadata"]["labels"] = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", **_node_labels(pool)}
    has = {"cpu": "96", "memory": "1152Gi", "pods": "110", GPU: str(pool.gpus_per_node)}
    return shown | {
        "spec": {
            "providerID": f"{pool.provider}:///{pool.region}a/i-{digest(name)[:17]}",
            "taints": [{"key": GPU, "value": "present", "effect": "NoSchedule"}],
        },
        "status": {
            "capacity": has,
            "allocatable": has,
            "conditions": [condition("Ready", True, "KubeletReady", created, "kubelet is posting ready status")],
            "nodeInfo": {"kubeletVersion": "v1.36.0"},
        },
    }


def node_pool(pool: DemoPool, created: datetime) -> Json:
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
    return described(NODE_POOL, pool.name, created) | {
        "spec": {"template": template, "disruption": disruption, **size},
        "status": {
            "nodes": pool.nodes,
            "resources": {GPU: str(pool.gpus), "nodes": str(pool.nodes)},
            "conditions": [condition("Ready", True, "Ready", created)],
        },
    }


def node_claim(pool: DemoPool, index: int, created: datetime) -> Json:
    name = node_name(pool, index)
    shown = described(NODE_CLAIM, name, created)
    shown["metadata"]["labels"] = _node_labels(pool)
    return shown | {
        "spec": {"nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "gpu"}},
        "status": {
            "nodeName": name,
            "allocatable": {GPU: str(pool.gpus_per_node)},
            "conditions": [condition(kind, True, kind, created) for kind in ("Launched", "Registered", "Initialized")],
        },
    }


def flavor(pool: DemoPool, created: datetime) -> Json:
    spec = {"nodeLabels": {f"{KARPENTER}/nodepool": pool.name}, "topologyName": "nodes"}
    return described(FLAVOR, pool.name, created) | {"spec": spec}
