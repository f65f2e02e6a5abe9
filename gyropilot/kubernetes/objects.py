"""What all Kubernetes objects have in common: times, conditions, owners, requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gyropilot.kubernetes.accelerators import accelerators
from gyropilot.kubernetes.api import Json


@dataclass(frozen=True, slots=True)
class Owner:
    """The controller of an object."""

    kind: str
    name: str
    uid: str


def parse_time(text: str | None) -> datetime | None:
    """RFC 3339 as UTC; None for nothing or for what is no time."""
    if not text:
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def created(meta: Json) -> datetime:
    """When the object was made; the epoch for one that was never stored."""
    return parse_time(meta.get("creationTimestamp")) or datetime.fromtimestamp(0, UTC)


def condition(item: Json, kind: str) -> Json | None:
    """The condition of a type, whatever its status."""
    conditions: Iterable[Json] = (item.get("status") or {}).get("conditions") or ()
    return next((c for c in conditions if c.get("type") == kind), None)


def holds(item: Json, kind: str) -> bool:
    """Whether the condition of a type is True."""
    return (condition(item, kind) or {}).get("status") == "True"


def owner(meta: Json) -> Owner | None:
    """The controller, else the first owner."""
    references: list[Json] = meta.get("ownerReferences") or []
    first = next((r for r in references if r.get("controller")), references[0] if references else None)
    return Owner(first["kind"], first["name"], first.get("uid", "")) if first else None


def pod_needs(spec: Mapping[str, Any]) -> dict[str, int]:
    """Accelerators that one pod of this spec holds, as the scheduler counts: init containers run before the others."""
    total: dict[str, int] = {}
    starting: dict[str, int] = {}
    for container in spec.get("initContainers") or ():
        need = _container_needs(container)
        if container.get("restartPolicy") == "Always":
            _add(total, need)
            need = total
        else:
            need = {name: count + total.get(name, 0) for name, count in need.items()}
        starting = {name: max(starting.get(name, 0), need.get(name, 0)) for name in {*starting, *need}}
    for container in spec.get("containers") or ():
        _add(total, _container_needs(container))
    return {name: max(total.get(name, 0), starting.get(name, 0)) for name in {*total, *starting}}


def _container_needs(container: Mapping[str, Any]) -> dict[str, int]:
    resources = container.get("resources")
    if not resources:
        return {}
    return accelerators({**(resources.get("limits") or {}), **(resources.get("requests") or {})})


def _add(total: dict[str, int], more: Mapping[str, int]) -> None:
    for name, count in more.items():
        total[name] = total.get(name, 0) + count
