"""Kueue Workloads, reduced to what matters of each gang."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from gyropilot.kubernetes.accelerators import accelerators
from gyropilot.kubernetes.api import Json
from gyropilot.kubernetes.objects import Owner, condition, created, holds, owner, parse_time, pod_needs

JOB_UID = "kueue.x-k8s.io/job-uid"
_TAKEN_BACK = ("Preempted", "Deactivated")  # of Evicted's reasons: others are failures, not decisions

Needs = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Gang:
    """One live Kueue Workload that asks for accelerators."""

    namespace: str
    name: str
    local_queue: str
    job_uid: str
    owner: Owner | None
    labels: Mapping[str, str]
    annotations: tuple[Mapping[str, str], ...]  # of the Workload, then of its pod templates
    submitted: datetime
    waiting_since: datetime  # submitted, or taken back last
    reserved: bool  # quota is held
    admitted: datetime | None
    cluster_queue: str  # that holds it; empty while it waits
    flavors: Mapping[str, str]  # resource -> flavor, once reserved
    needs: Needs  # held when reserved, wanted else
    least: Needs | None  # that partial admission would be content with
    priority: int
    active: bool
    preemptions: int
    wanted: Needs | None = None  # by a larger slice of the same elastic job that waits

    @property
    def resource(self) -> str:
        """The accelerator that it is about: a gang with several is counted by the most."""
        return max(sorted(self.needs), key=lambda name: self.needs[name])


def parse_gang(raw: Json) -> Gang | None:
    """A Workload object (v1beta1 or v1beta2); None when it is finished or asks for no accelerator."""
    if holds(raw, "Finished"):
        return None
    meta, spec, status = raw["metadata"], raw["spec"], raw.get("status") or {}
    admission = status.get("admission") or {}
    needs = _held(admission, status) if admission else _wanted(spec, status)
    if not needs:
        return None
    submitted = created(meta)
    return Gang(
        namespace=meta["namespace"],
        name=meta["name"],
        local_queue=spec.get("queueName") or "",
        job_uid=(meta.get("labels") or {}).get(JOB_UID, ""),
        owner=owner(meta),
        labels=meta.get("labels") or {},
        annotations=(meta.get("annotations") or {}, *_template_annotations(spec)),
        submitted=submitted,
        waiting_since=_waiting_since(raw, submitted),
        reserved=bool(admission),
        admitted=_since(raw, "Admitted"),
        cluster_queue=admission.get("clusterQueue") or "",
        flavors=_flavors(admission),
        needs=needs,
        least=_least(spec),
        priority=spec.get("priority") or 0,
        active=spec.get("active") is not False,
        preemptions=_preemptions(raw, status),
    )


def one_per_job(gangs: Iterable[Gang]) -> list[Gang]:
    """An elastic job that grows has a second Workload while it waits: the one that runs stands for both."""
    by_job: dict[str, list[Gang]] = {}
    for gang in gangs:
        by_job.setdefault(gang.job_uid or f"{gang.namespace}/{gang.name}", []).append(gang)
    return [_merged(slices) for slices in by_job.values()]


def _merged(slices: list[Gang]) -> Gang:
    first, *others = sorted(slices, key=lambda g: (g.admitted is None, not g.reserved, -g.submitted.timestamp()))
    larger = max(others, key=lambda g: sum(g.needs.values()), default=None)
    if larger is None or not first.reserved or sum(larger.needs.values()) <= sum(first.needs.values()):
        return first
    return replace(first, wanted=larger.needs, waiting_since=larger.waiting_since)


def _held(admission: Json, status: Json) -> dict[str, int]:
    """What its quota covers, less the pods that are done and gave theirs back."""
    back = {pod_set["name"]: pod_set.get("count", 0) for pod_set in status.get("reclaimablePods") or ()}
    total: dict[str, int] = {}
    for assigned in admission.get("podSetAssignments") or ():
        count = assigned.get("count") or 0
        left = max(0, count - back.get(assigned.get("name"), 0)) / count if count else 1.0
        for resource, gpus in accelerators(assigned.get("resourceUsage") or {}).items():
            total[resource] = total.get(resource, 0) + round(gpus * left)
    return {resource: gpus for resource, gpus in total.items() if gpus}


def _wanted(spec: Json, status: Json) -> dict[str, int]:
    told = status.get("resourceRequests")
    if told:
        return _sum(accelerators(request.get("resources") or {}) for request in told)
    return _sum(_times(pod_set, int(pod_set.get("count") or 0)) for pod_set in spec.get("podSets") or ())


def _least(spec: Json) -> dict[str, int] | None:
    pod_sets = spec.get("podSets") or ()
    if not any(pod_set.get("minCount") for pod_set in pod_sets):
        return None
    return _sum(_times(pod_set, int(pod_set.get("minCount") or pod_set.get("count") or 0)) for pod_set in pod_sets)


def _times(pod_set: Json, count: int) -> dict[str, int]:
    need = pod_needs((pod_set.get("template") or {}).get("spec") or {})
    return {resource: gpus * count for resource, gpus in need.items() if count}


def _sum(parts: Iterable[Needs]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in parts:
        for resource, gpus in part.items():
            total[resource] = total.get(resource, 0) + gpus
    return total


def _flavors(admission: Json) -> dict[str, str]:
    assigned: Iterable[Json] = admission.get("podSetAssignments") or ()
    return {resource: flavor for a in assigned for resource, flavor in (a.get("flavors") or {}).items()}


def _template_annotations(spec: Json) -> tuple[Mapping[str, str], ...]:
    metas: Iterable[Any] = ((p.get("template") or {}).get("metadata") or {} for p in spec.get("podSets") or ())
    return tuple(meta["annotations"] for meta in metas if meta.get("annotations"))


def _since(raw: Json, kind: str) -> datetime | None:
    return parse_time((condition(raw, kind) or {}).get("lastTransitionTime")) if holds(raw, kind) else None


def _waiting_since(raw: Json, submitted: datetime) -> datetime:
    evicted = parse_time((condition(raw, "Evicted") or {}).get("lastTransitionTime"))
    return max(submitted, evicted) if evicted else submitted


def _preemptions(raw: Json, status: Json) -> int:
    """How often it was taken back; older versions of Kueue tell only the last time."""
    evictions = (status.get("schedulingStats") or {}).get("evictions") or ()
    if evictions:
        return sum(int(e.get("count") or 0) for e in evictions if e.get("reason") in _TAKEN_BACK)
    return int((condition(raw, "Evicted") or {}).get("reason") in _TAKEN_BACK)
