"""Nodes, and how they fall into pools."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from gyropilot.domain import Accelerator, Market
from gyropilot.kubernetes.accelerators import accelerator, offered
from gyropilot.kubernetes.api import Json
from gyropilot.kubernetes.objects import holds

NODEPOOL = "karpenter.sh/nodepool"
INSTANCE_TYPE = "node.kubernetes.io/instance-type"
POOL_LABELS = (
    NODEPOOL,
    "eks.amazonaws.com/nodegroup",
    "cloud.google.com/gke-nodepool",
    "kubernetes.azure.com/agentpool",
    "agentpool",
    "alpha.eksctl.io/nodegroup-name",
    "cluster.x-k8s.io/deployment-name",
    "cluster.x-k8s.io/pool-name",
    "node.cluster.x-k8s.io/deployment-name",
    "oci.oraclecloud.com/node-pool-name",
    "doks.digitalocean.com/node-pool",
    "nodepool.openshift.io/name",
)
_REGION_LABELS = ("topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region")
_PROVIDERS = {"gce": "gcp", "azure": "azure", "aws": "aws", "oci": "oci", "ocid1": "oci"}
_LEAVING = (
    "ToBeDeletedByClusterAutoscaler",
    "karpenter.sh/disrupted",
    "karpenter.sh/disruption",
    "karpenter.sh/unregistered",
)
_MARKETS = {
    "karpenter.sh/capacity-type": {"spot": Market.SPOT, "reserved": Market.RESERVED, "on-demand": Market.ON_DEMAND},
    "eks.amazonaws.com/capacityType": {
        "SPOT": Market.SPOT,
        "CAPACITY_BLOCK": Market.RESERVED,
        "ON_DEMAND": Market.ON_DEMAND,
    },
    "cloud.google.com/gke-spot": {"true": Market.SPOT},
    "cloud.google.com/gke-preemptible": {"true": Market.SPOT},
    "kubernetes.azure.com/scalesetpriority": {"spot": Market.SPOT, "regular": Market.ON_DEMAND},
}


@dataclass(frozen=True, slots=True)
class Node:
    """What matters of one node."""

    name: str
    labels: Mapping[str, str]
    gpus: Mapping[str, int]  # by accelerator resource: allocatable, or the capacity of a node that is not ready
    usable: bool  # ready, schedulable and not leaving
    provider: str
    region: str
    market: Market


@dataclass(frozen=True, slots=True)
class Group:
    """The nodes of one pool that offer one accelerator resource, and those of it that offer none yet."""

    name: str  # of the pool's label or model, without the resource
    resource: str
    accelerator: Accelerator
    nodes: tuple[Node, ...]
    alone: bool  # the only resource that the pool offers

    @property
    def pool_name(self) -> str:
        return self.name if self.alone else f"{self.name}:{self.resource.split('/')[-1]}"

    @property
    def usable(self) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if node.usable and node.gpus.get(self.resource))

    @property
    def gpus_per_node(self) -> int:
        """Of most nodes: one with a broken GPU must not shrink all others."""
        counts = Counter(n.gpus[self.resource] for n in (self.usable or self.nodes) if n.gpus.get(self.resource))
        return max(counts, key=lambda gpus: (counts[gpus], gpus))


def parse_node(raw: Json) -> Node:
    """A Node object, reduced to what matters."""
    meta, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
    labels = meta.get("labels") or {}
    ready = holds(raw, "Ready")
    return Node(
        name=meta["name"],
        labels=labels,
        gpus=offered(status.get("allocatable" if ready else "capacity") or {}),
        usable=ready and not spec.get("unschedulable") and "deletionTimestamp" not in meta and not _leaving(spec),
        provider=_provider(spec.get("providerID") or ""),
        region=_first(labels, _REGION_LABELS),
        market=market(labels),
    )


def market(labels: Mapping[str, str]) -> Market:
    """How a node was bought, by its labels; on demand where they do not tell."""
    told = (values.get(labels[label]) for label, values in _MARKETS.items() if label in labels)
    return next((m for m in told if m), Market.ON_DEMAND)


def groups(nodes: Iterable[Node], pool_label: str = "") -> list[Group]:
    """Nodes by pool and accelerator resource; pools without any accelerator are left out."""
    by_name: dict[str, list[Node]] = {}
    for node in nodes:
        by_name.setdefault(pool_of(node, pool_label), []).append(node)
    return list(chain.from_iterable(_split(name, by_name[name]) for name in sorted(by_name) if name))


def pool_of(node: Node, pool_label: str) -> str:
    """The pool's name: of the label told, else Karpenter's, the cloud's, else the GPU's model."""
    named = _first(node.labels, (pool_label, *POOL_LABELS) if pool_label else POOL_LABELS)
    if named or not node.gpus:
        return named
    return str(accelerator(next(iter(node.gpus)), node.labels)).split("/")[-1]


def _split(name: str, nodes: Sequence[Node]) -> Iterable[Group]:
    devices = _devices(nodes)
    main = max(sorted(devices), key=lambda resource: devices[resource], default="")
    for resource in sorted(devices):
        mine = tuple(n for n in nodes if resource in n.gpus or (resource == main and not n.gpus))
        labels = next(n.labels for n in mine if resource in n.gpus)
        yield Group(name, resource, accelerator(resource, labels), mine, len(devices) == 1)


def _devices(nodes: Iterable[Node]) -> dict[str, float]:
    """Whole devices behind each resource."""
    total: dict[str, float] = {}
    for node in nodes:
        for resource, gpus in node.gpus.items():
            total[resource] = total.get(resource, 0.0) + gpus * accelerator(resource, node.labels).device_share
    return total


def _first(labels: Mapping[str, str], names: Iterable[str]) -> str:
    return next((labels[name] for name in names if labels.get(name)), "")


def _leaving(spec: Json) -> bool:
    return any(taint.get("key") in _LEAVING for taint in spec.get("taints") or ())


def _provider(provider_id: str) -> str:
    scheme = provider_id.split("://", maxsplit=1)[0].split(".", maxsplit=1)[0]
    return _PROVIDERS.get(scheme, scheme)
