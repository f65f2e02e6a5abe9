"""Newsvendor: as much capacity as price and waiting cost justify, quotas where demand goes, reclaim last.

The rules stand each in a file: `capacity` (pools), `quotas`, `reclaim`; `tenancy` joins the last two.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from agents.pilots.capacity import CapacityRule, explain
from agents.pilots.quotas import QuotaRule
from agents.pilots.reactive import Reactive
from agents.pilots.tenancy import Tenancy
from agents.reasons import Reasons
from gyropilot.domain import Intent, View


@dataclass(frozen=True, slots=True)
class Newsvendor:
    """Buys at the quantile of demand that price and waiting cost imply, and never less than Reactive would."""

    scale_down_after: timedelta = timedelta(minutes=10)
    pay_back: timedelta = timedelta(hours=1)
    stabilisation: timedelta = timedelta(hours=1)
    dead_band_gpus: int = 1
    giving_quantile: float = 0.9
    preempt: bool = True
    name: str = field(default="newsvendor", init=False)
    _capacity: CapacityRule = field(init=False, repr=False, compare=False)
    _tenancy: Tenancy = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        reactive = Reactive(self.scale_down_after)
        capacity = CapacityRule(reactive, self.pay_back, self.stabilisation, self.dead_band_gpus)
        quotas = QuotaRule(self.giving_quantile, self.stabilisation, self.dead_band_gpus)
        object.__setattr__(self, "_capacity", capacity)
        object.__setattr__(self, "_tenancy", Tenancy(quotas, self.preempt))

    def steer(self, view: View) -> Intent:
        return self._tenancy.joined(view, self._pools(view))

    def _pools(self, view: View) -> Intent:
        rule, changes = self._capacity, dict[str, int]()
        for resource in view.state.resources:
            changes |= rule.plan(view, resource)
        why = {name: partial(explain, rule, view, view.state.pool(name), gpus) for name, gpus in changes.items()}
        return Intent(self.name, changes, reasons=Reasons(why))
