"""Pools as a scenario tells them: nodes of one kind, what they cost, and how they are lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, cast

import numpy as np
from pydantic import BeforeValidator, Discriminator, Field, PlainValidator, Tag, ValidationInfo

from envs.hourly_file import read_hours
from envs.interruptions import Interruptions, read_interruptions
from envs.scenario_part import Amount, Count, Part
from envs.scenario_text import FILE, HOURS
from envs.terms import HOUR_S, Hourly, PoolTerms, Speed
from envs.workloads import DAY_S
from envs.world import STEP_S
from gyropilot.domain import Market, WorkloadKind
from gyropilot.errors import SettingsError

SAMPLE = """\
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
    # lead_times_s: [240, 260, 900]   # or as measured: each wish takes as long as one of these, by chance
    # billed_at_least_s: 3600    # what a node is paid for at least, however soon it is given back
    # interruptions_per_day: 1   # of each node, on average, as spot markets take nodes back
    # mass_losses_per_day: 0.1   # moments at which many nodes are taken back at once,
    # mass_loss_share: 0.5       # and how many of those that are there
    # interruptions: losses.csv  # or those that were recorded, beside this file: t_s and nodes, or share, maybe pool
    # interruptions: {file: losses.csv, from_h: 24, at_h: 2}   # by its own clock: hour 24 of it is hour 2 of the world
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
    # hourly:                    # or what a market or a grid was seen to do; each value holds until the next
    #   price_usd_per_gpu_hour: {file: spot.csv, column: usd_per_hour, where: {zone: us-east-1a}, times: 0.125}
    #   carbon_g_per_kwh: {file: carbon.parquet, column: ci_direct_g_per_kwh, where: {zone: DE-LU}, from_h: 24}

"""

PRICE = "price_usd_per_gpu_hour"

_WITHIN_A_STEP = f"nodes go within the step of {STEP_S:g} s at whose beginning they are told to"


def _beside(told: object, info: ValidationInfo) -> Path:
    """The name of a file, beside the scenario's."""
    if not isinstance(told, str | Path) or not str(told):
        raise ValueError("give the name of a file beside this one")
    folder: Path = (info.context or {}).get("folder", Path())
    return folder / told


class RecordPart(Part):
    """`envs.interruptions`, by a clock of the file's own: hours are since its zero, and those of the world."""

    file: Annotated[Path, PlainValidator(_beside)]
    from_h: float = Field(default=0.0, ge=0)
    at_h: float = Field(default=0.0, ge=0)

    def read(self, pool: str) -> Interruptions:
        """Raises SettingsError naming what is wrong with the file, or where none of it is left."""
        found = read_interruptions(self.file, pool)
        left = found.begun(self.from_h * HOUR_S, self.at_h * HOUR_S)
        if found.at_s and not left.at_s:
            raise SettingsError(
                f"{self.file} tells nothing of {pool} after its hour {max(found.at_s) / HOUR_S:g}; give an "
                "interruptions.from_h that is not more"
            )
        return left


def _record(told: object, info: ValidationInfo) -> object:
    """A file alone is one by the world's clock."""
    return told if isinstance(told, dict | RecordPart) else RecordPart.model_construct(file=_beside(told, info))


def _speed(told: object) -> Speed:
    """One number, or some by kind of job; told in one sentence what they may be."""
    values = told.values() if isinstance(told, dict) else [told]
    numbers = all(isinstance(n, int | float) and not isinstance(n, bool) and 0 < n < np.inf for n in values)
    if not numbers or (isinstance(told, dict) and not set(told) <= set(WorkloadKind)):
        raise ValueError(f"give a number above 0, or one for some of the kinds of jobs, {', '.join(WorkloadKind)}")
    return cast(Speed, told)


class HoursPart(Part):
    """`envs.hourly_file`: hours are those of the file's own clock, values are multiplied by `times`."""

    file: Annotated[Path, PlainValidator(_beside)]
    column: str
    where: dict[str, str] = Field(default_factory=dict)
    from_h: float = Field(default=0.0, ge=0)
    times: float = Field(default=1.0, gt=0, le=1e6)

    def read(self) -> tuple[float, ...]:
        """Raises SettingsError naming what is wrong with the file."""
        return tuple(self.times * value for value in read_hours(self.file, self.column, self.where, self.from_h))


def _hours(told: object) -> str:
    return FILE if isinstance(told, dict | HoursPart) else HOURS


_Amounts = Annotated[
    Annotated[tuple[Amount, ...], Field(min_length=1), Tag(HOURS)] | Annotated[HoursPart, Tag(FILE)],
    Discriminator(_hours),
]


class HourlyPart(Part):
    """`envs.terms.Hourly`."""

    price_usd_per_gpu_hour: _Amounts = ()
    usd_per_kwh: _Amounts = ()
    carbon_g_per_kwh: _Amounts = ()

    @property
    def files(self) -> dict[str, Path]:
        """By what they tell."""
        told = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: part.file for name, part in told.items() if isinstance(part, HoursPart)}

    def read(self) -> Hourly:
        """Raises SettingsError naming what is wrong with a file."""
        told = {name: getattr(self, name) for name in type(self).model_fields}
        return Hourly(**{name: part.read() if isinstance(part, HoursPart) else part for name, part in told.items()})


class PoolPart(Part):
    """`PoolTerms`, whose name is the flavor's."""

    nodes: Count
    max_nodes: Count | None = None
    min_nodes: Count = 0
    gpus_per_node: int = Field(default=8, ge=1, le=10_000)
    market: Market = Market.ON_DEMAND
    price_usd_per_gpu_hour: float = Field(default=2.5, ge=0)
    speed: Annotated[Speed, PlainValidator(_speed)] = 1.0
    lead_s: float = Field(default=600.0, ge=0, le=7 * DAY_S)
    lead_sigma: float = Field(default=0.0, ge=0, le=3)
    lead_times_s: tuple[Annotated[float, Field(ge=0, le=7 * DAY_S)], ...] = ()
    billed_at_least_s: float = Field(default=0.0, ge=0)
    interruptions_per_day: float = Field(default=0.0, ge=0)
    mass_losses_per_day: float = Field(default=0.0, ge=0)
    mass_loss_share: float = Field(default=0.5, ge=0, le=1)
    interruptions: Annotated[RecordPart, BeforeValidator(_record)] | None = None
    notice_s: float = Field(default=0.0, ge=0, lt=STEP_S, description=_WITHIN_A_STEP)
    mean_time_between_failures_h: float | None = Field(default=None, gt=0)
    repair_h: float = Field(default=24.0, ge=0, le=366 * 24.0)
    watts_idle_per_gpu: float = Field(default=0.0, ge=0)
    watts_busy_per_gpu: float = Field(default=0.0, ge=0)
    hourly: HourlyPart = HourlyPart()
    provider: str = ""
    region: str = ""


def terms_of(name: str, told: int | PoolPart) -> PoolTerms:
    """What `envs.world` takes. GPUs of which nothing is told are reserved, and stay. Reads what was recorded."""
    if isinstance(told, int):
        return PoolTerms(name, told, told, told, gpus_per_node=1, market=Market.RESERVED)
    most = told.nodes if told.max_nodes is None else told.max_nodes
    recorded = None if told.interruptions is None else told.interruptions.read(name)
    return PoolTerms(
        name, **{**told.model_dump(), "max_nodes": most, "hourly": told.hourly.read(), "interruptions": recorded}
    )


def refuse_strange(path: Path, flavors: Mapping[str, int | PoolPart], pools: Sequence[PoolTerms]) -> None:
    """Raises SettingsError where a pool tells something twice, or something that cannot be."""
    for name, told in flavors.items():
        if isinstance(told, PoolPart) and told.hourly.price_usd_per_gpu_hour and PRICE in told.model_fields_set:
            raise SettingsError(f"{path}: flavors.{name} tells {PRICE} and hourly.{PRICE}; leave one of them out")
        if isinstance(told, PoolPart):
            _refuse_strange_losses(f"{path}: flavors.{name}", told)
            _refuse_two_leads(f"{path}: flavors.{name}", told)
    for pool in pools:
        if pool.watts_busy_per_gpu < pool.watts_idle_per_gpu:
            raise SettingsError(
                f"{path}: flavors.{pool.name} draws {pool.watts_busy_per_gpu:g} W busy and "
                f"{pool.watts_idle_per_gpu:g} W idle; give a watts_busy_per_gpu that is not less"
            )
        if not pool.min_nodes <= pool.nodes <= pool.max_nodes:
            raise SettingsError(
                f"{path}: flavors.{pool.name} begins with {pool.nodes} nodes, not with {pool.min_nodes} to "
                f"{pool.max_nodes}; change nodes, min_nodes or max_nodes"
            )


def _refuse_two_leads(where: str, told: PoolPart) -> None:
    """Raises SettingsError where lead times are told as measured, and by a median too."""
    twice = [name for name in ("lead_s", "lead_sigma") if name in told.model_fields_set]
    if told.lead_times_s and twice:
        raise SettingsError(f"{where} tells lead_times_s and {twice[0]}; leave one of them out")


_BY_CHANCE = ("interruptions_per_day", "mass_losses_per_day", "mass_loss_share")


def _refuse_strange_losses(where: str, told: PoolPart) -> None:
    """Raises SettingsError where losses are told twice, or something of them that cannot be."""
    twice = [name for name in _BY_CHANCE if name in told.model_fields_set]
    if told.interruptions is not None and twice:
        raise SettingsError(f"{where} tells interruptions and {twice[0]}; leave one of them out")
    if "repair_h" not in told.model_fields_set:
        return
    if told.mean_time_between_failures_h is None:
        raise SettingsError(f"{where}.repair_h is of nodes that fail; tell mean_time_between_failures_h too")
    if told.market is not Market.RESERVED:
        raise SettingsError(
            f"{where}.repair_h is of own nodes, and its market is {told.market.value}: whoever buys one asks for "
            "another when it fails; leave repair_h out, or tell market: reserved"
        )
