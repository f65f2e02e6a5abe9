"""What losses tell about experts: Bernstein online aggregation.

Wintenberger 2017, "Optimal learning with Bernstein online aggregation": an expert's share grows with the exponential
of its regret, less a second-order term that pays for variance, at a rate that adapts to the size of the losses, so
that GPUs need no scaling. The rate counts the newest loss already, which makes the paper's correction for a loss
larger than any before superfluous; shares are weighed as in Gaillard's `opera`, without the rate as a factor.

Arrays are experts first, (E, ..., W, Q): cells are a window and a quantile, of each line or of each group of lines.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from forecasting.pooling import Rows, followed
from forecasting.protocol import State
from forecasting.store import floats
from gyropilot.domain import Floats


@dataclass(frozen=True, eq=False, slots=True)
class Evidence:
    """What losses have told about experts, in some cells (..., W, Q)."""

    regret: Floats  # (E, ..., W, Q) by how much listening to this one would have been better, less its variance
    square: Floats  # (E, ..., W, Q) sum of squares of regrets
    largest: Floats  # (E, ..., W, Q) largest regret
    count: Floats  # (..., W, Q) feedbacks, those of before faded

    @classmethod
    def none(cls, shape: tuple[int, ...]) -> Self:
        """Knows nothing of cells (E, ..., W, Q)."""
        return cls(np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(shape[1:]))

    def shares(self, prior: Floats, rate: float) -> Floats:
        """(E, ..., W, Q) that sum to one over experts; at `rate` 0.5 they are the paper's."""
        from forecasting.compiled import evidence

        return evidence.shares(self.regret, self.square, self.largest, prior, rate)

    def learnt(self, regret: Floats, fresh: Floats, forget: float) -> Evidence:
        """Having seen regrets (E, ..., W, Q), of which a share `fresh` (..., W, Q) is new; NaN: nothing was seen."""
        from forecasting.compiled import evidence

        learnt = Evidence(self.regret.copy(), self.square.copy(), self.largest.copy(), self.count.copy())
        evidence.learn(learnt.regret, learnt.square, learnt.largest, learnt.count, regret, fresh, forget)
        return learnt

    def levelled(self, prior: Floats, rate: float, given: Floats) -> Evidence:
        """Having given a share `given` (..., W, Q) to all experts as in `prior`: Herbster and Warmuth (1998).

        It is written back into the regrets, so that an expert never falls so low that it could not rise again.
        """
        speed, shares = self._speed() * rate, np.maximum(self.shares(prior, rate), 1e-300)
        rise = np.log1p(given * (prior / shares - 1))
        return replace(self, regret=self.regret + np.divide(rise, speed, out=np.zeros_like(rise), where=speed > 0))

    def faded(self, kept: Floats) -> Evidence:
        """With only the share `kept` (..., W, Q) of what was learnt."""
        return Evidence(kept * self.regret, kept * self.square, self.largest, kept * self.count)

    def for_rows(self, rows: Rows) -> Evidence:
        """Of lines picked by `rows`; nothing is known of -1."""
        regret, square, largest = (followed(array, rows, 1, 0.0) for array in (self.regret, self.square, self.largest))
        return Evidence(regret, square, largest, followed(self.count, rows, 0, 0.0))

    def _speed(self) -> Floats:
        """(E, ..., W, Q) learning rates of the paper, per unit of loss; 0 where no regret was ever seen."""
        experts = max(2, len(self.regret))
        with np.errstate(divide="ignore", over="ignore"):
            speed: Floats = np.minimum(0.5 / self.largest, np.sqrt(np.log(experts) / self.square))
        speed[~np.isfinite(speed)] = 0.0
        return speed

    def state(self) -> State:
        """As plain data."""
        return {"regret": self.regret, "square": self.square, "largest": self.largest, "count": self.count}

    @classmethod
    def restored(cls, state: State, shape: tuple[int, ...]) -> Self:
        """From `state`, refused unless it is of cells (E, ..., W, Q)."""
        regret, square, largest = (floats(state, name, shape) for name in ("regret", "square", "largest"))
        return cls(regret, square, largest, floats(state, "count", shape[1:]))
