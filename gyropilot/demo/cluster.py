"""The demo's world as a Kubernetes API server would show it."""

from __future__ import annotations

from gyropilot.demo.gangs import ended, gangs, pods_of
from gyropilot.demo.kinds import (
    CLUSTER_QUEUE,
    COHORT,
    FLAVOR,
    JOB,
    LOCAL_QUEUE,
    NAMESPACE,
    NODE,
    NODE_CLAIM,
    NODE_POOL,
    POD,
    PRIORITY,
    WORKLOAD,
    Json,
    described,
)
from gyropilot.demo.kubernetes_stand_in import Kind
from gyropilot.demo.machines import flavor, node, node_claim, node_pool
from gyropilot.demo.tenants import (
    PRIORITIES,
    cluster_queue,
    ended_workload,
    job,
    local_queue,
    namespace,
    pod,
    priority_class,
    protected,
    workload,
)
from gyropilot.demo.world import World
from gyropilot.domain import WorkloadKind

LINGERING = 12
"""Ended workloads whose objects are still there."""


def objects(world: World) -> dict[Kind, list[Json]]:
    """Everything that the API server of this world shows, by kind."""
    live, over = gangs(world), ended(world, LINGERING)
    spared = protected(live)
    queued = [gang for gang in live if gang.kind is not WorkloadKind.INFERENCE]
    return {
        NAMESPACE: [namespace(name, world.began) for name in world.shares],
        NODE: [node(pool, i, world.began) for pool in world.pools for i in range(pool.nodes)],
        NODE_POOL: [node_pool(pool, world.began) for pool in world.pools],
        NODE_CLAIM: [node_claim(pool, i, world.began) for pool in world.pools for i in range(pool.nodes)],
        POD: [pod(gang, name, host) for gang in live for name, host in pods_of(gang)],
        JOB: [job(gang) for gang in queued],
        FLAVOR: [flavor(pool, world.began) for pool in world.pools],
        COHORT: [
            described(COHORT, name, world.began) | {"spec": {}} for name in sorted(set(world.cluster.cohorts.values()))
        ],
        CLUSTER_QUEUE: [cluster_queue(name, world, live) for name in world.shares],
        LOCAL_QUEUE: [local_queue(name, world.began) for name in world.shares],
        WORKLOAD: [workload(gang, spared) for gang in live] + [ended_workload(gang, world.now) for gang in over],
        PRIORITY: [priority_class(name, value, world.began) for name, value in PRIORITIES.items()],
    }
