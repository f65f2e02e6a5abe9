"""How many jobs a second the simulator replays, beside plain simulators in Python, and how that grows.

    python -m benchmarks.simulator            20,000 jobs on 1,000 GPUs, first come first served and with quotas;
                                              then clusters that learners step through

Where AccaSim is installed (`pip install 'gyropilot[bench]'`) it runs the first case, too.

Jobs are seeded: sizes and durations as in published clusters (most take one GPU, a few run for days), so many that the
cluster is busy at 85 %. Both must start each job at the same moment. Machine code is made before the clock starts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from benchmarks import accasim
from envs.fixed import FixedCluster, replay
from envs.replay import Cluster, Share
from envs.replay import replay as replay_with_quotas
from envs.terms import PoolTerms
from envs.workloads import KINDS, Floats, JobTable, TrainingProfile, generate
from envs.world import Weather, World
from gyropilot.domain import WorkloadKind
from tests.envs.plain_fifo import PlainJob, start_times
from tests.envs.plain_quotas import plain_replay

GANGS = (1, 2, 4, 8, 16, 32)
SHARES = (0.6, 0.12, 0.1, 0.1, 0.05, 0.03)
PER_NODE = 8
BUSY = 0.85
QUEUES = 8
REPEATS = 5
GROWTH = (1, 2, 4, 8)
CLUSTERS = 64
NODES = 64
PER_DAY = 960.0
"""Submissions to a cluster."""


def jobs(count: int, nodes: int) -> JobTable:
    """As many as keep so many nodes busy for as long as it takes."""
    rng = np.random.default_rng(6)
    gpus = rng.choice(GANGS, count, p=SHARES).astype(np.int64)
    duration_s = rng.lognormal(7.6, 1.9, count).clip(10, 5 * 86_400.0)
    span_s = float((gpus * duration_s).sum()) / (BUSY * nodes * PER_NODE)
    none = np.zeros(count, dtype=np.int64)
    return JobTable(
        queues=tuple(f"queue-{n}" for n in range(QUEUES)),
        queue=rng.integers(QUEUES, size=count),
        submit_s=np.sort(rng.uniform(0, span_s, count)),
        duration_s=duration_s,
        gpus=gpus,
        priority=none,
        kind=np.full(count, KINDS.index(WorkloadKind.TRAINING)),
        user=none,
        checkpoint_s=np.full(count, np.inf),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--nodes", type=int, default=125)
    options = parser.parse_args()
    table, cluster = jobs(options.jobs, options.nodes), FixedCluster(options.nodes, PER_NODE)
    columns = (getattr(table, name).tolist() for name in ("submit_s", "duration_s", "gpus"))
    plain = [PlainJob(*job) for job in zip(*columns, strict=True)]
    _beside(
        f"{options.jobs:,} jobs on {cluster.gpus:,} GPUs, first come first served",
        table,
        lambda: replay(table, cluster).start_s,
        lambda: np.array(start_times(plain, options.nodes, PER_NODE)),
    )
    _beside_accasim(table, cluster)
    shared = quotas(cluster.gpus)
    _beside(
        f"the same in {QUEUES} queues with quotas that lend to each other",
        table,
        lambda: replay_with_quotas(table, shared, np.inf).start_s,
        lambda: plain_replay(table, shared, np.inf).start_s,
    )
    _growth("jobs", [(options.jobs * times, options.nodes) for times in GROWTH])
    _growth("nodes", [(options.jobs, options.nodes * times) for times in GROWTH])
    print(
        f"\n{CLUSTERS} clusters in step, a day of 288 steps, 5 jobs a step and cluster: steps of one cluster a second"
    )
    print(f"{'queues':>10}{'pools':>10}{'steps/s':>14}{'us a step':>12}")
    for queues, pools in ((16, 8), (32, 8), (64, 8), (16, 16), (16, 32)):
        steps_a_second = stepped(queues, pools)
        print(f"{queues:10}{pools:10}{steps_a_second:14,.0f}{1e6 / steps_a_second:12.1f}", flush=True)


def stepped(queues: int, pools: int) -> float:
    """Steps of one cluster a second, dials turned at random each hour."""
    rng = np.random.default_rng(6)
    profile = tuple(TrainingProfile(f"queue-{n}", PER_DAY / queues, median_s=1_800.0) for n in range(queues))
    days = [generate(profile, 1.0, each) for each in rng.spawn(CLUSTERS)]
    per_pool = max(1, NODES // pools)
    terms = tuple(
        PoolTerms(f"pool-{n}", per_pool, 2 * per_pool, interruptions_per_day=n % 3 // 2) for n in range(pools)
    )
    weathers = [Weather.drawn(terms, 288, each) for each in rng.spawn(CLUSTERS)]
    wanted = rng.integers(per_pool, 2 * per_pool + 1, (288, CLUSTERS, pools))
    best = np.inf
    for _ in range(REPEATS):
        run = World(terms).begin_all(days, weathers)
        run.step(wanted[0])
        began = time.perf_counter()
        for nth in range(1, 288):
            run.step(wanted[nth // 12 * 12])
        best = min(best, time.perf_counter() - began)
    return 287 * CLUSTERS / best


def quotas(gpus: int) -> Cluster:
    """All queues alike, in one cohort."""
    names = [f"queue-{n}" for n in range(QUEUES)]
    return Cluster({name: {"gpu": Share(gpus // QUEUES)} for name in names}, dict.fromkeys(names, "all"), {"gpu": gpus})


def _beside(title: str, table: JobTable, fast: Callable[[], Floats], slow: Callable[[], Floats]) -> None:
    """A table of both, and whether they agree."""
    fast()
    ours_s, ours = _timed(fast, REPEATS)
    plain_s, theirs = _timed(slow, 1)
    same = np.array_equal(ours, theirs)
    print(f"{title}; {float((ours > table.submit_s).mean()):.0%} of them waited")
    print(f"{'':24}{'seconds':>10}{'jobs/s':>14}")
    print(f"{'plain Python':24}{plain_s:10.3f}{len(table) / plain_s:14,.0f}")
    print(f"{'gyropilot':24}{ours_s:10.4f}{len(table) / ours_s:14,.0f}")
    print(f"ratio {plain_s / ours_s:,.0f}; start times {'identical, job by job' if same else 'DIFFER'}\n")


def _beside_accasim(table: JobTable, cluster: FixedCluster) -> None:
    """The same in whole seconds, as AccaSim knows no others."""
    whole = replace(table, submit_s=np.rint(table.submit_s), duration_s=np.rint(table.duration_s))
    found = accasim.replayed(whole, cluster.nodes, PER_NODE)
    if found is None:
        print("AccaSim is not installed; pip install 'gyropilot[bench]' to see it here\n")
        return
    theirs_s, theirs = found
    ours_s, ours = _timed(lambda: replay(whole, cluster).start_s, REPEATS)
    apart = np.flatnonzero(ours != theirs)
    until = f"the first {apart[0]:,} jobs start alike, then two nodes fit as well" if len(apart) else "all start alike"
    print(f"{'AccaSim':24}{theirs_s:10.3f}{len(table) / theirs_s:14,.0f}")
    print(f"{'gyropilot':24}{ours_s:10.4f}{len(table) / ours_s:14,.0f}")
    print(f"ratio {theirs_s / ours_s:,.0f}; {until}\n")


def _growth(what: str, sizes: list[tuple[int, int]]) -> None:
    """Microseconds a job as one of the sizes grows; n log n would let them grow like log n."""
    cells = []
    for count, nodes in sizes:
        table, cluster = jobs(count, nodes), FixedCluster(nodes, PER_NODE)
        seconds, _ = _timed(lambda table=table, cluster=cluster: replay(table, cluster).start_s, REPEATS)  # type: ignore[misc]
        cells.append(f"{times_of(sizes, (count, nodes))}x {1e6 * seconds / count:.3f}")
    print(f"microseconds a job with more {what}: " + ", ".join(cells))


def times_of(sizes: list[tuple[int, int]], size: tuple[int, int]) -> int:
    return GROWTH[sizes.index(size)]


def _timed(work: Callable[[], Floats], repeats: int) -> tuple[float, Floats]:
    """The fastest of some, and what came of the last."""
    took = []
    for _ in range(repeats):
        began = time.perf_counter()
        found = work()
        took.append(time.perf_counter() - began)
    return min(took), found


if __name__ == "__main__":
    main()
