"""What queues give each other once it is known how pools grow: GPUs that were borrowed, or quota, never both."""

from __future__ import annotations

from dataclasses import dataclass

from agents.pilots.quotas import QuotaRule
from agents.pilots.reclaim import reclaim
from gyropilot.domain import Intent, View


@dataclass(frozen=True, slots=True)
class Tenancy:
    """The rules of `reclaim` and `quotas`, one remedy at a time."""

    quotas: QuotaRule
    preempt: bool

    def joined(self, view: View, pools: Intent) -> Intent:
        """A pilot's wishes for pools, and what follows from them for queues."""
        back, back_reasons = reclaim(view.state, pools.pool_gpus) if self.preempt else ({}, {})
        # Where GPUs are taken back, quotas stay, and each line has one reason.
        moves, reasons = self.quotas.moves(view, still=back.keys())
        if not moves and not back:
            return pools
        return Intent(pools.pilot, pools.pool_gpus, moves, back, {**pools.reasons, **reasons, **back_reasons})
