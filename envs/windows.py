"""Short stretches of a table of jobs to try pilots on: some to tune by, others held out to judge by.

A window is a run of its own: it begins without work, lives through a day that nobody is charged for, so that the
cluster is filled and the pilot has a past to look at, and is charged from then on. Windows lie side by side, the day
that is not charged included: what is seen of one is not seen of another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from agents.protocols import Pilot
from envs.terms import Prices
from envs.trial import tried
from envs.workloads import DAY_S, JobTable
from envs.world import Weather, World
from forecasting.registry import make
from gyropilot.errors import SettingsError

WARM_UP_S = DAY_S
CHARGED_S = 2 * DAY_S
LENGTH_S = WARM_UP_S + CHARGED_S
HELD_OUT = 12
"""Windows at most: they are run twice only, and the more there are the surer is the verdict."""


@dataclass(frozen=True, eq=False, slots=True)
class Ground:
    """A cluster, and the jobs that came to it until a moment."""

    name: str
    world: World
    jobs: JobTable
    prices: Prices
    until_s: float  # what was submitted later is not looked at
    left_alone_days: float = 0.0  # how many days that are, where nobody told until when to look


@dataclass(frozen=True, eq=False, slots=True)
class Window:
    """A stretch of the jobs of one ground, with its own weather."""

    ground: Ground
    begin_s: float
    jobs: JobTable  # submitted within it; times since it began
    weather: Weather

    def usd(self, pilot: Pilot, forecaster: str) -> float:
        """What the pilot pays in it, once warm."""
        world = self.ground.world
        trial = tried(world, self.jobs, pilot, self.ground.prices, self.weather, make(forecaster))
        return float(trial.usd[round(WARM_UP_S / world.step_s) :].sum())


class Parted(NamedTuple):
    """Windows, none of which overlap on one ground."""

    training: tuple[Window, ...]
    held_out: tuple[Window, ...]


def parted(ground: Ground, training: int, rng: np.random.Generator) -> Parted:
    """So many windows to tune by and up to HELD_OUT others, drawn. Raises SettingsError where there are no two."""
    begins = _with_jobs(ground)
    if len(begins) < 2:
        days, wanted = max(0.0, _span_s(ground)) / DAY_S, 2 * LENGTH_S / DAY_S
        raise SettingsError(
            f"{ground.name}: {len(begins)} windows of {LENGTH_S / DAY_S:g} days with jobs lie in the {days:.1f} days "
            f"that are looked at; one to tune by and one to judge by take {wanted:g}{_instead(ground)}"
        )
    drawn = rng.permutation(begins)
    held_out = min(HELD_OUT, max(len(begins) // 2, len(begins) - training))
    first = min(training, len(begins) - held_out)
    cut = [_window(ground, begin_s, stream) for begin_s, stream in zip(drawn, rng.spawn(len(drawn)), strict=True)]
    return Parted(tuple(cut[:first]), tuple(cut[first : first + held_out]))


def _instead(ground: Ground) -> str:
    if not ground.left_alone_days:
        return ": give more jobs or a later --until"
    return (
        f", and the last {ground.left_alone_days:g} days are left alone for a test: give more jobs, or --until D to "
        "look at the first D days"
    )


def _with_jobs(ground: Ground) -> list[float]:
    """Where windows begin, side by side up to the last moment; where no job comes there is none."""
    count = max(0, int(_span_s(ground) // LENGTH_S))
    begins = [ground.until_s - LENGTH_S * (1 + nth) for nth in reversed(range(count))]
    submit_s = ground.jobs.submit_s
    ends = [begin_s + LENGTH_S for begin_s in begins]
    return [b for b, e in zip(begins, ends, strict=True) if ((submit_s >= b) & (submit_s < e)).any()]


def _span_s(ground: Ground) -> float:
    return float(ground.until_s - ground.jobs.submit_s.min(initial=ground.until_s))


def _window(ground: Ground, begin_s: float, rng: np.random.Generator) -> Window:
    submit_s = ground.jobs.submit_s
    jobs = ground.jobs.take((submit_s >= begin_s) & (submit_s < begin_s + LENGTH_S))
    jobs.submit_s[:] -= begin_s
    steps = round(LENGTH_S / ground.world.step_s)
    return Window(ground, float(begin_s), jobs, Weather.drawn(ground.world.pools, steps, rng, ground.world.step_s))
