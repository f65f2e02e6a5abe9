"""A pool's limit: how far Karpenter may grow a NodePool, in units of one resource. It never removes a node."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from actuators.patch import Knob, ServerDial, leave_alone_if_held
from gyropilot.domain import Dial
from gyropilot.errors import LeftAlone

_KIND = "nodepools.karpenter.sh"


@dataclass(frozen=True, slots=True)
class PoolLimit(ServerDial):
    """Target `nodepools.karpenter.sh/{name}/{resource}`, in units of the resource."""

    @property
    def dial(self) -> Dial:
        return Dial.POOL_LIMIT

    def find(self, target: str) -> Knob:
        name, resource = _parts(target)
        path = f"/apis/karpenter.sh/v1/nodepools/{quote(name, safe='')}"
        seen = self.api.get(path)
        leave_alone_if_held(seen, f"pool {name}")
        if resource not in (seen["spec"].get("limits") or {}):
            raise LeftAlone(f"pool {name} has no limit of {resource}; set one by hand to have it turned")
        return Knob(path, seen, ("spec", "limits", resource))


def _parts(target: str) -> tuple[str, str]:
    kind, *rest = target.split("/", 2)
    if kind != _KIND or len(rest) != 2 or not all(rest):
        raise LeftAlone(f"{target!r} names no pool's limit; write {_KIND}/{{name}}/{{resource}}")
    return rest[0], rest[1]
