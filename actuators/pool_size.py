"""A pool's size: the replicas of anything with a scale subresource (Karpenter NodePool, MachineDeployment, …)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from actuators.patch import Knob, ServerDial, leave_alone_if_held
from actuators.quantity import whole
from gyropilot.domain import Dial
from gyropilot.errors import KubernetesError, LeftAlone, NotFoundError
from gyropilot.kubernetes.api import Json

_AUTOSCALED = "cluster.x-k8s.io/cluster-api-autoscaler-node-group-max-size"


@dataclass(frozen=True, slots=True)
class PoolSize(ServerDial):
    """Target `{plural}.{group}/{name}` or `{plural}.{group}/{namespace}/{name}`, in nodes."""

    @property
    def dial(self) -> Dial:
        return Dial.POOL_SIZE

    def find(self, target: str) -> Knob:
        kind, *where = target.split("/")
        path = self._path(kind, where)
        seen = self.api.get(path)
        _leave_alone_if_sized_by_another(seen, kind, where[-1])
        return Knob(f"{path}/scale", self._scale(path, where[-1]), ("spec", "replicas"))

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

    def _path(self, kind: str, where: Sequence[str]) -> str:
        plural, _, group = kind.partition(".")
        if not group or len(where) not in (1, 2) or not all(where):
            raise LeftAlone(
                f"{kind}/{'/'.join(where)} names no pool; write {{plural}}.{{group}}/[{{namespace}}/]{{name}}"
            )
        root, namespaced = self._served(plural, group)
        if namespaced != (len(where) == 2):
            raise LeftAlone(
                f"{kind} are {'in namespaces' if namespaced else 'in no namespace'}; mend the pool's `dial`"
            )
        namespace = f"/namespaces/{quote(where[0], safe='')}" if namespaced else ""
        return f"{root}{namespace}/{plural}/{quote(where[-1], safe='')}"

    def _served(self, plural: str, group: str) -> tuple[str, bool]:
        """The root path of the version that serves this kind, preferred first, and whether the kind is namespaced."""
        told = self.api.get(f"/apis/{group}")
        preferred = told["preferredVersion"]["groupVersion"]
        for version in sorted((v["groupVersion"] for v in told["versions"]), key=lambda v: v != preferred):
            for served in self.api.get(f"/apis/{version}")["resources"]:
                if served["name"] == plural:
                    return f"/apis/{version}", bool(served["namespaced"])
        raise LeftAlone(f"the API server serves no {plural}.{group}; mend the pool's `dial`")


def _leave_alone_if_sized_by_another(seen: Json, kind: str, name: str) -> None:
    leave_alone_if_held(seen, f"pool {name}")
    if kind == "nodepools.karpenter.sh" and "replicas" not in seen["spec"]:
        raise LeftAlone(f"pool {name} is dynamic: Karpenter sizes it, within limits that can be turned instead")
    if _AUTOSCALED in (seen["metadata"].get("annotations") or {}):
        raise LeftAlone(f"pool {name} is sized by the cluster autoscaler ({_AUTOSCALED})")
