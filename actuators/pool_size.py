"""A pool's size: the replicas of anything with a scale subresource (Karpenter NodePool, MachineDeployment, …)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from actuators.patch import Knob, ServerDial, leave_alone_if_held
from actuators.quantity import whole
from gyropilot.domain import Dial
from gyropilot.errors import KubernetesError, LeftAlone, NotFoundError
from gyropilot.kubernetes.api import Json
from gyropilot.kubernetes.scale import scaled_path

_AUTOSCALED = "cluster.x-k8s.io/cluster-api-autoscaler-node-group-max-size"


@dataclass(frozen=True, slots=True)
class PoolSize(ServerDial):
    """Target `{plural}.{group}/{name}` or `{plural}.{group}/{namespace}/{name}`, in nodes."""

    @property
    def dial(self) -> Dial:
        return Dial.POOL_SIZE

    def find(self, target: str) -> Knob:
        path = scaled_path(self.api, target)
        kind, *_, name = target.split("/")
        _leave_alone_if_sized_by_another(self.api.get(path), kind, name)
        return Knob(f"{path}/scale", self._scale(path, name), ("spec", "replicas"))

    def decode(self, raw: Any) -> int:
        return whole(raw or 0)  # a Scale leaves out a zero

    def encode(self, value: int, raw: Any) -> object:
        return value

    def _scale(self, path: str, name: str) -> Json:
        try:
            return self.api.get(f"{path}/scale")
        except NotFoundError as problem:
            raise LeftAlone(f"pool {name} is of a kind that has no scale subresource") from problem
        except KubernetesError as problem:
            if problem.status == 500 and "does not exist" in problem.said:
                raise LeftAlone(f"pool {name} has no replicas to turn; set them by hand first") from problem
            raise


def _leave_alone_if_sized_by_another(seen: Json, kind: str, name: str) -> None:
    leave_alone_if_held(seen, f"pool {name}")
    if kind == "nodepools.karpenter.sh" and "replicas" not in seen["spec"]:
        raise LeftAlone(f"pool {name} is dynamic: Karpenter sizes it, within limits that can be turned instead")
    if _AUTOSCALED in (seen["metadata"].get("annotations") or {}):
        raise LeftAlone(f"pool {name} is sized by the cluster autoscaler ({_AUTOSCALED})")
