"""A cluster with queues and quotas as a file: what `gyropilot simulate --scenario` replays jobs on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Discriminator, Field, Tag, ValidationError, model_validator

from envs import scenario_faults, scenario_pools, scenario_prices, scenario_queues, scenario_services
from envs.faults import Fault
from envs.job_file import ONLY_QUEUE
from envs.replay import FAIR, RESTART_S, Cluster, FairRule
from envs.scenario_faults import AnyFault
from envs.scenario_part import MOST, Part
from envs.scenario_pools import PoolPart, terms_of
from envs.scenario_prices import PricesPart
from envs.scenario_queues import QueuePart
from envs.scenario_services import FileLoad, ServicePart
from envs.scenario_text import GPUS, POOL, RULES, WHETHER, document, sentences
from envs.terms import PoolTerms, Prices
from envs.words import counted
from envs.workloads import DAY_S, JobTable
from envs.world import CHECKPOINT_WRITE_S, World
from gyropilot.errors import SettingsError

SAMPLE = (
    scenario_pools.SAMPLE
    + scenario_prices.SAMPLE
    + """\
# What a job needs to write a checkpoint, if it writes any; it does so where that much notice is given.
# checkpoint_write_s: 60
# For which a job halts at each checkpoint (its checkpoint_s); 0, unless told: durations have that in them already.
# checkpoint_halt_s: 20
# Work that a job that was stopped does again, beside what it lost, unless it tells its own restart_s.
# restart_s: 300

# Whether Kueue shares fairly: heads of queues that borrow least come first. Or one of its rules for whom that stops:
# [less_than_or_equal_to_final_share], [less_than_initial_share].
fair_sharing: false

"""
    + scenario_faults.SAMPLE
    + scenario_queues.SAMPLE
    + scenario_services.SAMPLE
)


def _shape(told: object) -> str:
    return POOL if isinstance(told, dict | PoolPart) else GPUS


def _fairness(told: object) -> str:
    return RULES if isinstance(told, list | tuple) else WHETHER


_Flavor = Annotated[Annotated[int, Field(le=MOST), Tag(GPUS)] | Annotated[PoolPart, Tag(POOL)], Discriminator(_shape)]
_Fair = Annotated[Annotated[bool, Tag(WHETHER)] | Annotated[tuple[FairRule, ...], Tag(RULES)], Discriminator(_fairness)]


class Scenario(Part):
    """Flavors, and queues with shares of them."""

    flavors: dict[str, _Flavor] = Field(min_length=1)
    queues: dict[str, QueuePart] = Field(min_length=1)
    prices: PricesPart = PricesPart()
    checkpoint_write_s: float = Field(default=CHECKPOINT_WRITE_S, ge=0)
    checkpoint_halt_s: float = Field(default=0.0, ge=0, le=DAY_S)
    restart_s: float = Field(default=RESTART_S, ge=0, le=DAY_S)
    fair_sharing: _Fair = False
    faults: tuple[AnyFault, ...] = ()
    services: tuple[ServicePart, ...] = ()

    @model_validator(mode="after")
    def _no_fewer_than_none(self) -> Scenario:
        for name, told in self.flavors.items():
            if isinstance(told, int) and told < 0:
                raise ValueError(f"flavors.{name} has {told} GPUs; give zero or more")
        return self

    def gpus_per_node(self, flavor: str) -> int | None:
        """None where a flavor is so many GPUs, on whatever nodes."""
        told = self.flavors[flavor]
        return told.gpus_per_node if isinstance(told, PoolPart) else None

    def load_files(self, folder: Path) -> dict[str, Path]:
        """Files from which services have their loads, beside those in `folder`, and pools their losses."""
        loads = {
            f"the load of service {service.name}": folder / service.load.file
            for service in self.services
            if isinstance(service.load, FileLoad)
        }
        pools = {name: told for name, told in self.flavors.items() if isinstance(told, PoolPart)}
        recorded = {name: told.interruptions for name, told in pools.items() if told.interruptions is not None}
        hours = {f"{what} of {name}": file for name, told in pools.items() for what, file in told.hourly.files.items()}
        return {**loads, **hours, **{f"the interruptions of {name}": told.file for name, told in recorded.items()}}

    @property
    def surprises(self) -> tuple[Fault, ...]:
        """What `envs.faults` takes."""
        return tuple(told.fault for told in self.faults)

    @property
    def gpus(self) -> int:
        """On nodes when it begins, of all flavors."""
        return sum(pool.nodes * pool.gpus_per_node for pool in self.pools)

    @cached_property
    def pools(self) -> tuple[PoolTerms, ...]:
        """What `envs.world` takes. GPUs of which nothing is told are reserved, and stay."""
        return tuple(terms_of(name, told) for name, told in self.flavors.items())

    @property
    def world(self) -> World:
        cluster = self.cluster
        return World(
            self.pools,
            cluster.shares,
            cluster.cohorts,
            cluster.strict,
            preemption=cluster.preemption,
            fair_sharing=cluster.fair_sharing,
            weights=cluster.weights,
            restart_s=self.restart_s,
            checkpoint_write_s=self.checkpoint_write_s,
            homes={name: queue.region for name, queue in self.queues.items() if queue.region},
        )

    @property
    def paid(self) -> Prices:
        own = {
            name: queue.waiting_usd_per_gpu_hour
            for name, queue in self.queues.items()
            if queue.waiting_usd_per_gpu_hour is not None
        }
        return Prices(**self.prices.model_dump(), queue_waiting_usd_per_gpu_hour=own)

    @property
    def at_most(self) -> Cluster:
        """The same with all nodes that a pilot may ask for."""
        return replace(self.cluster, installed={pool.name: pool.max_gpus for pool in self.pools})

    @property
    def cluster(self) -> Cluster:
        """What `envs.replay` takes."""
        shares = {name: queue.shares_of_flavors for name, queue in self.queues.items()}
        cohorts = {name: queue.cohort for name, queue in self.queues.items() if queue.cohort}
        strict = frozenset(name for name, queue in self.queues.items() if queue.strategy == "StrictFIFO")
        installed = {pool.name: pool.nodes * pool.gpus_per_node for pool in self.pools}
        preemption = {name: queue.preemption.rule for name, queue in self.queues.items()}
        rules = FAIR if self.fair_sharing is True else self.fair_sharing or ()
        weights = {name: queue.weight for name, queue in self.queues.items()}
        return Cluster(
            shares,
            cohorts,
            installed,
            strict,
            preemption=preemption,
            fair_sharing=rules,
            weights=weights,
            restart_s=self.restart_s,
            speed={pool.name: pool.speed for pool in self.pools},
        )


def read_scenario(path: Path) -> Scenario:
    """The scenario in a file. Raises SettingsError naming each field that is not what it should be."""
    try:
        found = Scenario.model_validate(document(path) or {}, context={"folder": path.parent})
    except ValidationError as problem:
        raise SettingsError(f"{path} is no scenario:\n" + "\n".join(sentences(problem, Scenario))) from problem
    _refuse_strange(path, found)
    return found


def refuse_unknown(scenario: Scenario, queues: Sequence[str]) -> None:
    """Raises SettingsError where jobs name queues that the scenario does not have: they would wait for ever."""
    unknown = sorted(set(queues) - set(scenario.queues))
    if unknown:
        some = ", ".join(unknown[:5]) + (", ..." if len(unknown) > 5 else "")
        if unknown == [ONLY_QUEUE]:
            raise SettingsError(
                f"jobs of which no queue is told are in one called {ONLY_QUEUE}, which the scenario lacks; give the "
                f"table of jobs a column queue with names from {', '.join(scenario.queues)}, or the scenario a queue "
                f"{ONLY_QUEUE}"
            )
        them = "it" if len(unknown) == 1 else "them"
        raise SettingsError(
            f"jobs name {counted(len(unknown), 'queue')} that the scenario lacks ({some}); add {them}, leave those "
            "jobs out, or begin with `gyropilot scenario sample --jobs FILE`"
        )


def refuse_unsteered(scenario: Scenario) -> None:
    """Raises SettingsError where something happens that only a run under a pilot tells: a replay has one start a job.

    Faults, nodes that are lost as recorded or by failing, and jobs that stop others.
    """
    if scenario.faults:
        raise SettingsError("faults of this scenario happen to whoever steers it; add --pilot hold, or leave them out")
    failing = [pool.name for pool in scenario.pools if pool.interruptions or pool.mean_time_between_failures_h]
    if failing:
        raise SettingsError(
            f"nodes of {failing[0]} are lost to whoever steers it, as recorded or by failing; add --pilot hold, or "
            "leave interruptions and mean_time_between_failures_h out"
        )
    if scenario.cluster.contested:
        raise SettingsError(
            "jobs of this scenario may stop others, or share fairly; add --pilot hold, which tells what is lost by it"
        )


def refuse_changes(scenario: Scenario, who: str) -> None:
    """Raises SettingsError where something happens at a moment of its own, and `who` begins at many."""
    told = {
        "faults": scenario.faults,
        "services": scenario.services,
        "prices by the hour": any(pool.hourly for pool in scenario.pools),
        "recorded interruptions": any(pool.interruptions for pool in scenario.pools),
    }
    what = next((what for what, there in told.items() if there), None)
    if what is not None:
        raise SettingsError(f"{who} cuts jobs into days that begin anew, so {what} have no moment; leave them out")


def with_all_queues(scenario: Scenario, jobs: JobTable) -> JobTable:
    """The same jobs in the scenario's queues: those without jobs lend their quotas too."""
    queues = tuple(scenario.queues)
    return replace(jobs, queues=queues, queue=np.array([queues.index(name) for name in jobs.queues])[jobs.queue])


def _refuse_strange(path: Path, found: Scenario) -> None:
    try:
        _ = found.cluster
    except SettingsError as problem:
        raise SettingsError(f"{path}: {problem}") from problem
    scenario_queues.refuse_strange(path, found.queues, found.flavors, weights_count=bool(found.fair_sharing))
    scenario_pools.refuse_strange(path, found.flavors, found.pools)
    scenario_prices.refuse_strange(path, found.prices, found.world)
    scenario_faults.refuse_strange(path, found.faults, found.flavors, found.queues)
    scenario_services.refuse_strange(path, found.services, tuple(found.queues))
