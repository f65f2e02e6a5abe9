"""Karpenter's NodePools: what sizes a pool, and what its nodes would be before the first exists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gyropilot.domain import Dial, Market
from gyropilot.kubernetes.accelerators import accelerators, is_accelerator
from gyropilot.kubernetes.api import Json
from gyropilot.kubernetes.nodes import INSTANCE_TYPE, Node, market
from gyropilot.kubernetes.quantity import whole

TARGET = "nodepools.karpenter.sh"
_GPU_COUNTS = {
    "karpenter.k8s.aws/instance-gpu-count": "nvidia.com/gpu",
    "karpenter.k8s.aws/instance-accelerator-count": "aws.amazon.com/neuron",
    "karpenter.azure.com/sku-gpu-count": "nvidia.com/gpu",
    "nvidia.com/gpu.count": "nvidia.com/gpu",
}


@dataclass(frozen=True, slots=True)
class NodePool:
    """What matters of one NodePool."""

    name: str
    replicas: int | None  # None: dynamic
    limits: Mapping[str, str]
    labels: Mapping[str, str]  # of its template, and of requirements that allow one value
    choices: Mapping[str, tuple[str, ...]]  # requirement -> values that it allows
    offers: Mapping[str, int]  # accelerators of its present nodes together, as Karpenter counts them

    @property
    def max_nodes(self) -> int | None:
        return whole(self.limits["nodes"]) if "nodes" in self.limits else None

    @property
    def market(self) -> Market:
        allowed = self.choices.get("karpenter.sh/capacity-type", ())
        return market({"karpenter.sh/capacity-type": allowed[0]}) if len(allowed) == 1 else Market.ON_DEMAND

    def dial(self, resource: str) -> tuple[Dial | None, str, int | None]:
        """The dial that changes this pool's size, its target and its present value."""
        if self.replicas is not None:
            return Dial.POOL_SIZE, f"{TARGET}/{self.name}", self.replicas
        if resource in self.limits:
            return Dial.POOL_LIMIT, f"{TARGET}/{self.name}/{resource}", whole(self.limits[resource])
        return None, "", None


def parse_node_pool(raw: Json) -> NodePool:
    """A NodePool object, reduced to what matters."""
    spec = raw["spec"]
    template = spec.get("template") or {}
    choices = _choices((template.get("spec") or {}).get("requirements") or ())
    single = {key: values[0] for key, values in choices.items() if len(values) == 1}
    return NodePool(
        name=raw["metadata"]["name"],
        replicas=spec.get("replicas"),
        limits=spec.get("limits") or {},
        labels={**single, **((template.get("metadata") or {}).get("labels") or {})},
        choices=choices,
        offers=accelerators((raw.get("status") or {}).get("resources") or {}),
    )


def node_shape(pool: NodePool, nodes: Sequence[Node]) -> tuple[str, int | None]:
    """The accelerator resource of a pool without nodes, and how many each node would have.

    ("", None) when nothing says that it has accelerators at all, (resource, None) when their number is not known.
    """
    counted = next(((r, whole(pool.labels[k])) for k, r in _GPU_COUNTS.items() if whole(pool.labels.get(k))), None)
    if counted:
        return counted
    if found := _like_other_nodes(pool, nodes):
        return found
    resource = next((name for name in pool.limits if is_accelerator(name)), "")
    if resource and pool.max_nodes:
        units, rest = divmod(whole(pool.limits[resource]), pool.max_nodes)
        return resource, units if units and not rest else None
    return resource, None


def _like_other_nodes(pool: NodePool, nodes: Sequence[Node]) -> tuple[str, int] | None:
    """As nodes of the same instance type elsewhere, when all types that it allows agree."""
    types = set(pool.choices.get(INSTANCE_TYPE, ()))
    shapes = {tuple(n.gpus.items()) for n in nodes if n.gpus and n.labels.get(INSTANCE_TYPE) in types}
    known = {n.labels.get(INSTANCE_TYPE) for n in nodes if n.gpus}
    if not types or types - known or len(shapes) != 1:
        return None
    (shape,) = shapes
    return shape[0] if len(shape) == 1 else None


def _choices(requirements: Sequence[Json]) -> dict[str, tuple[str, ...]]:
    return {r["key"]: tuple(r.get("values") or ()) for r in requirements if r.get("operator") == "In"}
