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
from agents.protocols import Pilot
from envs.faults import Surprises
from envs.residual import Compared, Course, Days, Ground, Span, Stretch, compared, followed_from
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
    peak: float = 0.25  # scores of factors fall by this times the squared number of places from 1, at first
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


@dataclass(frozen=True, eq=False, slots=True)
class Exam:
    """Days on which networks are judged beside the base: of each cluster the same."""

    base: Pilot
    stretches: tuple[Stretch, ...]

    @property
    def base_usd(self) -> Floats:
        """(T,) that the base pays, step by step, cluster by cluster."""
        return self._weighed([stretch.base_usd for stretch in self.stretches])

    def paid(self, network: Network) -> Floats:
        """(T,) that is paid with a network."""
        return self._weighed([followed_from(stretch, Learned(self.base, network)) for stretch in self.stretches])

    def by_cluster(self, usd: Floats) -> list[Floats]:
        """What is paid on each, of what is paid (T,) on one after the other."""
        return np.split(usd, np.cumsum([len(stretch.base_usd) for stretch in self.stretches])[:-1])

    def _weighed(self, usd: Sequence[Floats]) -> Floats:
        """One after the other, as if the base paid as much on each: a dear cluster counts for no more than others."""
        sums = np.array([stretch.base_usd.sum() for stretch in self.stretches])
        weights = np.divide(sums.mean(), sums, out=np.ones(len(sums)), where=sums > 0)
        return np.concatenate([each * weight for each, weight in zip(usd, weights, strict=True)])


@dataclass(eq=False, slots=True)
class School:
    """All that seeds share: clusters, and one base on all of them. What is held out is looked at once, at the end."""

    courses: tuple[Course, ...]
    plan: Plan
    recipe: Recipe
    seed: int = 0  # of days and weather
    grounds: tuple[Ground, ...] = field(init=False)
    validation: Exam = field(init=False)

    def __post_init__(self) -> None:
        _refuse_unlike([course.pools for course in self.courses])
        self.validation = self._exam(1)
        self.grounds = tuple(
            self._ground(course, stretch)
            for course, stretch in zip(self.courses, self.validation.stretches, strict=True)
        )

    def held_out(self) -> Exam:
        """The days that nothing was learned from or chosen by."""
        return self._exam(2)

    def data(self, forecaster: str, fingerprint: str) -> Data:
        """For the card. Days are those of all clusters together."""
        spans = zip(*map(self._spans, self.courses), strict=True)
        train, choose, judge = (sum(span.days for span in each) for each in spans)
        return Data(
            jobs=sum(len(course.jobs) for course in self.courses),
            queues=sum(len(course.jobs.queues) for course in self.courses),
            clusters=len(self.courses),
            pools=tuple(dict.fromkeys(name for ground in self.grounds for name in ground.pools)),
            train_days=train,
            validation_days=choose,
            held_out_days=judge,
            forecaster=forecaster,
            fingerprint=fingerprint,
            surprises=_rates(self.courses[0].surprises),
        )

    def _ground(self, course: Course, chosen_by: Stretch) -> Ground:
        if chosen_by.base_usd.sum() <= 0:
            raise SettingsError(
                "the base pays nothing on the validation days, so there is nothing to save; "
                "give other jobs, more --validation-days, or prices in the scenario"
            )
        days = Days(course, self._spans(course)[0], self.recipe.days, self.seed)
        # A mean step of the base: rewards are some tenths of one, whatever a cluster costs.
        return Ground(days, float(chosen_by.base_usd.mean()), course.pools)

    def _exam(self, nth: int) -> Exam:
        """On spans by their place in the plan."""
        chances = (np.random.default_rng([self.seed, 1_000_000 + nth]) for _ in self.courses)
        spans = [self._spans(course)[nth] for course in self.courses]
        lived = zip(self.courses, spans, chances, strict=True)
        return Exam(self.courses[0].base, tuple(course.stretch(span, rng) for course, span, rng in lived))

    def _spans(self, course: Course) -> tuple[Span, Span, Span]:
        return self.plan.spans(course.jobs.submit_s)


_TOLD_OF_JOBS = (
    "queue", "submit_s", "duration_s", "gpus", "priority", "kind", "checkpoint_s", "leaves_s", "data_gb", "restart_s",
)  # fmt: skip


def figure(mine: Sequence[Floats], theirs: Floats) -> Figure:
    """For the card."""
    found: Compared = compared(mine, theirs, np.random.default_rng(BOOTSTRAP_SEED))
    return Figure(mid=_told(found.mid), low=_told(found.low), high=_told(found.high))


def fingerprint(school: School, told: Mapping[str, str]) -> str:
    """What a training depends on, beside its seeds and steps: two of one fingerprint may go on with each other."""
    digest = hashlib.sha256()
    for name in _TOLD_OF_JOBS:
        for course in school.courses:
            digest.update(np.ascontiguousarray(getattr(course.jobs, name)).tobytes())
    rest = {**told, **asdict(school.recipe), **school.plan._asdict(), "encoding": VERSION, "features": FEATURES,
            "surprises": _rates(school.courses[0].surprises)}  # fmt: skip
    digest.update(repr(sorted((name, str(value)) for name, value in rest.items())).encode())
    return digest.hexdigest()


def _refuse_unlike(pools: Sequence[tuple[str, ...]]) -> None:
    if not all(pools):
        raise SettingsError(
            "the scenario has no pool whose size can be turned and costs money, so there is nothing to learn; "
            "give a flavor with max_nodes and a price"
        )
    if len({len(names) for names in pools}) > 1:
        told = "; ".join(", ".join(names) for names in pools)
        raise SettingsError(
            f"clusters that are learned from together have as many pools to turn as each other, and these have {told}; "
            "train a network for each"
        )


def _rates(surprises: Surprises | None) -> dict[str, float]:
    return {} if surprises is None else asdict(surprises)


def _told(value: float) -> float | None:
    return value if np.isfinite(value) else None
