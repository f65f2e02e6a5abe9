"""How large pools should be: the newsvendor's rule, with the reactive rule as its floor.

One GPU too many costs its price, one too few makes work wait. Demand is uncertain, so the cheapest capacity
is a quantile of it: waiting / (waiting + price), the critical ratio. Each pool has its own price, and so its
own quantile; cheap pools fill first (merit order). A pool grows for the mean demand over the `pay_back` that
follows its lead time, and shrinks to the peak over `stabilisation`: growing asks whether a node will be used,
shrinking whether it will be missed.

The forecast may add to what the reactive rule wants, or keep a node that it would remove, and never removes
more. It asks for no more than quotas admit: what no queue may fill would lie idle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from agents.once import once
from agents.paths import mean_gpus, peak_gpus
from agents.pilots.growth import grown
from agents.pilots.kinds import Kind, kinds
from agents.pilots.placing import shrink_to, stock
from agents.pilots.present import served_gpus
from agents.pilots.prices import critical_ratio, waiting_price
from agents.pilots.reactive import Reactive
from agents.shares import whole
from agents.supply import room_gpus, served
from gyropilot.domain import ALL_QUEUES, ClusterState, Line, Pool, View


@dataclass(frozen=True, slots=True)
class CapacityRule:
    """GPUs to add to or remove from each pool of a resource."""

    reactive: Reactive
    pay_back: timedelta
    stabilisation: timedelta
    dead_band_gpus: int

    def plan(self, view: View, resource: str) -> dict[str, int]:
        """GPUs per pool: for each accelerator growth if anything is to grow, else what may go."""
        reactive = self.reactive.plan(view.state, resource)
        if Line(ALL_QUEUES, resource) not in view.forecast.lines:
            return reactive
        plan: dict[str, int] = {}
        for kind in kinds(view.state, resource):
            plan |= self._growth(view, kind, reactive) or self._removal(view, kind, reactive)
        return plan

    def wanted_gpus(self, view: View, kind: Kind, pool: Pool) -> float:
        """Supply of all pools of a kind together up to which a GPU of this pool is worth its price."""
        begin, quantile = pool.lead_time, pool_quantile(view.state, pool)
        demand = mean_gpus(view.forecast, _total(pool), quantile, begin, begin + self.pay_back)
        return kind.share * served_gpus(view.state, pool.accelerator.resource, demand)

    def kept_gpus(self, view: View, kind: Kind, pool: Pool) -> float:
        """Supply of all pools of a kind together below which a GPU of this pool would be missed."""
        demand = peak_gpus(view.forecast, _total(pool), pool_quantile(view.state, pool), self.kept_for(pool))
        return kind.share * served_gpus(view.state, pool.accelerator.resource, demand)

    def kept_for(self, pool: Pool) -> timedelta:
        """How far ahead is looked before a node goes: at least until one bought now would have paid back."""
        return max(self.stabilisation, pool.lead_time + self.pay_back)

    def _growth(self, view: View, kind: Kind, reactive: dict[str, int]) -> dict[str, int]:
        """What the reactive rule grows, and what the forecast adds to it."""
        base = {p.name: reactive[p.name] for p in kind.growable if reactive.get(p.name, 0) > 0}
        supply = kind.supply_gpus + sum(base.values())
        growing = [p for p in kind.growable if room_gpus(p) > base.get(p.name, 0)]
        targets = {p.name: self._in_band(self.wanted_gpus(view, kind, p), supply) for p in growing}
        return grown(view.state, kind, base, targets, view.state.queues)

    def _removal(self, view: View, kind: Kind, reactive: dict[str, int]) -> dict[str, int]:
        """What the reactive rule removes, less what the forecast says will be missed."""
        # What reactive keeps is kept while shrinking, too: else the next pool would stay for what never went.
        allowed = {p.name: -reactive[p.name] for p in kind.pools if reactive.get(p.name, 0) < 0}
        going = [p for p in kind.pools if p.name in allowed]
        floors = {p.name: whole(self.kept_gpus(view, kind, p)) for p in going}
        removed = shrink_to(going, kind.supply_gpus, floors, allowed)
        return {name: gpus for name, gpus in removed.items() if -gpus >= max(1, self.dead_band_gpus)}

    def _in_band(self, target: float, supply: int) -> int:
        missing = target - supply
        return supply + whole(missing) if whole(missing) > 0 and missing >= self.dead_band_gpus - 1e-6 else supply


def pool_quantile(state: ClusterState, pool: Pool) -> float:
    """The quantile of demand that the pool's price and its queues' waiting imply."""
    return critical_ratio(pool.running_price_usd_per_gpu_hour, _waiting_price(state, pool))


def explain(rule: CapacityRule, view: View, pool: Pool, gpus: int) -> str:
    """Why a pool should change by so many GPUs, in one sentence with the figures that decided."""
    state, resource = view.state, pool.accelerator.resource
    if _total(pool) not in view.forecast.lines:
        return rule.reactive.why(state, pool, gpus)
    waits = gpus > 0 and rule.reactive.plan(state, resource).get(pool.name, 0) > 0
    parts = [rule.reactive.why(state, pool, gpus)] if waits else []
    costs = f"a GPU-hour costs {pool.running_price_usd_per_gpu_hour:.2f} USD, waiting {_waiting_price(state, pool):.2f}"
    return "; ".join([*parts, _forecast_says(rule, view, pool, gpus), costs])


def _forecast_says(rule: CapacityRule, view: View, pool: Pool, gpus: int) -> str:
    kind = next(k for k in kinds(view.state, pool.accelerator.resource) if pool in k.pools)
    quantile = f"p{pool_quantile(view.state, pool) * 100:.0f}"
    when = f"within {_minutes(rule.kept_for(pool))}" if gpus < 0 else f"in {_minutes(pool.lead_time)}"
    demand = rule.kept_gpus(view, kind, pool) if gpus < 0 else rule.wanted_gpus(view, kind, pool)
    return f"forecast {quantile} demand {when} is {whole(demand)} GPUs, {stock(kind.pools)}"


def _waiting_price(state: ClusterState, pool: Pool) -> float:
    return _waiting_prices(state, pool.accelerator.resource)[pool.name]


@once
def _waiting_prices(state: ClusterState, resource: str) -> Mapping[str, float]:
    """USD of one GPU-hour of waiting of those whom each pool serves."""
    of_some: dict[int, float] = {}  # by tuple of queues: most pools serve the same
    prices: dict[str, float] = {}
    for pool in state.pools_of(resource):
        queues = served(state)[pool.name]
        if id(queues) not in of_some:
            of_some[id(queues)] = waiting_price(queues, resource)
        prices[pool.name] = of_some[id(queues)]
    return prices


def _minutes(duration: timedelta) -> str:
    return f"{duration / timedelta(minutes=1):.0f} min"


def _total(pool: Pool) -> Line:
    return Line(ALL_QUEUES, pool.accelerator.resource)
