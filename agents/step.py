"""How far one action may go: what is wanted beyond it follows in later cycles."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """The largest change of one dial in one cycle.

    The same cap stands among the guardrails, which can only hold an action back whole. Cutting the wish here
    lets a large change arrive in allowed steps instead of never.
    """

    max_share: float = math.inf  # of the dial's value; at least one unit is allowed
    max_gpus: float = math.inf

    def units(self, value: int, gpus_per_unit: int = 1) -> float:
        """Units (nodes, GPUs) by which a dial of this value may change; infinite without a cap."""
        by_share = max(
            1.0, math.inf if math.isinf(self.max_share) else float(math.floor(value * self.max_share + 1e-9))
        )
        by_gpus = math.inf if math.isinf(self.max_gpus) else float(self.max_gpus // max(1, gpus_per_unit))
        return min(by_share, by_gpus)


NO_CAP = Step()
