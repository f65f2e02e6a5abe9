"""Services on a cluster: their replicas among its jobs, and what became of their requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from envs.faults import Demand, Fault
from envs.job_file import JobFile
from envs.loads import Load
from envs.replay import Spells
from envs.served import Served, served
from envs.services import Service, Wanted, replicas, wanted
from envs.workloads import Floats, Ints, JobTable


@dataclass(frozen=True, eq=False, slots=True)
class Asked:
    """A service and its load, which begins some time after the world."""

    service: Service
    load: Load
    at_s: float = 0.0


@dataclass(frozen=True, eq=False, slots=True)
class Hosted:
    """A service whose replicas are among the jobs."""

    asked: Asked
    wanted: Wanted
    rows: Ints  # of its replicas in the table of jobs
    until_s: Floats  # (N,) since its load began, when each of them is no longer wanted
    began_s: float  # its load, by the clock of the table

    def served(self, spells: Spells, began_s: float = 0.0) -> Served:
        """By what ran of it, in a world that began at `began_s` of the spells' clock."""
        mine = np.isin(spells.job, self.rows)
        until_s = self.until_s[np.searchsorted(self.rows, spells.job[mine])]
        zero_s = began_s + self.asked.at_s
        ran_s = spells.start_s[mine] - zero_s, np.minimum(spells.end_s[mine] - zero_s, until_s)
        return replace(served(self.asked.service, self.asked.load, self.wanted, ran_s), began_s=self.began_s)


def hosted(
    file: JobFile, asked: Sequence[Asked], began_s: float, queues: tuple[str, ...]
) -> tuple[JobFile, tuple[Hosted, ...]]:
    """The jobs of a file, which are of these queues, with the replicas of services among them.

    A replica is called after its service, with a number. The world begins at `began_s` of the file's clock.
    """
    found = [wanted(each.service, each.load) for each in asked]
    tables = [replicas(each.service, want, queues) for each, want in zip(asked, found, strict=True)]
    later = [
        replace(table, submit_s=began_s + each.at_s + table.submit_s) for each, table in zip(asked, tables, strict=True)
    ]
    ids = np.concatenate([file.ids, *(_names(each.service, len(t)) for each, t in zip(asked, tables, strict=True))])
    order = np.argsort(np.concatenate([t.submit_s for t in (file.table, *later)]), kind="stable")
    whose = np.repeat(np.arange(len(later) + 1), [len(t) for t in (file.table, *later)])[order]
    services = tuple(
        Hosted(each, want, np.flatnonzero(whose == nth), table.submit_s + table.leaves_s, began_s + each.at_s)
        for nth, (each, want, table) in enumerate(zip(asked, found, tables, strict=True), 1)
    )
    return JobFile(JobTable.join([file.table, *later]), ids[order], file.notes), services


def nobody(queues: tuple[str, ...]) -> JobFile:
    """No jobs at all."""
    none, nothing = np.zeros(0), np.zeros(0, dtype=np.int64)
    table = JobTable(queues, nothing, none, none, nothing, nothing, nothing, nothing, none)
    return JobFile(table, np.zeros(0, dtype=np.str_), ())


def crowded_loads(faults: Sequence[Fault], asked: Sequence[Asked]) -> tuple[Asked, ...]:
    """Services of which a burst, or a shift of demand, asks so many times as much; that of jobs is `faults.crowded`."""
    changed = list(asked)
    for fault in faults:
        if isinstance(fault, Demand):
            for nth, each in enumerate(changed):
                if fault.queue in {None, each.service.queue}:
                    load = each.load.times(fault.times, fault.at_s - each.at_s, fault.lasts_s)
                    changed[nth] = replace(each, load=load)
    return tuple(changed)


def _names(service: Service, count: int) -> NDArray[np.str_]:
    return np.array([f"{service.name}/{nth}" for nth in range(1, count + 1)], dtype=np.str_)
