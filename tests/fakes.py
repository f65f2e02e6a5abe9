"""Builders: a value with everything filled in, of which a test names only what it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from gyropilot.domain import (
    ALL_QUEUES,
    Accelerator,
    Action,
    ClusterState,
    DemandForecast,
    DemandHistory,
    Dial,
    Line,
    Pool,
    Queue,
    Quota,
    View,
    Workload,
)

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)  # a Monday
GPU = "nvidia.com/gpu"
H100 = Accelerator(GPU, "NVIDIA-H100-80GB-HBM3")
HORIZONS = tuple(timedelta(minutes=m) for m in (5, 30, 60, 360, 1440))
QUANTILES = (0.1, 0.5, 0.8, 0.9, 0.99)


def pool(name: str = "h100", **changes: Any) -> Pool:
    """Four nodes of eight H100s behind a static Karpenter NodePool, all idle, 2 USD an hour."""
    base = Pool(
        name=name,
        accelerator=H100,
        nodes=4,
        ready_nodes=4,
        gpus_per_node=8,
        idle_gpus=32.0,
        min_nodes=0,
        max_nodes=16,
        provider="aws",
        region="eu-west-1",
        lead_time=timedelta(minutes=6),
        price_usd_per_gpu_hour=2.0,
        watts_idle_per_gpu=100.0,
        watts_busy_per_gpu=900.0,
        carbon_g_per_kwh=400.0,
        flavors=(name,),
        dial=Dial.POOL_SIZE,
        dial_target=f"nodepools.karpenter.sh/{name}",
        dial_value=4,
    )
    return replace(base, **changes)


def queue(
    name: str = "research", nominal: int = 16, running: float = 0.0, pending: float = 0.0, **changes: Any
) -> Queue:
    """A queue with one quota of flavor h100."""
    quota = Quota("h100", H100, nominal, used_gpus=running, dial_target=f"{name}/h100/{GPU}")
    base = Queue(
        name=name,
        quotas=(quota,),
        cohort="all",
        running_gpus={GPU: running},
        pending_gpus={GPU: pending},
        waiting_usd_per_gpu_hour=10.0,
        namespaces=(name,),
    )
    return replace(base, **changes)


def workload(name: str = "job", queue: str = "research", gpus: int = 8, **changes: Any) -> Workload:
    """A gang that has run for two hours without a checkpoint."""
    base = Workload(
        namespace=queue,
        name=name,
        queue=queue,
        accelerator=H100,
        gpus=gpus,
        submitted=NOW - timedelta(hours=3),
        started=NOW - timedelta(hours=2),
        flavor="h100",
        dial_target=f"{queue}/{name}",
    )
    return replace(base, **changes)


def history(demand: Mapping[str, Sequence[float]], step: timedelta = timedelta(minutes=5)) -> DemandHistory:
    """Running GPUs per queue (nothing pending), ending at NOW."""
    rows = np.array([list(values) for values in demand.values()], dtype=np.float64).reshape(len(demand), -1)
    count = rows.shape[1]
    times = int(NOW.timestamp()) - np.arange(count - 1, -1, -1, dtype=np.int64) * int(step.total_seconds())
    return DemandHistory(tuple(Line(name, GPU) for name in demand), times, rows, np.zeros_like(rows))


def state(
    pools: Sequence[Pool] = (),
    queues: Sequence[Queue] = (),
    workloads: Sequence[Workload] = (),
    **changes: Any,
) -> ClusterState:
    """Seen at NOW; its history is one day of what each queue demands now."""
    flat = {q.name: [q.demand_gpus(GPU)] * 288 for q in queues}
    base = ClusterState(
        seen_at=NOW,
        pools=tuple(pools),
        queues=tuple(queues),
        workloads=tuple(workloads),
        history=history(flat) if flat else DemandHistory.empty(),
        freshness={"prometheus": timedelta(seconds=20), "kubernetes": timedelta(0)},
    )
    return replace(base, **changes)


def forecast(median: Mapping[str, float], spread: float = 0.0) -> DemandForecast:
    """Flat over horizons; quantile q lies at median * (1 + spread * (q - 0.5) * 2). Adds the total of all queues."""
    lines = tuple(Line(name, GPU) for name in median)
    centre = np.array([*median.values(), sum(median.values())])
    factor = np.maximum(0.0, 1 + spread * (np.array(QUANTILES) - 0.5) * 2)
    table = centre[:, None, None] * np.ones((1, len(HORIZONS), 1)) * factor[None, None, :]
    return DemandForecast(NOW, (*lines, Line(ALL_QUEUES, GPU)), HORIZONS, QUANTILES, table, "fake")


def view(seen: ClusterState, demand: DemandForecast | None = None) -> View:
    """The state with a forecast; by default, that demand stays as it is."""
    return View(seen, demand or forecast({q.name: q.demand_gpus(GPU) for q in seen.queues}))


def action(dial: Dial = Dial.QUEUE_QUOTA, before: int = 16, after: int = 12, **changes: Any) -> Action:
    """Lower the quota of queue research from 16 to 12."""
    targets = {
        Dial.QUEUE_QUOTA: f"research/h100/{GPU}",
        Dial.POOL_SIZE: "nodepools.karpenter.sh/h100",
        Dial.POOL_LIMIT: f"nodepools.karpenter.sh/h100/{GPU}",
        Dial.WORKLOAD: "research/job",
    }
    base = Action(
        dial=dial,
        target=targets[dial],
        before=before,
        after=after,
        reason="demand is forecast to fall",
        subject="h100" if dial in (Dial.POOL_SIZE, Dial.POOL_LIMIT) else "research",
        queue="" if dial in (Dial.POOL_SIZE, Dial.POOL_LIMIT) else "research",
        namespace="research" if dial is Dial.WORKLOAD else "",
        resource=GPU,
        gpus=(after - before) * (8 if dial in (Dial.POOL_SIZE, Dial.WORKLOAD) else 1),
    )
    return replace(base, **changes)
