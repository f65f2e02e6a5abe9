"""What can never run, however long it waits: it asks for more than quotas, or nodes at their most, ever give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.replay import UNLIMITED, Cluster, tables
from envs.words import counted
from envs.workloads import Ints

if TYPE_CHECKING:
    from envs.hosting import Hosted
    from envs.job_file import JobFile

Bools = NDArray[np.bool_]

ROUNDING = 1e-9
"""GPUs: parts of them, as .143 is of a seventh, add up to a whole one within it."""


class Unfit(NamedTuple):
    """Some that can never run for one reason."""

    queue: str
    service: str | None  # whose replicas they are; None: jobs
    jobs: int
    example: str  # the id of one
    gpus: float  # that it needs at least
    why: str

    @property
    def sentence(self) -> str:
        """3 jobs of nlp can never run, such as b (12 GPUs): its quota is 8 GPUs at most in any flavor."""
        whose = f"of {self.queue}" if self.service is None else f"of service {self.service}"
        who = f"{counted(self.jobs, 'job' if self.service is None else 'replica')} {whose}"
        return f"{who} can never run, such as {self.example} ({_gpus(self.gpus)}): {self.why}"


@dataclass(frozen=True, eq=False, slots=True)
class Room:
    """How many GPUs of one flavor one gang of a queue may ever have; Q queues, F flavors."""

    queues: tuple[str, ...]
    quota: Ints  # (Q, F) with all that others lend; -1: no share of it
    nodes: Ints  # (F,)
    strict: frozenset[str]

    @classmethod
    def of(cls, queues: tuple[str, ...], cluster: Cluster) -> Room:
        """Where as many nodes are there as the cluster tells."""
        rules, ledger = tables(queues, cluster)
        lent = rules.kept + ledger.free[rules.cohort]
        quota = np.full_like(lent, -1)
        for queue, order in enumerate(rules.order):
            mine = order[order >= 0]
            quota[queue, mine] = np.minimum(rules.most, lent)[queue, mine]
        return cls(queues, quota, ledger.idle, cluster.strict)

    @property
    def most(self) -> Ints:
        """(Q,) GPUs."""
        most: Ints = np.minimum(self.quota, self.nodes).max(axis=1, initial=0)
        return most

    def why(self, queue: int, gpus: float) -> str:
        """Of what there is too little."""
        quota, nodes = int(self.quota[queue].max(initial=0)), int(self.nodes[self.quota[queue] >= 0].max(initial=0))
        if nodes < gpus:
            reason = f"no flavor of its queue ever has more than {_gpus(nodes)}"
        elif quota < gpus:
            reason = f"quotas allow its queue no more than {_gpus(quota)} of any flavor, borrowed ones included"
        else:
            reason = (
                f"of no flavor are there both enough nodes and enough quota ({_gpus(int(self.most[queue]))} at most)"
            )
        behind = "; its queue is StrictFIFO, so all behind it wait too" if self.queues[queue] in self.strict else ""
        return f"{reason}{behind}"


def unfit(room: Room, file: JobFile, never: Bools, services: Sequence[Hosted] = ()) -> tuple[Unfit, ...]:
    """Of jobs in the room's queues that never started, (N,), those that never could: most of one kind first."""
    table = file.table
    too_large = never & (table.least_gpus > room.most[table.queue] + ROUNDING)
    found = []
    for hosted in services:
        mine = hosted.rows[too_large[hosted.rows]]
        too_large[mine] = False
        found += list(_alike(room, file, mine, hosted.asked.service.name))
    found += list(_alike(room, file, np.flatnonzero(too_large), None))
    return tuple(sorted(found, key=lambda each: -each.jobs))


def _alike(room: Room, file: JobFile, rows: Ints, service: str | None) -> Iterator[Unfit]:
    """By queue and reason; the first of the table stands for all."""
    queues, sizes = file.table.queue[rows], file.table.least_gpus[rows]
    kinds, firsts, counts = np.unique(np.column_stack([queues, sizes]), axis=0, return_index=True, return_counts=True)
    groups: dict[tuple[int, str], tuple[int, int]] = {}  # the first row, how many
    for nth in np.argsort(firsts, kind="stable").tolist():
        queue, gpus = int(kinds[nth, 0]), float(kinds[nth, 1])
        first, before = groups.get((queue, why := room.why(queue, gpus)), (int(firsts[nth]), 0))
        groups[queue, why] = (first, before + int(counts[nth]))
    for (queue, why), (first, many) in groups.items():
        example = rows[first]
        gpus = float(file.table.least_gpus[example])
        yield Unfit(room.queues[queue], service, many, str(file.ids[example]), gpus, why)


def _gpus(many: float) -> str:
    if many >= UNLIMITED:
        return "any number of GPUs"
    return counted(int(many), "GPU") if many == int(many) else f"{many:g} GPUs"
