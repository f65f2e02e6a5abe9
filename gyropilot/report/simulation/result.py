"""What a simulation came to, before anybody tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from envs.job_file import JobFile
from envs.served import Served
from envs.tally import Ran, Tally, tally
from envs.workloads import Amounts, Floats


@dataclass(frozen=True, eq=False, slots=True)
class Simulation:
    """What became of the jobs of a file, none of which was stopped."""

    world: str  # on what, in words
    facts: Mapping[str, object]  # the same for programs
    gpus: int
    file: JobFile
    start_s: Floats  # (N,) inf: never
    end_s: Floats  # (N,) inf: never
    held: Amounts  # (N,) GPUs with which each ran; 0: never
    where: Mapping[str, Any]  # (N,) by name of the column: nodes, or the flavor
    services: tuple[Served, ...] = ()

    @property
    def tally(self) -> Tally:
        return tally(self.file.table, Ran.once(self.start_s, self.end_s, self.held), self.gpus)
