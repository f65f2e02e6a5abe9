"""The jobs that run or wait at the world's `now`, with names, pods and nodes: what every stand-in agrees on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from envs.workloads import KINDS
from gyropilot.demo.story import DemoPool
from gyropilot.demo.world import World
from gyropilot.domain import WorkloadKind

PODS_PER_NODE_GPUS = 8
"""A gang larger than this has several pods, each with a whole node."""

_WORDS = {
    WorkloadKind.TRAINING: ("pretrain", "train", "ablate", "distil"),
    WorkloadKind.FINE_TUNING: ("finetune", "segment", "adapt", "detect"),
    WorkloadKind.SWEEP: ("sweep",),
    WorkloadKind.BATCH: ("batch",),
    WorkloadKind.INFERENCE: ("replica",),
}
_UTILISATION = {
    WorkloadKind.TRAINING: 0.88,
    WorkloadKind.FINE_TUNING: 0.76,
    WorkloadKind.SWEEP: 0.62,
    WorkloadKind.BATCH: 0.7,
    WorkloadKind.INFERENCE: 0.54,
}


@dataclass(frozen=True, slots=True)
class Gang:
    """One job at `now`."""

    row: int  # in the world's table of jobs
    name: str
    queue: str  # its namespace too
    kind: WorkloadKind
    priority: int
    gpus: int
    submitted: datetime
    started: datetime | None  # None: waits
    last_checkpoint: datetime | None
    flavor: str  # empty: waits
    nodes: tuple[str, ...]  # one per pod; empty: waits

    @property
    def pods(self) -> int:
        return max(1, self.gpus // PODS_PER_NODE_GPUS)

    @property
    def gpus_per_pod(self) -> int:
        return self.gpus // self.pods

    @property
    def utilisation(self) -> float:
        """0..1 of its GPUs, as DCGM measures it now."""
        return _UTILISATION[self.kind] + 0.1 * (dice(self.name) - 0.5)

    def pod(self, index: int) -> str:
        return f"{self.name}-{index}-{digest(self.name, str(index))[:5]}"


def digest(*words: str) -> str:
    """Hexadecimal digits that are always the same for the same words."""
    return hashlib.sha256("/".join(words).encode()).hexdigest()


def dice(*words: str) -> float:
    """A number in [0, 1) that is always the same for the same words."""
    return int(digest(*words)[:8], 16) / 16**8


def node_name(pool: DemoPool, index: int) -> str:
    return f"{pool.name}-{index}"


def gangs(world: World) -> tuple[Gang, ...]:
    """All jobs that run or wait at `now`, running ones first, in order of their start."""
    places = _places(world)
    running, waiting = (rows(world.now_s) for rows in (world.replay.running_at, world.replay.waiting_at))
    return tuple(_gang(world, int(row), places.get(int(row), ())) for row in (*running, *waiting))


def ended(world: World, count: int) -> tuple[Gang, ...]:
    """The jobs that ran and ended last before `now`: their objects linger for a while."""
    end_s = world.replay.end_s
    rows = np.nonzero((end_s <= world.now_s) & np.isfinite(world.replay.start_s))[0]
    last = rows[np.argsort(end_s[rows], kind="stable")][-count:]
    return tuple(_gang(world, int(row), ()) for row in last)


def _gang(world: World, row: int, nodes: tuple[str, ...]) -> Gang:
    jobs, ran = world.replay.jobs, world.replay
    queue, kind = jobs.queues[jobs.queue[row]], KINDS[jobs.kind[row]]
    started = world.moment(ran.start_s[row]) if ran.start_s[row] <= world.now_s else None
    words = _WORDS[kind]
    return Gang(
        row=row,
        name=f"{words[row % len(words)]}-{digest(queue, str(row))[:5]}",
        queue=queue,
        kind=kind,
        priority=int(jobs.priority[row]),
        gpus=int(jobs.gpus[row]),
        submitted=world.moment(jobs.submit_s[row]),
        started=started,
        last_checkpoint=_last_checkpoint(world.now, started, float(jobs.checkpoint_s[row])),
        flavor=ran.flavors[ran.flavor[row]] if started else "",
        nodes=nodes,
    )


def _last_checkpoint(now: datetime, started: datetime | None, every_s: float) -> datetime | None:
    if started is None or not np.isfinite(every_s):
        return None
    saved = (now - started) // timedelta(seconds=every_s)
    return started + saved * timedelta(seconds=every_s) if saved else None


def _places(world: World) -> dict[int, tuple[str, ...]]:
    """The nodes of each running job's pods, by row: the largest pods first, each on the fullest node that fits it."""
    jobs, ran = world.replay.jobs, world.replay
    running = world.replay.running_at(world.now_s)
    places: dict[int, tuple[str, ...]] = {}
    for flavor, name in enumerate(ran.flavors):
        pool = world.pool(name)
        free = {node_name(pool, i): pool.gpus_per_node for i in range(pool.nodes)}
        rows = [int(row) for row in running if ran.flavor[row] == flavor]
        for row in sorted(rows, key=lambda row: -int(jobs.gpus[row])):
            places[row] = tuple(_take(free, size) for size in _pod_sizes(int(jobs.gpus[row])))
    return places


def _pod_sizes(gpus: int) -> Iterable[int]:
    pods = max(1, gpus // PODS_PER_NODE_GPUS)
    return [gpus // pods] * pods


def _take(free: dict[str, int], gpus: int) -> str:
    # Sizes are powers of two, so placing the largest first never leaves a node that is free only in parts.
    node = min((name for name, left in free.items() if left >= gpus), key=lambda name: (free[name], name))
    free[node] -= gpus
    return node


def pods_of(gang: Gang) -> Iterator[tuple[str, str]]:
    """Each pod of a running gang, and its node."""
    return ((gang.pod(index), node) for index, node in enumerate(gang.nodes))
