"""How large the clairvoyant bound's programme is, and how long it takes, as the window grows.

    python -m benchmarks.bound                     1, 3 and 7 days, 16 queues x 8 pools, steps of 5 minutes
    python -m benchmarks.bound --days 1 --alike    queues that cost the same to let wait, which become one line

Jobs are generated (seeded), some 650 GPUs at a time. Each queue has a price of waiting of its own and may use all
pools, which is the largest that a programme can be. Where speeds are two, every other pool runs at 0.6 of the speed;
both programmes are solved then, and the time is that of the one that counts.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from envs.bound import Bound, clairvoyant, natural
from envs.terms import PoolTerms, Prices
from envs.workloads import JobTable, Rhythm, TrainingProfile, generate

QUEUES, POOLS = 16, 8
STEP_S = 300.0
SLOW = 0.6


@dataclass(frozen=True, eq=False, slots=True)
class Case:
    """One row of the table."""

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
    def pools(self) -> list[PoolTerms]:
        return [
            PoolTerms(
                f"pool-{n}",
                nodes=4,
                max_nodes=40,
                price_usd_per_gpu_hour=2.0 + 0.2 * n,
                speed=SLOW if self.speeds and n % 2 else 1.0,
                lead_s=300.0 * (1 + n),
            )
            for n in range(POOLS)
        ]

    @property
    def prices(self) -> Prices:
        own = {} if self.alike else {f"queue-{n}": 5.0 + n for n in range(QUEUES)}
        return Prices(waiting_usd_per_gpu_hour=10.0, queue_waiting_usd_per_gpu_hour=own, churn_usd_per_node=2.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, nargs="+", default=[1, 3, 7])
    parser.add_argument("--alike", action="store_true", help="all queues cost the same to let wait")
    parser.add_argument("--time-limit-s", type=float, default=900.0)
    options = parser.parse_args()
    print(f"{'days':>4}{'speeds':>8}{'jobs':>9}{'mean GPUs':>11}{'USD':>12}{'waiting USD':>13}{'solver s':>10}")
    for speeds in (False, True):
        for days in options.days:
            case = Case(days, speeds, options.alike)
            jobs = case.jobs
            bound = clairvoyant(jobs, case.pools, case.prices, STEP_S, case.steps, time_limit_s=options.time_limit_s)
            print(_row(case, jobs, bound), flush=True)


def _row(case: Case, jobs: JobTable, bound: Bound) -> str:
    demand = natural(jobs, STEP_S, case.steps).sum(axis=0).mean()
    money = f"{bound.usd:12,.0f}{bound.usd_by_kind[1]:13,.0f}"
    return f"{case.days:4}{'two' if case.speeds else 'one':>8}{len(jobs):9,}{demand:11,.0f}{money}{bound.seconds:10.1f}"


if __name__ == "__main__":
    main()
