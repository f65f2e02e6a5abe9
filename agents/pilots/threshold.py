"""Threshold: the Horizontal Pod Autoscaler's rule for nodes, which is what KEDA scales by.

Kubernetes documentation, "Horizontal Pod Autoscaling": the size wanted is the size now times the metric over its
target, rounded up; nothing changes while that ratio lies within the tolerance (0.1) of 1; it shrinks to the largest
size wanted within the stabilisation window (300 s). KEDA leaves all that to the HPA and lets the last replica go after
a cooldown (ScaledObject, `cooldownPeriod`, 300 s): with the window as the cooldown, the same rule down to nothing.

Here the metric is GPUs asked for, running and pending, per GPU that is there or coming. Which sizes were wanted is
read from the history of demand, so that nothing is remembered between two looks.

The HPA knows no pools. Here what waits gets room where it may run, a gang in one flavor, and the rest of the size
wanted comes where quotas let somebody use it; what no quota admits is not bought.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from agents.asked import asked
from agents.pilots.growth import awaited, grown, spare, waits_first
from agents.pilots.kinds import Kind, kinds
from agents.pilots.past import peak_demand
from agents.pilots.placing import shrink_to, stock
from agents.pilots.present import present_demand, served_gpus
from agents.reasons import Reasons, Words
from agents.shares import whole
from gyropilot.domain import ClusterState, Intent, View


@dataclass(frozen=True, slots=True)
class Threshold:
    """Keeps demand at a share of capacity: grows at once, shrinks after a cooldown; whole nodes only."""

    target: float = 0.8
    tolerance: float = 0.1
    cooldown: timedelta = timedelta(minutes=5)
    name: str = field(default="threshold", init=False)

    def steer(self, view: View) -> Intent:
        changes: dict[str, int] = {}
        why: dict[str, Words] = {}
        for resource in view.state.resources:
            for kind in kinds(view.state, resource):
                plan = self._plan(view.state, kind, resource)
                changes |= plan
                why |= {name: partial(self._why, view.state, kind, name, gpus) for name, gpus in plan.items()}
        return Intent(self.name, pool_gpus=changes, reasons=Reasons(why))

    def _plan(self, state: ClusterState, kind: Kind, resource: str) -> dict[str, int]:
        supply, demand = kind.supply_gpus, present_demand(state, resource)
        level = abs(kind.share * demand / self.target - supply) <= self.tolerance * supply
        size = supply if level else self._size(state, kind, resource, demand)
        targets = {p.name: size for p in kind.growable}
        more = grown(state, kind, awaited(state, kind, resource), targets, asked(state, resource).by)
        return more or ({} if level else self._shrink(state, kind, resource))

    def _shrink(self, state: ClusterState, kind: Kind, resource: str) -> dict[str, int]:
        peak = peak_demand(state, resource, self.cooldown)
        if peak is None:
            return {}
        floors = {p.name: self._size(state, kind, resource, peak) for p in kind.pools}
        return shrink_to(kind.pools, kind.supply_gpus, floors, spare(state, kind, resource))

    def _size(self, state: ClusterState, kind: Kind, resource: str, demand: float) -> int:
        """GPUs of a kind when demand is the target's share of all, as far as quotas admit that many."""
        return whole(kind.share * served_gpus(state, resource, demand / self.target))

    def _why(self, state: ClusterState, kind: Kind, name: str, gpus: int) -> str:
        resource = kind.pools[0].accelerator.resource
        return waits_first(state, resource, name) + self._own_why(state, kind, resource, gpus)

    def _own_why(self, state: ClusterState, kind: Kind, resource: str, gpus: int) -> str:
        now, minutes = present_demand(state, resource), self.cooldown / timedelta(minutes=1)
        demand = now if gpus > 0 else peak_demand(state, resource, self.cooldown) or 0.0
        gpus_asked = f"{kind.share * demand:.0f} GPUs"
        asked = f"{gpus_asked} are" if gpus > 0 else f"in the last {minutes:g} min at most {gpus_asked} were"
        return (
            f"{asked} asked for and {stock(kind.pools)}; "
            f"at {self.target:.0%} in use, as far as quotas admit, it takes {self._size(state, kind, resource, demand)}"
        )
