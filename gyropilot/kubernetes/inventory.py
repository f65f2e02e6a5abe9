"""What the Kubernetes API told in one reading."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gyropilot.domain import Pool, Queue, Workload


@dataclass(frozen=True, slots=True)
class Inventory:
    """One reading of the API server, in the nouns of the house."""

    seen_at: datetime
    pools: tuple[Pool, ...]
    queues: tuple[Queue, ...]
    workloads: tuple[Workload, ...]
    kueue: str | None  # version served: "v1beta2", "v1beta1"; None: Kueue is absent
    notes: tuple[str, ...] = ()  # defaults used and kinds not served, one sentence each
