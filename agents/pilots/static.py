"""Static: one size for all times, as clusters without autoscaling are bought."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from agents.pilots.growth import grown
from agents.pilots.kinds import Kind, kinds
from agents.pilots.past import total_demand
from agents.pilots.placing import shrink_to, stock
from agents.shares import whole
from gyropilot.domain import ClusterState, Floats, Intent, View


@dataclass(frozen=True, slots=True)
class Static:
    """Sizes each accelerator's pools for a quantile of past demand, and keeps that."""

    quantile: float = 0.95
    name: str = field(default="static", init=False)

    def steer(self, view: View) -> Intent:
        changes: dict[str, int] = {}
        reasons: dict[str, str] = {}
        for resource in view.state.resources:
            demand = self._past_quantile(view.state, resource)
            if demand is None:
                continue
            for kind in kinds(view.state, resource):
                target = whole(demand * kind.share)
                plan = _resize(view.state, kind, target)
                changes |= plan
                reasons |= dict.fromkeys(plan, self._why(kind, target))
        return Intent(self.name, pool_gpus=changes, reasons=reasons)

    def _past_quantile(self, state: ClusterState, resource: str) -> float | None:
        seen = total_demand(state.history, resource)
        unknown = np.isnan(seen)
        seen = seen[~unknown] if unknown.any() else seen
        return _quantile(seen, self.quantile) if seen.size else None

    def _why(self, kind: Kind, target: int) -> str:
        return f"p{self.quantile * 100:g} of past demand is {target} GPUs, {stock(kind.pools)}"


def _resize(state: ClusterState, kind: Kind, target: int) -> dict[str, int]:
    more = grown(state, kind, {}, {p.name: target for p in kind.growable}, queues=None)
    return more or shrink_to(kind.pools, kind.supply_gpus, {p.name: target for p in kind.pools})


def _quantile(values: Floats, quantile: float) -> float:
    """As `numpy.quantile`, whose checks take longer than its answer."""
    at = (len(values) - 1) * quantile
    below = math.floor(at)
    ranked = np.partition(values, (below, min(below + 1, len(values) - 1)))
    low, high, part = float(ranked[below]), float(ranked[min(below + 1, len(values) - 1)]), at - below
    return low + (high - low) * part if part < 0.5 else high - (high - low) * (1 - part)
