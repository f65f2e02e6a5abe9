"""What a reader of a simulation has to know of its scenario, beside what became of jobs."""

from __future__ import annotations

from collections.abc import Iterator

from envs.scenario import Scenario
from envs.unfit import Room
from envs.workloads import JobTable


def asides(scenario: Scenario, jobs: JobTable) -> tuple[str, ...]:
    """Sentences; none where nothing is out of the way."""
    return (*_data_stays(scenario, jobs), *_large_replicas(scenario))


def fixed(scenario: Scenario) -> tuple[str, ...]:
    """Where nobody steers: a sentence for who wonders at flavors that never grow."""
    grows = any(pool.nodes < pool.max_nodes for pool in scenario.pools)
    return ("without --pilot nobody asks for nodes: each flavor stays as it begins",) if grows else ()


def hopeless_services(scenario: Scenario) -> list[str]:
    """Services no replica of which can ever run, whatever is asked for."""
    queues = tuple(scenario.queues)
    room = Room.of(queues, scenario.at_most)
    return [
        f"no replica of {service.name} can ever run: it takes {service.gpus_per_replica:g} GPUs, and "
        f"{room.why(queues.index(service.queue), service.gpus_per_replica)}"
        for service in scenario.services
        if service.gpus_per_replica > room.most[queues.index(service.queue)]
    ]


def _data_stays(scenario: Scenario, jobs: JobTable) -> Iterator[str]:
    """Where jobs have data, and nobody says from where to where it would be sent."""
    world = scenario.world
    if jobs.data_gb.any() and not (world.homes and len(world.regions) > 1):
        yield "jobs tell data_gb, but nothing is sent: region of queues and of flavors is what it goes by"


def _large_replicas(scenario: Scenario) -> Iterator[str]:
    """Of services whose replicas fit on no node: a pod does not, and nodes are not looked at here."""
    for service in scenario.services:
        nodes = [scenario.gpus_per_node(flavor) for flavor in scenario.queues[service.queue].shares]
        largest = max((0 if gpus is None else gpus for gpus in nodes), default=0)
        if None not in nodes and largest < service.gpus_per_replica:
            yield (
                f"a replica of {service.name} takes {service.gpus_per_replica:g} GPUs, and no node of its queue's "
                f"flavors has more than {largest}; here GPUs of several nodes are as good"
            )
