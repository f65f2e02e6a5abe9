"""What follows once it is known how pools grow: what queues give each other, and what goes on in another pool."""

from __future__ import annotations

from dataclasses import dataclass

from agents.pilots import consolidation
from agents.pilots.quotas import QuotaRule
from agents.pilots.reclaim import reclaim
from agents.reasons import Reasons
from gyropilot.domain import Intent, View


@dataclass(frozen=True, slots=True)
class Tenancy:
    """The rules of `reclaim` and `quotas`, one remedy at a time, and of `consolidation` where it is wanted."""

    quotas: QuotaRule
    preempt: bool
    consolidate: bool = False

    def joined(self, view: View, pools: Intent) -> Intent:
        """A pilot's wishes for pools, and what follows from them."""
        back, back_reasons = reclaim(view.state, pools.pool_gpus) if self.preempt else ({}, {})
        # Where GPUs are taken back, quotas stay, and each line has one reason.
        moves, reasons = self.quotas.moves(view, still=back.keys())
        ways, way_reasons = consolidation.moves(view.state, pools.pool_gpus) if self.consolidate else ({}, {})
        if not moves and not back and not ways:
            return pools
        why = {**pools.reasons, **reasons, **back_reasons, **Reasons(way_reasons)}
        return Intent(pools.pilot, pools.pool_gpus, moves, back, why, ways)
