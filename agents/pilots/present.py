"""What is asked for now, and what of a demand may be served at all."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from agents.supply import admissible_gpus, admissible_pending
from gyropilot.domain import ClusterState, Floats


def present_demand(state: ClusterState, resource: str) -> float:
    """GPUs that run, and that wait and would be admitted if nodes were there."""
    running = sum(q.running_gpus.get(resource, 0.0) for q in state.queues)
    return running + sum(admissible_pending(state, resource).values())


def servable(state: ClusterState, resource: str, demand: ArrayLike) -> Floats:
    """Of demands of any shape what may run: queues that are stopped start nothing, the others what quotas admit."""
    stopped = [q for q in state.queues if not q.active]
    running = sum(q.running_gpus.get(resource, 0.0) for q in stopped)
    pending = sum(q.pending_gpus.get(resource, 0.0) for q in stopped)
    of_others = np.asarray(demand, dtype=np.float64) - running - pending
    return running + np.clip(of_others, 0.0, max(0.0, admissible_gpus(state, resource)))
