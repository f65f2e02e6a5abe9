"""A plain fixed cluster: equal nodes, strict first come first served. The world in which any two simulators must agree.

A job waits for all who came before it, even where it would fit (the head blocks), starts as soon as all of its GPUs
are free, and runs to its end. One of up to a node's GPUs goes to the fullest node that still fits it; a larger gang
goes to empty nodes, and what it leaves free on the last of them others may use; of equal nodes the first is taken.
Whoever ends at a moment makes room for who starts at it. Of jobs submitted at once the first in the table goes first.
Elastic jobs run on all GPUs that they ask for, never on fewer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envs.words import counted
from envs.workloads import Floats, Ints, JobTable, in_parts
from gyropilot.errors import SettingsError


@dataclass(frozen=True, slots=True)
class FixedCluster:
    """So many equal nodes."""

    nodes: int
    gpus_per_node: int

    def __post_init__(self) -> None:
        if self.nodes < 1 or self.gpus_per_node < 1:
            raise SettingsError(
                f"{self.nodes} nodes with {self.gpus_per_node} GPUs each are no cluster; give at least one of both"
            )

    @property
    def gpus(self) -> int:
        return self.nodes * self.gpus_per_node


@dataclass(frozen=True, eq=False, slots=True)
class Runs:
    """When and where each job of a table ran."""

    jobs: JobTable
    start_s: Floats  # (N,)
    end_s: Floats  # (N,)
    first: Ints  # (N + 1,) where the nodes of each job begin
    node: Ints  # (P,) counted from 0

    @property
    def wait_s(self) -> Floats:
        waited: Floats = self.start_s - self.jobs.submit_s
        return waited

    def nodes(self, job: int) -> Ints:
        """Of one job: each gave all of its GPUs, but the last what was left to give."""
        return self.node[self.first[job] : self.first[job + 1]]


def replay(jobs: JobTable, cluster: FixedCluster) -> Runs:
    """What becomes of `jobs`, which lie in order of submission. Raises SettingsError where one could never run."""
    from envs.compiled import fifo

    gpus, parts = in_parts(jobs.gpus)  # parts of a GPU are packed onto nodes as GPUs are
    too_large = np.flatnonzero(jobs.gpus > cluster.gpus)
    if len(too_large):
        need = f"{counted(len(too_large), 'job')} {'needs' if len(too_large) == 1 else 'need'}"
        raise SettingsError(
            f"{need} more than the cluster's {cluster.gpus} GPUs, the largest {jobs.gpus.max():g}: they would block "
            "all others for ever; give more nodes, or leave those jobs out"
        )
    if np.isfinite(jobs.leaves_s).any():
        raise SettingsError(
            "some jobs leave before they are done (leaves_s), and here the head of the line waits for ever; "
            "give --scenario, or leave out the column"
        )
    per_node = cluster.gpus_per_node * parts
    first = np.concatenate([[0], np.cumsum(-(-gpus // per_node))])
    start_s, node = np.zeros(len(jobs)), np.zeros(first[-1], dtype=np.int64)
    shape = (cluster.nodes, per_node)
    fifo.replay(jobs.submit_s, jobs.duration_s, gpus, first, shape, start_s, node)
    return Runs(jobs, start_s, start_s + jobs.duration_s, first, node)
