"""The bounds: how long their programmes take, how far apart bound and plan are, and what not knowing is worth.

    python -m benchmarks.bound                              all three tables
    python -m benchmarks.bound solver --days 1 3 --alike    queues that cost the same to let wait, which become one line
    python -m benchmarks.bound bracket                      bound, a plan that knew all jobs, and pilots, on one day
    python -m benchmarks.bound unknown                      days drawn from a source; what pilots pay there on average

**solver**: jobs are generated (seeded), some 650 GPUs at a time, for 16 queues x 8 pools in steps of 5 minutes. Each
queue has a price of waiting of its own and may use all pools. Where speeds are two, every other pool runs at 0.6 of the
speed; both programmes are solved then, and the time is that of the one that counts.

**bracket**: the day of `solver`, of one speed.

**unknown**: a quarter of a day from midnight, from a source without memory, on one pool that is empty at first. The
clairvoyant's bound is told twice: as `simulate --bound` has it, and with what else is known of the simulated cluster,
which is where the penalty begins.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from agents.pilots import Newsvendor, Reactive
from agents.protocols import Pilot
from envs.bound import Bound, clairvoyant, natural
from envs.foresight import Known, foreseen
from envs.memoryless import Memoryless
from envs.penalty import Setting, penalised
from envs.terms import PoolTerms, Prices
from envs.trial import tried
from envs.workloads import JobTable, Rhythm, TrainingProfile, generate
from envs.world import Weather, World

Found = TypeVar("Found")

QUEUES, POOLS = 16, 8
STEP_S = 300.0
SLOW = 0.6
PILOTS: tuple[Pilot, ...] = (Reactive(), Newsvendor())


@dataclass(frozen=True, eq=False, slots=True)
class Case:
    """One row of the first table."""

    days: int
    speeds: bool
    alike: bool

    @property
    def steps(self) -> int:
        return round(self.days * 86_400 / STEP_S)

    @property
    def jobs(self) -> JobTable:
        profile = tuple(
            TrainingProfile(f"queue-{n}", submissions_per_day=40.0 + 6 * n, rhythm=Rhythm(peak_hour=8.0 + n % 8))
            for n in range(QUEUES)
        )
        return generate(profile, self.days, np.random.default_rng(6))

    @property
    def pools(self) -> tuple[PoolTerms, ...]:
        return tuple(
            PoolTerms(
                f"pool-{n}",
                nodes=4,
                max_nodes=40,
                price_usd_per_gpu_hour=2.0 + 0.2 * n,
                speed=SLOW if self.speeds and n % 2 else 1.0,
                lead_s=300.0 * (1 + n),
            )
            for n in range(POOLS)
        )

    @property
    def prices(self) -> Prices:
        own = {} if self.alike else {f"queue-{n}": 5.0 + n for n in range(QUEUES)}
        return Prices(waiting_usd_per_gpu_hour=10.0, queue_waiting_usd_per_gpu_hour=own, churn_usd_per_node=2.0)


def main() -> None:
    options = _options()
    parts = {"solver": solver, "bracket": bracket, "unknown": unknown}
    for name in [options.part] if options.part else parts:
        for line in parts[name](options):
            print(line, flush=True)
        print(flush=True)


def solver(options: argparse.Namespace) -> Iterator[str]:
    yield f"{'days':>4}{'speeds':>8}{'jobs':>9}{'mean GPUs':>11}{'USD':>12}{'waiting USD':>13}{'solver s':>10}"
    for speeds in (False, True):
        for days in options.days:
            case = Case(days, speeds, options.alike)
            limit_s = options.time_limit_s
            bound = clairvoyant(case.jobs, case.pools, case.prices, STEP_S, case.steps, time_limit_s=limit_s)
            yield _row(case, bound)


def _row(case: Case, bound: Bound) -> str:
    demand = natural(case.jobs, STEP_S, case.steps).sum(axis=0).mean()
    money = f"{bound.usd:12,.0f}{bound.usd_by_kind[1]:13,.0f}"
    jobs = f"{len(case.jobs):9,}{demand:11,.0f}"
    return f"{case.days:4}{'two' if case.speeds else 'one':>8}{jobs}{money}{bound.seconds:10.1f}"


def bracket(options: argparse.Namespace) -> Iterator[str]:
    case = Case(1, speeds=False, alike=options.alike)
    world, jobs, prices, weather = World(case.pools), case.jobs, case.prices, Weather.calm(case.pools, case.steps)
    yield f"{'one day':24}{'USD':>10}{'over bound':>12}{'seconds':>9}"
    bound, seconds = _timed(lambda: clairvoyant(jobs, case.pools, prices, STEP_S, case.steps))
    yield f"{'bound':24}{bound.usd:10,.0f}{'':12}{seconds:9.1f}"
    plan, seconds = _timed(lambda: foreseen(Known(world, jobs, prices, weather), bound))
    yield f"{'plan that knew all jobs':24}{plan.usd:10,.0f}{100 * (plan.usd / bound.usd - 1):+10.1f} %{seconds:9.1f}"
    for pilot in PILOTS:
        trial, seconds = _timed(partial(tried, world, jobs, pilot, prices, weather))
        yield f"{pilot.name:24}{trial.total_usd:10,.0f}{100 * (trial.total_usd / bound.usd - 1):+10.1f} %{seconds:9.1f}"


def unknown(_: argparse.Namespace) -> Iterator[str]:
    profile = tuple(TrainingProfile(name, 200.0, median_s=900.0, sigma=1.0, longest_s=21_600.0) for name in "ab")
    source = Memoryless(generate(profile, 20, np.random.default_rng(1)), 20.0, days=0.25)
    names = "".join(f"{pilot.name:>12}" for pilot in PILOTS)
    bounds = f"{'plain':>9}{'clairvoyant':>13}{'penalised':>11}{'90 %':>16}{'higher by, %':>18}"
    yield f"{'lead, min':>9}{bounds}{names}{'seconds':>9}"
    for minutes in (10, 30, 60):
        pool = PoolTerms("pool", nodes=4, max_nodes=60, lead_s=60.0 * minutes)
        prices = Prices(waiting_usd_per_gpu_hour=10.0, churn_usd_per_node=2.0)
        yield _unknown(source, Setting((pool,), prices, STEP_S, 72), minutes)


def _unknown(source: Memoryless, setting: Setting, minutes: int) -> str:
    found, seconds = _timed(lambda: penalised(setting, source, np.random.default_rng(6), fitted=48, judged=60))
    world, weather = World(tuple(setting.pools)), Weather.calm(setting.pools, setting.steps)
    means = [
        np.mean([tried(world, day, pilot, setting.prices, weather).total_usd for day in found.days[:30]])
        for pilot in PILOTS
    ]
    plain = np.mean([clairvoyant(day, setting.pools, setting.prices, STEP_S, setting.steps).usd for day in found.days])
    low, high = found.interval
    more = found.penalised - found.clairvoyant
    half = 1.645 * more.std(ddof=1) / np.sqrt(len(more))
    gain = [100 * usd / found.clairvoyant.mean() for usd in (more.mean(), half)]
    figures = f"{plain:9,.0f}{found.clairvoyant.mean():13,.0f}{found.usd:11,.0f}{f'[{low:,.0f}, {high:,.0f}]':>16}"
    paid = "".join(f"{usd:12,.0f}" for usd in means)
    return f"{minutes:9}{figures}{f'{gain[0]:.1f} +- {gain[1]:.1f}':>18}{paid}{seconds:9.0f}"


def _timed(work: Callable[[], Found]) -> tuple[Found, float]:
    began = time.perf_counter()
    return work(), time.perf_counter() - began


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=("solver", "bracket", "unknown"), help="only this table")
    parser.add_argument("--days", type=int, nargs="+", default=[1, 3, 7], help="of the solver's table")
    parser.add_argument("--alike", action="store_true", help="all queues cost the same to let wait")
    parser.add_argument("--time-limit-s", type=float, default=900.0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
