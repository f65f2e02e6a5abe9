"""Totals from the forecasts of single queues: coherent with them, and as sure as queues that move together allow.

The sum of quantiles takes queues to move as one, and is far too wide; independence is too narrow. An empirical copula
lets them move as they did at past moments: the Schaake shuffle of Clark et al. (2004), see Schefzik et al. (2013). What
is ranked is not past demand but how it changed, beyond what its level led to expect: that is what forecasts get wrong.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple, Self
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from forecasting.grid import restored_windows, saved_windows, window
from forecasting.once import kept
from forecasting.pooling import Rows, rows_of
from forecasting.protocol import State
from forecasting.store import REMEDY, lines_from_state, lines_to_state, nested
from forecasting.windows import Sums
from gyropilot.domain import ALL_QUEUES, DemandHistory, Floats, Line, Window
from gyropilot.errors import ForecastError

Ranks = NDArray[np.uint16]

MOMENTS = 256
"""At which past changes are ranked: the 99 % quantile of a total lies between the second and third largest."""

REFERENCES = (
    window(0, 10),
    window(20, 30),
    window(30, 60),
    *(window(60 * (hour - 1), 60 * hour) for hour in (2, 3, 6, 9, 12, 18, 24)),
)
"""Windows for which it is known how queues move together; others go by the nearest in lead."""

LEAST_LEADS = 7
"""A lead is measured only in a past of so many, one after the other: in a shorter one all is coincidence."""

ROUND_GPUS = 6
"""Decimals of a change that count. What is beyond them comes from running sums, and would break ties by age."""

BLOCK_LINES = 64
"""Lines measured together, so that their running sums stay small."""


@dataclass(frozen=True, eq=False, slots=True)
class Copula:
    """How queues moved together: where the surprise of each, at each of some past moments, stood among its own."""

    lines: tuple[Line, ...]  # queues only
    references: tuple[Window, ...]
    ranks: Ranks  # (K, L, N) of each reference window, line and moment, from 0 to N - 1

    @classmethod
    def of(cls, history: DemandHistory) -> Self:
        """Ranks at moments spread over `history`; of totals none.

        Equal changes from one level, and most are 0, are ranked in random order; so is what was not seen among them.
        """
        rows = [row for row, line in enumerate(history.lines) if line.queue != ALL_QUEUES]
        past = len(history.times) * history.step
        references = [r for r in REFERENCES if history.step <= r.end and LEAST_LEADS * r.end <= past]
        if not rows or not references:
            return cls((), REFERENCES[:1], np.empty((1, 0, MOMENTS), dtype=np.uint16))
        ranks = np.empty((len(references), len(rows), MOMENTS), dtype=np.uint16)
        for first in range(0, len(rows), BLOCK_LINES):
            block = slice(first, first + BLOCK_LINES)
            lines = [history.lines[row] for row in rows[block]]
            ranks[:, block] = _ranks(lines, history.demand[rows[block]], history.step, references)
        return cls(tuple(history.lines[row] for row in rows), tuple(references), ranks)

    def totals(
        self, lines: Sequence[Line], table: Floats, windows: Sequence[Window], quantiles: Sequence[float]
    ) -> dict[Line, Floats]:
        """(W, Q) GPUs of all queues together, by the total's line of each resource, from a table (L, W, Q) of `lines`.

        Totals among `lines` are left out of the sums.
        """
        groups: defaultdict[Line, list[Line]] = defaultdict(list)
        for line in lines:
            if line.queue != ALL_QUEUES:
                groups[Line(ALL_QUEUES, line.resource)].append(line)
        sums = self._sums([*groups.values()], _Told(lines, table, windows, quantiles))
        return dict(zip(groups, sums, strict=True))

    def sums_of(
        self,
        groups: Mapping[str, Collection[Line]],
        lines: Sequence[Line],
        table: Floats,
        windows: Sequence[Window],
        quantiles: Sequence[float],
    ) -> dict[str, Floats]:
        """(W, Q) GPUs of each group together, such as a cohort's queues on one resource, from a table (L, W, Q).

        Raises ForecastError where a line of a group is not among `lines`: its sum would be too low.
        """
        sums = self._sums([*groups.values()], _Told(lines, table, windows, quantiles))
        return dict(zip(groups, sums, strict=True))

    def state(self) -> State:
        """Everything, as arrays."""
        return {
            "lines": lines_to_state(self.lines),
            "references": saved_windows(self.references),
            "ranks": self.ranks,
        }

    @classmethod
    def restored(cls, state: State) -> Self:
        """From what `state` gave. Raises ForecastError where ranks do not fit the lines."""
        lines, references = lines_from_state(nested(state, "lines")), restored_windows(state["references"])
        ranks = np.asarray(state.get("ranks"))
        fits = ranks.dtype == np.uint16 and ranks.ndim == 3 and ranks.shape[:2] == (len(references), len(lines))
        if not fits or not references or ranks.max(initial=0) >= ranks.shape[-1]:
            raise ForecastError(f"the saved copula holds no ranks of {len(lines)} lines; {REMEDY}")
        return cls(lines, references, ranks)

    def _sums(self, groups: Sequence[Collection[Line]], told: _Told) -> Floats:
        """(G, W, Q) quantiles of the sum over each group, ascending and between the sums of the outermost ones."""
        members = told.members(groups)
        if all(len(rows) == 1 for rows in members):
            return np.array([told.table[rows[0]] for rows in members])
        samples = np.sort(self._samples(members, told), axis=-1)
        sums: Floats = np.sort(samples @ parts(_levels(samples.shape[-1]), told.quantiles).T, axis=-1)
        for group, rows in enumerate(members):
            apart = told.table[rows].sum(axis=0)
            sums[group] = apart if len(rows) == 1 else np.clip(sums[group], apart[:, :1], apart[:, -1:])
        return sums

    def _samples(self, groups: Sequence[Rows], told: _Told) -> Floats:
        """(G, W, N) GPUs that each group demands in each window, if queues move as at each of the moments."""
        from forecasting.compiled import shuffles

        moments = self.ranks.shape[-1]
        samples = np.empty((len(groups), len(told.windows), moments))
        low, share = _between(told.quantiles, _levels(moments))
        known, nearest = rows_of(self.lines, told.lines), self._nearest(told.windows)
        new = [row for rows in groups for row in rows if known[row] < 0]
        alone = _alone([told.lines[row] for row in new], moments)
        for reference in np.unique(nearest):
            ranks = np.zeros((len(known), moments), dtype=np.uint16)
            ranks[known >= 0], ranks[new] = self.ranks[reference, known[known >= 0]], alone
            for w in np.flatnonzero(nearest == reference):
                for group, rows in enumerate(groups):
                    samples[group, w] = shuffles.summed(told.table[:, w], low, share, ranks, rows)
        return samples

    def _nearest(self, windows: Sequence[Window]) -> Rows:
        """(W,) reference window whose end is nearest, as a ratio."""
        known, asked = (np.array([_lead_s(w) for w in some]) for some in (self.references, windows))
        nearest: Rows = np.argmin(np.abs(np.log(asked[:, None] / known)), axis=1)
        return nearest


def blended(direct: Floats, joint: Floats) -> Floats:
    """(W, Q) midway between the forecast of a total from its own past and the one that its queues add up to.

    One knows how the total behaves, the other what goes on in each queue: which of them is better differs from
    cluster to cluster.
    """
    middle: Floats = np.sort((direct + joint) / 2, axis=-1)
    return middle


@kept
def parts(known: Sequence[float] | Floats, asked: Sequence[float] | Floats) -> Floats:
    """(A, K) parts of what is known at ascending levels that make up each asked one: linear in between.

    Beyond the outermost levels it goes on as steeply, for as far as to their neighbours, and then holds.
    """
    result, (low, share) = np.zeros((len(asked), len(known))), _between(known, asked)
    each, high = np.arange(len(asked)), np.minimum(low + 1, len(known) - 1)
    result[each, high] += share
    result[each, low] += 1 - share
    return result


@kept
def _between(known: Sequence[float] | Floats, asked: Sequence[float] | Floats) -> tuple[Rows, Floats]:
    """(A,) the level at or before each asked one, or where it goes on as steeply, and how far it is to the next."""
    levels = np.asarray(known, dtype=np.float64)
    if len(levels) == 1:
        return np.zeros(len(asked), dtype=np.int64), np.zeros(len(asked))
    at = np.clip(asked, 2 * levels[0] - levels[1], 2 * levels[-1] - levels[-2])
    low = np.clip(np.searchsorted(levels, at, side="right") - 1, 0, len(levels) - 2)
    return low, (at - levels[low]) / (levels[low + 1] - levels[low])


class _Told(NamedTuple):
    """What is forecast of single queues."""

    lines: Sequence[Line]
    table: Floats  # (L, W, Q) GPUs
    windows: Sequence[Window]
    quantiles: Sequence[float]

    def members(self, groups: Sequence[Collection[Line]]) -> list[Rows]:
        """Rows of each group's lines, each once."""
        at = {line: row for row, line in enumerate(self.lines)}
        missing = next((line for group in groups for line in group if line not in at), None)
        if missing is not None:
            raise ForecastError(f"{missing} is to be summed up but was not forecast; drop it from its group")
        return [np.array(sorted({at[line] for line in group}), dtype=np.int64) for group in groups]


def _ranks(lines: Sequence[Line], demand: Floats, step: timedelta, references: Sequence[Window]) -> Ranks:
    """(K, L, N) ranks of the surprises of some lines, from moments to the mean of each reference window after them."""
    sums = Sums.of_demand(demand, step)
    chance = np.stack([_chance(line).random((len(references), 2, MOMENTS)) for line in lines], axis=2)
    ranks = np.empty((len(references), len(lines), MOMENTS), dtype=np.uint16)
    for k, reference in enumerate(references):
        columns = _spread_columns(demand.shape[1] - int(np.ceil(reference.end / step)))
        level = demand[:, columns]
        ranks[k] = _ranked(_surprises(level, sums.means_after(columns, reference) - level), *chance[k])
    return ranks


def _surprises(level: Floats, change: Floats) -> Floats:
    """(L, N) changes beyond what each line's level led to expect, by least squares: high demand tends to fall.

    Measured on validation days: of totals one to six hours ahead, 69 % lay in the central 80 % with plain changes, and
    76 % with these.
    """
    seen = np.isfinite(change)
    above, risen = _centred(level, seen), _centred(change, seen)
    slope = (above * risen).sum(axis=1) / np.maximum((above**2).sum(axis=1), 1e-9)
    return np.where(seen, np.round(risen - slope[:, None] * above, ROUND_GPUS), np.nan)


def _centred(values: Floats, seen: NDArray[np.bool_]) -> Floats:
    """(L, N) what lies above each row's mean; 0 where not seen."""
    known = np.where(seen, values, 0.0)
    mean = known.sum(axis=1, keepdims=True) / np.maximum(seen.sum(axis=1, keepdims=True), 1)
    return np.where(seen, known - mean, 0.0)


def _ranked(change: Floats, order: Floats, place: Floats) -> Ranks:
    """(L, N) ranks of each row: equal ones in the order of `order`, NaN at `place` among the others, in [0, 1)."""
    seen = np.isfinite(change)
    among = np.argsort(np.lexsort((order, change), axis=-1), axis=-1) + 0.5
    level = np.where(seen, among / np.maximum(seen.sum(axis=1, keepdims=True), 1), place)
    return np.argsort(np.argsort(level, axis=-1), axis=-1).astype(np.uint16)


def _spread_columns(count: int) -> Rows:
    """(N,) of `count` columns, one drawn from each of as many equal stretches: none of them follows a daily rhythm."""
    edges = np.linspace(0, count, MOMENTS + 1)
    drawn: Rows = np.random.default_rng(0).uniform(edges[:-1], edges[1:]).astype(np.int64)
    return drawn


def _alone(lines: Sequence[Line], moments: int) -> Ranks:
    """(L, N) ranks of lines of which nothing is known: independent, and the same at each tick."""
    ranks = [_chance(line).permutation(moments) for line in lines]
    return np.array(ranks, dtype=np.uint16).reshape(len(lines), moments)


def _chance(line: Line) -> np.random.Generator:
    """Drawn from by each line for itself, so that other lines and their order change nothing."""
    return np.random.default_rng(crc32("\0".join(line).encode()))


def _levels(count: int) -> Floats:
    """(N,) levels that ascending samples stand for."""
    levels: Floats = (np.arange(count) + 0.5) / count
    return levels


def _lead_s(asked: Window) -> float:
    return max(asked.end.total_seconds(), 1.0)
