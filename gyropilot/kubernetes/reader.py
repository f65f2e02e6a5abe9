"""Reads the API server: nodes, pods, Kueue and Karpenter, in the nouns of the house. Never writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TypeVar

from gyropilot.domain import Pool, Queue, Workload
from gyropilot.errors import ForbiddenError, NotFoundError
from gyropilot.kubernetes import kueue
from gyropilot.kubernetes.access import KARPENTER, rule, served_versions
from gyropilot.kubernetes.annotated import Job, Namespace, annotations_by_job, parse_job, parse_namespace
from gyropilot.kubernetes.api import Api, Json
from gyropilot.kubernetes.gangs import Gang, one_per_job, parse_gang
from gyropilot.kubernetes.inventory import Inventory
from gyropilot.kubernetes.karpenter import NodePool, parse_node_pool
from gyropilot.kubernetes.nodes import Node, parse_node
from gyropilot.kubernetes.pods import LIVE, Pod, annotations_by_owner, held_gpus, parse_pod, pod_gangs
from gyropilot.kubernetes.pools import Ground, pools
from gyropilot.kubernetes.queues import (
    Context,
    checkpoint_notes,
    kueue_queues,
    kueue_workloads,
    pod_queues,
    pod_workloads,
    queue_notes,
)
from gyropilot.kubernetes.scale import read_scales
from gyropilot.kubernetes.unplaced import Holders, unplaced_gpus, unplaced_notes
from gyropilot.kubernetes.watch import Mirror
from gyropilot.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Source:
    """One collection that is read."""

    group: str
    version: str
    resource: str
    keep: Callable[[Json], object]
    without: str  # what follows where it may not be read; empty: it must be
    query: Mapping[str, str | int] = field(default_factory=dict)

    @property
    def path(self) -> str:
        root = f"/apis/{self.group}" if self.group else "/api"
        return f"{root}/{self.version}/{self.resource}"

    def forbidden(self, problem: ForbiddenError) -> ForbiddenError:
        """The refusal with the rule that is missing."""
        granted = rule(self.group, self.resource, ("get", "list", "watch"))
        error = ForbiddenError(f"{problem}; add to a ClusterRole bound to this account: {granted}")
        error.status, error.said = problem.status, problem.said
        return error


@dataclass(frozen=True, slots=True)
class Seen:
    """What one reading found, collection by collection; None: it may not be read."""

    found: Mapping[str, Sequence[object] | None]
    kueue: str | None
    notes: tuple[str, ...]
    at: datetime  # when the collection that was heard of longest ago was

    def of(self, resource: str, kind: type[T]) -> list[T]:
        return [item for item in self.found.get(resource) or () if isinstance(item, kind)]

    def may_read(self, resource: str) -> bool:
        return self.found.get(resource) is not None


@dataclass(slots=True)
class KubernetesReader:
    """Reads whole collections first, and what changed from then on."""

    api: Api
    settings: Settings
    mirrors: dict[str, Mirror[object]] = field(default_factory=dict)  # by path

    def read(self, now: datetime) -> Inventory:
        """One reading. Raises KubernetesError; ForbiddenError names the rule that is missing."""
        seen = self._see(now)
        scales, scale_notes = read_scales(self.api, [p.dial for p in self.settings.pools.values() if p.dial])
        flavors = seen.of("resourceflavors", kueue.ResourceFlavor)
        ground = Ground(
            nodes=seen.of("nodes", Node),
            node_pools=seen.of("nodepools", NodePool),
            flavors=flavors,
            held=held_gpus(seen.of("pods", Pod)) if seen.may_read("pods") else None,
            scales=scales,
        )
        found, pool_notes = pools(ground, self.settings)
        context = self._context(now, seen, found)
        queues, workloads, notes = self._queues(seen, context)
        if ground.held is None:
            found = tuple(_idle_by_quota(pool, workloads) for pool in found)
        said = (*seen.notes, *scale_notes, *pool_notes, *notes, *queue_notes(queues, self.settings))
        return Inventory(seen.at, found, tuple(queues), tuple(workloads), seen.kueue, said)

    def _see(self, now: datetime) -> Seen:
        versions = served_versions(self.api)
        version = next((v for v in kueue.VERSIONS if v in versions.get(kueue.GROUP, ())), None)
        karpenter = "v1" in versions.get(KARPENTER, ())
        sources = _sources(version, karpenter)
        with ThreadPoolExecutor(max_workers=len(sources)) as together:
            answers = list(together.map(partial(self._collection, now), sources))
        found = {source.resource: items for source, (items, _) in zip(sources, answers, strict=True)}
        heard = (self.mirrors[source.path].heard_at for source in sources if found[source.resource] is not None)
        absent = [] if version else [_without_kueue(versions.get(kueue.GROUP, ()))]
        notes = (*absent, *(note for _, note in answers if note))
        return Seen(found, version, notes, min((at for at in heard if at), default=now))

    def _collection(self, now: datetime, source: Source) -> tuple[Sequence[object] | None, str]:
        """What a collection holds, or None and what follows from that."""
        mirror = self.mirrors.get(source.path) or Mirror(self.api, source.path, source.keep, source.query)
        self.mirrors[source.path] = mirror
        try:
            return list(mirror.refresh(now)), ""
        except ForbiddenError as problem:
            if not source.without:
                raise source.forbidden(problem) from problem
            return None, f"{source.resource} may not be read: {source.without}"
        except NotFoundError:
            return None, f"{source.resource} are not served: {source.without or 'nothing is seen of them'}"

    def _context(self, now: datetime, seen: Seen, found: Sequence[Pool]) -> Context:
        jobs, pods = seen.of("jobs", Job), seen.of("pods", Pod)
        return Context(
            now=now,
            settings=self.settings,
            pools=found,
            flavors=seen.of("resourceflavors", kueue.ResourceFlavor),
            of_namespace={each.name: each.annotations for each in seen.of("namespaces", Namespace)},
            of_owner=annotations_by_job(jobs, annotations_by_owner(pods)),
        )

    def _queues(self, seen: Seen, context: Context) -> tuple[list[Queue], list[Workload], list[str]]:
        cluster_queues = seen.of("clusterqueues", kueue.ClusterQueue)
        if not cluster_queues:
            return self._queues_of_pods(seen, context)
        entrances = seen.of("localqueues", kueue.LocalQueue)
        gangs = one_per_job(seen.of("workloads", Gang))
        holders = Holders.of(gangs, seen.of("jobs", Job))
        unplaced = unplaced_gpus(seen.of("pods", Pod), holders, context.flavors)
        queues = [
            replace(queue, unplaced_gpus=unplaced.get(queue.name, {}))
            for queue in kueue_queues(cluster_queues, entrances, gangs, context)
        ]
        cohort_notes = _cohort_notes(seen.of("cohorts", kueue.Cohort))
        notes = [*checkpoint_notes(gangs, context), *cohort_notes, *unplaced_notes(queues)]
        return queues, kueue_workloads(gangs, entrances, queues, context), notes

    def _queues_of_pods(self, seen: Seen, context: Context) -> tuple[list[Queue], list[Workload], list[str]]:
        label = self.settings.kubernetes.queue_label
        gangs = pod_gangs(seen.of("pods", Pod), label)
        lost = sum(gang.gpus for gang in gangs if not gang.queue)
        notes = [f"pods without label {label} ask for {lost} GPUs that are in no queue"] if lost else []
        if seen.kueue:
            notes.append("Kueue has no ClusterQueues: queues are read from pods, and no quota can be turned")
        return pod_queues(gangs, context), pod_workloads(gangs, context), notes


def _without_kueue(served: Sequence[str]) -> str:
    why = "Kueue is not installed"
    if served:
        why = f"Kueue serves neither {' nor '.join(kueue.VERSIONS)}, only {', '.join(served)}"
    return f"{why}: queues are read from pods, and no quota can be turned"


def _sources(kueue_version: str | None, karpenter: bool) -> list[Source]:
    """What is read, given what is served."""
    idle = "idle GPUs are taken from admitted workloads instead" if kueue_version else ""
    found = [
        Source("", "v1", "nodes", parse_node, ""),
        Source("", "v1", "pods", parse_pod, idle, LIVE),
        Source("", "v1", "namespaces", parse_namespace, "protection by a namespace's annotation is not seen"),
        Source("batch", "v1", "jobs", parse_job, "checkpoints and protection by a Job's annotation are not seen"),
    ]
    if karpenter:
        found.append(Source(KARPENTER, "v1", "nodepools", parse_node_pool, "no pool's size can be turned"))
    if kueue_version:
        quota = "quota that belongs to cohorts themselves is not seen"
        found += [
            Source(kueue.GROUP, kueue_version, "clusterqueues", kueue.parse_cluster_queue, ""),
            Source(kueue.GROUP, kueue_version, "localqueues", kueue.parse_local_queue, ""),
            Source(kueue.GROUP, kueue_version, "workloads", parse_gang, ""),
            Source(kueue.GROUP, kueue_version, "resourceflavors", kueue.parse_flavor, "any pool may serve any quota"),
            Source(kueue.GROUP, kueue_version, "cohorts", kueue.parse_cohort, quota),
        ]
    return found


def _idle_by_quota(pool: Pool, workloads: Iterable[Workload]) -> Pool:
    """Without sight of pods: what admitted workloads of its flavors leave."""
    resource = pool.accelerator.resource
    mine = (w for w in workloads if w.started and w.flavor in pool.flavors and w.accelerator.resource == resource)
    return replace(pool, idle_gpus=float(max(0, pool.gpus - sum(w.gpus for w in mine))))


def _cohort_notes(cohorts: Iterable[kueue.Cohort]) -> list[str]:
    return [
        f"cohort {c.name} has quota of its own ({', '.join(f'{n} {r}' for r, n in sorted(c.gpus.items()))}), "
        "which queues borrow and nothing here turns"
        for c in cohorts
    ]
