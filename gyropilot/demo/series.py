"""The demo's world as Prometheus would tell it: each of Gyropilot's queries, and its answer at any moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from envs.workloads import Floats
from gyropilot.demo.gangs import Gang, dice, gangs
from gyropilot.demo.story import GPU
from gyropilot.demo.world import World
from gyropilot.domain import WorkloadKind
from gyropilot.prometheus import queries as asked
from gyropilot.prometheus.demand import kueue, pods
from gyropilot.prometheus.queries import METRICS, Queries
from gyropilot.prometheus.reader import LATELY_S, LOOK_BACK_S

Labels = Mapping[str, str]
Values = Callable[[Floats], Floats]
"""(series, T) of T moments, in ascending seconds since the world began."""

SCRAPED_AGO_S = 12.0
"""Age of the newest sample of everything."""

GPU_SANITISED = "nvidia_com_gpu"
MODEL_SERVED = "assistant-70b"
WATTS_IDLE = 70.0
NOT_EXPORTED = {*asked.INFERENCE_WAITING} - {asked.INFERENCE_WAITING[0]}


@dataclass(frozen=True, slots=True)
class Vector:
    """Series by their labels, and their values at moments in seconds of the epoch, NaN where there is none."""

    labels: tuple[Labels, ...]
    at: Callable[[Floats], Floats]  # (T,) ascending -> (series, T)


def vectors(world: World, queries: Queries) -> dict[str, Vector]:
    """The answer to each query that the readers may ask, by its text."""
    answers: _Answers = {
        **_of_kueue(world, queries),
        **_of_pods(world, queries),
        **_of_pools(world, queries),
        **_measured(world, queries),
        **_about_samples(world, queries),
    }
    counts: _Answers = {
        f"count({query})": ([{}], _constant([len(labels)])) for query, (labels, _) in answers.items() if labels
    }
    return {
        query: Vector(tuple(labels), _while_there_were_samples(world, values))
        for query, (labels, values) in (answers | counts).items()
    }


_Answers = dict[str, tuple[Sequence[Labels], Values]]


def _while_there_were_samples(world: World, values: Values) -> Values:
    """From the beginning until shortly after `now`, where the newest sample still counts."""
    began_s = world.began.timestamp()

    def at(epoch_s: Floats) -> Floats:
        since_s = epoch_s - began_s
        table = values(np.minimum(since_s, world.now_s)).astype(np.float64)
        table[:, (since_s < 0) | (since_s > world.now_s + LOOK_BACK_S)] = np.nan
        return table

    return at


def _of_kueue(world: World, queries: Queries) -> _Answers:
    ran = world.replay
    holders = [(q, f) for q, by_flavor in world.shares.items() for f in by_flavor]
    at = tuple(np.array([(ran.jobs.queues.index(q), ran.flavors.index(f)) for q, f in holders]).T)
    quota = [float(world.shares[q][f].nominal) for q, f in holders]
    each = [{**_queue_labels(world, q), "flavor": f} for q, f in holders]
    waits = [_queue_labels(world, q) for q in ran.jobs.queues]
    return {
        queries.kueue_running_gpus(): (_named(asked.KUEUE_RUNNING, each), lambda s: ran.running_gpus(s)[at]),
        queries.kueue_pending_gpus(): (_named(asked.KUEUE_PENDING, waits), ran.pending_gpus),
        queries.kueue_quota_gpus(): (_named(asked.KUEUE_QUOTA, each), _constant(quota)),
        queries.kueue_cohorts(LOOK_BACK_S): (
            [{"cluster_queue": q, "cohort": world.cluster.cohorts[q]} for q in ran.jobs.queues],
            lambda s: np.repeat(_newest(world, s), len(ran.jobs.queues), axis=0),
        ),
    }


def _queue_labels(world: World, queue: str) -> Labels:
    cohort = world.cluster.cohorts[queue]
    return {"cohort": cohort, "cluster_queue": queue, "resource": GPU, "replica_role": "leader"}


def _of_pods(world: World, queries: Queries) -> _Answers:
    """Jobs have pods only while they run: Kueue holds back the others."""
    ran = world.replay
    each = [{"queue": q, "resource": GPU_SANITISED} for q in ran.jobs.queues]
    return {
        queries.pod_running_gpus(): (each, lambda s: ran.running_gpus(s).sum(axis=1)),
        queries.pod_pending_gpus(): ([], _constant([])),
        queries.pods_seen(): ([{}], _constant([float(sum(len(gang.nodes) for gang in gangs(world)))])),
    }


def _of_pools(world: World, queries: Queries) -> _Answers:
    ran = world.replay
    each = [{"pool": pool.name} for pool in world.pools]
    row = [ran.flavors.index(pool.name) for pool in world.pools]
    gpus = np.array([[float(pool.gpus)] for pool in world.pools])
    return {
        queries.pool_gpus(): (each, _constant(gpus[:, 0].tolist())),
        queries.pool_idle_gpus(): (each, lambda s: gpus - ran.running_gpus(s).sum(axis=0)[row]),
        queries.pool_nodes(): (each, _constant([float(pool.nodes) for pool in world.pools])),
    }


def _measured(world: World, queries: Queries) -> _Answers:
    """What dcgm-exporter and the model servers tell of the jobs that run now."""
    by_queue: dict[str, list[Gang]] = {}
    for gang in gangs(world):
        if gang.started:
            by_queue.setdefault(gang.queue, []).append(gang)
    each = [{"queue": queue} for queue in by_queue]
    busy, memory = (
        [float(np.average([of(g) for g in own], weights=[g.gpus for g in own])) for own in by_queue.values()]
        for of in (lambda gang: gang.utilisation, _memory_share)
    )
    watts = [sum(g.gpus * _watts(world, g) for g in own) for own in by_queue.values()]
    return {
        queries.gpu_utilisation(): (each, _constant(busy)),
        queries.gpu_memory_share(): (each, _constant(memory)),
        queries.gpu_watts(): (each, _constant(watts)),
        queries.inference_waiting(): ([{"served": MODEL_SERVED}], _constant([6.0])),
    }


def _memory_share(gang: Gang) -> float:
    return (0.9 if gang.kind is WorkloadKind.INFERENCE else 0.72) + 0.1 * (dice(gang.name, "memory") - 0.5)


def _watts(world: World, gang: Gang) -> float:
    """Of one GPU: in a straight line between idle and busy."""
    return WATTS_IDLE + gang.utilisation * (world.pool(gang.flavor).watts_busy - WATTS_IDLE)


def _about_samples(world: World, queries: Queries) -> _Answers:
    def newest(since_s: Floats) -> Floats:
        return _newest(world, since_s)

    names = tuple(need.name for need in METRICS)
    there = [name for name in names if name not in NOT_EXPORTED]
    series = (queries.kueue_running_gpus(), queries.kueue_pending_gpus(), queries.pods_running())
    lately = [source(queries).sampled for source in (kueue, pods)]
    return {
        **{queries.newest_sample(one): ([{}], newest) for one in series},
        **{queries.seen_within(one, LATELY_S): ([{}], _constant([1.0])) for one in lately},
        queries.found(names): ([{"__name__": name} for name in there], _constant([1.0] * len(there))),
    }


def _newest(world: World, since_s: Floats) -> Floats:
    """(1, T) seconds of the epoch at which the newest sample was taken."""
    return (world.began.timestamp() + since_s - SCRAPED_AGO_S)[None, :]


def _named(metric: str, each: Sequence[Labels]) -> list[Labels]:
    return [{"__name__": metric, **labels} for labels in each]


def _constant(values: Sequence[float]) -> Values:
    column = np.array(values, dtype=np.float64).reshape(len(values), 1)
    return lambda moments: np.repeat(column, len(moments), axis=1)
