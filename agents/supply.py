"""What pools have and cost, and whom they serve: the facts that pilots and agents share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from agents.asked import asked
from agents.once import once
from gyropilot.domain import ClusterState, Dial, Market, Pool, Queue, Quota


def merit_order(pools: Iterable[Pool]) -> list[Pool]:
    """Reserved first, because it is paid for; then the cheapest; by name where prices are equal."""
    return sorted(pools, key=_merit)


def _merit(pool: Pool) -> tuple[bool, float, str]:
    return pool.market is not Market.RESERVED, pool.running_price_usd_per_gpu_hour, pool.name


def wanted_nodes(pool: Pool) -> int:
    """Nodes that exist or are asked for."""
    asked = pool.dial_value if pool.dial is Dial.POOL_SIZE and pool.dial_value is not None else 0
    return max(asked, pool.nodes)


def supply_gpus(pool: Pool) -> int:
    """GPUs that are ready or coming, each once."""
    return pool.gpus + pool.coming_gpus


def room_gpus(pool: Pool) -> float:
    """GPUs by which a pool may still grow: none where nothing turns it, infinite where no limit is known."""
    if pool.dial is None or not pool.gpus_per_node:
        return 0.0
    if pool.max_nodes is None:
        return math.inf
    return float(max(0, pool.max_nodes - wanted_nodes(pool)) * pool.gpus_per_node)


def removable_gpus(pool: Pool) -> int:
    """GPUs on whole nodes that may go: idle, and above the pool's minimum."""
    if pool.dial is None or not pool.gpus_per_node:
        return 0
    idle_nodes = min(pool.ready_nodes, math.floor(pool.idle_gpus / pool.gpus_per_node))
    return max(0, min(idle_nodes, pool.nodes - pool.min_nodes)) * pool.gpus_per_node


def serves(pool: Pool, queue: Queue) -> bool:
    """Whether work of the queue may run in the pool: allowed by name, by data region and by the quotas' flavors.

    A region that is not known is nobody's data region. A flavor that is not known forbids nothing.
    """
    if queue.allowed_pools and pool.name not in queue.allowed_pools:
        return False
    if queue.regions and pool.region not in queue.regions:
        return False
    if not queue.quotas or not pool.flavors:
        return True
    flavors = {q.flavor for q in queue.quotas if q.accelerator.resource == pool.accelerator.resource}
    return not flavors or not flavors.isdisjoint(pool.flavors)


def offers(pool: Pool, flavor: str) -> bool:
    """Whether the pool's nodes are of the flavor. One that is not known, of either, forbids nothing."""
    return not flavor or not pool.flavors or flavor in pool.flavors


@once
def served(state: ClusterState) -> Mapping[str, tuple[Queue, ...]]:
    """Queues whose work may run in each pool, by its name; those that are stopped, too.

    One tuple for all pools that serve the same: what follows from it need be worked out once.
    """
    if not any(q.quotas or q.regions or q.allowed_pools for q in state.queues):
        return dict.fromkeys([p.name for p in state.pools], state.queues)
    of_some: dict[tuple[str, ...], tuple[Queue, ...]] = {}
    found: dict[str, tuple[Queue, ...]] = {}
    for pool in state.pools:
        queues = tuple([q for q in state.queues if serves(pool, q)])
        found[pool.name] = of_some.setdefault(tuple([q.name for q in queues]), queues)
    return found


def served_by_any(state: ClusterState, pools: Sequence[Pool]) -> list[Queue]:
    """Queues whose work may run in at least one of some pools."""
    names = {q.name for p in pools for q in served(state)[p.name]}
    return [q for q in state.queues if q.name in names]


def serves_somebody(pool: Pool, state: ClusterState) -> bool:
    """Whether any queue that is not stopped may run in the pool; true while no queue is known."""
    return not state.queues or any(q.active for q in served(state)[pool.name])


@once
def quotas_bind(state: ClusterState) -> bool:
    """Whether any queue has a quota; where none has, nothing holds work back but nodes."""
    return any(q.quotas for q in state.queues)


@once
def cohorts(state: ClusterState) -> Sequence[tuple[Queue, ...]]:
    """Active queues that lend to each other, in the order of their names; a queue without cohort is alone."""
    groups: dict[tuple[str, str], list[Queue]] = {}
    for queue in sorted(state.queues, key=lambda q: q.name):
        if queue.active:
            key = ("cohort", queue.cohort) if queue.cohort else ("queue", queue.name)
            groups.setdefault(key, []).append(queue)
    return tuple(tuple(group) for group in groups.values())


def quota_gpus(group: Iterable[Queue], resource: str) -> float:
    """GPUs that the quotas of a cohort admit together; infinite where quotas do not bind or are not all seen."""
    queues = list(group)
    nominal = sum(q.nominal_gpus(resource) for q in queues)
    running = sum(q.running_gpus.get(resource, 0.0) for q in queues)
    # More runs than the queues' quotas admit: the Cohort object has a quota of its own, which is not seen.
    unseen = running > nominal or (nominal == 0 and any(q.cohort for q in queues))
    unbound = any(not q.quotas and q.demand_gpus(resource) > 0 for q in queues)
    return math.inf if unseen or unbound else float(nominal)


@once
def admissible_gpus(state: ClusterState, resource: str) -> float:
    """GPUs that all quotas admit together: capacity beyond it would lie idle, because no queue may fill it."""
    if not quotas_bind(state):
        return math.inf
    return sum(quota_gpus(group, resource) for group in cohorts(state))


@once
def admissible_pending(state: ClusterState, resource: str) -> Mapping[str, float]:
    """GPUs that wait per active queue, as far as its cohort's quotas would admit them if nodes were there."""
    if not asked(state, resource).pending:
        return {q.name: 0.0 for q in state.queues if q.active}
    if not quotas_bind(state):
        return {q.name: max(0.0, q.pending_gpus.get(resource, 0.0)) for q in state.queues if q.active}
    pending = dict.fromkeys([q.name for group in cohorts(state) for q in group], 0.0)
    for group in cohorts(state):
        if any(q.pending_gpus.get(resource, 0.0) > 0 for q in group):
            pending |= _admitted(group, resource)
    return pending


def _admitted(group: Sequence[Queue], resource: str) -> dict[str, float]:
    admitted: dict[str, float] = {}
    left = quota_gpus(group, resource) - sum(q.running_gpus.get(resource, 0.0) for q in group)
    unused = unused_by_flavor(group, resource)
    for queue in group:
        waiting = max(0.0, min(queue.pending_gpus.get(resource, 0.0), left))
        admitted[queue.name] = waiting if math.isinf(left) else _admit(queue, resource, waiting, unused)
        left -= admitted[queue.name]
    return admitted


def most_gpus(quota: Quota) -> float:
    """GPUs that a queue may run with all that it may borrow."""
    return math.inf if quota.borrowing_limit_gpus is None else float(quota.nominal_gpus + quota.borrowing_limit_gpus)


def unused_by_flavor(group: Iterable[Queue], resource: str) -> dict[str, float]:
    """GPUs of quota that a cohort has and does not use; less than none where more is used than quotas say."""
    unused: dict[str, float] = {}
    for quota in (q for queue in group for q in queue.quotas if q.accelerator.resource == resource):
        unused[quota.flavor] = unused.get(quota.flavor, 0.0) + quota.nominal_gpus - quota.used_gpus
    return unused


def _admit(queue: Queue, resource: str, waiting: float, unused: dict[str, float]) -> float:
    """What the queue's flavors admit of what waits, within its borrowing limits; it is gone for the next queue."""
    admitted = 0.0
    for quota in (q for q in queue.quotas if q.accelerator.resource == resource):
        taken = max(0.0, min(waiting - admitted, unused[quota.flavor], most_gpus(quota) - quota.used_gpus))
        unused[quota.flavor] -= taken
        admitted += taken
    return admitted
