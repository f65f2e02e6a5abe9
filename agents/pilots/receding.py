"""Receding: the cheapest plan for the hours ahead, made anew at each look, of which only the first step is acted on.

What is planned for are courses of demand (`outlook`), each a quantile of the forecast, equally likely, that begin at
what is asked for now. The plan (`purchases`) weighs a GPU's price, and what it costs to start one, against waiting,
and knows each pool's lead time, limit and what is idle. It ends `horizon` after the longest lead time, for a plan that
ends before what is bought has paid back buys too little (model predictive control; Rawlings, Mayne & Diehl, 2017), and
its steps grow, so that a solution takes a millisecond or two.

The plan knows all pools of a kind as one: so what waits gets its room first, in pools where it may run, if that costs
no more than waiting. Of the plan's fractions whole nodes are made: one is bought if so much of it is wanted that
waiting would cost more than the node, one goes if all of it may go and nobody asked for it over `scale_down_after`.
Quotas and reclaim are the newsvendor's. Without a forecast it does what Reactive would.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from agents.pilots.growth import Room, awaited, spare, waits_first
from agents.pilots.kinds import Kind, kinds
from agents.pilots.outlook import Outlook, levels, outlook
from agents.pilots.past import peak_demand
from agents.pilots.placing import shrink_to, stock
from agents.pilots.quotas import QuotaRule
from agents.pilots.reactive import Reactive
from agents.pilots.tenancy import Tenancy
from agents.reasons import Reasons, Words
from agents.shares import whole
from gyropilot.domain import ALL_QUEUES, ClusterState, Intent, Line, Pool, View

Wish = tuple[int, Words]
"""GPUs by which a pool is to change, and why."""


@dataclass(frozen=True, slots=True)
class Receding:
    """Solves for the cheapest purchases over the hours ahead, and acts on the first step."""

    horizon: timedelta = timedelta(hours=4)
    quantile: float = 0.5
    paths: int = 5
    start_up: timedelta = timedelta(minutes=10)
    scale_down_after: timedelta = timedelta(minutes=10)
    stabilisation: timedelta = timedelta(hours=1)
    dead_band_gpus: int = 1
    giving_quantile: float = 0.9
    preempt: bool = True
    name: str = field(default="receding", init=False)

    def steer(self, view: View) -> Intent:
        quotas = QuotaRule(self.giving_quantile, self.stabilisation, self.dead_band_gpus)
        return Tenancy(quotas, self.preempt).joined(view, self._pools(view))

    def _pools(self, view: View) -> Intent:
        pools: dict[str, int] = {}
        why: dict[str, Words] = {}
        for resource in view.state.resources:
            known = Line(ALL_QUEUES, resource) in view.forecast.lines
            wishes = self._planned(view, resource) if known else self._as_reactive(view.state, resource)
            pools |= {name: gpus for name, (gpus, _) in wishes.items()}
            why |= {name: words for name, (_, words) in wishes.items()}
        return Intent(self.name, pools, reasons=Reasons(why))

    def _as_reactive(self, state: ClusterState, resource: str) -> dict[str, Wish]:
        rule = Reactive(self.scale_down_after)
        plan = rule.plan(state, resource)
        return {name: (gpus, partial(rule.why, state, state.pool(name), gpus)) for name, gpus in plan.items()}

    def _planned(self, view: View, resource: str) -> dict[str, Wish]:
        wishes: dict[str, Wish] = {}
        for kind in kinds(view.state, resource):
            ahead = outlook(view, kind, resource, levels(self.quantile, self.paths), self.horizon, self.start_up)
            plan = ahead.plan()
            if plan is None:
                reactive = self._as_reactive(view.state, resource)
                wishes |= {p.name: reactive[p.name] for p in kind.pools if p.name in reactive}
            else:
                now, first = plan.now, _worth_it(ahead, awaited(view.state, kind, resource))
                growth = self._growth(view.state, kind, first, self._bought(ahead, now))
                changes = self._removal(view.state, kind, resource, now) | growth
                wishes |= {
                    p.name: (changes[p.name], partial(_why, view.state, ahead, p, changes[p.name]))
                    for p in kind.pools
                    if p.name in changes
                }
        return wishes

    def _growth(
        self, state: ClusterState, kind: Kind, first: Mapping[str, int], bought: Mapping[str, int]
    ) -> dict[str, int]:
        """What waits gets room where it may run; what the plan buys beyond that comes where the plan has it."""
        growth = dict(first)
        if not bought:
            return growth
        more = sum(bought.values()) - sum(growth.values())
        room = Room.of(state, kind.growable, state.queues)
        for name, gpus in growth.items():
            room.take(name, gpus)
        for pool in kind.growable:
            left = min(more, bought.get(pool.name, 0) - growth.get(pool.name, 0), room.gpus(pool.name))
            gpus = math.ceil(left / (pool.gpus_per_node or 1)) * pool.gpus_per_node
            if gpus > 0:
                room.take(pool.name, gpus)
                growth[pool.name] = growth.get(pool.name, 0) + gpus
                more -= gpus
        return growth

    def _bought(self, ahead: Outlook, now: Sequence[float]) -> dict[str, int]:
        """Whole nodes, in GPUs per pool, of what is to be bought now."""
        bought = [max(0.0, change) for change in now]
        if sum(bought) < self.dead_band_gpus - 1e-6:
            return {}
        wanted = zip(ahead.pools, bought, strict=True)
        grown = {pool.name: _nodes(pool, gpus, ahead) * pool.gpus_per_node for pool, gpus in wanted}
        return {name: gpus for name, gpus in grown.items() if gpus}

    def _removal(self, state: ClusterState, kind: Kind, resource: str, now: Sequence[float]) -> dict[str, int]:
        """Whole nodes that may go now and that were asked for by nobody lately, in GPUs per pool."""
        going = [math.floor(1e-6 - change) for change in now]
        if max(going) <= 0:
            return {}
        idle = spare(state, kind, resource)
        allowed = {p.name: min(idle[p.name], gpus) for p, gpus in zip(kind.pools, going, strict=True)}
        peak = peak_demand(state, resource, self.scale_down_after) if max(allowed.values()) > 0 else None
        if peak is None:
            return {}
        floors = {p.name: whole(kind.share * peak) for p in kind.pools}
        removed = shrink_to(kind.pools, sum(p.gpus for p in kind.pools), floors, allowed)
        return {name: gpus for name, gpus in removed.items() if -gpus >= max(1, self.dead_band_gpus)}


def _worth_it(ahead: Outlook, awaited_gpus: Mapping[str, int]) -> dict[str, int]:
    """Of the growth for which work waits what costs no more than waiting."""
    waits = [p for p in ahead.pools if p.name in awaited_gpus]
    return {p.name: awaited_gpus[p.name] for p in waits if p.running_price_usd_per_gpu_hour <= ahead.waiting_usd}


def _nodes(pool: Pool, bought: float, ahead: Outlook) -> int:
    """Of a fraction a node is made if what it is wanted for would cost more to wait than the node costs."""
    if not pool.gpus_per_node:
        return 0
    nodes = math.floor(bought / pool.gpus_per_node + 1e-6)
    part = bought / pool.gpus_per_node - nodes
    return nodes + (part > 1e-6 and part * ahead.waiting_usd >= pool.running_price_usd_per_gpu_hour)


def _why(state: ClusterState, ahead: Outlook, pool: Pool, gpus: int) -> str:
    low, high = ahead.demand_after(pool.lead_time)
    does = f"buys {gpus} GPUs" if gpus > 0 else f"lets {-gpus} GPUs go"
    return waits_first(state, pool.accelerator.resource, pool.name) + (
        f"the cheapest plan for {ahead.edges_hours[-1]:.1f} h {does}: demand in "
        f"{pool.lead_time / timedelta(minutes=1):.0f} min is {low:.0f} to {high:.0f} GPUs, {stock(ahead.pools)}; "
        f"a GPU-hour costs {pool.running_price_usd_per_gpu_hour:.2f} USD, waiting {ahead.waiting_usd:.2f}"
    )
