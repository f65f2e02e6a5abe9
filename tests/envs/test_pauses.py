"""Whom the simulated cluster stops when GPUs are taken back is whom the preemptor would choose on a real one."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from agents.preemptor import victims
from envs.compiled.handed import one
from envs.compiled.quotas import may_take
from envs.compiled.stops import Course
from envs.compiled.world import lost_hours
from envs.described import GPU
from envs.pauses import making_way, moving
from envs.replay import Share
from envs.seen import Seen
from envs.terms import PoolTerms, Prices
from envs.workloads import KINDS, Floats, JobTable
from envs.world import STEP_S, Run, Weather, World
from gyropilot.domain import ClusterState, Line, Workload

QUEUES = ("a", "b", "c")
STEPS = 24


def crowd(rng: np.random.Generator, count: int = 40) -> JobTable:
    """Jobs of three queues, of several priorities, some of them services, some with checkpoints."""
    return JobTable(
        QUEUES,
        queue=rng.integers(3, size=count),
        submit_s=np.sort(rng.uniform(0, STEPS * STEP_S / 2, count)),
        duration_s=rng.uniform(600, 4 * STEPS * STEP_S, count),
        gpus=rng.choice([1, 2, 4, 8], count).astype(np.int64),
        priority=rng.integers(0, 3, count),
        kind=rng.integers(len(KINDS), size=count),
        user=np.zeros(count, dtype=np.int64),
        checkpoint_s=rng.choice([np.inf, 900.0], count),
    )


def halfway(jobs: JobTable, rng: np.random.Generator) -> Run:
    """Half of the steps are over; quotas are smaller than what runs, so that queues borrow and wait for their own."""
    pools = tuple(PoolTerms(name, 4, 4, 4, gpus_per_node=8) for name in ("x", "y"))
    shares = {queue: {pool.name: Share(int(rng.integers(0, 24))) for pool in pools} for queue in QUEUES}
    run = World(pools, shares, dict.fromkeys(QUEUES, "all")).begin(jobs, Weather.calm(pools, STEPS))
    for _ in range(STEPS // 2):
        run.step(np.array([[4, 4]]))
    return run


def now_s(run: Run) -> Floats:
    return (run.nth * STEP_S).astype(np.float64)


def as_seen(run: Run, jobs: JobTable) -> ClusterState:
    """The state that a pilot sees, with the jobs that run; each would lose what the world says that it would."""
    state, site = Seen(run, Prices()).view().state, one(run.sites, 0)
    running = site.state.clock.gangs[: site.state.clock.running[0]].copy()
    hours = np.zeros(len(running))
    course = Course(site.work, site.rules, site.state, site.kinds, site.fates)
    lost_hours(course, running, float(run.nth[0]) * STEP_S, hours)
    flavors = [run.world.pools[flavor].name for flavor in site.state.runs.flavor[running]]
    held = site.state.runs.gpus[running].tolist()
    told = zip(running.tolist(), held, hours.tolist(), flavors, strict=True)
    return replace(state, workloads=tuple(_workload(jobs, state, *each) for each in told))


def _workload(jobs: JobTable, state: ClusterState, job: int, gpus: int, hours: float, flavor: str) -> Workload:
    return Workload(
        "jobs",
        f"{job:04d}",
        QUEUES[jobs.queue[job]],
        GPU,
        gpus,
        submitted=state.seen_at - timedelta(days=2),
        started=state.seen_at - timedelta(days=1),
        priority=int(jobs.priority[job]),
        kind=KINDS[jobs.kind[job]],
        flavor=flavor,
        last_checkpoint=state.seen_at - timedelta(hours=hours / gpus),
        restart_cost=timedelta(0),
        dial_target=f"jobs/{job:04d}",
    )


@pytest.mark.parametrize("elastic", [False, True])
@pytest.mark.parametrize("seed", range(25))
def test_the_world_and_the_preemptor_stop_the_same_jobs(seed: int, elastic: bool) -> None:
    rng = np.random.default_rng(seed)
    jobs = crowd(rng)
    jobs = replace(jobs, least_gpus=(jobs.gpus + 1) // 2) if elastic else jobs
    run = halfway(jobs, rng)
    state, need = as_seen(run, jobs), int(rng.integers(1, 30))

    for row, queue in enumerate(QUEUES):
        ours = making_way(run.sites, np.where(np.arange(3) == row, need, 0.0)[None], now_s(run))[0]
        theirs = {int(w.name) for w in victims(state, Line(queue, GPU.resource), need)}

        assert set(ours.tolist()) == theirs


def movable(run: Run, jobs: JobTable, source: int, target: int) -> ClusterState:
    """Those who run in one pool and fit into another, as if all were of one queue and had just written a checkpoint."""
    state, room = as_seen(run, jobs), np.zeros(len(QUEUES), dtype=np.int64)
    site = one(run.sites, 0)
    may_take(target, site.rules, site.state.ledger, room)
    here = [w for w in state.workloads if w.flavor == run.world.pools[source].name]
    told = [
        replace(w, queue="all", last_checkpoint=state.seen_at, restart_cost=timedelta(seconds=run.world.restart_s))
        for w in here
        if w.gpus <= room[QUEUES.index(w.queue)]
    ]
    return replace(state, workloads=tuple(told))


@pytest.mark.parametrize("seed", range(25))
def test_the_world_moves_those_whom_the_preemptor_would_stop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    jobs = crowd(rng, 12)
    run, need = halfway(jobs, rng), int(rng.integers(1, 20))

    for source, target in ((0, 1), (1, 0)):
        move = np.zeros((1, 2, 2))
        move[0, source, target] = need
        ours, to = moving(run.sites, move)
        theirs = {int(w.name) for w in victims(movable(run, jobs, source, target), Line("all", GPU.resource), need)}

        assert set(ours[0].tolist()) == theirs
        assert set(to[0].tolist()) <= {target}


def test_nobody_moves_twice_at_once() -> None:
    rng = np.random.default_rng(3)
    run = halfway(crowd(rng, 12), rng)

    ours, _ = moving(run.sites, np.full((1, 2, 2), 30.0))

    assert len(set(ours[0].tolist())) == ours.size > 0


def test_those_who_make_way_wait_until_their_time_is_over() -> None:
    rng = np.random.default_rng(1)
    run = halfway(crowd(rng), rng)
    stop = making_way(run.sites, np.array([[6.0, 0, 0]]), now_s(run))[0]

    run.step(np.array([[4, 4]]), np.array([[6.0, 0, 0]]))

    assert stop.size
    assert (run.sites.fates.stops[0, stop] == 1).all()
    assert (run.sites.state.runs.flavor[0, stop] == -1).all()
