"""Services as a scenario tells them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Discriminator, Field, Tag, model_validator

from envs.hosting import Asked
from envs.loads import Load, MadeLoad, read_load, read_log
from envs.scenario_part import PRIORITIES, Part
from envs.scenario_text import FILE, MADE
from envs.services import Service
from envs.terms import HOUR_S
from envs.workloads import Rhythm
from gyropilot.errors import SettingsError

SAMPLE = """
# Services: replicas, which are jobs of a queue, as many as an autoscaler wants for a load (the HPA's rule).
# services:
#   - name: chat
#     queue: production
#     load: {file: requests.parquet, column: rate_rps, series: m-large}  # beside this file
#     # load: {file: log.csv, bin_s: 60, from_h: 24, days: 7}  # or a log of requests, and a part of it
#     # load: {per_s: 40, days: 7, peak_hour: 14, swing: 0.5, bursts_per_day: 2, burst_times: 3}  # or made up; also
#     #   weekend_share (0.8), noise (0.06), burst_s (600), seed (1), and of any load at_h (0) and times (1)
#     unit: requests             # or tokens, with tokens_per_request
#     capacity_per_s: 2.5        # of one replica that is never idle; or service_s, that a request takes on average
#     concurrency: 32            # requests that a replica answers at once
#     gpus_per_replica: 1        # or a part of one
#     min_replicas: 2
#     max_replicas: 24
#     target_utilisation: 0.7    # of capacity; within tolerance (0.1) of it nothing changes
#     stabilisation_s: 300       # it shrinks to what was wanted most within it, and grows at once
#     warm_up_s: 90              # from a replica's start until it answers
#     target_s: 20               # to answer a request within
#     target_share: 0.95         # of requests
#     priority: 1000
"""


class _AnyLoad(Part):
    at_h: float = Field(default=0.0, ge=0)
    times: float = Field(default=1.0, gt=0, le=1e6)


class FileLoad(_AnyLoad):
    """`envs.loads.read_load`; hours are since the first step."""

    file: Path
    column: str | None = None
    series: str | None = None
    bin_s: float | None = Field(default=None, gt=0)
    from_h: float = Field(default=0.0, ge=0)
    days: float | None = Field(default=None, gt=0)

    def drawn(self, folder: Path) -> Load:
        """From the file, beside those in `folder`."""
        path = folder / self.file
        if self.bin_s is None:
            load = read_load(path, self.column, self.series)
        else:
            load = read_log(path, self.bin_s, self.column, self.series)
        lasts_s = np.inf if self.days is None else self.days * 24 * HOUR_S
        cut = load.cut(self.from_h * HOUR_S, lasts_s)
        if not len(cut.per_s):
            raise SettingsError(
                f"{path} holds {load.end_s / HOUR_S:g} hours; give a load.from_h that is less, or a larger load.days"
            )
        return cut


class NewLoad(_AnyLoad):
    """`envs.loads.MadeLoad`."""

    per_s: float = Field(ge=0, le=1e12)
    days: float = Field(default=7.0, gt=0, le=366)
    peak_hour: float = Field(default=14.0, ge=0, lt=24)
    swing: float = Field(default=0.5, ge=0, le=1)
    weekend_share: float = Field(default=0.8, ge=0)
    noise: float = Field(default=0.06, ge=0, le=1)
    bursts_per_day: float = Field(default=0.0, ge=0, le=1_440)
    burst_times: float = Field(default=2.0, ge=0)
    burst_s: float = Field(default=600.0, gt=0)
    seed: int = Field(default=1, ge=0)

    def drawn(self, _: Path) -> Load:
        """The same seed draws the same."""
        rhythm = Rhythm(self.peak_hour, self.swing, self.weekend_share)
        bursts = self.bursts_per_day, self.burst_times, self.burst_s
        return MadeLoad(self.per_s, self.days, rhythm, self.noise, *bursts).drawn(np.random.default_rng(self.seed))


def _which(told: object) -> str:
    return FILE if isinstance(told, FileLoad) or (isinstance(told, dict) and "file" in told) else MADE


_EitherLoad = Annotated[
    Annotated[FileLoad, Tag(FILE)] | Annotated[NewLoad, Tag(MADE)],
    Discriminator(_which),
]


class ServicePart(Part):
    """`envs.services.Service` and its load."""

    name: str = Field(min_length=1)
    queue: str
    load: _EitherLoad
    unit: Literal["requests", "tokens"] = "requests"
    tokens_per_request: float | None = Field(default=None, gt=0)
    capacity_per_s: float | None = Field(default=None, gt=0)
    service_s: float | None = Field(default=None, gt=0)
    concurrency: int = Field(default=1, ge=1, le=10_000)
    gpus_per_replica: float = Field(default=1, gt=0, le=10_000)
    min_replicas: int = Field(default=1, ge=0)
    max_replicas: int = Field(default=100, ge=1, le=10_000)
    target_utilisation: float = Field(default=0.7, gt=0, le=1)
    tolerance: float = Field(default=0.1, ge=0, lt=1)
    stabilisation_s: float = Field(default=300.0, ge=0, le=86_400)
    warm_up_s: float = Field(default=0.0, ge=0)
    target_s: float = Field(default=1.0, gt=0)
    target_share: float = Field(default=0.95, gt=0, le=1)
    priority: int = Field(default=1_000, ge=-PRIORITIES, le=PRIORITIES)

    @model_validator(mode="after")
    def _told_once(self) -> ServicePart:
        if (self.capacity_per_s is None) == (self.service_s is None):
            raise ValueError("give either capacity_per_s or service_s: one follows from the other and concurrency")
        if (self.unit == "tokens") != (self.tokens_per_request is not None):
            raise ValueError("tokens_per_request belongs to unit: tokens; give both or neither")
        if self.min_replicas > self.max_replicas:
            raise ValueError("min_replicas is more than max_replicas; change one")
        return self

    @property
    def service(self) -> Service:
        told = self.model_dump(exclude={"load", "unit", "service_s", "capacity_per_s"})
        return Service(capacity_per_s=self._capacity_per_s, **told)

    @property
    def _capacity_per_s(self) -> float:
        if self.capacity_per_s is not None:
            return self.capacity_per_s
        return self.concurrency * (self.tokens_per_request or 1.0) / (self.service_s or 1.0)

    def asked(self, folder: Path) -> Asked:
        """With its load, from a file beside those in `folder` or made up."""
        load = self.load.drawn(folder)
        return Asked(self.service, load.times(self.load.times), self.load.at_h * HOUR_S)


def refuse_strange(path: Path, services: Sequence[ServicePart], queues: Sequence[str]) -> None:
    """Raises SettingsError where a service is in no queue, or called as another."""
    names = [service.name for service in services]
    for nth, service in enumerate(services):
        if service.queue not in queues:
            raise SettingsError(f"{path}: services.{nth}.queue is {service.queue}; there are {', '.join(queues)}")
        if names.index(service.name) != nth:
            raise SettingsError(f"{path}: services.{nth}.name is {service.name}, as another's; give each its own")
