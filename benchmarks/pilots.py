"""Pilots on the same weeks of jobs, beside what no pilot can stay below.

    GYROPILOT_TRACES=folder python -m benchmarks.pilots                    Philly, Venus, and a generated week
    GYROPILOT_TRACES=folder python -m benchmarks.pilots --week generated --pilots reactive,newsvendor

Each week is the last of its trace, and runs on owned nodes for half of the mean demand, which cost nothing more, and
on-demand nodes that come ten minutes after they are asked for. Everybody meets the same jobs. Pilots have their default
settings; nothing here was tuned.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np

from agents.pilots import make_pilot
from envs.bound import Bound, clairvoyant, natural
from envs.job_file import read_jobs
from envs.profiles import PROFILES
from envs.terms import PoolTerms, Prices
from envs.trial import Trial, paired, steps_of, tried
from envs.workloads import DAY_S, JobTable, generate
from envs.world import STEP_S, Weather, World
from forecasting.registry import make
from gyropilot.domain import Market
from gyropilot.settings import PilotSettings

WEEK_S = 7 * DAY_S
GENERATED = "generated"
TRACES = {"Philly": "jobs_philly_pass.parquet", "Venus": "jobs_helios_venus_2vc_sept.parquet"}
PRICES = Prices(waiting_usd_per_gpu_hour=10.0)
SEED = 0


@dataclass(frozen=True, eq=False, slots=True)
class Week:
    """What is run."""

    name: str
    jobs: JobTable


def main() -> None:
    options = _options()
    for week in weeks(options):
        world = world_of(week.jobs)
        began = time.perf_counter()
        bound = clairvoyant(week.jobs, world.pools, PRICES, STEP_S, steps_of(week.jobs))
        print(told(week, world, bound, time.perf_counter() - began), flush=True)
        first: Trial | None = None
        for name in options.pilots.split(","):
            began = time.perf_counter()
            trial = trial_of(name, week.jobs, world, options.forecaster)
            first = first or trial
            print(row(trial, first, bound, time.perf_counter() - began), flush=True)
        print(flush=True)


def weeks(options: argparse.Namespace) -> Iterator[Week]:
    """Those that were asked for and are there."""
    for name, file in TRACES.items():
        path = Path(options.traces or "") / file
        if name in options.week and options.traces and path.exists():
            yield Week(name, last_week(read_jobs(path).table))
        elif name in options.week:
            print(f"{name}: left out; set GYROPILOT_TRACES to the folder that holds {file}\n", file=sys.stderr)
    if GENERATED in options.week:
        profile = next(each for each in PROFILES if each.name == "helios").profile
        yield Week(GENERATED, last_week(generate(profile, 8, np.random.default_rng(SEED))))


def last_week(jobs: JobTable) -> JobTable:
    """What was submitted in the last week of a table, which begins with it."""
    begin_s = float(jobs.submit_s[-1]) - WEEK_S
    week = jobs.take(jobs.submit_s >= begin_s)
    week.submit_s[:] -= begin_s
    return week


def world_of(jobs: JobTable) -> World:
    """Owned nodes for half of the mean demand, and as many more as the largest demand takes."""
    demand = natural(jobs, STEP_S, round(WEEK_S / STEP_S)).sum(axis=0)
    owned = ceil(float(demand.mean()) / 2 / 8)
    most = ceil(float(max(demand.max(), jobs.gpus.max())) / 8) + 1
    return World(
        (
            PoolTerms("owned", owned, owned, owned, market=Market.RESERVED),
            PoolTerms("on-demand", 0, most, lead_s=600.0, price_usd_per_gpu_hour=2.5),
        )
    )


def trial_of(name: str, jobs: JobTable, world: World, forecaster: str) -> Trial:
    pilot = make_pilot(PilotSettings.model_validate({"name": name}))
    return tried(world, jobs, pilot, PRICES, Weather.calm(world.pools, steps_of(jobs)), make(forecaster))


def told(week: Week, world: World, bound: Bound, seconds: float) -> str:
    owned, bought = (pool.max_nodes for pool in world.pools)
    title = (
        f"{week.name}: {len(week.jobs):,} jobs of {len(set(week.jobs.queue.tolist()))} queues in "
        f"{steps_of(week.jobs) * STEP_S / DAY_S:.1f} days; {owned} owned nodes, up to {bought} more"
    )
    names = f"{'pilot':14}{'USD':>12}{'over bound':>12}{'to first':>10}  {'90 % interval':18}"
    names += f"{'wait p50':>10}{'p95, min':>10}"
    least = f"{'(bound)':14}{bound.usd:12,.0f}{'':70}{seconds:8.1f}"
    return f"{title}\n{names}{'used':>8}{'seconds':>10}\n{least}"


def row(trial: Trial, first: Trial, bound: Bound, seconds: float) -> str:
    low, mid, high = paired(trial, first, np.random.default_rng(SEED))
    waits = trial.waits[0]
    return (
        f"{trial.pilot:14}{trial.total_usd:12,.0f}{100 * (trial.total_usd / bound.usd - 1):+11.1f} %{mid:+9.1f}%  "
        f"[{low:+7.1f}, {high:+7.1f}]{waits.p50_s / 60:10.1f}{waits.p95_s / 60:10.1f}{100 * trial.utilisation:7.0f}%"
        f"{seconds:10.1f}"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [*TRACES, GENERATED]
    parser.add_argument("--week", action="append", choices=known, help="only this one; may be repeated")
    parser.add_argument("--pilots", default="reactive,hold,static,newsvendor", help="the first is compared with")
    parser.add_argument("--forecaster", default="naive", help="as forecast.model (naive)")
    parser.add_argument("--traces", default=os.environ.get("GYROPILOT_TRACES"), help="the folder (GYROPILOT_TRACES)")
    options = parser.parse_args()
    options.week = options.week or known
    return options


if __name__ == "__main__":
    main()
