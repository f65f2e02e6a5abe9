"""Which ways to smooth the hours of a line would have forecast it best of late: tried at once, or a few at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from math import ceil
from typing import NamedTuple, Self

import numpy as np

from forecasting.bands import LEVELS
from forecasting.demand.seen import DAY_S
from forecasting.demand.signals import Rows
from gyropilot.domain import Floats

HOUR_S = 3_600.0
JUDGED = 8 * 24
"""The last hours, which ways to smooth are judged by."""

HALF_LIFE_H = 48.0
"""In which what a way got wrong loses half its weight."""

KNOWN_H = 7 * 24
"""Hours of a line that must have been seen before what went wrong counts in full."""

MIRRORED = 0.3
"""Of what went wrong counts as if it had been the opposite, until KNOWN_H were seen, and then ever less: a few days all
err alike, a Monday after a Sunday is more than was told at each hour, and say nothing of which side is next."""

LEAST_SEEN_S = 2 * DAY_S
"""Of a line, before there is a season to speak of."""

SEASON_DAYS = (1.0, 2.5, 7.0)
MEAN_H = 84.0
"""Half-lives of the mean of an hour of the day, and of that of all hours."""

ROOTS = (1.0, 0.5)
SEASONS = (*((24.0, 0.5 ** (1 / days)) for days in SEASON_DAYS), (1.0, 0.5 ** (1 / MEAN_H)))
ALPHAS = (1.0, 0.6, 0.2)
LASTS_H = (2.0, 16.0, 120.0)
WAYS = np.array([(p, *season, alpha, lasts) for p, season, alpha, lasts in product(ROOTS, SEASONS, ALPHAS, LASTS_H)])
"""(72, 5) ways to smooth: see `forecasting.compiled.smoothing`."""

KEPT = 8
"""Of them, per line."""

LEADS_H = np.array([1, 2, 3, 6, 12, 24])
JUDGED_AT = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
SHARPNESS = 15.0
"""How much a line keeps to what would have been best: what was 5 % worse has half the weight."""

HOPELESS = 100.0
"""Times the best loss, and more: not tried out."""

AT_ONCE = 2
"""Ways that are tried together where time is short: a sixth of a millisecond, at each tick of five minutes or less."""

TURNS = ceil(len(WAYS) / AT_ONCE)


Counts = tuple[Floats, float]
"""(N,) how much what went wrong at each hour of a line counts, and the share of it that counts as its opposite."""


class Judged(NamedTuple):
    """How some lines are smoothed."""

    ways: Floats  # (L, V, 5) of WAYS
    shares: Floats  # (L, V, K) in the forecast; 0: too little was seen
    errors: Floats  # (L, V, K, P) at LEVELS

    @classmethod
    def nothing(cls, lines: int) -> Self:
        shape = (lines, KEPT, len(LEADS_H))
        ways = np.tile(WAYS[0], (lines, KEPT, 1))
        return cls(ways, np.zeros(shape), np.zeros((*shape, len(LEVELS))))

    def of(self, rows: Rows) -> Judged:
        return Judged(*(table[rows] for table in self))


@dataclass(frozen=True, eq=False, slots=True)
class Hours:
    """The last hours of some lines, and what of them is tried out."""

    means: Floats  # (2, L, N) and the newest of each
    about: bytes  # what they are made from
    first_alike: Rows  # (L,) the first line that is as each is: the total of a single queue is that queue
    tried: Rows  # lines of which enough was seen, and none that is as another is
    counts: tuple[Counts, ...]  # of those that are tried

    @classmethod
    def of(cls, means: Floats, about: bytes = b"") -> Self:
        known = dict[bytes, int]()
        first = np.array([known.setdefault(means[:, n].tobytes(), n) for n in range(means.shape[1])], np.int64)
        enough = np.isfinite(means[0]).sum(axis=1) * HOUR_S >= LEAST_SEEN_S
        tried = np.flatnonzero(enough & (first == np.arange(len(first))))
        return cls(means, about, first, tried, tuple((_weights(means[0, n]), mirrored(means[0, n])) for n in tried))


@dataclass(frozen=True, eq=False)
class Trial:
    """All ways, tried out on the last hours of some lines as far as there was time for it."""

    hours: Hours
    losses: tuple[Floats, ...] = ()  # (AT_ONCE, K) of each line, a few ways after the other
    errors: tuple[Floats, ...] = ()  # (AT_ONCE, K, P) likewise

    def further(self, share: float) -> Trial:
        """With this share of all that there is to try tried out, or more."""
        from forecasting.compiled import smoothing

        wanted = ceil(round(min(share, 1.0) * len(self.hours.tried) * TURNS, 6))
        if wanted <= len(self.losses):
            return self
        tried = [
            smoothing.tried(hours, ways, LEADS_H, *counts, JUDGED_AT, LEVELS)
            for hours, ways, counts in self._next(wanted)
        ]
        losses, errors = zip(*tried, strict=True)
        return replace(self, losses=(*self.losses, *losses), errors=(*self.errors, *errors))

    @cached_property
    def judged(self) -> Judged:
        """What came of it, once everything is tried."""
        hours = self.hours
        found = Judged.nothing(len(hours.first_alike))
        for nth, line in enumerate(hours.tried):
            mine = slice(nth * TURNS, (nth + 1) * TURNS)
            shares, errors = _shares(np.concatenate(self.losses[mine])), np.concatenate(self.errors[mine])
            if shares is not None:
                best, alike = np.argsort(-shares.max(axis=1), kind="stable")[:KEPT], hours.first_alike == line
                found.ways[alike], found.errors[alike] = WAYS[best], np.nan_to_num(errors[best])
                found.shares[alike] = shares[best] / shares[best].sum(axis=0)
        return found

    def _next(self, wanted: int) -> Iterator[tuple[Floats, Floats, Counts]]:
        """The hours of lines, ways, and how hours count, that are still to be tried, up to the one that is `wanted`."""
        for nth in range(len(self.losses), wanted):
            which, turn = divmod(nth, TURNS)
            line = self.hours.tried[which]
            yield self.hours.means[:, line], WAYS[turn * AT_ONCE : (turn + 1) * AT_ONCE], self.hours.counts[which]


def judge(hours: Floats) -> Judged:
    """Which ways would have forecast the last `hours` (2, L, N) of each line best, and by how much they were wrong."""
    return Trial(Hours.of(hours)).further(1.0).judged


def _weights(hours: Floats) -> Floats:
    """(N,) how much what went wrong at each hour (N,) counts: less, where little had been seen by then."""
    ages_h = np.arange(len(hours) - 1, -1, -1)
    known = np.minimum(np.cumsum(np.isfinite(hours)) / KNOWN_H, 1.0)
    weights: Floats = np.where(ages_h < JUDGED, 0.5 ** (ages_h / HALF_LIFE_H), 0.0) * known
    return weights


def mirrored(hours: Floats) -> float:
    """The share of opposite errors, where so many `hours` (N,) were seen."""
    return MIRRORED * min(1.0, KNOWN_H / max(1, int(np.isfinite(hours).sum())))


def _shares(loss: Floats) -> Floats | None:
    """(V, K) from losses: half by that at a lead itself, half by that at all; None where a lead was never tried out."""
    best = loss.min(axis=0)
    if not np.isfinite(best).all():
        return None
    relative = np.divide(loss, best, out=np.where(loss > 0, HOPELESS, 1.0), where=best > 0)
    relative = np.minimum(relative, HOPELESS)
    relative = (relative + relative.mean(axis=1, keepdims=True)) / 2
    weights = np.exp(-SHARPNESS * (relative - relative.min(axis=0)))
    shares: Floats = weights / weights.sum(axis=0)
    return shares
