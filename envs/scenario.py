"""A cluster with queues and quotas as a file: what `gyropilot simulate --scenario` replays jobs on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from envs.faults import Bias, Blind, Demand, Fault, Outage, Stuck
from envs.job_file import ONLY_QUEUE
from envs.replay import FAIR, Borrow, Cluster, FairRule, Preemption, Reclaim, Share, Within
from envs.scenario_pools import MOST, Amount, Count, PoolPart, terms_of
from envs.scenario_pools import refuse_strange as refuse_strange_pools
from envs.scenario_services import PRIORITIES, FileLoad, ServicePart, refuse_strange
from envs.scenario_services import SAMPLE as SERVICES_SAMPLE
from envs.scenario_text import BY_WAY, GPUS, ONE_PRICE, POOL, RULES, WHETHER, document, sentences
from envs.terms import HOUR_S, PoolTerms, Prices
from envs.words import counted
from envs.workloads import JobTable
from envs.world import CHECKPOINT_WRITE_S, World
from gyropilot.errors import SettingsError

SAMPLE = (
    """\
# What is there, by flavor: GPUs that stay as they are, or nodes that a pilot may ask for and give back. How nodes are
# fragmented is not looked at.
flavors:
  h100: 64
  a100:
    nodes: 4                     # there when it begins
    max_nodes: 12
    min_nodes: 0                 # that nobody may give back
    gpus_per_node: 8
    market: on-demand            # or reserved, or spot
    price_usd_per_gpu_hour: 2.5  # while a node is there
    lead_s: 600                  # from asking for a node until its GPUs can be used
    # lead_sigma: 0.3            # how unsure that is: of its logarithm; 0, unless told
    # billed_at_least_s: 3600    # what a node is paid for at least, however soon it is given back
    # interruptions_per_day: 1   # of each node, on average, as spot markets take nodes back
    # mass_losses_per_day: 0.1   # moments at which many nodes are taken back at once,
    # mass_loss_share: 0.5       # and how many of those that are there
    # interruptions: losses.csv  # or those that were recorded, beside this file: t_s and nodes, or share, maybe pool
    # notice_s: 120              # before nodes are taken back: they take no work, and jobs write a checkpoint
    # mean_time_between_failures_h: 20000   # of a node's hardware, by chance; it does not fail, unless told
    # repair_h: 24               # of own nodes (market: reserved), that come back then; 24, unless told
    # provider: aws              # whose nodes they are, and where: data of jobs that start there is sent there
    # region: us-east-1
    watts_idle_per_gpu: 60
    watts_busy_per_gpu: 400
    # speed: {training: 1.6, inference: 1.2}   # work per second, by kind of job, unless 1; or one number for all
    # hourly:                    # one value for each hour since it began, anew after the last; then leave one price out
    #   price_usd_per_gpu_hour: [2.5, 2.5, 1.2, 1.0]
    #   usd_per_kwh: [0.1, 0.3]
    #   carbon_g_per_kwh: [300, 120]

# What is paid beside GPUs, in USD.
prices:
  waiting_usd_per_gpu_hour: 10   # that a job asks for and does not get
  # waiting_usd_per_job_hour: 1  # that a job waits, however small
  # lost_usd_per_gpu_hour: 2.5   # of work that is lost or repeated
  # churn_usd_per_node: 0.4      # for each node that is asked for
  usd_per_kwh: 0.1
  carbon_g_per_kwh: 300
  # carbon_usd_per_tonne: 100    # 0, unless told: carbon is counted, and costs nothing
  # egress_usd_per_gb: 0.02      # of data that is sent to another region; or {us-east-1: {eu-west-1: 0.02}}

# What a job needs to write a checkpoint, if it writes any; it does so where that much notice is given.
# checkpoint_write_s: 60

# Whether Kueue shares fairly: heads of queues that borrow least come first. Or one of its rules for whom that stops:
# [less_than_or_equal_to_final_share], [less_than_initial_share].
fair_sharing: false

# What goes wrong, in hours since it began. Of what names no pool, or no queue, all are meant.
# faults:
#   - {kind: outage, pool: a100, at_h: 24, lasts_h: 6, share: 0.5}   # of its nodes; none comes until it is over
#   - {kind: stuck-provisioning, pool: a100, at_h: 30, lasts_h: 2}   # what should come meanwhile comes then
#   - {kind: burst, queue: research, at_h: 36, lasts_h: 4, times: 3} # so many times as many jobs
#   - {kind: demand-shift, queue: research, at_h: 48, times: 0.5}    # for good
#   - {kind: forecast-bias, at_h: 12, lasts_h: 6, times: 1.5}        # forecasts say so many times as much
#   - {kind: metric-loss, at_h: 60, lasts_h: 1}                      # nothing is seen, so nothing is decided

# Kueue's ClusterQueues. A job takes the first flavor, in the order of its queue's shares, in which all of it fits.
queues:
  research:
    cohort: all                # queues of one cohort lend to each other what they do not use
    shares:
      h100: {nominal: 48}      # GPUs; without limits it borrows and lends all that it can
      a100: {nominal: 64, borrowing_limit: 8}   # quotas may promise what nodes have yet to be asked for
  production:
    cohort: all
    strategy: StrictFIFO       # the head blocks those behind it; BestEffortFIFO, unless told: they may pass it
    waiting_usd_per_gpu_hour: 20
    # region: us-east-1        # where data of its jobs lies at first
    # weight: 2                # of its fair share; 1, unless told
    # preemption:              # whom its jobs may stop to start: nobody, unless told
    #   within: lower_priority # of its own: never, lower_priority or lower_or_newer_equal_priority
    #   reclaim: any           # of queues that use more than their quota: never, lower_priority or any
    #   borrow: never          # of those even to borrow itself: never or lower_priority
    #   borrow_up_to: 100      # then of priorities up to this one
    shares:
      h100: {nominal: 16, lending_limit: 0}   # keeps all of its quota to itself
      a100: {nominal: 32}
"""
    + SERVICES_SAMPLE
)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _ways(told: object) -> str:
    return BY_WAY if isinstance(told, dict) else ONE_PRICE


_Egress = Annotated[
    Annotated[Amount, Tag(ONE_PRICE)] | Annotated[dict[str, dict[str, Amount]], Tag(BY_WAY)], Discriminator(_ways)
]


class _Share(_Part):
    nominal: Count
    borrowing_limit: Count | None = None
    lending_limit: Count | None = None


class _Preemption(_Part):
    """`envs.replay.Preemption`."""

    within: Within = "never"
    reclaim: Reclaim = "never"
    borrow: Borrow = "never"
    borrow_up_to: int | None = Field(default=None, ge=-PRIORITIES, le=PRIORITIES)


class _Queue(_Part):
    cohort: str | None = None
    strategy: Literal["BestEffortFIFO", "StrictFIFO"] = "BestEffortFIFO"
    waiting_usd_per_gpu_hour: float | None = Field(default=None, ge=0)
    weight: float = Field(default=1.0, ge=0)
    region: str = ""
    preemption: _Preemption = _Preemption()
    shares: dict[str, _Share] = Field(min_length=1)


class _Prices(_Part):
    waiting_usd_per_gpu_hour: float = Field(default=10.0, ge=0)
    waiting_usd_per_job_hour: float = Field(default=0.0, ge=0)
    lost_usd_per_gpu_hour: float = Field(default=2.5, ge=0)
    churn_usd_per_node: float = Field(default=0.0, ge=0)
    usd_per_kwh: float = Field(default=0.0, ge=0)
    carbon_usd_per_tonne: float = Field(default=0.0, ge=0)
    carbon_g_per_kwh: float = Field(default=0.0, ge=0)
    egress_usd_per_gb: _Egress = 0.0


class _Fault(_Part):
    """`envs.faults`, in hours since the world begins."""

    at_h: float = Field(ge=0)


class _Outage(_Fault):
    kind: Literal["outage"]
    lasts_h: float = Field(gt=0)
    pool: str | None = None
    share: float = Field(default=1.0, gt=0, le=1)

    @property
    def fault(self) -> Fault:
        return Outage(at_s=self.at_h * HOUR_S, lasts_s=self.lasts_h * HOUR_S, pool=self.pool, share=self.share)


class _Stuck(_Fault):
    kind: Literal["stuck-provisioning"]
    lasts_h: float = Field(gt=0)
    pool: str | None = None

    @property
    def fault(self) -> Fault:
        return Stuck(at_s=self.at_h * HOUR_S, lasts_s=self.lasts_h * HOUR_S, pool=self.pool)


class _Burst(_Fault):
    kind: Literal["burst"]
    lasts_h: float = Field(gt=0)
    times: float = Field(ge=0, le=100)
    queue: str | None = None

    @property
    def fault(self) -> Fault:
        return Demand(at_s=self.at_h * HOUR_S, lasts_s=self.lasts_h * HOUR_S, times=self.times, queue=self.queue)


class _Shift(_Fault):
    kind: Literal["demand-shift"]
    times: float = Field(ge=0, le=100)
    queue: str | None = None

    @property
    def fault(self) -> Fault:
        return Demand(at_s=self.at_h * HOUR_S, times=self.times, queue=self.queue)


class _Bias(_Fault):
    kind: Literal["forecast-bias"]
    lasts_h: float = Field(gt=0)
    times: float = Field(ge=0, le=100)

    @property
    def fault(self) -> Fault:
        return Bias(at_s=self.at_h * HOUR_S, lasts_s=self.lasts_h * HOUR_S, times=self.times)


class _Blind(_Fault):
    kind: Literal["metric-loss"]
    lasts_h: float = Field(gt=0)

    @property
    def fault(self) -> Fault:
        return Blind(at_s=self.at_h * HOUR_S, lasts_s=self.lasts_h * HOUR_S)


_AnyFault = Annotated[_Outage | _Stuck | _Burst | _Shift | _Bias | _Blind, Field(discriminator="kind")]


def _shape(told: object) -> str:
    return POOL if isinstance(told, dict | PoolPart) else GPUS


def _fairness(told: object) -> str:
    return RULES if isinstance(told, list | tuple) else WHETHER


_Flavor = Annotated[Annotated[int, Field(le=MOST), Tag(GPUS)] | Annotated[PoolPart, Tag(POOL)], Discriminator(_shape)]
_Fair = Annotated[Annotated[bool, Tag(WHETHER)] | Annotated[tuple[FairRule, ...], Tag(RULES)], Discriminator(_fairness)]


class Scenario(_Part):
    """Flavors, and queues with shares of them."""

    flavors: dict[str, _Flavor] = Field(min_length=1)
    queues: dict[str, _Queue] = Field(min_length=1)
    prices: _Prices = _Prices()
    checkpoint_write_s: float = Field(default=CHECKPOINT_WRITE_S, ge=0)
    fair_sharing: _Fair = False
    faults: tuple[_AnyFault, ...] = ()
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
        return {**loads, **{f"the interruptions of {name}": path for name, path in recorded.items()}}

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
        shares = {
            name: {
                flavor: Share(share.nominal, share.borrowing_limit, share.lending_limit)
                for flavor, share in queue.shares.items()
            }
            for name, queue in self.queues.items()
        }
        cohorts = {name: queue.cohort for name, queue in self.queues.items() if queue.cohort}
        strict = frozenset(name for name, queue in self.queues.items() if queue.strategy == "StrictFIFO")
        installed = {pool.name: pool.nodes * pool.gpus_per_node for pool in self.pools}
        preemption = {name: Preemption(**queue.preemption.model_dump()) for name, queue in self.queues.items()}
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


def refuse_contested(scenario: Scenario) -> None:
    """Raises SettingsError where jobs may stop others: when each ran is not told by one start."""
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
    weighed = sorted(name for name, queue in found.queues.items() if queue.weight != 1.0)
    if weighed and not found.fair_sharing:
        raise SettingsError(
            f"{path}: queues.{weighed[0]}.weight counts with fair_sharing alone; set it, or leave weights out"
        )
    refuse_strange_pools(path, found.flavors, found.pools)
    _refuse_strange_places(path, found)
    for fault in found.faults:
        named = (getattr(fault, "pool", None), found.flavors), (getattr(fault, "queue", None), found.queues)
        for whom, known in named:
            if whom is not None and whom not in known:
                raise SettingsError(f"{path}: a fault ({fault.kind}) names {whom}; there are {', '.join(known)}")
    refuse_strange(path, found.services, tuple(found.queues))
    for name, queue in found.queues.items():
        strange = [flavor for flavor in queue.shares if flavor not in found.flavors]
        if strange:
            raise SettingsError(
                f"{path}: queues.{name}.shares names {strange[0]}, no flavor; there are {', '.join(found.flavors)}"
            )


def _refuse_strange_places(path: Path, found: Scenario) -> None:
    """Raises SettingsError where a region is priced that is nowhere, has two providers, or is left for nothing."""
    regions, told = found.world.regions, found.prices.egress_usd_per_gb
    priced = {*told, *(end for ends in told.values() for end in ends)} if isinstance(told, dict) else set[str]()
    strange = sorted(priced - set(regions))
    if strange:
        known = ", ".join(regions) or "none"
        raise SettingsError(f"{path}: prices.egress_usd_per_gb names {strange[0]}, no region; there are {known}")
    unpriced = set(found.world.homes.values()) - priced - {pool.region for pool in found.pools}
    for name, home in found.world.homes.items():
        if priced and home in unpriced:
            raise SettingsError(
                f"{path}: queues.{name}.region is {home}, where no pool is and from which no egress has a price; "
                "tell prices.egress_usd_per_gb from it (0 where it costs nothing), or mend the name"
            )
    providers: dict[str, str] = {}
    for pool in found.pools:
        if pool.region and providers.setdefault(pool.region, pool.provider) != pool.provider:
            raise SettingsError(
                f"{path}: region {pool.region} is of {providers[pool.region] or 'nobody'} and of "
                f"{pool.provider or 'nobody'} (flavors.{pool.name}); name regions of two providers apart"
            )
