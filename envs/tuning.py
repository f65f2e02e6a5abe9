"""Settings of a pilot, tuned on windows of jobs, and a verdict from windows that the search never saw.

Every candidate lives through the same windows with the same weather (common random numbers), so that candidates differ
by their settings only; what they pay is told relative to what the default settings pay there. The default settings are
the first candidate: what comes out is never worse than they are where it was tuned. Whether it is better elsewhere,
held-out windows say; where it is not, the default settings are kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from agents.pilots import make_pilot
from agents.pilots.knobs import KNOBS
from envs.evolution import Found, Settings, search
from envs.windows import Ground, Parted, Window, parted
from envs.workloads import Floats, Ints
from gyropilot.errors import SettingsError
from gyropilot.settings import PilotSettings

DRAWS = 2_000
"""Of the bootstrap."""

Told = Callable[[str], None]


class Effort(NamedTuple):
    """How much is tried, and by what chance."""

    budget: int = 100  # evaluations, that of the default settings included
    windows: int = 3  # of each ground, that each candidate lives through
    forecaster: str = "naive"
    seed: int = 0


class Change(NamedTuple):
    """What tuned settings pay against the default ones, in percent: negative is saved. The interval is 90 %."""

    low: float
    mid: float
    high: float

    @property
    def helps(self) -> bool:
        return self.mid < 0

    @property
    def is_sure(self) -> bool:
        """Whether all of the interval is on one side."""
        return self.high < 0 or self.low > 0


@dataclass(frozen=True, eq=False, slots=True)
class Tuned:
    """A pilot's settings, how they were found, and whether they are worth having."""

    pilot: str
    found: Found
    training: tuple[Window, ...]
    held_out: tuple[Window, ...]
    change: Change  # on held-out windows
    effort: Effort

    @property
    def settings(self) -> Settings:
        """What to run: as found where that helped, else the default ones."""
        return self.found.settings if self.change.helps else default_settings(self.pilot)

    @property
    def training_percent(self) -> float:
        """As `change.mid`, where it was tuned: what one would believe without held-out windows."""
        return 100 * (self.found.cost - 1)


def tuned(pilot: str, grounds: Sequence[Ground], effort: Effort, told: Told) -> Tuned:
    """The best settings found within the budget, on all grounds together. Raises SettingsError."""
    refuse_untunable(pilot)
    drawing, searching, judging = np.random.default_rng(effort.seed).spawn(3)
    training, held_out = _cut(grounds, effort.windows, drawing)
    start = default_settings(pilot)
    found = search(_objective(pilot, training, effort, told), KNOBS[pilot], start, effort.budget, searching)
    told(f"{pilot}: {len(held_out)} held-out windows")
    base = paid(pilot, start, held_out, effort.forecaster)
    mine = base if found.settings == start else paid(pilot, found.settings, held_out, effort.forecaster)
    return Tuned(pilot, found, training, held_out, change(mine, base, _grounds(held_out), judging), effort)


def refuse_untunable(pilot: str) -> None:
    """Raises SettingsError for a pilot that has nothing to tune."""
    if not KNOBS.get(pilot):
        known = ", ".join(name for name, knobs in KNOBS.items() if knobs)
        why = "has no settings to tune" if pilot in KNOBS else "is no pilot"
        raise SettingsError(f"{pilot!r} {why}; --pilot takes one of {known}")


def default_settings(pilot: str) -> Settings:
    """Of what may be tuned."""
    untouched = PilotSettings.model_validate({"name": pilot})
    return {knob.name: getattr(untouched, knob.name) for knob in KNOBS[pilot]}


def paid(pilot: str, settings: Settings, windows: Sequence[Window], forecaster: str) -> Floats:
    """(W,) USD in each window."""
    asked = make_pilot(PilotSettings.model_validate({"name": pilot, **settings}))
    return np.array([window.usd(asked, forecaster) for window in windows])


def change(mine: Floats, base: Floats, of: Ints, rng: np.random.Generator) -> Change:
    """By how much `mine` (W,) is more than `base`; windows are drawn again within their ground `of`, alike for both.

    NaN where on some ground the default settings pay nothing; no interval where one has a single window. Draws on which
    they pay nothing are left out.
    """
    mid = 100 * (relative(mine, base, of) - 1)
    draws = [100 * (relative(mine[rows], base[rows], of[rows]) - 1) for rows in _drawn(of, rng)]
    if np.unique(of, return_counts=True)[1].min() < 2 or np.isnan(draws).all():
        return Change(math.nan, mid, math.nan)
    low, high = np.nanquantile(draws, (0.05, 0.95))
    return Change(float(low), mid, float(high))


def relative(mine: Floats, base: Floats, of: Ints) -> float:
    """What is paid in all windows of a ground as a share of what `base` pays there; the mean over grounds."""
    together = [(mine[of == ground].sum(), base[of == ground].sum()) for ground in np.unique(of)]
    return float(np.mean([usd / usual if usual > 0 else math.nan for usd, usual in together]))


def _objective(pilot: str, training: Sequence[Window], effort: Effort, told: Told) -> Callable[[Settings], float]:
    """What settings cost relative to the default ones. Says how far it is and what the best has saved so far."""
    start, of = default_settings(pilot), _grounds(training)
    told(f"{pilot}: default settings, {len(training)} windows to tune by")
    base = paid(pilot, start, training, effort.forecaster)
    if math.isnan(relative(base, base, of)):
        raise SettingsError(
            f"{pilot} pays nothing with its default settings, so there is nothing to save; "
            "take other jobs, or tell prices in the scenario"
        )
    costs: list[float] = []

    def cost(settings: Settings) -> float:
        mine = base if settings == start else paid(pilot, settings, training, effort.forecaster)
        costs.append(relative(mine, base, of))
        told(f"{pilot}: {len(costs)} of {effort.budget} tried, the best {100 * (np.nanmin(costs) - 1):+.1f} %")
        return costs[-1]

    return cost


def _cut(grounds: Sequence[Ground], windows: int, rng: np.random.Generator) -> Parted:
    """Windows of all grounds, each of which draws its own."""
    parts = [parted(ground, windows, chance) for ground, chance in zip(grounds, rng.spawn(len(grounds)), strict=True)]
    return Parted(sum((part.training for part in parts), ()), sum((part.held_out for part in parts), ()))


def _grounds(windows: Sequence[Window]) -> Ints:
    """(W,) of which ground each window is."""
    names = [window.ground.name for window in windows]
    return np.array([names.index(name) for name in names])


def _drawn(of: Ints, rng: np.random.Generator) -> Iterator[Ints]:
    """Rows of windows, as many of each ground as there are."""
    grounds = [np.flatnonzero(of == ground) for ground in np.unique(of)]
    for _ in range(DRAWS):
        yield np.concatenate([rng.choice(rows, len(rows)) for rows in grounds])
