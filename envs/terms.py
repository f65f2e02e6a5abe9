"""What simulated capacity is like and what everything costs: the terms on which a world runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from envs.workloads import KINDS as JOB_KINDS
from envs.workloads import Floats
from gyropilot.domain import Market

if TYPE_CHECKING:
    from envs.interruptions import Interruptions

HOUR_S = 3_600.0


Speed = float | Mapping[str, float]
"""Work done per second, next to that of the accelerator on which durations were told: of all jobs, or by kind of job;
of kinds that are not named 1."""


def speeds(told: Speed) -> Floats:
    """(K,) along the kinds of jobs."""
    if isinstance(told, Mapping):
        return np.array([float(told.get(kind, 1.0)) for kind in JOB_KINDS])
    return np.full(len(JOB_KINDS), float(told))


@dataclass(frozen=True, slots=True)
class Hourly:
    """What changes by the hour where a pool is: a value for each hour since the world began, anew after the last.

    Where none are told, one value holds all the time.
    """

    price_usd_per_gpu_hour: tuple[float, ...] = ()
    usd_per_kwh: tuple[float, ...] = ()
    carbon_g_per_kwh: tuple[float, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.price_usd_per_gpu_hour or self.usd_per_kwh or self.carbon_g_per_kwh)


def by_hour(values: Sequence[float], otherwise: float, at_s: Floats) -> Floats:
    """The value of each moment since the world began, in the shape of `at_s`."""
    if not values:
        return np.full(np.shape(at_s), otherwise)
    hours = (np.asarray(at_s) // HOUR_S).astype(np.int64)
    return np.asarray(values, dtype=np.float64)[hours % len(values)]


class Lead(NamedTuple):
    """From asking for a node until its GPUs can be used: lognormal, or one of those that were measured."""

    median_s: float
    sigma: float = 0.0  # of the logarithm
    measured_s: tuple[float, ...] = ()  # each as likely as the others; none: lognormal

    @property
    def shortest_s(self) -> float:
        """None comes sooner."""
        if self.measured_s:
            return min(self.measured_s)
        return 0.0 if self.sigma > 0 else self.median_s

    def drawn(self, luck: Floats) -> Floats:
        """Seconds, of any shape, from as many standard normal numbers."""
        from scipy.special import ndtr

        if not self.measured_s:
            return np.asarray(self.median_s * np.exp(self.sigma * luck), dtype=np.float64)
        which = (ndtr(luck) * len(self.measured_s)).astype(np.int64)
        ascending: Floats = np.sort(self.measured_s)
        found: Floats = ascending[np.minimum(which, len(self.measured_s) - 1)]
        return found


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
    speed: Speed = 1.0
    lead_s: float = 600.0  # median from asking for a node until its GPUs can be used
    lead_sigma: float = 0.0  # of the logarithm of that
    lead_times_s: tuple[float, ...] = ()  # that were measured, in place of these two
    billed_at_least_s: float = 0.0  # a node that leaves earlier is paid for as long
    interruptions_per_day: float = 0.0  # of one node, by chance and alone
    mass_losses_per_day: float = 0.0  # moments at which the market takes back many nodes at once
    mass_loss_share: float = 0.5  # of the nodes that are there then
    notice_s: float = 0.0  # from the market's telling that it takes nodes back until they are gone; less than a step
    interruptions: Interruptions | None = None  # that were recorded, in place of those by chance
    mean_time_between_failures_h: float | None = None  # of one node's hardware; None: it does not fail
    repair_h: float = 24.0  # until an own node that failed is back; others have to be asked for anew
    watts_idle_per_gpu: float = 0.0
    watts_busy_per_gpu: float = 0.0
    hourly: Hourly = field(default_factory=Hourly)
    provider: str = ""
    region: str = ""  # where data has to be for jobs that run here; empty: wherever it is

    @property
    def lead(self) -> Lead:
        if self.lead_times_s:
            return Lead(float(np.median(self.lead_times_s)), measured_s=self.lead_times_s)
        return Lead(self.lead_s, self.lead_sigma)

    @property
    def max_gpus(self) -> int:
        return self.max_nodes * self.gpus_per_node

    @property
    def troubled(self) -> bool:
        """Whether nodes go otherwise than by chance and without notice."""
        return self.notice_s > 0 or self.interruptions is not None or self.mean_time_between_failures_h is not None

    @property
    def may_lose(self) -> bool:
        """Whether nodes may go that nobody gave back."""
        by_chance = self.interruptions_per_day > 0 or self.mass_losses_per_day > 0
        return by_chance or self.interruptions is not None or self.mean_time_between_failures_h is not None

    @property
    def typical_speed(self) -> float:
        """One number for all jobs, where which they will be is not known: the mean of all kinds."""
        return float(speeds(self.speed).mean())


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
    egress_usd_per_gb: float | Mapping[str, Mapping[str, float]] = 0.0  # between regions: all alike, or from and to


class Rates(NamedTuple):
    """USD per unit of each of `Flows`; Q queues, P pools.

    What concerns pools, and is not per node, is (T, P) where it changes from step to step.
    """

    there: Floats  # (P,) per GPU-hour that is there, or paid for nevertheless
    waiting: Floats  # (Q,) per GPU-hour
    waiting_jobs: Floats  # (Q,) per job-hour
    lost: float  # per GPU-hour
    asked: Floats  # (P,) per node
    idle_energy: Floats  # (P,) per GPU-hour that is there, money for energy
    busy_energy: Floats  # (P,) more, per GPU-hour in use
    idle_carbon: Floats  # (P,) likewise, for what is emitted
    busy_carbon: Floats  # (P,)
    sent: Floats  # (R, R) per GB from one region to another


class Flows(NamedTuple):
    """What happened in some stretch of time, in hours and nodes; any leading shape, the same of all."""

    there: Floats  # (..., P) GPU-hours on nodes that are there
    busy: Floats  # (..., P) GPU-hours in use
    waiting: Floats  # (..., Q) GPU-hours asked for and not given
    waiting_jobs: Floats  # (..., Q) job-hours
    lost: Floats  # (...) GPU-hours of work that has to be done again
    asked: Floats  # (..., P) nodes
    sent: Floats = np.zeros((0, 0))  # (..., R, R) GB from one region to another
    unused: Floats = np.zeros(())  # (..., P) GPU-hours of shortest bills, of nodes that are gone: paid, and no more


KINDS = ("GPUs", "waiting", "lost work", "churn", "energy", "carbon", "egress")

NO_HOMES: Mapping[str, str] = {}


def regions_of(pools: Sequence[PoolTerms], homes: Mapping[str, str]) -> tuple[str, ...]:
    """Where pools are and data of queues is: `Flows.sent` and `Rates.sent` count along this."""
    return tuple(sorted({pool.region for pool in pools}.union(homes.values()) - {""}))


def rates(
    pools: Sequence[PoolTerms],
    queues: Sequence[str],
    prices: Prices,
    at_s: Floats | None = None,
    homes: Mapping[str, str] = NO_HOMES,
) -> Rates:
    """In one unit each. Reserved nodes cost nothing more for being there; `homes` tells where queues have their data.

    Where a pool has hourly prices, `at_s` (T,) says when steps begin, in seconds since the world began, and what
    concerns pools is told step by step. Raises ValueError where it is missing then.
    """
    moments = _moments(pools, at_s)

    def told(name: str, otherwise: Callable[[PoolTerms], float]) -> Floats:
        return np.stack([by_hour(getattr(p.hourly, name), otherwise(p), moments) for p in pools], axis=-1)

    idle = np.array([pool.watts_idle_per_gpu / 1_000 for pool in pools])
    busy = np.array([pool.watts_busy_per_gpu / 1_000 for pool in pools]) - idle
    owned = np.array([pool.market is Market.RESERVED for pool in pools])
    there = np.where(owned, 0.0, told("price_usd_per_gpu_hour", lambda pool: pool.price_usd_per_gpu_hour))
    energy = told("usd_per_kwh", lambda pool: prices.usd_per_kwh)
    carbon = told("carbon_g_per_kwh", lambda pool: prices.carbon_g_per_kwh) * prices.carbon_usd_per_tonne / 1e6
    own = prices.queue_waiting_usd_per_gpu_hour
    return Rates(
        there=there,
        waiting=np.array([own.get(queue, prices.waiting_usd_per_gpu_hour) for queue in queues]),
        waiting_jobs=np.full(len(queues), prices.waiting_usd_per_job_hour),
        lost=prices.lost_usd_per_gpu_hour,
        asked=np.full(len(pools), prices.churn_usd_per_node),
        idle_energy=idle * energy,
        busy_energy=busy * energy,
        idle_carbon=idle * carbon,
        busy_carbon=busy * carbon,
        sent=_egress(regions_of(pools, homes), prices.egress_usd_per_gb),
    )


def _moments(pools: Sequence[PoolTerms], at_s: Floats | None) -> Floats:
    """One without a time where nothing changes with it."""
    if not any(pool.hourly for pool in pools):
        return np.zeros(())
    if at_s is None:
        raise ValueError("prices change by the hour; say at which moments they are wanted (at_s)")
    return at_s


def _egress(regions: Sequence[str], usd_per_gb: float | Mapping[str, Mapping[str, float]]) -> Floats:
    """(R, R) USD per GB; nothing within a region, nor where nothing is told."""
    apart = 1.0 - np.eye(len(regions))
    if isinstance(usd_per_gb, Mapping):
        told = [[usd_per_gb.get(begin, {}).get(end, 0.0) for end in regions] for begin in regions]
        return apart * np.array(told, dtype=np.float64).reshape(apart.shape)
    return apart * usd_per_gb


def rates_at(costs: Rates, nth: int) -> Rates:
    """Of one step, where they change from step to step."""
    if costs.there.ndim == 1:
        return costs
    per_pool = ("there", "idle_energy", "busy_energy", "idle_carbon", "busy_carbon")
    return costs._replace(**{name: getattr(costs, name)[nth] for name in per_pool})


def bill(flows: Flows, rates: Rates) -> Floats:
    """(..., K) USD by KINDS. The one definition of cost: reward, reports, rivals and the bound add these up.

    Where rates change from step to step, steps are the last axis but one of what flowed.
    """
    parts = (
        ((flows.there + flows.unused) * rates.there).sum(axis=-1),
        flows.waiting @ rates.waiting + flows.waiting_jobs @ rates.waiting_jobs,
        flows.lost * rates.lost,
        flows.asked @ rates.asked,
        (flows.there * rates.idle_energy + flows.busy * rates.busy_energy).sum(axis=-1),
        (flows.there * rates.idle_carbon + flows.busy * rates.busy_carbon).sum(axis=-1),
        (flows.sent * rates.sent).sum(axis=(-1, -2)) if flows.sent.size else np.zeros(np.shape(flows.lost)),
    )
    return np.stack(parts, axis=-1)


def prices_at(pools: Sequence[PoolTerms], at_s: Floats) -> Floats:
    """(T, P) USD per GPU-hour, at each moment since the world began."""
    told = [by_hour(pool.hourly.price_usd_per_gpu_hour, pool.price_usd_per_gpu_hour, at_s) for pool in pools]
    return np.stack(told, axis=-1)


def carbon_g_per_kwh(pools: Sequence[PoolTerms], prices: Prices, at_s: Floats) -> Floats:
    """(T, P) what a kWh emits where each pool is, at each moment since the world began."""
    told = [by_hour(pool.hourly.carbon_g_per_kwh, prices.carbon_g_per_kwh, at_s) for pool in pools]
    return np.stack(told, axis=-1)
