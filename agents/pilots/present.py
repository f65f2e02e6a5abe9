"""What is asked for now, and what of a demand may be served at all."""

from __future__ import annotations

from agents.asked import asked
from agents.once import once
from agents.supply import admissible_gpus, admissible_pending
from gyropilot.domain import ClusterState


@once
def present_demand(state: ClusterState, resource: str) -> float:
    """GPUs that run, and that wait and would be admitted if nodes were there."""
    now = asked(state, resource)
    return now.running + sum(admissible_pending(state, resource).values()) if now.pending else now.running


def served_gpus(state: ClusterState, resource: str, demand: float) -> float:
    """Of a demand what may run: queues that are stopped start nothing, the others what quotas admit."""
    now = asked(state, resource)
    of_others = demand - now.stopped_running - now.stopped_pending
    return now.stopped_running + max(0.0, min(of_others, admissible_gpus(state, resource)))
