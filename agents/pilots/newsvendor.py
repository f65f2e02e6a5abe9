"""Newsvendor: as much capacity as price and waiting cost justify, quotas where demand goes, reclaim last.

The rules stand each in a file: `capacity` (pools), `quotas`, `reclaim`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from agents.pilots.capacity import CapacityRule, explain
from agents.pilots.quotas import QuotaRule
from agents.pilots.reactive import Reactive
from agents.pilots.reclaim import reclaim
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

    def steer(self, view: View) -> Intent:
        pools, pool_reasons = self._pools(view)
        back, back_reasons = reclaim(view.state, pools) if self.preempt else ({}, {})
        # One remedy at a time: where GPUs are taken back, quotas stay, and each line has one reason.
        rule = QuotaRule(self.giving_quantile, self.stabilisation, self.dead_band_gpus)
        quotas, quota_reasons = rule.moves(view, still=back.keys())
        return Intent(self.name, pools, quotas, back, pool_reasons | quota_reasons | back_reasons)

    def _pools(self, view: View) -> tuple[dict[str, int], dict[str, str]]:
        rule = CapacityRule(Reactive(self.scale_down_after), self.pay_back, self.stabilisation, self.dead_band_gpus)
        changes: dict[str, int] = {}
        for resource in view.state.resources:
            changes |= rule.plan(view, resource)
        reasons = {name: explain(rule, view, view.state.pool(name), gpus) for name, gpus in changes.items()}
        return changes, reasons
