"""What the cluster of a scenario meets: jobs of a file, as faults make more or fewer of them, and its services."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from envs.checkpoints import with_halts
from envs.faults import crowded_file
from envs.hosting import Hosted, crowded_loads, hosted, nobody
from envs.job_file import JobFile
from envs.scenario import Scenario, refuse_unknown, with_all_queues
from envs.workloads import DAY_S, JobTable, parts_of
from gyropilot.errors import SettingsError

LONGEST_DAYS = 3_653.0
"""That anybody steers a world: what is longer is a slip, such as one job by another clock."""


@dataclass(frozen=True, eq=False, slots=True)
class Met:
    """Jobs, some of which are replicas of services."""

    file: JobFile
    services: tuple[Hosted, ...]
    began_s: float  # at which moment of the file the world begins


def met(scenario: Scenario, folder: Path, file: JobFile | None, rng: np.random.Generator) -> Met:
    """With loads from files beside those in `folder`. Raises SettingsError where there is nothing to run."""
    if file is None and not scenario.services:
        raise SettingsError("nothing is there to run; give --jobs FILE, or a scenario that has services")
    jobs = file or nobody(tuple(scenario.queues))
    jobs = replace(jobs, table=with_halts(jobs.table, scenario.checkpoint_halt_s))
    refuse_unknown(scenario, jobs.table.queues)
    submits_s, step_s = jobs.table.submit_s, scenario.world.step_s
    began_s = float(submits_s.min() // step_s * step_s) if len(submits_s) else 0.0
    crowded = crowded_file(scenario.surprises, jobs, began_s, rng)
    if not scenario.services:
        return Met(crowded, (), began_s)
    asked = crowded_loads(scenario.surprises, [service.asked(folder) for service in scenario.services])
    ours = replace(crowded, table=with_all_queues(scenario, crowded.table))
    together, services = hosted(ours, asked, began_s, tuple(scenario.queues))
    if not len(together.table):
        raise SettingsError("no service of the scenario wants any replica; give min_replicas, or a load that is not 0")
    if parts_of(together.table.gpus) is None:
        raise SettingsError(
            "gpus_per_replica of services and gpus of jobs are together no multiples of a hundredth or larger part; "
            "round them to hundredths"
        )
    return Met(together, services, began_s)


def refuse_ages(jobs: JobTable, ids: NDArray[np.str_]) -> None:
    """Raises SettingsError where steps would never end; jobs come in seconds since the world began."""
    ends_s = jobs.submit_s + jobs.stays_s
    last = int(ends_s.argmax())
    if ends_s[last] > LONGEST_DAYS * DAY_S:
        raise SettingsError(
            f"job {ids[last]} comes, or ends, {ends_s[last] / DAY_S:,.0f} days after the first, {ids[0]}, comes; "
            "pilots look every five minutes, for ten years at most: mend or leave out the one that is by another clock"
        )
