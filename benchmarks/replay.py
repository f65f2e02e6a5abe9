"""What a replay of thirty days costs under each pilot, and how much of that is the simulated cluster's own.

    GYROPILOT_TRACES=folder python -m benchmarks.replay            the last thirty days of Philly's jobs
    python -m benchmarks.replay --pilots reactive,newsvendor       seeded jobs like Philly's, where no traces are told

Thirty days are 8,640 steps of five minutes. At each the pilot looks at the cluster, a forecast is made if it looks
ahead and the last one is fifteen minutes old, dials turn, and jobs run for five minutes. Seconds are of one core, and
without those in which `receding` writes a linear programme at each step, and those in which HiGHS solves it: both are
told apart. What a programme is written of, such as courses of demand, counts as the pilot's.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from agents.pilots import ALL_PILOTS, make_pilot
from agents.pilots.purchases import Purchases, cheapest, solved
from agents.protocols import Pilot
from envs.bound import natural
from envs.job_file import read_jobs
from envs.profiles import PROFILES
from envs.terms import PoolTerms, Prices
from envs.trial import Trial, tried
from envs.workloads import DAY_S, JobTable, generate
from envs.world import STEP_S, Weather, World
from forecasting.registry import make
from gyropilot.domain import Floats, Market
from gyropilot.settings import PilotSettings

DAYS = 30.0
TRACE = "jobs_philly_pass.parquet"
SEED = 0
PRICES = Prices(waiting_usd_per_gpu_hour=10.0)


def main() -> None:
    options = _options()
    jobs = _jobs(options.traces)
    world = _world(jobs)
    steps = round(options.days * DAY_S / STEP_S)
    print(f"{len(jobs):,} jobs of {len(jobs.queues)} queues on {len(world.pools)} pools, {steps:,} steps")
    heads = f"{'pilot':14}{'seconds':>9}{'us a step':>11}{'of it world':>13}"
    print(f"{heads}{'LPs written':>13}{'solved, s':>11}{'USD':>14}", flush=True)
    # So that nothing is compiled below; what looks at queues that are dead begins after a week.
    _replay(world, jobs, make_pilot(PilotSettings(name="newsvendor")), min(steps, 2_400), options.forecaster)
    for name in options.pilots.split(","):
        pilot = make_pilot(PilotSettings.model_validate({"name": name}))
        _replay(world, jobs, pilot, min(steps, 300), options.forecaster)
        with _solving() as programmes:
            trial, seconds = _replay(world, jobs, pilot, steps, options.forecaster)
        seconds -= programmes.seconds
        each, own = (1e6 * spent / steps for spent in (seconds, _alone(trial)))
        lps = f"{programmes.written:13.2f}{programmes.solved:11.2f}" if programmes.seconds else f"{'':24}"
        print(f"{name:14}{seconds:9.2f}{each:11.0f}{own:13.0f}{lps}{trial.total_usd:14,.0f}", flush=True)


def _replay(world: World, jobs: JobTable, pilot: Pilot, steps: int, forecaster: str) -> tuple[Trial, float]:
    """What came of it, and seconds."""
    began = time.process_time()
    trial = tried(world, jobs, pilot, PRICES, Weather.calm(world.pools, steps), make(forecaster))
    return trial, time.process_time() - began


@dataclass(slots=True)
class Programmes:
    """Seconds that linear programmes took, from what they are of to a plan."""

    seconds: float = 0.0
    solved: float = 0.0  # of them in HiGHS, which is handed one and gives columns

    @property
    def written(self) -> float:
        return self.seconds - self.solved


@contextmanager
def _solving() -> Iterator[Programmes]:
    """What programmes take meanwhile."""
    spent = Programmes()

    def whole(*programme: Any) -> Purchases | None:
        began = time.process_time()
        found = cheapest(*programme)
        spent.seconds += time.process_time() - began
        return found

    def within(*programme: Any) -> tuple[Floats, float] | None:
        began = time.process_time()
        found = solved(*programme)
        spent.solved += time.process_time() - began
        return found

    with patch("agents.pilots.outlook.cheapest", whole), patch("agents.pilots.purchases.solved", within):
        yield spent


def _alone(trial: Trial) -> float:
    """Seconds of the cluster's own steps under the same sizes of pools, with nobody looking."""
    run = trial.world.begin(trial.jobs, Weather.calm(trial.world.pools, len(trial.nodes)))
    began = time.process_time()
    for wanted in trial.nodes:
        run.step(wanted[None])
    return time.process_time() - began


def _jobs(traces: str | None) -> JobTable:
    """What was submitted in the last thirty days of the trace, or as much that is like it."""
    path = Path(traces or "") / TRACE
    if not traces or not path.exists():
        profile = next(each for each in PROFILES if each.name == "philly").profile
        return generate(profile, DAYS, np.random.default_rng(SEED))
    jobs = read_jobs(path).table
    begin_s = float(jobs.submit_s[-1]) - DAYS * DAY_S
    month = jobs.take(jobs.submit_s >= begin_s)
    month.submit_s[:] -= begin_s
    return month


def _world(jobs: JobTable) -> World:
    """Owned nodes for half of the mean demand, and as many more as the largest demand takes."""
    demand = natural(jobs, STEP_S, round(DAYS * DAY_S / STEP_S)).sum(axis=0)
    owned = ceil(float(demand.mean()) / 2 / 8)
    most = ceil(float(max(demand.max(), jobs.gpus.max())) / 8) + 1
    return World(
        (
            PoolTerms("owned", owned, owned, owned, market=Market.RESERVED),
            PoolTerms("on-demand", 0, most, lead_s=600.0, price_usd_per_gpu_hour=2.5),
        )
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    every = ",".join(pilot.name for pilot in ALL_PILOTS)
    parser.add_argument("--pilots", default=every, help=f"separated by commas ({every})")
    parser.add_argument("--days", type=float, default=DAYS, help="how many of the thirty days are run (30)")
    parser.add_argument("--forecaster", default="naive", help="as forecast.model (naive)")
    parser.add_argument("--traces", default=os.environ.get("GYROPILOT_TRACES"), help="the folder (GYROPILOT_TRACES)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
