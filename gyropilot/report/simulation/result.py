"""What a simulation came to, before anybody tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from envs.cargo import Egress
from envs.job_file import JobFile
from envs.served import Served
from envs.tally import Ran, Tally, tally
from envs.unfit import Unfit
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
    egress: Egress | None = None  # None: nowhere to send anything
    unfit: tuple[Unfit, ...] = ()  # who can never run
    aside: tuple[str, ...] = ()  # notes on what is beside the file of jobs

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader has to know."""
        return (*self.file.notes, *(each.sentence for each in self.unfit), *self.aside, *self._sent())

    def _sent(self) -> tuple[str, ...]:
        """What data cost, where any was sent."""
        if self.egress is None or not self.egress.gb:
            return ()
        return (f"{self.egress.gb:,.4g} GB were sent to other regions, for {self.egress.usd:,.2f} USD",)

    @property
    def tally(self) -> Tally:
        return tally(self.file.table, Ran.once(self.start_s, self.end_s, self.held), self.gpus)
