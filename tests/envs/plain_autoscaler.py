"""The HorizontalPodAutoscaler's rule as Kubernetes has it written down, look by look."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from envs.services import Service


def plainly_wanted(service: Service, per_s: Sequence[float], look_s: float) -> list[int]:
    """Replicas after each look, which finds so much asked for."""
    target = service.capacity_per_s * service.target_utilisation
    replicas = min(max(ceil(per_s[0] / target - 1e-9), service.min_replicas), service.max_replicas)
    recommended: list[tuple[float, int]] = []
    found = []
    for nth, load in enumerate(per_s):
        ratio = load / (target * replicas) if replicas else float("inf")
        desired = replicas if abs(ratio - 1.0) <= service.tolerance else ceil(load / target - 1e-9)
        recommended.append((nth * look_s, desired))
        most = max([desired, *(many for at_s, many in recommended if at_s > nth * look_s - service.stabilisation_s)])
        if replicas < desired:
            replicas = desired
        elif replicas > most:
            replicas = most
        replicas = min(max(replicas, service.min_replicas), service.max_replicas)
        found.append(replicas)
    return found
