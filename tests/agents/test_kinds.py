from __future__ import annotations

from typing import Any

from agents.pilots.kinds import kinds
from gyropilot.domain import Accelerator, ClusterState
from tests.fakes import GPU, pool, queue, state

A100 = Accelerator(GPU, "NVIDIA-A100")


def shares(seen: ClusterState) -> dict[str, float]:
    return {kind.pools[0].accelerator.model: kind.share for kind in kinds(seen, GPU)}


def test_pools_of_one_model_share_all_demand() -> None:
    (kind,) = kinds(state([pool("a"), pool("b")]), GPU)

    assert ([p.name for p in kind.pools], kind.share) == (["a", "b"], 1.0)


def test_demand_is_split_as_work_runs_now() -> None:
    seen = state([pool(idle_gpus=8.0), pool("a100", accelerator=A100, idle_gpus=24.0)])

    assert shares(seen) == {"NVIDIA-A100": 0.25, "NVIDIA-H100-80GB-HBM3": 0.75}


def test_work_that_waits_counts_where_it_would_start() -> None:
    seen = state(
        [pool(idle_gpus=8.0), pool("a100", accelerator=A100, idle_gpus=24.0)],
        [queue(nominal=64, pending=16)],
    )

    assert shares(seen) == {"NVIDIA-A100": 8 / 48, "NVIDIA-H100-80GB-HBM3": 40 / 48}


def test_admitted_work_without_a_node_counts_where_its_flavor_is() -> None:
    seen = state(
        [pool(idle_gpus=8.0), pool("a100", accelerator=A100, idle_gpus=24.0, price_usd_per_gpu_hour=1.0)],
        [queue(nominal=64, quotas=(), unplaced_gpus={GPU: {"h100": 16.0}})],
    )

    assert shares(seen) == {"NVIDIA-A100": 8 / 48, "NVIDIA-H100-80GB-HBM3": 40 / 48}


def test_with_no_work_demand_is_expected_where_the_gpus_are() -> None:
    seen = state([pool(), pool("a100", accelerator=A100, ready_nodes=12, nodes=12, dial_value=12, idle_gpus=96.0)])

    assert shares(seen) == {"NVIDIA-A100": 0.75, "NVIDIA-H100-80GB-HBM3": 0.25}


def test_with_no_gpus_either_all_models_are_alike() -> None:
    empty: dict[str, Any] = {"nodes": 0, "ready_nodes": 0, "idle_gpus": 0.0, "dial_value": 0}
    seen = state([pool("a", **empty), pool("b", accelerator=A100, **empty)])

    assert shares(seen) == {"NVIDIA-A100": 0.5, "NVIDIA-H100-80GB-HBM3": 0.5}


def test_without_pools_there_is_no_kind() -> None:
    assert kinds(state(), GPU) == ()
