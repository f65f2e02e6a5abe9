"""Kueue's queues, cohorts and flavors (v1beta2 and v1beta1), reduced to what matters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gyropilot.kubernetes.accelerators import accelerators, is_accelerator
from gyropilot.kubernetes.api import Json
from gyropilot.kubernetes.quantity import amount, whole

GROUP = "kueue.x-k8s.io"
VERSIONS = ("v1beta2", "v1beta1")  # newest first
PAUSED = "gyropilot.io/paused"


@dataclass(frozen=True, slots=True)
class FlavorQuota:
    """One `nominalQuota` of an accelerator, with its limits."""

    flavor: str
    resource: str
    nominal: int
    borrowing_limit: int | None
    lending_limit: int | None


@dataclass(frozen=True, slots=True)
class ClusterQueue:
    """What matters of one ClusterQueue."""

    name: str
    cohort: str | None
    quotas: tuple[FlavorQuota, ...]
    used: Mapping[tuple[str, str], float] | None  # (flavor, resource) -> GPUs; None: Kueue told nothing yet
    weight: float
    active: bool


@dataclass(frozen=True, slots=True)
class LocalQueue:
    """A namespace's entrance to a ClusterQueue."""

    namespace: str
    name: str
    cluster_queue: str


@dataclass(frozen=True, slots=True)
class Cohort:
    """Quota that belongs to the cohort itself, by accelerator resource."""

    name: str
    gpus: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ResourceFlavor:
    """The node labels that a flavor stands for."""

    name: str
    node_labels: Mapping[str, str]

    def fits(self, labels: Mapping[str, str]) -> bool:
        return all(labels.get(key) == value for key, value in self.node_labels.items())


def parse_cluster_queue(raw: Json) -> ClusterQueue:
    """A ClusterQueue of either version."""
    meta, spec, status = raw["metadata"], raw["spec"], raw.get("status") or {}
    stopped = spec.get("stopPolicy") not in (None, "", "None")
    paused = (meta.get("annotations") or {}).get(PAUSED, "false").lower() != "false"
    weight = (spec.get("fairSharing") or {}).get("weight")
    return ClusterQueue(
        name=meta["name"],
        cohort=spec.get("cohortName") or spec.get("cohort") or None,
        quotas=tuple(_quotas(spec.get("resourceGroups") or ())),
        used=_used(status.get("flavorsUsage")),
        weight=1.0 if weight is None else amount(weight),
        active=not (stopped or paused or "deletionTimestamp" in meta),
    )


def parse_local_queue(raw: Json) -> LocalQueue:
    meta = raw["metadata"]
    return LocalQueue(meta["namespace"], meta["name"], (raw.get("spec") or {}).get("clusterQueue") or "")


def parse_cohort(raw: Json) -> Cohort | None:
    """A Cohort; None when it has no accelerators of its own."""
    gpus: dict[str, int] = {}
    for quota in _quotas((raw.get("spec") or {}).get("resourceGroups") or ()):
        gpus[quota.resource] = gpus.get(quota.resource, 0) + quota.nominal
    return Cohort(raw["metadata"]["name"], gpus) if any(gpus.values()) else None


def parse_flavor(raw: Json) -> ResourceFlavor:
    return ResourceFlavor(raw["metadata"]["name"], (raw.get("spec") or {}).get("nodeLabels") or {})


def _quotas(groups: Iterable[Json]) -> Iterable[FlavorQuota]:
    for group in groups:
        for flavor in group.get("flavors") or ():
            for resource in flavor.get("resources") or ():
                if is_accelerator(resource["name"]):
                    yield FlavorQuota(
                        flavor["name"],
                        resource["name"],
                        whole(resource.get("nominalQuota")),
                        _limit(resource.get("borrowingLimit")),
                        _limit(resource.get("lendingLimit")),
                    )


def _limit(raw: str | int | None) -> int | None:
    return None if raw is None else whole(raw)


def _used(flavors: Iterable[Json] | None) -> dict[tuple[str, str], float] | None:
    if flavors is None:
        return None
    used: dict[tuple[str, str], float] = {}
    for flavor in flavors:
        totals = {r["name"]: r.get("total") or "0" for r in flavor.get("resources") or ()}
        used.update({(flavor["name"], name): float(gpus) for name, gpus in accelerators(totals).items()})
    return used
