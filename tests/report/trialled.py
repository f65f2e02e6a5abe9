"""Trials and simulations as they would come of clusters, large and small, without any being run."""

from __future__ import annotations

import numpy as np

from envs.bound import Bound
from envs.foresight import Plan
from envs.job_file import JobFile
from envs.terms import KINDS, Flows, PoolTerms, Prices, bill, rates
from envs.trial import Trial
from envs.workloads import DAY_S, JobTable
from envs.world import STEP_S, World
from gyropilot.domain import Floats, Market
from gyropilot.report.simulation import Simulation
from gyropilot.report.trials import Trials

PRICES = Prices(usd_per_kwh=0.1, carbon_usd_per_tonne=80.0, carbon_g_per_kwh=300.0, churn_usd_per_node=0.5)
OWNED = PoolTerms("owned", nodes=4, max_nodes=4, market=Market.RESERVED, watts_idle_per_gpu=60, watts_busy_per_gpu=400)
BOUGHT = PoolTerms("bought", nodes=0, max_nodes=20, watts_idle_per_gpu=60, watts_busy_per_gpu=400)
SPOT = PoolTerms(
    "spot",
    nodes=0,
    max_nodes=10,
    market=Market.SPOT,
    price_usd_per_gpu_hour=1.0,
    watts_idle_per_gpu=60,
    watts_busy_per_gpu=400,
)
POOLS = (OWNED, BOUGHT, SPOT)
QUEUES = ("research", "serving")


def jobs_of(queues: tuple[str, ...] = QUEUES, days: float = 3.0, many: int = 200) -> JobTable:
    """As many jobs as asked, their queues in turn, over the days."""
    rng = np.random.default_rng(1)
    zeros = np.zeros(many, dtype=np.int64)
    submit_s = np.sort(rng.uniform(0, 0.8 * days * DAY_S, many))
    return JobTable(
        queues,
        np.arange(many) % len(queues),
        submit_s,
        rng.exponential(3 * 3_600.0, many),
        rng.choice([1, 4, 8, 16], many),
        zeros,
        zeros,
        zeros,
        np.full(many, np.inf),
    )


def trial(
    pilot: str, jobs: JobTable, pools: tuple[PoolTerms, ...] = POOLS, days: float = 3.0, late_s: float = 600.0
) -> Trial:
    """A pilot that had every job wait about `late_s`, the less of that the more GPUs there were."""
    rng = np.random.default_rng(len(pilot) + int(late_s))
    steps = round(days * DAY_S / STEP_S)
    hours = STEP_S / 3_600
    most = np.array([pool.max_gpus for pool in pools])
    # The more it lets wait, the less it buys.
    share = 0.4 * (1 - np.cos(np.arange(steps) * 2 * np.pi * STEP_S / DAY_S)) * 600 / (600 + late_s) + 0.1
    there = np.round(share[:, None] * most / 8) * 8 + 8 * rng.integers(0, 2, (steps, len(pools)))
    there[:, [pool.market is Market.RESERVED for pool in pools]] = most[[p.market is Market.RESERVED for p in pools]]
    turns = np.zeros((steps, len(pools)), dtype=np.int64)
    turns[::100, -1] = np.where(np.arange(len(turns[::100])) % 2, 1, -1)
    flows = Flows(
        there * hours,
        there * hours * rng.uniform(0.5, 1, (steps, 1)),
        rng.poisson(late_s / 50, (steps, 1)) * np.full(len(jobs.queues), hours / len(jobs.queues)),
        rng.poisson(2.0, (steps, 1)) * np.full(len(jobs.queues), hours / len(jobs.queues)),
        np.where(rng.random(steps) < 0.01, 4.0, 0.0),
        np.maximum(turns, 0).astype(np.float64),
    )
    start_s = jobs.submit_s + rng.exponential(late_s, len(jobs))
    return Trial(
        pilot,
        World(pools),
        jobs,
        flows,
        bill(flows, rates(pools, jobs.queues, PRICES)),
        nodes=(there / 8).astype(np.int64),
        turns=turns,
        start_s=start_s,
        end_s=start_s + jobs.duration_s,
        stops=(rng.random(len(jobs)) < 0.05).astype(np.int64),
        held=jobs.gpus,
        flavor=np.arange(len(jobs)) % len(pools),
        quota_moves=3,
        carbon_g_per_kwh=PRICES.carbon_g_per_kwh,
    )


def as_file(jobs: JobTable, *notes: str) -> JobFile:
    return JobFile(jobs, np.arange(len(jobs)).astype(str), notes)


def bound_of(usd: float) -> Bound:
    """Half of it for GPUs, half for waiting."""
    kinds: Floats = np.array([usd / 2, usd / 2, *(0.0 for _ in KINDS[2:])])
    return Bound(usd, kinds, np.zeros((1, 1)), np.zeros((1, 1)), 0.1)


def plan_of(usd: float) -> Plan:
    """All of it for GPUs."""
    kinds: Floats = np.array([usd, *(0.0 for _ in KINDS[1:])])
    return Plan(np.zeros((1, 1), dtype=np.int64), usd, kinds)


def trials(late_s: dict[str, float] | None = None, days: float = 3.0, bound_usd: float | None = 2_000.0) -> Trials:
    """Pilots by how long they have jobs wait."""
    late_s = {"hold": 9_000.0, "reactive": 1_200.0, "newsvendor": 300.0} if late_s is None else late_s
    jobs = jobs_of(days=days)
    tried = tuple(trial(name, jobs, days=days, late_s=late) for name, late in late_s.items())
    bound = None if bound_usd is None else bound_of(bound_usd)
    plan = None if bound_usd is None else plan_of(1.5 * bound_usd)
    file = as_file(jobs, "1 job is left out")
    return Trials("32 GPUs of 3 flavors at first, 2 queues", file, tried, bound, plan=plan)


def simulation(queues: tuple[str, ...] = QUEUES, late_s: float = 900.0) -> Simulation:
    """On 64 GPUs; of ten jobs one never starts."""
    jobs = jobs_of(queues)
    start_s = jobs.submit_s + np.random.default_rng(2).exponential(late_s, len(jobs))
    start_s[::10] = np.inf
    file, end_s = as_file(jobs, "2 jobs are left out"), start_s + jobs.duration_s
    return Simulation("64 GPUs", {"gpus": 64}, 64, file, start_s, end_s, jobs.gpus, {})
