"""Objects that are read for their annotations only: Jobs and namespaces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gyropilot.kubernetes.api import Json
from gyropilot.kubernetes.objects import holds, owner

Annotations = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Job:
    """What matters of one Job that has not finished."""

    uid: str
    owner_uid: str  # of the JobSet or training job that made it; empty: none did
    annotations: Annotations


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace that has annotations."""

    name: str
    annotations: Annotations


def parse_namespace(raw: Json) -> Namespace | None:
    """A Namespace object; None when it has no annotations."""
    annotations = raw["metadata"].get("annotations")
    return Namespace(raw["metadata"]["name"], annotations) if annotations else None


def parse_job(raw: Json) -> Job | None:
    """A Job object, reduced to what matters; None when it has finished."""
    if holds(raw, "Complete") or holds(raw, "Failed"):
        return None
    meta = raw["metadata"]
    made_by = owner(meta)
    return Job(meta.get("uid", ""), made_by.uid if made_by else "", meta.get("annotations") or {})


def annotations_by_job(
    jobs: Iterable[Job], of_pods: Mapping[str, Sequence[Annotations]]
) -> dict[str, list[Annotations]]:
    """Annotations of each job and of its pods, by the uid of the job and of what made that."""
    found = {uid: list(annotations) for uid, annotations in of_pods.items()}
    for job in jobs:
        mine = [*([job.annotations] if job.annotations else []), *of_pods.get(job.uid, ())]
        for uid in {job.uid, job.owner_uid} - {""} if mine else ():
            others = found.get(uid, []) if uid == job.owner_uid else []
            found[uid] = [*others, *mine]
    return found
