"""Admitted pods that find no node: Kueue admits by quota, and quota may be more than there are nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gyropilot.domain import Queue
from gyropilot.kubernetes.annotated import Job
from gyropilot.kubernetes.gangs import Gang
from gyropilot.kubernetes.kueue import ResourceFlavor
from gyropilot.kubernetes.pods import Pod

CLUSTER_QUEUE = "kueue.x-k8s.io/cluster-queue-name"

ByFlavor = Mapping[str, Mapping[str, float]]
"""GPUs by resource, then by flavor."""


@dataclass(frozen=True, slots=True)
class Holders:
    """Which queue's quota a pod holds."""

    queues: Mapping[str, str]  # uid of a job, or of a pod that is its own -> the queue that admitted it
    makers: Mapping[str, str]  # uid of a Job -> of the JobSet or training job that made it

    @classmethod
    def of(cls, gangs: Iterable[Gang], jobs: Iterable[Job]) -> Holders:
        by_uid = {
            uid: g.cluster_queue for g in gangs if g.reserved for uid in (g.job_uid, g.owner and g.owner.uid) if uid
        }
        return cls(by_uid, {job.uid: job.owner_uid for job in jobs if job.owner_uid})

    def queue(self, pod: Pod) -> str:
        """As Kueue wrote on the pod (since 0.17), else of the job that made it; empty where it holds no quota."""
        if told := pod.labels.get(CLUSTER_QUEUE):
            return told
        made_by = pod.owner.uid if pod.owner else ""
        uids = (made_by, self.makers.get(made_by, ""), pod.uid)
        return next((self.queues[uid] for uid in uids if uid in self.queues), "")


def unplaced_gpus(pods: Iterable[Pod], holders: Holders, flavors: Sequence[ResourceFlavor]) -> dict[str, ByFlavor]:
    """By queue: the GPUs of its pods for which the scheduler has found no node."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for pod in pods:
        queue = holders.queue(pod) if pod.seeks_node else ""
        for resource, gpus in pod.needs.items() if queue else ():
            by_flavor = found.setdefault(queue, {}).setdefault(resource, {})
            flavor = _flavor(pod, flavors)
            by_flavor[flavor] = by_flavor.get(flavor, 0.0) + gpus
    return dict(found)


def unplaced_notes(queues: Iterable[Queue]) -> list[str]:
    """One sentence that names the queues with such pods."""
    counts = {q.name: sum(sum(by_flavor.values()) for by_flavor in q.unplaced_gpus.values()) for q in queues}
    some = ", ".join(f"{name} {gpus:g}" for name, gpus in counts.items() if gpus)
    return [f"admitted pods are on no node, GPUs by queue: {some}"] if some else []


def _flavor(pod: Pod, flavors: Iterable[ResourceFlavor]) -> str:
    """The flavor whose node labels Kueue gave the pod to select by: that with most labels where several fit."""
    fitting = [f for f in flavors if f.node_labels and f.fits(pod.selects)]
    return max(fitting, key=lambda f: (len(f.node_labels), f.name)).name if fitting else ""
