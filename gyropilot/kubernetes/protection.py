"""Why a workload must not be touched, when it was last saved, and what it is for: as its annotations say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from gyropilot.domain import WorkloadKind
from gyropilot.kubernetes.objects import parse_time
from gyropilot.settings import parse_duration

KIND = "gyropilot.io/kind"
DO_NOT_DISRUPT = "karpenter.sh/do-not-disrupt"
SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"

# Kueue evicts these by deleting their pods; nothing makes bare pods again, and serving pods must not go.
_NOT_SUSPENDED = ("Pod", "Deployment", "ReplicaSet", "StatefulSet", "LeaderWorkerSet", "RayService")
_CLOCK_SKEW = timedelta(minutes=5)


def deletes_pods(owner_kind: str) -> str | None:
    """Why pausing a workload of this owner is not safe; None when its job would be suspended and resumed."""
    if owner_kind in _NOT_SUSPENDED:
        return f"pausing a {owner_kind} would delete its pods"
    return None


def protected_by(annotations: Iterable[Mapping[str, str]], protect: str, age: timedelta) -> str | None:
    """The first annotation that forbids to touch it, as part of a sentence."""
    for each in annotations:
        told = each.get(protect, "")
        if told and told.lower() != "false":
            return f"annotated {protect}" if told.lower() == "true" else told
        if _not_disrupted(each.get(DO_NOT_DISRUPT, ""), age):
            return f"annotated {DO_NOT_DISRUPT}"
        if each.get(SAFE_TO_EVICT, "").lower() == "false":
            return f"annotated {SAFE_TO_EVICT}: false"
    return None


def last_checkpoint(annotations: Iterable[Mapping[str, str]], name: str, now: datetime) -> datetime | None:
    """The latest time told; one that is unreadable or lies ahead of the clocks is none."""
    told = (parse_time(each.get(name)) for each in annotations)
    return max((when for when in told if when and when <= now + _CLOCK_SKEW), default=None)


def unreadable_checkpoint(annotations: Iterable[Mapping[str, str]], name: str, now: datetime) -> str | None:
    """The first value that is not a time in the past."""
    for each in annotations:
        if name in each and last_checkpoint([each], name, now) is None:
            return each[name]
    return None


def kind_told(labels: Iterable[Mapping[str, str]]) -> WorkloadKind | None:
    """The first kind that labels or annotations tell; None for none or an unknown one."""
    told = (each.get(KIND) for each in labels)
    return next((WorkloadKind(kind) for kind in told if kind in set(WorkloadKind)), None)


def _not_disrupted(told: str, age: timedelta) -> bool:
    """Karpenter takes `true`, or a duration from the start; what it cannot read protects nothing."""
    if told == "true":
        return True
    try:
        lasting = parse_duration(told) if told else None
    except ValueError:
        return False
    return isinstance(lasting, timedelta) and age < lasting
