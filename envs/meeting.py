"""What the cluster of a scenario meets: jobs of a file, as faults make more or fewer of them, and its services."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from envs.faults import crowded_file
from envs.hosting import Hosted, crowded_loads, hosted, nobody
from envs.job_file import JobFile
from envs.scenario import Scenario, refuse_unknown, with_all_queues
from envs.workloads import parts_of
from gyropilot.errors import SettingsError


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
