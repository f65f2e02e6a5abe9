"""Pilots on the same weeks of jobs, untuned and tuned, beside what no pilot can stay below.

    GYROPILOT_TRACES=folder python -m benchmarks.pilots                    Philly, Venus, and a generated week
    GYROPILOT_TRACES=folder python -m benchmarks.pilots --week generated --pilots reactive,newsvendor,newsvendor:tuned
    GYROPILOT_TRACES=folder python -m benchmarks.pilots --pilots reactive --learned network

Each week is the last of its trace, and runs on owned nodes for half of the mean demand of the four weeks before, which
cost nothing more, and on-demand nodes that come ten minutes after they are asked for, as many as the largest demand of
those weeks would have taken: of the week itself nothing is known beforehand. Everybody meets the same jobs. A
pilot has its default settings, or with `:tuned` those that are shipped: `benchmarks.tuned` found them on jobs that came
before these weeks. `--learned` adds the network in a folder of `gyropilot train`, and those of its seeds.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

import numpy as np

from agents.pilots import ALL_PILOTS, make_pilot
from agents.pilots.network import read_card
from envs.bound import Bound, clairvoyant, natural
from envs.job_file import read_jobs
from envs.profiles import PROFILES
from envs.terms import PoolTerms, Prices
from envs.trial import Trial, paired, steps_of, tried
from envs.workloads import DAY_S, JobTable, generate
from envs.world import STEP_S, Weather, World
from forecasting.registry import make
from gyropilot.domain import Market
from gyropilot.pilot_names import TUNED, settings_of, shipped_pilots
from gyropilot.settings import PilotSettings

WEEK_S = 7 * DAY_S
BEFORE_S = 4 * WEEK_S
GENERATED = "generated"
TRACES = {"Philly": "jobs_philly_pass.parquet", "Venus": "jobs_helios_venus_2vc_sept.parquet"}
PRICES = Prices(waiting_usd_per_gpu_hour=10.0)
SEED = 0


@dataclass(frozen=True, eq=False, slots=True)
class Week:
    """What is run, and what came in the four weeks before it."""

    name: str
    before: JobTable
    before_s: float  # how long that was, less where the trace begins later
    jobs: JobTable
    world: World


def main() -> None:
    options = _options()
    for week in weeks(options.week, options.traces):
        began = time.perf_counter()
        bound = clairvoyant(week.jobs, week.world.pools, PRICES, STEP_S, steps_of(week.jobs))
        print(told(week, bound, time.perf_counter() - began), flush=True)
        first: Trial | None = None
        for name, pilot in options.pilots.items():
            began = time.perf_counter()
            trial = trial_of(name, week, options.forecaster, pilot)
            first = first or trial
            print(row(trial, first, bound, time.perf_counter() - began), flush=True)
        print(flush=True)


def weeks(names: list[str], traces: str | None) -> Iterator[Week]:
    """Those that were asked for and are there."""
    for name, file in TRACES.items():
        path = Path(traces or "") / file
        if name in names and traces and path.exists():
            yield week_of(name, read_jobs(path).table)
        elif name in names:
            print(f"{name}: left out; set GYROPILOT_TRACES to the folder that holds {file}\n", file=sys.stderr)
    if GENERATED in names:
        profile = next(each for each in PROFILES if each.name == "helios").profile
        yield week_of(GENERATED, generate(profile, 35, np.random.default_rng(SEED)))


def week_of(name: str, jobs: JobTable) -> Week:
    """What was submitted in the last week of a table, which begins with it, and in the four weeks before."""
    begin_s = float(jobs.submit_s[-1]) - WEEK_S
    first_s = max(float(jobs.submit_s[0]), begin_s - BEFORE_S)
    before = _between(jobs, first_s, begin_s)
    before_s = begin_s - first_s
    return Week(name, before, before_s, _between(jobs, begin_s, np.inf), world_of(before, before_s))


def world_of(before: JobTable, before_s: float) -> World:
    """Owned nodes for half of the mean demand before, and as many more as the largest demand then takes."""
    demand = natural(before, STEP_S, round(before_s / STEP_S)).sum(axis=0)
    most = max(demand.max(), before.gpus.max())
    owned = ceil(float(demand.mean()) / 2 / 8)
    return World(
        (
            PoolTerms("owned", owned, owned, owned, market=Market.RESERVED),
            PoolTerms("on-demand", 0, ceil(float(most) / 8) + 1, lead_s=600.0, price_usd_per_gpu_hour=2.5),
        )
    )


def trial_of(name: str, week: Week, forecaster: str, pilot: PilotSettings) -> Trial:
    weather = Weather.calm(week.world.pools, steps_of(week.jobs))
    trial = tried(week.world, week.jobs, make_pilot(pilot, forecaster), PRICES, weather, make(forecaster))
    return replace(trial, pilot=name)


def networks(folder: Path) -> dict[str, PilotSettings]:
    """The one that was chosen, and that of each seed, by name."""
    card = read_card(folder)
    seeds = {f"learned, seed {seed.seed}": folder / f"seed-{seed.seed}" for seed in card.seeds}
    return {name: PilotSettings(name="learned", network=path) for name, path in {"learned": folder, **seeds}.items()}


def told(week: Week, bound: Bound, seconds: float) -> str:
    owned, bought = (pool.max_nodes for pool in week.world.pools)
    title = (
        f"{week.name}: {len(week.jobs):,} jobs of {len(set(week.jobs.queue.tolist()))} queues in "
        f"{steps_of(week.jobs) * STEP_S / DAY_S:.1f} days; {owned} owned nodes, up to {bought} more"
    )
    names = f"{'pilot':18}{'USD':>12}{'over bound':>12}{'to first':>10}  {'90 % interval':18}"
    names += f"{'wait p50':>10}{'p95, min':>10}"
    least = f"{'(bound)':18}{bound.usd:12,.0f}{'':70}{seconds:8.1f}"
    return f"{title}\n{names}{'used':>8}{'seconds':>10}\n{least}"


def row(trial: Trial, first: Trial, bound: Bound, seconds: float) -> str:
    low, mid, high = paired(trial, first, np.random.default_rng(SEED))
    waits = trial.waits[0]
    return (
        f"{trial.pilot:18}{trial.total_usd:12,.0f}{100 * (trial.total_usd / bound.usd - 1):+11.1f} %{mid:+9.1f}%  "
        f"[{low:+7.1f}, {high:+7.1f}]{minutes(waits.p50_s, waits.p50_is_least):>10}"
        f"{minutes(waits.p95_s, waits.p95_is_least):>10}{100 * trial.utilisation:7.0f}%"
        f"{seconds:10.1f}"
    )


def minutes(seconds: float, is_least: bool) -> str:
    """12.4, ≥2,364.0: at least that, as jobs wait on that never started."""
    return f"{'≥' if is_least else ''}{seconds / 60:,.1f}"


def _between(jobs: JobTable, begin_s: float, end_s: float) -> JobTable:
    """What was submitted within; times since the beginning."""
    part = jobs.take((jobs.submit_s >= begin_s) & (jobs.submit_s < end_s))
    part.submit_s[:] -= begin_s
    return part


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [*TRACES, GENERATED]
    pilots = ["reactive", *(pilot.name for pilot in ALL_PILOTS if pilot.name != "reactive")]
    names = [name for pilot in pilots for name in (pilot, pilot + TUNED) if name == pilot or pilot in shipped_pilots()]
    parser.add_argument("--week", action="append", choices=known, help="only this one; may be repeated")
    parser.add_argument("--pilots", default=",".join(names), help="with the first the others are compared")
    parser.add_argument("--forecaster", default="naive", help="as forecast.model (naive)")
    parser.add_argument("--traces", default=os.environ.get("GYROPILOT_TRACES"), help="the folder (GYROPILOT_TRACES)")
    parser.add_argument(
        "--learned", type=Path, help="a folder of `gyropilot train`: its network and those of its seeds"
    )
    options = parser.parse_args()
    options.week = options.week or known
    options.pilots = {name: settings_of(name) for name in options.pilots.split(",")}
    if options.learned:
        options.pilots.update(networks(options.learned))
    return options


if __name__ == "__main__":
    main()
