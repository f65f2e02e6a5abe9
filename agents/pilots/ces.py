"""CES: the node power-off rule of Helios' Cluster Energy Saving service, without its look-ahead.

Hu et al., "Characterization and Prediction of Deep Learning Workloads in Large-Scale GPU Datacenters" (SC'21), as the
authors' artifact has it (HeliosArtifact, `CES_Helios.py`). With A nodes on, U in use, and a forecast of U:

- wake: if A < U, nodes are woken up to U + `buffer_nodes`;
- sleep: if U lies `past_fall_nodes` below its mean over `past`, and its mean forecast over `ahead` `coming_fall_nodes`
  below U, and the mean over twice that is no higher again, all but U + `buffer_nodes` go to sleep, unless these are
  fewer than `least_nodes`, or the last waking was within `keep`.

What differs. The artifact averages predictions of which each was made from what was seen up to an hour before its own
target, so it knows of hours that are still to come; here all come from one forecast, made now (its median). U is demand
in whole nodes, what waits included. Nodes are let go instead of powered off, idle ones alone, and what no quota admits
is not woken. What waits gets room where it may run, a gang in one flavor, whatever is on elsewhere. The pilot remembers
nothing: nodes count as woken when demand rose to within the buffer of A, as it does whenever nodes are woken, and
sometimes when they are not.

The artifact asks for falls of 0.5 or 1 node before and 1 node to come, found for each cluster of hundreds of nodes.
With these no node would ever go after a forecast that is flat, or leans to the mean. So a forecast may rise by a node
here, and over twice the time to whatever stays on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

import numpy as np

from agents.asked import asked
from agents.paths import mean_gpus
from agents.pilots.growth import awaited, grown, spare, waits_first
from agents.pilots.kinds import Kind, kinds
from agents.pilots.past import latest_demand, peak_demand
from agents.pilots.placing import shrink_to, stock
from agents.pilots.present import present_demand, served_gpus
from agents.reasons import Reasons, Words
from agents.shares import whole
from gyropilot.domain import ALL_QUEUES, ClusterState, Intent, Line, View

MEDIAN = 0.5


@dataclass(frozen=True, slots=True)
class Ces:
    """Wakes nodes with a buffer when demand exceeds them; lets them sleep when it falls and goes on falling."""

    past: timedelta = timedelta(hours=1)
    ahead: timedelta = timedelta(hours=3)
    past_fall_nodes: float = 0.5
    coming_fall_nodes: float = -1.0
    least_nodes: int = 1
    buffer_nodes: int = 5
    keep: timedelta = timedelta(hours=2)
    name: str = field(default="ces", init=False)

    def steer(self, view: View) -> Intent:
        changes: dict[str, int] = {}
        why: dict[str, Words] = {}
        for resource in view.state.resources:
            for kind in kinds(view.state, resource):
                plan = self._woken(view.state, kind, resource) or self._slept(view, kind, resource)
                changes |= plan
                why |= {name: partial(self._why, view, kind, name, gpus) for name, gpus in plan.items()}
        return Intent(self.name, pool_gpus=changes, reasons=Reasons(why))

    def _woken(self, state: ClusterState, kind: Kind, resource: str) -> dict[str, int]:
        lacks = kind.supply_gpus < _used(state, kind, resource)
        size = self._size(state, kind, resource) if lacks else 0
        targets = {p.name: size for p in kind.growable}
        return grown(state, kind, awaited(state, kind, resource), targets, asked(state, resource).by)

    def _slept(self, view: View, kind: Kind, resource: str) -> dict[str, int]:
        state, supply = view.state, kind.supply_gpus
        size = self._size(state, kind, resource)
        if supply - size < max(1, self.least_nodes * kind.node_gpus) or self._woken_lately(state, kind, resource):
            return {}
        if not (self._has_fallen(state, kind, resource) and self._will_fall(view, kind, resource)):
            return {}
        return shrink_to(kind.pools, supply, {p.name: size for p in kind.pools}, spare(state, kind, resource))

    def _size(self, state: ClusterState, kind: Kind, resource: str) -> int:
        """GPUs that are in use, and the buffer as far as quotas admit its use."""
        used, demand = _used(state, kind, resource), kind.share * present_demand(state, resource)
        buffered = used + self.buffer_nodes * kind.node_gpus
        admitted = kind.share * served_gpus(state, resource, buffered / kind.share) if kind.share else 0.0
        return whole(max(demand, admitted))

    def _woken_lately(self, state: ClusterState, kind: Kind, resource: str) -> bool:
        """Whether demand rose to within the buffer of what is there, or may have, for not all of it was seen."""
        if peak_demand(state, resource, self.keep) is None:
            return True
        steps = max(1, -(-self.keep // state.history.step))
        seen = np.append(latest_demand(state.history, resource, steps), present_demand(state, resource))
        near = kind.share * seen > kind.supply_gpus - (self.buffer_nodes + 1) * kind.node_gpus
        return bool((near[1:] & ~near[:-1]).any())

    def _has_fallen(self, state: ClusterState, kind: Kind, resource: str) -> bool:
        fallen = _recent_mean(state, kind, resource, self.past) - _used(state, kind, resource)
        return fallen >= self.past_fall_nodes * kind.node_gpus

    def _will_fall(self, view: View, kind: Kind, resource: str) -> bool:
        if Line(ALL_QUEUES, resource) not in view.forecast.lines:
            return False
        soon, later = (_foretold(view, kind, resource, self.ahead * times) for times in (1, 2))
        falls = _used(view.state, kind, resource) - soon
        return falls >= self.coming_fall_nodes * kind.node_gpus and later <= self._size(view.state, kind, resource)

    def _why(self, view: View, kind: Kind, name: str, gpus: int) -> str:
        resource = kind.pools[0].accelerator.resource
        return waits_first(view.state, resource, name) + self._own_why(view, kind, resource, gpus)

    def _own_why(self, view: View, kind: Kind, resource: str, gpus: int) -> str:
        demand, size = kind.share * present_demand(view.state, resource), self._size(view.state, kind, resource)
        buffered = f"{size} with a buffer of {self.buffer_nodes} nodes as far as quotas admit it"
        if gpus > 0:
            return f"{demand:.0f} GPUs are asked for and {stock(kind.pools)}; that makes {buffered}"
        past, soon = _recent_mean(view.state, kind, resource, self.past), _foretold(view, kind, resource, self.ahead)
        hours = (self.past / timedelta(hours=1), self.ahead / timedelta(hours=1))
        return (
            f"{demand:.0f} GPUs are asked for after nodes for {past:.0f} in the last {hours[0]:g} h and before "
            f"{soon:.0f} in the next {hours[1]:g} h, {stock(kind.pools)}; that makes {buffered}"
        )


def _used(state: ClusterState, kind: Kind, resource: str) -> int:
    """GPUs of the whole nodes that demand takes."""
    node = kind.node_gpus
    return whole(kind.share * present_demand(state, resource) / node) * node if node else 0


def _recent_mean(state: ClusterState, kind: Kind, resource: str, window: timedelta) -> float:
    """GPUs of the whole nodes that demand took on the mean before now; NaN where nothing was seen."""
    steps = max(1, -(-window // state.history.step))
    seen = kind.share * latest_demand(state.history, resource, steps + 1)[:-1]
    nodes = np.ceil(seen[~np.isnan(seen)] / max(1, kind.node_gpus) - 1e-6)
    return float(nodes.mean()) * kind.node_gpus if nodes.size else float("nan")


def _foretold(view: View, kind: Kind, resource: str, ahead: timedelta) -> float:
    """GPUs on the mean of the median's path from now on, as far as they may be served."""
    mean = mean_gpus(view.forecast, Line(ALL_QUEUES, resource), MEDIAN, timedelta(0), ahead)
    return kind.share * served_gpus(view.state, resource, mean)
