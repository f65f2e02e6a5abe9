"""A plain world, tick by tick, with a pilot that does whatever chance tells it: what the bound must stay below."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from envs.terms import HOUR_S, Flows, PoolTerms, speeds
from envs.workloads import JobTable


@dataclass(slots=True)
class Job:
    """One job as it goes on; times are in ticks."""

    queue: int
    submit: int
    work: float  # that is left, at speed 1
    gpus: int  # that it asks for
    kind: int
    least: int  # that do
    scaling: float
    held: int = 0
    pool: int | None = None
    done: float = 0.0  # and not yet safe
    leaves: float = math.inf


@dataclass(slots=True)
class Pilot:
    """Buys after demand, too much or too little, and starts and stops jobs as they come."""

    rng: np.random.Generator
    haste: float  # chance that a waiting job is tried in a tick
    unrest: float  # chance that a running job is stopped in a tick
    bias: int  # nodes more than demand needs


@dataclass(slots=True)
class World:
    """Pools, jobs and what has been paid for."""

    pools: Sequence[PoolTerms]
    jobs: list[Job]
    tick_s: float
    open_to: Sequence[Sequence[int]]  # pools, by queue
    losses: Mapping[int, Collection[int]] = field(default_factory=dict)  # ticks at which many nodes go, by pool
    nodes: list[int] = field(default_factory=list)
    coming: list[list[int]] = field(default_factory=list)  # ticks at which nodes come, by pool

    def free(self, pool: int) -> int:
        used = sum(job.held for job in self.jobs if job.pool == pool)
        return self.nodes[pool] * self.pools[pool].gpus_per_node - used

    def pace(self, job: Job) -> float:
        """Work in a tick."""
        assert job.pool is not None
        return float(speeds(self.pools[job.pool].speed)[job.kind] * (job.held / job.gpus) ** job.scaling)


def run(world: World, pilot: Pilot, ticks: int, queues: int) -> Flows:
    """What a window of so many ticks comes to."""
    world.nodes = [pool.nodes for pool in world.pools]
    world.coming = [[] for _ in world.pools]
    count = len(world.pools)
    flows = Flows(np.zeros(count), np.zeros(count), np.zeros(queues), np.zeros(queues), np.zeros(()), np.zeros(count))
    for now in range(ticks):
        world.jobs = [job for job in world.jobs if job.leaves > now]
        for pool in range(count):
            if now in world.losses.get(pool, ()):
                kept = world.nodes[pool] - math.floor(world.nodes[pool] * world.pools[pool].mass_loss_share)
                _shrink(world, pilot, flows, pool, kept)
            _scale(world, pilot, flows, pool, now)
        for job in list(world.jobs):
            if job.pool is not None and pilot.rng.random() < pilot.unrest:
                _stop(world, pilot, flows, job)
        waiting = [job for job in world.jobs if job.pool is None and job.submit <= now]
        for index in pilot.rng.permutation(len(waiting)):
            _try(world, pilot, waiting[index])
        _pass(world, flows, now)
    return flows


def _scale(world: World, pilot: Pilot, flows: Flows, number: int, now: int) -> None:
    pool, coming = world.pools[number], world.coming[number]
    lead = math.ceil(pool.lead_s / world.tick_s)
    demand = sum(job.gpus for job in world.jobs if job.submit <= now + lead and number in world.open_to[job.queue])
    target = min(max(math.ceil(demand / pool.gpus_per_node) + pilot.bias, pool.min_nodes), pool.max_nodes)
    more = target - world.nodes[number] - len(coming)
    if more > 0:
        coming += [now + lead] * more
        flows.asked[number] += more
    _shrink(world, pilot, flows, number, target)
    world.nodes[number] += sum(tick <= now for tick in coming)
    coming[:] = [tick for tick in coming if tick > now]


def _shrink(world: World, pilot: Pilot, flows: Flows, number: int, nodes: int) -> None:
    """Jobs stop until those left fit."""
    world.nodes[number] = min(world.nodes[number], nodes)
    for job in [job for job in world.jobs if job.pool == number]:
        if world.free(number) < 0:
            _stop(world, pilot, flows, job)


def _stop(world: World, pilot: Pilot, flows: Flows, job: Job) -> None:
    """Some of what is not yet safe is lost."""
    assert job.pool is not None
    lost = job.done * pilot.rng.choice([0.0, 0.0, 0.5, 1.0])
    job.work += lost
    job.done = 0.0
    flows.lost[...] += lost * job.held / world.pace(job) * world.tick_s / HOUR_S
    job.pool = None


def _try(world: World, pilot: Pilot, job: Job) -> None:
    if pilot.rng.random() >= pilot.haste:
        return
    for pool in pilot.rng.permutation(world.open_to[job.queue]):
        wanted = int(pilot.rng.choice([job.gpus, int(pilot.rng.integers(job.least, job.gpus + 1))]))
        held = min(wanted, world.free(pool))
        if held >= job.least:
            job.pool, job.held = int(pool), held
            return


def _pass(world: World, flows: Flows, now: int) -> None:
    """A tick goes by."""
    hours = world.tick_s / HOUR_S
    for number, pool in enumerate(world.pools):
        flows.there[number] += world.nodes[number] * pool.gpus_per_node * hours
    for job in [job for job in world.jobs if job.submit <= now]:
        if job.pool is None:
            flows.waiting[job.queue] += job.gpus * hours
            flows.waiting_jobs[job.queue] += hours
            continue
        speed = world.pace(job)
        share = min(1.0, job.work / speed)
        flows.busy[job.pool] += job.held * share * hours
        job.work -= share * speed
        job.done += share * speed
        if job.work <= 1e-12:
            world.jobs.remove(job)


def of(jobs: JobTable, tick_s: float) -> list[Job]:
    """The jobs of a table, whose times are whole ticks."""
    times = (jobs.submit_s / tick_s, jobs.duration_s / tick_s)
    columns = (jobs.queue, *times, jobs.gpus, jobs.kind, jobs.least_gpus, jobs.scaling, jobs.leaves_s / tick_s)
    return [
        Job(int(q), round(s), float(w), int(g), int(k), int(least), float(c), leaves=round(s) + leaves)
        for q, s, w, g, k, least, c, leaves in zip(*columns, strict=True)
    ]
