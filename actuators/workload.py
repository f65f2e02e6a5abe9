"""A workload's pause: `spec.active` of a Kueue Workload. Kueue suspends its job, keeps it, and starts it again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from actuators.kueue import read_kueue
from actuators.patch import Knob, ServerDial, annotation, leave_alone_if_held
from gyropilot.domain import Dial
from gyropilot.errors import LeftAlone
from gyropilot.kubernetes.api import Json
from gyropilot.kubernetes.objects import holds
from gyropilot.kubernetes.protection import deletes_pods
from gyropilot.settings import KubernetesSettings

_POD_GROUP = "kueue.x-k8s.io/is-group-workload"


@dataclass(frozen=True, slots=True)
class WorkloadPause(ServerDial):
    """Target `{namespace}/{workload}`; 1 is active, 0 is paused."""

    protect_annotation: str = KubernetesSettings().protect_annotation

    @property
    def dial(self) -> Dial:
        return Dial.WORKLOAD

    def find(self, target: str) -> Knob:
        namespace, name = _parts(target)
        path, seen = read_kueue(self.api, f"namespaces/{quote(namespace, safe='')}/workloads/{quote(name, safe='')}")
        leave_alone_if_held(seen, f"workload {name}")
        if holds(seen, "Finished"):
            raise LeftAlone(f"workload {name} is finished")
        return Knob(path, seen, ("spec", "active"))

    def decode(self, raw: Any) -> int:
        return int(raw is not False)  # absent means active

    def encode(self, value: int, raw: Any) -> object:
        return bool(value)

    def refuse(self, knob: Knob, after: int) -> None:
        if after not in (0, 1):
            raise LeftAlone(f"{after} is neither 1 (active) nor 0 (paused)")
        if after == 0:
            self._leave_alone_if_not_to_be_paused(knob.seen)

    def _leave_alone_if_not_to_be_paused(self, seen: Json) -> None:
        """What was protected after its pause is resumed all the same: it must not stay paused for being precious."""
        name = seen["metadata"]["name"]
        if why := next(self._protections(seen), ""):
            raise LeftAlone(f"workload {name} is protected ({why})")
        if why := _lost_when_paused(seen):
            raise LeftAlone(f"workload {name} would not survive: {why}")
        if not holds(seen, "Admitted"):
            raise LeftAlone("it is not admitted, so there is nothing to take back")

    def _protections(self, seen: Json) -> Iterator[str]:
        """What its own annotation and those of its pods' templates say."""
        templates = (pod_set.get("template") or {} for pod_set in seen["spec"].get("podSets") or ())
        for each in (seen, *templates):
            if why := annotation(each.get("metadata") or {}, self.protect_annotation):
                yield f"{self.protect_annotation}: {why}"


def _parts(target: str) -> tuple[str, str]:
    namespace, _, name = target.partition("/")
    if not namespace or not name or "/" in name:
        raise LeftAlone(f"{target!r} names no workload; write {{namespace}}/{{workload}}")
    return namespace, name


def _lost_when_paused(seen: Json) -> str:
    """Why its pods would be gone for good; empty where its job would be suspended and resumed."""
    owners = [str(owner.get("kind")) for owner in seen["metadata"].get("ownerReferences") or ()]
    if annotation(seen["metadata"], _POD_GROUP):
        owners.append("Pod")
    return next((why for owner in owners if (why := deletes_pods(owner))), "")
