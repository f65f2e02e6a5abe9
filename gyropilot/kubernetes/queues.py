"""Queues and workloads, joined from what Kueue or, without it, the pods tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from gyropilot.domain import Accelerator, Pool, Queue, Quota, Workload
from gyropilot.kubernetes.accelerators import accelerator
from gyropilot.kubernetes.gangs import Gang
from gyropilot.kubernetes.kueue import ClusterQueue, FlavorQuota, LocalQueue, ResourceFlavor
from gyropilot.kubernetes.pods import PodGang, kind_of_owner
from gyropilot.kubernetes.protection import (
    deletes_pods,
    kind_told,
    last_checkpoint,
    protected_by,
    unreadable_checkpoint,
)
from gyropilot.settings import QueueSettings, Settings, format_duration

Annotations = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Context:
    """What queues and workloads are read against."""

    now: datetime
    settings: Settings
    pools: Sequence[Pool] = ()
    flavors: Sequence[ResourceFlavor] = ()
    of_namespace: Mapping[str, Annotations] = field(default_factory=dict)
    of_owner: Mapping[str, Sequence[Annotations]] = field(default_factory=dict)  # uid -> of the job and its pods

    def accelerator(self, resource: str, flavor: str = "") -> Accelerator:
        """What a resource of a flavor is: as the pools of that flavor offer it, else as any pool does."""
        offered = [p for p in self.pools if p.accelerator.resource == resource]
        for pool in sorted(offered, key=lambda p: flavor not in p.flavors):
            return pool.accelerator
        labels = next((f.node_labels for f in self.flavors if f.name == flavor), {})
        return accelerator(resource, labels)


def kueue_queues(
    cluster_queues: Iterable[ClusterQueue], entrances: Iterable[LocalQueue], gangs: Sequence[Gang], context: Context
) -> list[Queue]:
    """One Queue per ClusterQueue that is about accelerators or has work that is."""
    local = list(entrances)
    places = _places(local)
    mine: dict[str, list[Gang]] = {}
    for gang in gangs:
        mine.setdefault(_queue_of(gang, places), []).append(gang)
    found = [_kueue_queue(cq, local, mine.get(cq.name, []), context) for cq in cluster_queues]
    return sorted((q for q in found if q.quotas or mine.get(q.name)), key=lambda q: q.name)


def kueue_workloads(
    gangs: Iterable[Gang], entrances: Iterable[LocalQueue], queues: Iterable[Queue], context: Context
) -> list[Workload]:
    """All live gangs whose queue is known."""
    places, by_name = _places(entrances), {queue.name: queue for queue in queues}
    at = ((gang, by_name.get(_queue_of(gang, places))) for gang in gangs)
    return sorted((_kueue_workload(gang, queue, context) for gang, queue in at if queue), key=lambda w: w.key)


def pod_queues(gangs: Iterable[PodGang], context: Context) -> list[Queue]:
    """Queues without quotas, from the labels or namespaces of pods."""
    by_queue: dict[str, list[PodGang]] = {}
    for gang in gangs:
        if gang.queue:
            by_queue.setdefault(gang.queue, []).append(gang)
    return [_pod_queue(name, by_queue[name], context) for name in sorted(by_queue)]


def pod_workloads(gangs: Iterable[PodGang], context: Context) -> list[Workload]:
    """Workloads that nothing can pause safely: without Kueue, only deleting their pods would free GPUs."""
    return sorted((_pod_workload(g, context) for g in gangs if g.queue), key=lambda w: w.key)


def queue_notes(queues: Sequence[Queue], settings: Settings) -> list[str]:
    """A sentence for each queue told and not seen, and for each field that was assumed."""
    assumed = settings.queue_defaults
    wait, cost = format_duration(assumed.target_wait), f"{assumed.waiting_usd_per_gpu_hour:g} USD per GPU-hour"
    fields = (("target_wait", "target wait", wait), ("waiting_usd_per_gpu_hour", "cost of waiting", cost))
    seen = {queue.name for queue in queues}
    notes = [f"settings tell of queue {name}, which is not seen" for name in settings.queues if name not in seen]
    for name, what, value in fields:
        missing = [q.name for q in queues if getattr(settings.queues.get(q.name, QueueSettings()), name) is None]
        if missing:
            some = f"{'queue' if len(missing) == 1 else 'queues'} {', '.join(missing)}"
            notes.append(f"{what} of {some} not told; {value} assumed; set queues.<name>.{name}")
    return notes


def checkpoint_notes(gangs: Iterable[Gang], context: Context) -> list[str]:
    """A sentence for each checkpoint time that cannot be used."""
    name = context.settings.kubernetes.checkpoint_annotation
    told = ((g, unreadable_checkpoint(_annotations(g, context), name, context.now)) for g in gangs)
    return [
        f"{g.namespace}/{g.name} is annotated {name}: {value!r}, which is no RFC 3339 time in the past; not used"
        for g, value in told
        if value is not None
    ]


def _places(entrances: Iterable[LocalQueue]) -> dict[tuple[str, str], str]:
    return {(e.namespace, e.name): e.cluster_queue for e in entrances}


def _queue_of(gang: Gang, places: Mapping[tuple[str, str], str]) -> str:
    return gang.cluster_queue or places.get((gang.namespace, gang.local_queue), "")


def _kueue_queue(cq: ClusterQueue, entrances: Iterable[LocalQueue], gangs: Sequence[Gang], context: Context) -> Queue:
    waiting = [g for g in gangs if g.active and (not g.reserved or g.wanted)]
    return _queue(
        Queue(
            name=cq.name,
            quotas=tuple(_quota(cq, quota, gangs, context) for quota in cq.quotas),
            cohort=cq.cohort,
            running_gpus=_sum(g.needs for g in gangs if g.reserved),
            pending_gpus=_sum(_unmet(g) for g in waiting),
            largest_pending_gpus=_largest(g.needs for g in waiting if not g.reserved),
            weight=cq.weight,
            namespaces=tuple(sorted({e.namespace for e in entrances if e.cluster_queue == cq.name})),
            oldest_wait=_oldest_wait((g.waiting_since for g in waiting), context.now),
            active=cq.active,
        ),
        context.settings,
    )


def _largest(needs: Iterable[Mapping[str, int]]) -> Mapping[str, float]:
    """Of one gang, by resource."""
    largest: dict[str, float] = {}
    for resource, gpus in (need for gang in needs for need in gang.items()):
        largest[resource] = max(largest.get(resource, 0.0), gpus)
    return largest


def _unmet(gang: Gang) -> Mapping[str, int]:
    if gang.wanted is None:
        return gang.needs
    return {r: gpus - gang.needs.get(r, 0) for r, gpus in gang.wanted.items() if gpus > gang.needs.get(r, 0)}


def _quota(cq: ClusterQueue, quota: FlavorQuota, gangs: Iterable[Gang], context: Context) -> Quota:
    if cq.used is not None:
        used = cq.used.get((quota.flavor, quota.resource), 0.0)
    else:
        holding = (g for g in gangs if g.flavors.get(quota.resource) == quota.flavor)
        used = float(sum(g.needs.get(quota.resource, 0) for g in holding))
    return Quota(
        flavor=quota.flavor,
        accelerator=context.accelerator(quota.resource, quota.flavor),
        nominal_gpus=quota.nominal,
        used_gpus=used,
        borrowing_limit_gpus=quota.borrowing_limit,
        lending_limit_gpus=quota.lending_limit,
        dial_target=f"{cq.name}/{quota.flavor}/{quota.resource}",
    )


def _queue(seen: Queue, settings: Settings) -> Queue:
    """The queue with what the operator tells of it, and defaults."""
    told, assumed = settings.queues.get(seen.name, QueueSettings()), settings.queue_defaults
    return replace(
        seen,
        guaranteed_gpus=told.guaranteed_gpus,
        weight=told.weight if told.weight is not None else seen.weight,
        target_wait=told.target_wait if told.target_wait is not None else assumed.target_wait,
        waiting_usd_per_gpu_hour=told.waiting_usd_per_gpu_hour
        if told.waiting_usd_per_gpu_hour is not None
        else assumed.waiting_usd_per_gpu_hour,
        budget_usd_per_day=told.budget_usd_per_day,
        regions=told.regions,
        allowed_pools=told.allowed_pools,
    )


def _kueue_workload(gang: Gang, queue: Queue, context: Context) -> Workload:
    resource = gang.resource
    flavor = gang.flavors.get(resource, "")
    # Until a flavor is assigned, the first that its queue would try tells what it is about.
    likely = flavor or next((q.flavor for q in queue.quotas if q.accelerator.resource == resource), "")
    owner_kind = gang.owner.kind if gang.owner else ""
    annotations = _annotations(gang, context)
    undone_by_pausing = deletes_pods(owner_kind)
    return Workload(
        namespace=gang.namespace,
        name=gang.name,
        queue=queue.name,
        accelerator=context.accelerator(resource, likely),
        gpus=gang.needs[resource],
        submitted=gang.submitted,
        started=gang.admitted,
        priority=gang.priority,
        kind=kind_told((gang.labels, *annotations)) or kind_of_owner(owner_kind),
        flavor=flavor,
        min_gpus=gang.least.get(resource) if gang.least else None,
        max_gpus=gang.wanted.get(resource) if gang.wanted else None,
        last_checkpoint=last_checkpoint(annotations, context.settings.kubernetes.checkpoint_annotation, context.now),
        preemptions=gang.preemptions,
        active=gang.active,
        protected=undone_by_pausing or _protected(annotations, queue.name, gang.admitted, context),
        dial_target="" if undone_by_pausing else f"{gang.namespace}/{gang.name}",
    )


def _annotations(gang: Gang, context: Context) -> list[Annotations]:
    uids = {gang.job_uid, gang.owner.uid if gang.owner else ""} - {""}
    of_job = [each for uid in sorted(uids) for each in context.of_owner.get(uid, ())]
    return [*gang.annotations, *of_job, context.of_namespace.get(gang.namespace, {})]


def _protected(
    annotations: Iterable[Annotations], queue: str, started: datetime | None, context: Context
) -> str | None:
    if context.settings.queues.get(queue, QueueSettings()).protected:
        return f"queue {queue} is protected by the settings"
    age = context.now - started if started else timedelta(0)
    return protected_by(annotations, context.settings.kubernetes.protect_annotation, age)


def _pod_queue(name: str, gangs: Sequence[PodGang], context: Context) -> Queue:
    return _queue(
        Queue(
            name=name,
            running_gpus=_sum({g.resource: g.running_gpus} for g in gangs if g.running_gpus),
            pending_gpus=_sum({g.resource: g.gpus - g.running_gpus} for g in gangs if g.gpus > g.running_gpus),
            namespaces=tuple(sorted({g.namespace for g in gangs})),
            oldest_wait=_oldest_wait((g.waiting_since for g in gangs if g.waiting_since), context.now),
        ),
        context.settings,
    )


def _pod_workload(gang: PodGang, context: Context) -> Workload:
    first = gang.pods[0]
    annotations = [*(p.annotations for p in gang.pods), context.of_namespace.get(gang.namespace, {})]
    return Workload(
        namespace=gang.namespace,
        name=gang.name,
        queue=gang.queue,
        accelerator=context.accelerator(gang.resource),
        gpus=gang.gpus,
        submitted=min(p.submitted for p in gang.pods),
        started=gang.started,
        priority=max(p.priority for p in gang.pods),
        kind=kind_told((first.labels, *annotations)) or kind_of_owner(first.owner.kind if first.owner else "Pod"),
        last_checkpoint=last_checkpoint(annotations, context.settings.kubernetes.checkpoint_annotation, context.now),
        protected=_protected(annotations, gang.queue, gang.started, context),
    )


def _oldest_wait(since: Iterable[datetime], now: datetime) -> timedelta | None:
    oldest = min(since, default=None)
    return max(timedelta(0), now - oldest) if oldest else None


def _sum(parts: Iterable[Mapping[str, int]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for part in parts:
        for resource, gpus in part.items():
            total[resource] = total.get(resource, 0.0) + gpus
    return total
