"""What a GPU-hour costs, what an hour of waiting costs, and the quantile that follows from both."""

from __future__ import annotations

from collections.abc import Sequence

from gyropilot.domain import Pool, Queue


def critical_ratio(price_usd: float, waiting_usd: float) -> float:
    """The quantile of demand at which one more GPU costs as much as it saves (newsvendor: Arrow et al., 1951).

    A GPU too many costs its price, one too few costs waiting. What is free is never too many.
    """
    return waiting_usd / (waiting_usd + price_usd) if price_usd > 0 else 1.0


def waiting_price(queues: Sequence[Queue], resource: str) -> float:
    """USD of one GPU-hour of waiting, over active queues weighted by their present demand for the resource."""
    total = cost = 0.0
    for queue in queues:
        if queue.active:
            weight = queue.demand_gpus(resource)
            total += weight
            cost += weight * queue.waiting_usd_per_gpu_hour
    if total > 0:
        return cost / total
    equally = [q.waiting_usd_per_gpu_hour for q in queues if q.active]
    return sum(equally) / float(len(equally)) if equally else 0.0


def mean_price(pools: Sequence[Pool]) -> float:
    """USD per GPU-hour over pools, weighted by their GPUs (equally while they have none)."""
    weights = [float(p.gpus) for p in pools]
    weights = weights if sum(weights) > 0 else [1.0] * len(pools)
    cost = sum(w * p.running_price_usd_per_gpu_hour for w, p in zip(weights, pools, strict=True))
    return cost / sum(weights) if pools else 0.0
