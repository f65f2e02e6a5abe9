"""Reactive: what node autoscalers do, without their known slips."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from agents.pilots.gathering import Gathering, gathered, why_grown
from agents.pilots.past import peak_demand
from agents.pilots.placing import shrink_to, total_supply
from agents.reasons import Reasons, Words
from agents.shares import whole
from agents.supply import removable_gpus
from gyropilot.domain import ClusterState, Intent, Pool, View


@dataclass(frozen=True, slots=True)
class Reactive:
    """Grows for what waits and fits nowhere, shrinks what nobody asked for lately; whole nodes only."""

    scale_down_after: timedelta = timedelta(minutes=10)
    name: str = field(default="reactive", init=False)

    def steer(self, view: View) -> Intent:
        changes: dict[str, int] = {}
        why: dict[str, Words] = {}
        for resource in view.state.resources:
            plan = self.plan(view.state, resource)
            changes |= plan
            why |= {name: partial(self.why, view.state, view.state.pool(name), gpus) for name, gpus in plan.items()}
        return Intent(self.name, pool_gpus=changes, reasons=Reasons(why))

    def plan(self, state: ClusterState, resource: str) -> dict[str, int]:
        """GPUs per pool of one resource: growth if anything waits in vain, else what has long been idle goes."""
        gathering = gathered(state, resource)
        return gathering.added or self._shrink(state, resource, gathering)

    def why(self, state: ClusterState, pool: Pool, gpus: int) -> str:
        if gpus > 0:
            return why_grown(state, pool)
        resource = pool.accelerator.resource
        peak = peak_demand(state, resource, self.scale_down_after) or 0.0
        minutes = self.scale_down_after / timedelta(minutes=1)
        supply = total_supply(state.pools_of(resource))
        return f"at most {peak:g} of {supply} GPUs were asked for in the last {minutes:g} min"

    def _shrink(self, state: ClusterState, resource: str, gathering: Gathering) -> dict[str, int]:
        # Room that waits for the rest of a gang's is idle, and not to spare.
        spare = {p.name: gathering.spare_gpus(p) for p in state.pools_of(resource)}
        going = [p for p in state.pools_of(resource) if min(spare[p.name], removable_gpus(p)) > 0]
        peak = peak_demand(state, resource, self.scale_down_after) if going else None
        if peak is None:
            return {}
        # Coming GPUs do not count here: they were asked for with a reason, and are not idle yet.
        return shrink_to(going, state.capacity_gpus(resource), {p.name: whole(peak) for p in going}, spare)
