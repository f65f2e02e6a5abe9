"""What a policy is taught on: days to learn from, days to choose by, and days that are held out to judge it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

import numpy as np

from agents.encoding import FEATURES, VERSION
from agents.pilots.learned import Learned, Network
from agents.pilots.network import Data, Figure
from envs.faults import Surprises
from envs.residual import Compared, Course, Days, Span, Stretch, compared, followed_from
from envs.workloads import DAY_S, Floats
from envs.world import STEP_S
from gyropilot.errors import SettingsError

BOOTSTRAP_SEED = 0
"""The same days give the same interval."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How PPO learns here."""

    worlds: int = 16
    rollout: int = 96  # steps of each between two updates: eight hours
    batch: int = 384
    epochs: int = 4
    gamma: float = 0.98  # an effect is over within hours: 50 steps are four
    gae_lambda: float = 0.95
    learning_rate: float = 4e-4
    target_kl: float = 0.02
    entropy: float = 0.0
    peak: float = 0.5  # scores of factors fall by this times the squared number of places from 1, at first
    hidden: tuple[int, ...] = (64, 64)
    days: int = 32  # that are drawn from the training span, and met again and again
    leg: int = 16  # rollouts from one checkpoint to the next

    @property
    def rollout_steps(self) -> int:
        """Of all worlds together."""
        return self.worlds * self.rollout


class Plan(NamedTuple):
    """How the time of the jobs is parted, in days; what is held out comes last."""

    held_out: float = 7.0
    validation: float = 3.0
    last: float | None = None  # of the jobs that are looked at; None: all

    def spans(self, jobs_s: Floats) -> tuple[Span, Span, Span]:
        """To train, to choose and to judge by. Raises SettingsError where too few days are there."""
        end_s = float(jobs_s.max(initial=0.0) // STEP_S * STEP_S)
        first_s = 0.0 if self.last is None else max(0.0, end_s - self.last * DAY_S)
        judged_s, chosen_s = (end_s - days * DAY_S for days in (self.held_out, self.held_out + self.validation))
        if chosen_s - first_s < 2 * DAY_S:
            raise SettingsError(
                f"{(end_s - first_s) / DAY_S:.1f} days of jobs leave {(chosen_s - first_s) / DAY_S:.1f} to learn from "
                f"beside {self.validation:g} to choose by and {self.held_out:g} held out; two at least are needed: "
                "give more jobs, or fewer --held-out-days and --validation-days"
            )
        return Span(first_s, chosen_s), Span(chosen_s, judged_s), Span(judged_s, end_s)


@dataclass(eq=False, slots=True)
class School:
    """All that seeds share. What is held out is looked at once, at the end."""

    course: Course
    plan: Plan
    recipe: Recipe
    seed: int = 0  # of days and weather
    days: Days = field(init=False)
    validation: Stretch = field(init=False)
    pools: tuple[str, ...] = field(init=False)
    scale_usd: float = field(init=False)

    def __post_init__(self) -> None:
        train, choose, _ = self.plan.spans(self.course.jobs.submit_s)
        self.pools = self.course.pools
        if not self.pools:
            raise SettingsError(
                "the scenario has no pool whose size can be turned and costs money, so there is nothing to learn; "
                "give a flavor with max_nodes and a price"
            )
        self.days = Days(self.course, train, self.recipe.days, self.seed)
        self.validation = self.course.stretch(choose, np.random.default_rng([self.seed, 1_000_001]))
        if self.validation.base_usd.sum() <= 0:
            raise SettingsError(
                "the base pays nothing on the validation days, so there is nothing to save; "
                "give other jobs, more --validation-days, or prices in the scenario"
            )
        # A mean step of the base: rewards are some tenths of one, whatever a cluster costs.
        self.scale_usd = float(self.validation.base_usd.mean())

    def held_out(self) -> Stretch:
        """The days that nothing was learned from or chosen by."""
        span = self.plan.spans(self.course.jobs.submit_s)[2]
        return self.course.stretch(span, np.random.default_rng([self.seed, 1_000_002]))

    def paid(self, network: Network, where: Stretch) -> Floats:
        """(T,) USD of each step with a network."""
        return followed_from(where, Learned(self.course.base, network))

    def data(self, forecaster: str, fingerprint: str) -> Data:
        """For the card."""
        train, choose, judge = self.plan.spans(self.course.jobs.submit_s)
        jobs = self.course.jobs
        return Data(
            jobs=len(jobs),
            queues=len(jobs.queues),
            pools=self.pools,
            train_days=train.days,
            validation_days=choose.days,
            held_out_days=judge.days,
            forecaster=forecaster,
            fingerprint=fingerprint,
            surprises=_rates(self.course.surprises),
        )


def figure(mine: Sequence[Floats], theirs: Floats) -> Figure:
    """For the card."""
    found: Compared = compared(mine, theirs, np.random.default_rng(BOOTSTRAP_SEED))
    return Figure(mid=_told(found.mid), low=_told(found.low), high=_told(found.high))


def fingerprint(school: School, told: Mapping[str, str]) -> str:
    """What a training depends on, beside its seeds and steps: two of one fingerprint may go on with each other."""
    digest = hashlib.sha256()
    for name in ("queue", "submit_s", "duration_s", "gpus", "priority", "kind", "checkpoint_s", "leaves_s", "data_gb"):
        digest.update(np.ascontiguousarray(getattr(school.course.jobs, name)).tobytes())
    rest = {**told, **asdict(school.recipe), **school.plan._asdict(), "encoding": VERSION, "features": FEATURES,
            "surprises": _rates(school.course.surprises)}  # fmt: skip
    digest.update(repr(sorted((name, str(value)) for name, value in rest.items())).encode())
    return digest.hexdigest()


def _rates(surprises: Surprises | None) -> dict[str, float]:
    return {} if surprises is None else asdict(surprises)


def _told(value: float) -> float | None:
    return value if np.isfinite(value) else None
