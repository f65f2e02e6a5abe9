"""Inference services: a load, and replicas that an autoscaler wants for it, as jobs of a queue.

The autoscaler is Kubernetes' HorizontalPodAutoscaler on what each replica is asked for (kubernetes.io, "Horizontal Pod
Autoscaling": algorithm details, and stabilization window):

- `ceil(load / (capacity of a replica x target utilisation))` replicas are wanted, between the least and the most.
- Nothing changes while the ratio of load to what the wanted replicas should bear is within the tolerance of 1.
- It grows at once, and shrinks to the largest number wanted within the stabilization window.

It looks every 15 seconds, sees the load alone and not who waits, and knows nothing of replicas that are wanted and
do not run: those wait in their queue as all jobs do, and Kueue's rules and the pilots decide when they start.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from envs.loads import Load, MadeLoad
from envs.workloads import KINDS, OUTLASTS, Floats, Ints, JobTable, stretches
from gyropilot.domain import WorkloadKind

LOOKS_S = 15.0
"""From one look of the autoscaler to the next, as Kubernetes has it; where steps are shorter, it looks at each."""

LOSES_S = 1.0
"""Of work that a replica loses when it has to stop: requests are short, and only starting again costs."""


@dataclass(frozen=True, slots=True)
class Service:
    """What answers requests: equal replicas, and how many of them are wanted."""

    name: str
    queue: str
    capacity_per_s: float  # requests, or tokens, of one replica that is never idle
    concurrency: int = 1  # requests that a replica answers at once
    tokens_per_request: float | None = None  # on average; None: the load is of requests
    gpus_per_replica: float = 1  # whole ones, or a part of one
    min_replicas: int = 1
    max_replicas: int = 100
    target_utilisation: float = 0.7  # of capacity
    tolerance: float = 0.1
    stabilisation_s: float = 300.0
    warm_up_s: float = 0.0  # from a replica's start until it answers; those that begin with the load are warm
    target_s: float = 1.0  # to answer a request within
    target_share: float = 0.95  # of requests
    priority: int = 1_000

    @property
    def unit(self) -> str:
        """What its load counts."""
        return "requests" if self.tokens_per_request is None else "tokens"

    @property
    def per_request(self) -> float:
        """Of the load's unit."""
        return self.tokens_per_request or 1.0

    @property
    def service_s(self) -> float:
        """A request takes, on average, once a replica begins with it."""
        return self.concurrency * self.per_request / self.capacity_per_s


@dataclass(frozen=True, eq=False, slots=True)
class Wanted:
    """How many replicas the autoscaler wants, from look to look."""

    step_s: float
    replicas: Ints  # (T,)

    @property
    def end_s(self) -> float:
        return self.step_s * len(self.replicas)

    @property
    def changes(self) -> tuple[Floats, Ints]:
        """(C,) moments at which another number is wanted, the beginning included, and that number."""
        rows = np.flatnonzero(np.diff(self.replicas, prepend=-1))
        at_s: Floats = self.step_s * rows.astype(np.float64)
        return at_s, self.replicas[rows]

    @property
    def mean(self) -> float:
        return float(self.replicas.mean())

    @property
    def peak(self) -> int:
        return int(self.replicas.max())


def wanted(service: Service, load: Load) -> Wanted:
    """By the HPA's rule. The first look finds as many as it wants."""
    looks = max(1, ceil(load.step_s / LOOKS_S - 1e-9))
    step_s = load.step_s / looks
    per_s = np.repeat(load.per_s, looks)
    bears = service.capacity_per_s * service.target_utilisation  # a replica, in the end
    raw = np.ceil(per_s / bears - 1e-9)
    steady = _Steady(max(1, round(service.stabilisation_s / step_s)))
    now, seen = min(max(int(raw[0]), service.min_replicas), service.max_replicas), []
    for share, few in zip((per_s / bears).tolist(), raw.astype(np.int64).tolist(), strict=True):
        alike = now > 0 and abs(share / now - 1.0) <= service.tolerance
        now = steady(now, now if alike else few)
        now = min(max(now, service.min_replicas), service.max_replicas)
        seen.append(now)
    return Wanted(step_s, np.array(seen, dtype=np.int64))


class _Steady:
    """Growth at once; shrinking to the largest of the last so many looks."""

    def __init__(self, looks: int) -> None:
        self._looks, self._nth = looks, 0
        self._largest: deque[tuple[int, int]] = deque()  # falling, each with the look that wanted it

    def __call__(self, now: int, few: int) -> int:
        while self._largest and self._largest[-1][1] <= few:
            self._largest.pop()
        self._largest.append((self._nth, few))
        if self._largest[0][0] <= self._nth - self._looks:
            self._largest.popleft()
        self._nth += 1
        return few if few > now else min(now, self._largest[0][1])


@dataclass(frozen=True, slots=True)
class ServiceQueue:
    """A queue of a service's replicas for a load that is made up; a source of jobs, as `envs.workloads` takes it."""

    service: Service
    load: MadeLoad

    @property
    def queue(self) -> str:
        return self.service.queue

    def jobs(self, queues: tuple[str, ...], days: float, rng: np.random.Generator, began_s: float) -> JobTable:
        """Of some days, whatever the load's own are."""
        load = replace(self.load, days=days).drawn(rng, began_s)
        return replicas(self.service, wanted(self.service, load), queues)


def replicas(service: Service, found: Wanted, queues: tuple[str, ...]) -> JobTable:
    """One job for each stretch of time for which a replica is wanted, there or not; the newest replica goes first."""
    at_s, levels = found.changes
    begins, ends = stretches(levels)
    order = np.argsort(begins, kind="stable")
    begin_s, end_s = (np.append(at_s, found.end_s)[steps[order]] for steps in (begins, ends))
    stay_s = end_s - begin_s
    count, gpus = len(order), service.gpus_per_replica
    return JobTable(
        queues=queues,
        queue=np.full(count, queues.index(service.queue)),
        submit_s=begin_s,
        duration_s=OUTLASTS * stay_s,
        gpus=np.full(count, int(gpus) if gpus == int(gpus) else gpus),
        priority=np.full(count, service.priority),
        kind=np.full(count, KINDS.index(WorkloadKind.INFERENCE)),
        user=np.zeros(count, np.int64),
        checkpoint_s=np.full(count, LOSES_S),
        leaves_s=stay_s,
    )
