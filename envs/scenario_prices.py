"""Prices as a scenario tells them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Discriminator, Field, Tag

from envs.scenario_part import Amount, Part
from envs.scenario_text import BY_WAY, ONE_PRICE
from envs.world import World
from gyropilot.errors import SettingsError

SAMPLE = """\
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

"""


def _ways(told: object) -> str:
    return BY_WAY if isinstance(told, dict) else ONE_PRICE


_Egress = Annotated[
    Annotated[Amount, Tag(ONE_PRICE)] | Annotated[dict[str, dict[str, Amount]], Tag(BY_WAY)], Discriminator(_ways)
]


class PricesPart(Part):
    waiting_usd_per_gpu_hour: float = Field(default=10.0, ge=0)
    waiting_usd_per_job_hour: float = Field(default=0.0, ge=0)
    lost_usd_per_gpu_hour: float = Field(default=2.5, ge=0)
    churn_usd_per_node: float = Field(default=0.0, ge=0)
    usd_per_kwh: float = Field(default=0.0, ge=0)
    carbon_usd_per_tonne: float = Field(default=0.0, ge=0)
    carbon_g_per_kwh: float = Field(default=0.0, ge=0)
    egress_usd_per_gb: _Egress = 0.0


def refuse_strange(path: Path, prices: PricesPart, world: World) -> None:
    """Raises SettingsError where a region is priced that is nowhere, has two providers, or is left for nothing."""
    regions, told = world.regions, prices.egress_usd_per_gb
    priced = {*told, *(end for ends in told.values() for end in ends)} if isinstance(told, dict) else set[str]()
    strange = sorted(priced - set(regions))
    if strange:
        known = ", ".join(regions) or "none"
        raise SettingsError(f"{path}: prices.egress_usd_per_gb names {strange[0]}, no region; there are {known}")
    unpriced = set(world.homes.values()) - priced - {pool.region for pool in world.pools}
    for name, home in world.homes.items():
        if priced and home in unpriced:
            raise SettingsError(
                f"{path}: queues.{name}.region is {home}, where no pool is and from which no egress has a price; "
                "tell prices.egress_usd_per_gb from it (0 where it costs nothing), or mend the name"
            )
    providers: dict[str, str] = {}
    for pool in world.pools:
        if pool.region and providers.setdefault(pool.region, pool.provider) != pool.provider:
            raise SettingsError(
                f"{path}: region {pool.region} is of {providers[pool.region] or 'nobody'} and of "
                f"{pool.provider or 'nobody'} (flavors.{pool.name}); name regions of two providers apart"
            )
