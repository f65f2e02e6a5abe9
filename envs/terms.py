"""What simulated capacity is like and what everything costs: the terms on which a world runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from envs.workloads import Floats
from gyropilot.domain import Market

HOUR_S = 3_600.0


@dataclass(frozen=True, slots=True)
class PoolTerms:
    """Nodes of one kind, in one place, at one price. Jobs that run on them use the flavor of the same name."""

    name: str
    nodes: int  # that are ready when the world begins
    max_nodes: int
    min_nodes: int = 0
    gpus_per_node: int = 8
    market: Market = Market.ON_DEMAND
    price_usd_per_gpu_hour: float = 2.5  # while a node is there; of reserved nodes whether it is there or not
    speed: float = 1.0  # work done per second, next to that of the accelerator on which durations were told
    lead_s: float = 600.0  # median from asking for a node until its GPUs can be used
    lead_sigma: float = 0.0  # of the logarithm of that
    billed_at_least_s: float = 0.0  # a node that leaves earlier is paid for as long
    interruptions_per_day: float = 0.0  # of one node, by chance and alone
    mass_losses_per_day: float = 0.0  # moments at which the market takes back many nodes at once
    mass_loss_share: float = 0.5  # of the nodes that are there then
    watts_idle_per_gpu: float = 0.0
    watts_busy_per_gpu: float = 0.0

    @property
    def max_gpus(self) -> int:
        return self.max_nodes * self.gpus_per_node


@dataclass(frozen=True, slots=True)
class Prices:
    """What is paid beside GPUs, in USD."""

    waiting_usd_per_gpu_hour: float = 10.0  # that a job asks for and does not get
    waiting_usd_per_job_hour: float = 0.0  # whatever it asks for
    queue_waiting_usd_per_gpu_hour: Mapping[str, float] = field(default_factory=dict)  # where it differs
    lost_usd_per_gpu_hour: float = 2.5  # of work that has to be done again, restarts included
    churn_usd_per_node: float = 0.0  # asked for
    usd_per_kwh: float = 0.0
    carbon_usd_per_tonne: float = 0.0
    carbon_g_per_kwh: float = 0.0


class Rates(NamedTuple):
    """USD per unit of each of `Flows`; Q queues, P pools."""

    there: Floats  # (P,) per GPU-hour
    waiting: Floats  # (Q,) per GPU-hour
    waiting_jobs: Floats  # (Q,) per job-hour
    lost: float  # per GPU-hour
    asked: Floats  # (P,) per node
    idle_energy: Floats  # (P,) per GPU-hour that is there, money for energy
    busy_energy: Floats  # (P,) more, per GPU-hour in use
    idle_carbon: Floats  # (P,) likewise, for what is emitted
    busy_carbon: Floats  # (P,)


class Flows(NamedTuple):
    """What happened in some stretch of time, in hours and nodes; any leading shape, the same of all."""

    there: Floats  # (..., P) GPU-hours on nodes that are there, and what of the shortest bill was not used
    busy: Floats  # (..., P) GPU-hours in use
    waiting: Floats  # (..., Q) GPU-hours asked for and not given
    waiting_jobs: Floats  # (..., Q) job-hours
    lost: Floats  # (...) GPU-hours of work that has to be done again
    asked: Floats  # (..., P) nodes


KINDS = ("GPUs", "waiting", "lost work", "churn", "energy", "carbon")


def rates(pools: Sequence[PoolTerms], queues: Sequence[str], prices: Prices) -> Rates:
    """In one unit each. Reserved nodes cost nothing more for being there."""

    idle = np.array([pool.watts_idle_per_gpu / 1_000 for pool in pools])
    busy = np.array([pool.watts_busy_per_gpu / 1_000 for pool in pools]) - idle
    there = [0.0 if pool.market is Market.RESERVED else pool.price_usd_per_gpu_hour for pool in pools]
    carbon = prices.carbon_g_per_kwh * prices.carbon_usd_per_tonne / 1e6
    own = prices.queue_waiting_usd_per_gpu_hour
    return Rates(
        there=np.array(there),
        waiting=np.array([own.get(queue, prices.waiting_usd_per_gpu_hour) for queue in queues]),
        waiting_jobs=np.full(len(queues), prices.waiting_usd_per_job_hour),
        lost=prices.lost_usd_per_gpu_hour,
        asked=np.full(len(pools), prices.churn_usd_per_node),
        idle_energy=idle * prices.usd_per_kwh,
        busy_energy=busy * prices.usd_per_kwh,
        idle_carbon=idle * carbon,
        busy_carbon=busy * carbon,
    )


def bill(flows: Flows, rates: Rates) -> Floats:
    """(..., K) USD by KINDS. The one definition of cost: reward, reports, rivals and the bound add these up."""
    parts = (
        flows.there @ rates.there,
        flows.waiting @ rates.waiting + flows.waiting_jobs @ rates.waiting_jobs,
        flows.lost * rates.lost,
        flows.asked @ rates.asked,
        flows.there @ rates.idle_energy + flows.busy @ rates.busy_energy,
        flows.there @ rates.idle_carbon + flows.busy @ rates.busy_carbon,
    )
    return np.stack(parts, axis=-1)
