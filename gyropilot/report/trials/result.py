"""Pilots side by side, before anybody tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from envs.job_file import JobFile
from envs.terms import KINDS
from envs.trial import Trial, paired

if TYPE_CHECKING:
    from envs.bound import Bound
    from envs.foresight import Plan

SEED = 0
"""Of the bootstrap: the same figures print the same intervals."""


class Difference(NamedTuple):
    """Percent by which one pilot costs more than another, and a 90 % interval over days; NaN where not known."""

    low: float
    mid: float
    high: float


@dataclass(frozen=True, eq=False, slots=True)
class Trials:
    """Pilots that met the same jobs and the same weather."""

    world: str  # in words
    file: JobFile
    trials: tuple[Trial, ...]
    bound: Bound | None  # None: not asked for
    began_s: float = 0.0  # at which moment of the file the world begins
    plan: Plan | None = None  # of somebody who knew all jobs; None: not asked for

    @property
    def days(self) -> float:
        return self.trials[0].days

    @property
    def ranking(self) -> tuple[Trial, ...]:
        """The cheapest first."""
        return tuple(sorted(self.trials, key=lambda trial: trial.total_usd))

    @property
    def bound_by_kind(self) -> dict[str, float]:
        """USD, by kind of cost; empty where no bound was asked for."""
        return {} if self.bound is None else dict(zip(KINDS, map(float, self.bound.usd_by_kind), strict=True))

    @property
    def kinds(self) -> tuple[str, ...]:
        """Of cost, for which anybody paid."""
        return tuple(kind for kind in KINDS if any(trial.by_kind[kind] for trial in self.trials))

    def over_bound(self, trial: Trial) -> float | None:
        """Percent."""
        return self._over_bound(trial.total_usd)

    @property
    def plan_over_bound(self) -> float | None:
        """Percent by which the plan of somebody who knew all jobs is above what nobody can stay below."""
        return None if self.plan is None else self._over_bound(self.plan.usd)

    def _over_bound(self, usd: float) -> float | None:
        return None if self.bound is None or self.bound.usd <= 0 else 100 * (usd / self.bound.usd - 1)

    def over_first(self, trial: Trial) -> Difference:
        """Against the pilot that was named first."""
        return difference(trial, self.trials[0])


def difference(one: Trial, other: Trial) -> Difference:
    """Both on the same days, drawn anew."""
    return Difference(*paired(one, other, np.random.default_rng(SEED)))
