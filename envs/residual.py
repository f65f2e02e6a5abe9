"""Days on which a policy learns to correct another pilot, and stretches on which both are judged.

The policy decides every five minutes by which factor each pool's target is multiplied; everything else is the pilot's
own code, which looks at the cluster through `envs.seen` as it would look at a real one: what is trained is what runs.

A day is lived through by the base alone first: a day before it, so that the cluster is filled and there is a past, and
the day itself, so that what it pays is known step by step. Rewards are what was saved against that. As the jobs, the
weather and the base are the same, this changes no decision's worth, and most of the noise is gone (Mao et al.,
"Variance Reduction for Reinforcement Learning in Input-Driven Environments", ICLR'19).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from agents.encoding import FACTORS, FEATURES, Rows, encode
from agents.pilots.learned import scaled
from agents.protocols import Pilot
from envs.faults import Bools, Surprises, misled, surprised
from envs.seen import Seen
from envs.terms import Prices, bill, rates
from envs.workloads import DAY_S, MONDAY_S, Floats, Ints, JobTable
from envs.world import STEP_S, Weather, World
from forecasting.protocol import Forecaster
from gyropilot.domain import Intent, View

WARM_S = DAY_S


class Span(NamedTuple):
    """From `begin_s` to `end_s`, in seconds of the jobs."""

    begin_s: float
    end_s: float

    @property
    def days(self) -> float:
        return (self.end_s - self.begin_s) / DAY_S


@dataclass(frozen=True, eq=False, slots=True)
class Stretch:
    """A time of which it is known what the base pays in it."""

    begun: Seen  # as it begins; to be copied before it is stepped
    base_usd: Floats  # (T,) by step
    dark: Bools  # (T,) whether nothing is seen at the beginning of a step

    def __post_init__(self) -> None:
        for shared in (self.base_usd, self.dark):  # by all who live through it
            shared.flags.writeable = False


@dataclass(frozen=True, eq=False, slots=True)
class Course:
    """A cluster, the jobs that came to it, and the pilot that is to be corrected."""

    world: World
    jobs: JobTable
    prices: Prices
    base: Pilot
    forecaster: Callable[[], Forecaster]
    surprises: Surprises | None = None  # that meet the days to learn from; None: only what the pools' terms say

    def stretch(self, span: Span, rng: np.random.Generator, surprises: Surprises | None = None) -> Stretch:
        """What the base makes of a span, with weather and surprises of its own.

        What was submitted over a day before is left out.
        """
        step_s = self.world.step_s
        first_s = max(0.0, span.begin_s - WARM_S)
        warm, steps = (round(length_s / step_s) for length_s in (span.begin_s - first_s, span.end_s - span.begin_s))
        jobs = self.jobs.take((self.jobs.submit_s >= first_s) & (self.jobs.submit_s < span.end_s))
        jobs.submit_s[:] -= first_s
        weather = Weather.drawn(self.world.pools, warm + steps, rng, step_s)
        day = surprised(surprises, self.world, jobs, weather, rng)
        forecaster = misled(day.faults, self.forecaster(), MONDAY_S + first_s)
        seen = Seen(self.world.begin(day.jobs, day.weather), self.prices, forecaster, MONDAY_S + first_s)
        followed(seen, self.base, day.dark[:warm])
        begun, dark = deepcopy(seen), day.dark[warm:]
        return Stretch(begun, followed(seen, self.base, dark), dark)

    @property
    def pools(self) -> tuple[str, ...]:
        """Those whose size the policy chooses."""
        run = self.world.begin(self.jobs.take(np.zeros(0, np.int64)), Weather.calm(self.world.pools, 1))
        return encode(Seen(run, self.prices, self.forecaster()).view(), Intent("nobody")).pools


def followed(seen: Seen, pilot: Pilot, dark: Bools) -> Floats:
    """(T,) USD of each step under a pilot, who holds still where it is `dark` (T,)."""
    return np.array([stilled(seen) if unseen else _steered(seen, pilot) for unseen in dark])


def followed_from(where: Stretch, pilot: Pilot) -> Floats:
    """(T,) USD of each step of a stretch under another pilot than its base."""
    return followed(deepcopy(where.begun), pilot, where.dark)


def _steered(seen: Seen, pilot: Pilot) -> float:
    view = seen.view()
    return turned(seen, view, pilot.steer(view))


def turned(seen: Seen, view: View, intent: Intent) -> float:
    """Turns the dials as wanted; USD of the step that follows."""
    wanted, back = seen.dials(intent)
    seen.moved_quotas(view, intent)
    return _stepped(seen, wanted, back)


def stilled(seen: Seen) -> float:
    """Nothing is seen, so nothing is decided; USD of the step that follows."""
    seen.look_away()
    return _stepped(seen, seen.asked[None], None)


def _stepped(seen: Seen, wanted: Ints, back: Floats | None) -> float:
    world, now_s = seen.run.world, np.array([seen.nth * seen.run.world.step_s])
    flows = seen.run.step(wanted, back)
    return float(bill(flows, rates(world.pools, seen.run.queues, seen.prices, now_s, world.homes)).sum())


@dataclass(eq=False, slots=True)
class Days:
    """Days of a span: so many, drawn once, and each lived through by the base when it is first asked for."""

    course: Course
    span: Span
    count: int
    seed: int
    known: dict[int, Stretch] = field(default_factory=dict)

    def __getitem__(self, nth: int) -> Stretch:
        if nth not in self.known:
            rng = np.random.default_rng([self.seed, nth])
            step_s = self.course.world.step_s
            begin_s = rng.uniform(self.span.begin_s, self.span.end_s - DAY_S) // step_s * step_s
            self.known[nth] = self.course.stretch(Span(begin_s, begin_s + DAY_S), rng, self.course.surprises)
        return self.known[nth]


class Ground(NamedTuple):
    """A cluster to learn on."""

    days: Days
    scale_usd: float  # a reward of 1, but on days whose mean step is dearer: one such day would drown all others
    pools: tuple[str, ...]

    def unit_usd(self, day: Stretch) -> float:
        """What counts as 1 of what is saved on a day."""
        return max(self.scale_usd, float(day.base_usd.mean()))


@dataclass(eq=False, slots=True)
class Lanes:
    """B clusters, each on a day of its own; all days begin and end together.

    Grounds have as many pools and days as each other, and are drawn alike often.
    """

    grounds: Sequence[Ground]
    count: int
    rng: np.random.Generator
    lanes: list[_Lane] = field(init=False, default_factory=list)

    def begin(self) -> Rows:
        """(B, P, F) what is seen as new days begin."""
        drawn = self.rng.integers(0, self.grounds[0].days.count * len(self.grounds), self.count).tolist()
        self.lanes = [_Lane(self.grounds[nth % len(self.grounds)], nth // len(self.grounds)) for nth in drawn]
        return self._seen()

    def step(self, actions: Ints) -> tuple[Rows, Floats]:
        """Five minutes with `actions` (B, P) of FACTORS: what is seen then, and (B,) what was saved."""
        saved = [lane.step([FACTORS[nth] for nth in row]) for lane, row in zip(self.lanes, actions, strict=True)]
        return self._seen(), np.array(saved)

    @property
    def pools(self) -> int:
        """Of each cluster, whose sizes are chosen."""
        return len(self.grounds[0].pools)

    @property
    def over(self) -> bool:
        return self.lanes[0].over

    def _seen(self) -> Rows:
        shown = np.stack([lane.rows for lane in self.lanes])
        return shown.reshape(self.count, self.pools, len(FEATURES))


class _Lane:
    """One cluster: what it shows now, and what its pilot's base wants. Noughts are shown until it is seen first."""

    def __init__(self, ground: Ground, day: int) -> None:
        stretch = ground.days[day]
        self.base, self.pools = ground.days.course.base, ground.pools
        self.base_usd, self.dark, self.nth = stretch.base_usd, stretch.dark, 0
        self.unit_usd = ground.unit_usd(stretch)
        self.seen, self.rows = deepcopy(stretch.begun), np.zeros((len(ground.pools), len(FEATURES)), np.float32)
        self._look()

    def step(self, factors: Sequence[float]) -> float:
        """What was saved."""
        usd = stilled(self.seen) if self._unseen else turned(self.seen, self.view, self._corrected(factors))
        saved = float(self.base_usd[self.nth]) - usd
        self.nth += 1
        self._look()
        return saved / self.unit_usd

    @property
    def over(self) -> bool:
        return self.nth >= len(self.base_usd)

    @property
    def _unseen(self) -> bool:
        return not self.over and bool(self.dark[self.nth])

    def _corrected(self, factors: Sequence[float]) -> Intent:
        return scaled(self.view, self.wanted, dict(zip(self.pools, factors, strict=True)))

    def _look(self) -> None:
        """Where nothing is to be seen, what was seen last is shown."""
        if self._unseen:
            return
        self.view = self.seen.view()
        self.wanted = self.base.steer(self.view)
        self.rows = encode(self.view, self.wanted).rows


class Compared(NamedTuple):
    """By how many percent one costs more than another on the same days, and a 90 % interval."""

    low: float
    mid: float
    high: float


def compared(mine: Sequence[Floats], theirs: Floats, rng: np.random.Generator, draws: int = 2_000) -> Compared:
    """Of (T,) USD by step, `mine` once per seed: the mean over seeds. The interval is over whole days, drawn together.

    NaN where `theirs` is nothing; no interval from less than two whole days.
    """
    total = float(theirs.sum())
    if total <= 0:
        return Compared(np.nan, np.nan, np.nan)
    mid = 100 * (float(np.mean([usd.sum() for usd in mine])) / total - 1)
    ours, base = np.mean([_by_day(usd) for usd in mine], axis=0), _by_day(theirs)
    days = rng.integers(0, max(1, len(base)), (draws, len(base)))
    if len(base) < 2 or (base[days].sum(axis=1) <= 0).any():
        return Compared(np.nan, mid, np.nan)
    low, high = np.quantile(100 * (ours[days].sum(axis=1) / base[days].sum(axis=1) - 1), (0.05, 0.95))
    return Compared(float(low), mid, float(high))


def _by_day(usd: Floats) -> Floats:
    per_day = round(DAY_S / STEP_S)
    whole: Floats = usd[: len(usd) // per_day * per_day].reshape(-1, per_day).sum(axis=1)
    return whole
