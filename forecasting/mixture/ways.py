"""What an event does to demand, learnt from occurrences: each is foretold from those before it, scored, then learnt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from forecasting.demand.signals import Bools
from forecasting.mixture.occasions import CELLS, Occasion
from forecasting.pooling import Rows, followed, groups_of, members, rows_of
from gyropilot.domain import Floats, Line

WAYS = ("as without it", "times as much", "more by")
"""What an event may do to demand. Each is listened to as far as it foretold earlier occurrences."""

PRIOR = np.array([0.8, 0.1, 0.1])
RATE = 6.0
MARGIN = 0.1
"""A way that took so large a share off the error at an occurrence has taught nothing: luck does as much."""

OTHERS = 3.0
"""Occurrences of its own after which what a line did counts as much as what all lines did."""

MOST_FACTOR = 8.0
LEAST_GPUS = 1.0
"""Added to both sides of a factor: nothing and a GPU are nearly the same."""


class Ways(NamedTuple):
    """What earlier occurrences of an event tell about some lines."""

    factor: Floats  # (L, C) times as much as was expected
    added: Floats  # (L, C) GPUs more than was expected
    shares: Floats  # (L, 3) of WAYS
    seen: Rows  # (L,) occurrences
    came: Floats  # (L,) GPUs in the event, mean over occurrences; 0: it was not seen
    usual: Floats  # (L,) GPUs expected there before it began

    @classmethod
    def of(cls, occasions: Sequence[Occasion], lines: Sequence[Line]) -> Self:
        """From occurrences in the order of time. With one there is an effect, and no reason yet to believe it."""
        came, expected = (_aligned(occasions, lines, name) for name in ("came", "expected"))
        effect = _effect(came, expected, lines)
        known = np.isfinite(came - expected).any(axis=2)
        means = (_entered(table, np.isfinite(came - expected)) for table in (came, expected))
        return cls(*effect, _shares(came, expected, lines), known.sum(axis=0), *means)

    def among(self, rows: Sequence[int], count: int) -> Self:
        """The same of `rows` among so many lines; others are as without the event."""
        if len(rows) == count:
            return self
        every = type(self).of((), [Line("", "")] * count)
        for table, mine in zip(every, self, strict=True):
            table[list(rows)] = mine
        return every


def swayed(mixed: Floats, ways: Ways, parts: Floats) -> Floats:
    """(L, W, Q) `mixed` as the ways have it, by their shares; `parts` (W, C) of each window are in a cell."""
    factor = 1 + (ways.factor - 1) @ parts.T
    more = np.maximum(mixed + (ways.added @ parts.T)[..., None], 0.0)
    without, times, by = ways.shares.T[:, :, None, None]
    table: Floats = without * mixed + times * mixed * factor[..., None] + by * more
    return table


def _aligned(occasions: Sequence[Occasion], lines: Sequence[Line], name: str) -> Floats:
    """(K, L, C) a table of each occurrence; NaN for lines that were not there."""
    tables = [followed(getattr(one, name), rows_of(one.lines, tuple(lines)), 0, np.nan) for one in occasions]
    return np.array(tables).reshape(len(occasions), len(lines), CELLS)


def _effect(came: Floats, expected: Floats, lines: Sequence[Line]) -> tuple[Floats, Floats]:
    """(L, C) factors and GPUs more, from some occurrences (K, L, C); 1 and 0 where nothing is known."""
    known = np.isfinite(came - expected)
    count = known.sum(axis=0)
    total, usual = (np.where(known, table, 0.0).sum(axis=0) for table in (came, expected))
    belong = members(groups_of(lines))
    together = _factor(*(belong @ table for table in (total, usual, 1.0 * count)))[groups_of(lines)]
    alone = _factor(total, usual, count)
    trust = count / (count + OTHERS)
    factor = np.exp(trust * np.log(alone) + (1 - trust) * np.log(together))
    each = np.maximum(count, 1)
    added = trust * (total - usual) / each + (1 - trust) * (together - 1) * usual / each
    return factor, added


def _entered(table: Floats, known: Bools) -> Floats:
    """(L,) mean of what is known of (K, L, C) in forecasts from before the event; 0 where nothing is."""
    before = slice(0, CELLS // 3)
    seen = known[:, :, before]
    total = np.where(seen, table[:, :, before], 0.0).sum(axis=(0, 2))
    mean: Floats = total / np.maximum(seen.sum(axis=(0, 2)), 1)
    return mean


def _factor(came: Floats, expected: Floats, count: Floats) -> Floats:
    """How many times as much came; 1 where nothing was seen."""
    least = LEAST_GPUS * np.maximum(count, 1)
    found: Floats = np.clip((came + least) / (expected + least), 1 / MOST_FACTOR, MOST_FACTOR)
    return found


def _shares(came: Floats, expected: Floats, lines: Sequence[Line]) -> Floats:
    """(L, 3) by how much of the error each way would have taken off at occurrences, told by those before them."""
    evidence = np.zeros((len(WAYS), len(lines)))
    for nth in range(1, len(came)):
        evidence += _evidence(_errors(came, expected, nth, lines), lines)
    if len(came) < 2:
        evidence[1:] = -np.inf
    weights = PRIOR[:, None] * np.exp(RATE * (evidence - evidence.max(axis=0)))
    shares: Floats = (weights / weights.sum(axis=0)).T
    return shares


def _errors(came: Floats, expected: Floats, nth: int, lines: Sequence[Line]) -> Floats:
    """(3, L) GPUs by which each way erred at an occurrence; NaN where it was not seen."""
    factor, added = _effect(came[:nth], expected[:nth], lines)
    usual = expected[nth]
    told = np.stack([usual, usual * factor, np.maximum(usual + added, 0.0)])
    wrong = np.abs(told - came[nth])
    known = np.isfinite(wrong)
    errors: Floats = np.where(known.any(axis=2), np.where(known, wrong, 0.0).sum(axis=2), np.nan)
    return errors


def _evidence(errors: Floats, lines: Sequence[Line]) -> Floats:
    """(3, L) shares of the error that were taken off, a line's own and those of all lines, less the margin."""
    belong = members(groups_of(lines))
    together = _taken_off(np.nan_to_num(errors) @ belong.T)[:, groups_of(lines)]
    own = _taken_off(errors)
    mean = (np.where(np.isfinite(own), own, together) + together) / 2
    mean[1:] -= MARGIN
    return mean


def _taken_off(errors: Floats) -> Floats:
    """(3, N) share of the error without the event that each way took off, at least -1."""
    without = errors[0]
    share: Floats = np.maximum(1 - errors / np.where(without > 0, without, np.nan), -1.0)
    return np.where(without > 0, share, np.where(np.isnan(without), np.nan, 0.0))
