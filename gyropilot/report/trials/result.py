"""Pilots side by side, before anybody tells it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from envs.faults import Fault
from envs.job_file import JobFile
from envs.served import Served
from envs.tally import in_use_until_s
from envs.terms import KINDS
from envs.trial import Trial, paired
from envs.unfit import Unfit
from envs.workloads import DAY_S, Floats

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


class Use(NamedTuple):
    """Of GPUs, in the time that counts."""

    provisioned_gpu_hours: float
    used_gpu_hours: float

    @property
    def share(self) -> float:
        """Of what was there; 0 where nothing was."""
        return self.used_gpu_hours / self.provisioned_gpu_hours if self.provisioned_gpu_hours else 0.0


class Yardstick(NamedTuple):
    """What pilots are measured by."""

    name: str
    usd: float
    by_kind: Mapping[str, float]  # along terms.KINDS
    over_bound: float | None  # percent


@dataclass(frozen=True, eq=False)
class Trials:
    """Pilots that met the same jobs and the same weather."""

    world: str  # in words
    file: JobFile
    trials: tuple[Trial, ...]
    bound: Bound | None  # None: not asked for
    began_s: float = 0.0  # at which moment of the file the world begins
    plan: Plan | None = None  # of somebody who knew all jobs; None: not asked for
    faults: tuple[Fault, ...] = ()  # that all of them met
    services: tuple[tuple[Served, ...], ...] = ()  # of each trial
    unfit: tuple[Unfit, ...] = ()  # who can never run
    aside: tuple[str, ...] = ()  # notes on what is beside the file of jobs

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader has to know."""
        unfit = (each.sentence for each in self.unfit)
        return (*self.file.notes, *unfit, *self.aside, *self._power())

    def _power(self) -> Iterator[str]:
        """Why energy or carbon is not known, or not of all."""
        trial = self.trials[0]
        silent = [pool.name for pool in trial.world.pools if not pool.watts_busy_per_gpu]
        if trial.kwh is None:
            yield "kWh and kg CO2 are not known: no flavor tells watts_busy_per_gpu"
            return
        if silent:
            known = "kWh" if trial.kg_co2 is None else "kWh and kg CO2"
            yield f"{known} are without {', '.join(silent)}, told without watts_busy_per_gpu"
        if trial.kg_co2 is None:
            yield "kg CO2 are not known: neither prices nor a flavor tells carbon_g_per_kwh"

    @property
    def days(self) -> float:
        return self.trials[0].days

    @cached_property
    def counted_steps(self) -> int:
        """Of which use of GPUs is told: all, but for those in which only stragglers would run who started at once."""
        jobs, trial = self.trials[0].jobs, self.trials[0]
        if not len(jobs):
            return len(trial.usd)
        ends_s, last_s = jobs.submit_s + jobs.duration_s, float(jobs.submit_s.max())
        until_s = in_use_until_s(jobs.submit_s, ends_s, jobs.gpus, last_s)
        return min(len(trial.usd), max(1, ceil(until_s / trial.world.step_s)))

    @property
    def counted_days(self) -> float:
        return self.counted_steps * self.trials[0].world.step_s / DAY_S

    def use(self, trial: Trial) -> Use:
        """Of GPUs under a pilot; the time that counts is the same for all."""
        there, busy = (flow[: self.counted_steps].sum() for flow in (trial.flows.there, trial.flows.busy))
        return Use(float(there), float(busy))

    def turns_per_day(self, trial: Trial) -> tuple[float, float]:
        """Of dials in the time that counts, and how many of them turned back."""
        in_use = replace(trial, usd=trial.usd[: self.counted_steps], turns=trial.turns[: self.counted_steps])
        return in_use.decisions_per_day, in_use.reversals_per_day

    @property
    def ranking(self) -> tuple[Trial, ...]:
        """The cheapest first."""
        return tuple(sorted(self.trials, key=lambda trial: trial.total_usd))

    @property
    def kinds(self) -> tuple[str, ...]:
        """Of cost, for which anybody paid."""
        return tuple(kind for kind in KINDS if any(trial.by_kind[kind] for trial in self.trials))

    @property
    def yardsticks(self) -> tuple[Yardstick, ...]:
        """The bound and the plan, where they were asked for."""
        found = []
        if self.bound is not None:
            found.append(Yardstick("bound", self.bound.usd, _by_kind(self.bound.usd_by_kind), None))
        if self.plan is not None:
            over = self._over_bound(self.plan.usd)
            found.append(Yardstick("clairvoyant plan", self.plan.usd, _by_kind(self.plan.usd_by_kind), over))
        return tuple(found)

    def over_bound(self, trial: Trial) -> float | None:
        """Percent."""
        return self._over_bound(trial.total_usd)

    def _over_bound(self, usd: float) -> float | None:
        return None if self.bound is None or self.bound.usd <= 0 else 100 * (usd / self.bound.usd - 1)

    def over_first(self, trial: Trial) -> Difference:
        """Against the pilot that was named first."""
        return difference(trial, self.trials[0])


def difference(one: Trial, other: Trial) -> Difference:
    """Both on the same days, drawn anew."""
    return Difference(*paired(one, other, np.random.default_rng(SEED)))


def _by_kind(usd: Floats) -> dict[str, float]:
    return dict(zip(KINDS, usd.tolist(), strict=True))
