"""A queue's quota: `nominalQuota` of one flavor and resource of a Kueue ClusterQueue."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from actuators.kueue import read_kueue
from actuators.patch import Knob, Place, ServerDial, leave_alone_if_held
from gyropilot.domain import Dial
from gyropilot.errors import LeftAlone
from gyropilot.kubernetes.api import Json


@dataclass(frozen=True, slots=True)
class QueueQuota(ServerDial):
    """Target `{clusterqueue}/{flavor}/{resource}`, in units of the resource."""

    @property
    def dial(self) -> Dial:
        return Dial.QUEUE_QUOTA

    def find(self, target: str) -> Knob:
        queue, flavor, resource = _parts(target)
        path, seen = read_kueue(self.api, f"clusterqueues/{quote(queue, safe='')}")
        leave_alone_if_held(seen, f"queue {queue}")
        stopped = seen["spec"].get("stopPolicy", "None")
        if stopped != "None":
            raise LeftAlone(f"queue {queue} is stopped by its owner (stopPolicy {stopped})")
        for at in _quotas(seen, flavor, resource):
            # Kueue's list of groups is atomic: a merge patch would replace them all, so one position is patched, and
            # the names on the way to it are tested.
            return Knob(path, seen, (*at, "nominalQuota"), anchors=((*at[:-2], "name"), (*at, "name")))
        raise LeftAlone(f"queue {queue} has no quota of {resource} in flavor {flavor}")


def _parts(target: str) -> tuple[str, str, str]:
    parts = target.split("/", 2)
    if len(parts) != 3 or not all(parts):
        raise LeftAlone(f"{target!r} names no quota; write {{clusterqueue}}/{{flavor}}/{{resource}}")
    return parts[0], parts[1], parts[2]


def _quotas(seen: Json, flavor: str, resource: str) -> Iterator[Place]:
    """Where the queue's quotas of a resource in a flavor stand: one, for a flavor is in one group only."""
    for g, group in enumerate(seen["spec"].get("resourceGroups") or ()):
        for f, each in enumerate(group["flavors"]):
            for r, quota in enumerate(each["resources"]):
                if (each["name"], quota["name"]) == (flavor, resource):
                    yield "spec", "resourceGroups", g, "flavors", f, "resources", r
