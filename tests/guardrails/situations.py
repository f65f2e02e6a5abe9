"""Builders for this folder: a situation at NOW in which nothing speaks against anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from gyropilot.domain import Action, Dial, Effect, Pool, Queue, Quota, Turn, Workload
from gyropilot.guardrails.protocol import Situation
from gyropilot.settings import Settings
from tests.fakes import GPU, H100, NOW, action, pool, queue, state, workload


def settings(**guardrails: Any) -> Settings:
    """Everything as by default, apart from the guardrails named."""
    return Settings.model_validate({"guardrails": guardrails})


def situation(
    queues: Sequence[Queue] = (),
    pools: Sequence[Pool] = (),
    workloads: Sequence[Workload] = (),
    **changes: Any,
) -> Situation:
    return replace(Situation(NOW, state(pools, queues, workloads)), **changes)


def quota(queue_name: str, nominal: int, flavor: str = "h100", used: float = 0.0, resource: str = GPU) -> Quota:
    return Quota(
        flavor, replace(H100, resource=resource), nominal, used, dial_target=f"{queue_name}/{flavor}/{resource}"
    )


def turn(of: Action, minutes_ago: float) -> Turn:
    return Turn(NOW - timedelta(minutes=minutes_ago), of)


def requota(name: str, before: int, after: int, flavor: str = "h100", resource: str = GPU) -> Action:
    """Turn a queue's quota."""
    target = f"{name}/{flavor}/{resource}"
    return action(before=before, after=after, target=target, subject=name, queue=name, resource=resource)


def resize(before: int, after: int, name: str = "h100") -> Action:
    """Turn a pool's nodes, eight GPUs each."""
    return action(Dial.POOL_SIZE, before, after, target=f"nodepools.karpenter.sh/{name}", subject=name)


def pause(name: str = "job", queue_name: str = "research", gpus: int = 8, lost: float = 17.0) -> Action:
    """Pause a gang."""
    return action(
        Dial.WORKLOAD,
        before=1,
        after=0,
        target=f"{queue_name}/{name}",
        subject=f"{queue_name}/{name}",
        queue=queue_name,
        namespace=queue_name,
        gpus=-gpus,
        expected=Effect(lost_gpu_hours=lost),
    )


def contended(gpus: int = 8, **changes: Any) -> Situation:
    """Queue research runs 24 GPUs on a quota of 16; queue training waits for 8 of its own 16."""
    return situation(
        queues=[queue("research", 16, running=24.0), queue("training", 16, running=8.0, pending=8.0)],
        pools=[pool(idle_gpus=0.0)],
        workloads=[workload("job", "research", gpus, **changes)],
    )
