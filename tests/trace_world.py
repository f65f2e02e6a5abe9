"""A public trace told as a real cluster would tell it: Kueue's metrics in Prometheus, its objects in the API server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from gyropilot.domain import Floats
from tests.controlplane.objects import (
    GPU,
    Object,
    cluster_queue,
    gpu_node,
    local_queue,
    namespace,
    node_pool,
    resource_flavor,
)
from tests.servers import Series

GPUS_PER_NODE = 8
MINUTELY = 3 * 60  # minutes at the end that are told one by one


@dataclass(frozen=True, slots=True)
class Trace:
    """Demand per queue, minute by minute."""

    queues: tuple[str, ...]
    running: Floats  # (queues, minutes) GPUs
    pending: Floats  # (queues, minutes) GPUs
    capacity: tuple[int, ...]  # GPUs per queue

    @property
    def demand(self) -> Floats:
        return self.running + self.pending

    @property
    def nodes(self) -> int:
        return sum(self.capacity) // GPUS_PER_NODE


def helios_earth() -> Trace:
    """16 virtual clusters of one cluster, 24 days (Helios, SC'21). Skips where the traces are not there."""
    folder = os.environ.get("GYROPILOT_TRACES")
    if not folder:
        pytest.skip("set GYROPILOT_TRACES to the folder of public traces")
    from pyarrow import parquet

    table = parquet.read_table(Path(folder) / "demand_helios_earth_vc.parquet").to_pandas()
    wide = {c: table.pivot(index="timestamp", columns="queue", values=c) for c in table.columns if c.endswith("_gpus")}
    return Trace(
        # Kubernetes takes lower case only.
        queues=tuple(str(name).lower() for name in wide["running_gpus"].columns),
        running=wide["running_gpus"].to_numpy(np.float64).T,
        pending=wide["pending_gpus"].to_numpy(np.float64).T,
        capacity=tuple(int(gpus) for gpus in wide["capacity_gpus"].max()),
    )


def as_kueue_metrics(trace: Trace, end_s: int) -> Iterator[Series]:
    """What Kueue exports, the last sample at `end_s`: one each minute of the last hours, one in five before."""
    minutes = trace.running.shape[1]
    kept = np.array([m for m in range(minutes) if m >= minutes - MINUTELY or (minutes - 1 - m) % 5 == 0])
    times = (end_s - 60 * (minutes - 1 - kept)).tolist()
    for row, queue in enumerate(trace.queues):
        where = {"cluster_queue": queue, "resource": GPU, "replica_role": "leader"}
        flavor = {**where, "flavor": "a100", "cohort": "earth"}
        quota = [float(trace.capacity[row])] * len(times)
        yield Series("kueue_cluster_queue_resource_usage", flavor, times, trace.running[row, kept].tolist())
        yield Series("kueue_cluster_queue_resource_pending", where, times, trace.pending[row, kept].tolist())
        yield Series("kueue_cluster_queue_nominal_quota", flavor, times, quota)


def as_objects(trace: Trace) -> Iterator[Object]:
    """Nodes, a static pool, and a ClusterQueue with a LocalQueue for each queue of the trace."""
    yield node_pool("a100", replicas=trace.nodes)
    yield resource_flavor("a100")
    for number in range(trace.nodes):
        yield gpu_node(f"a100-{number:03}", pool="a100", gpus=GPUS_PER_NODE, model="NVIDIA-A100-SXM4-80GB")
    for queue, gpus in zip(trace.queues, trace.capacity, strict=True):
        yield namespace(queue)
        yield cluster_queue(queue, cohort="earth", quotas={"a100": gpus})
        yield local_queue(queue, queue)
