"""What was said at a moment, kept until it is known what came."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from forecasting.grid import ends_s
from forecasting.pooling import Rows, rows_of
from forecasting.protocol import State
from forecasting.store import REMEDY, array, lines_from_state, lines_to_state, nested, number
from forecasting.windows import outcomes
from gyropilot.domain import ALL_QUEUES, DemandHistory, Floats, Line, Window
from gyropilot.errors import ForecastError

Halves = NDArray[np.float32]
"""Enough to tell who was right, at half the memory."""


@dataclass(frozen=True, eq=False, slots=True)
class Said:
    """Forecasts from one origin for some of the windows that are learnt about."""

    at_s: int  # epoch seconds of the newest reading
    lines: tuple[Line, ...]
    which: Rows  # (V,) of the windows
    scored: NDArray[np.bool_]  # (V,)
    experts: Halves  # (E, L, V, Q) GPUs
    mixed: Halves  # (L, V, Q) as they were listened to
    told: Halves  # (L, V, Q) with offsets and widening: what was answered
    spread: Halves  # (L, V) GPUs that offsets are measured in

    @classmethod
    def by_nobody(cls, at_s: int, lines: tuple[Line, ...], which: Rows, told: Floats) -> Self:
        """What was answered (L, V, Q) where there is no expert to learn about."""
        answered = told.astype(np.float32)
        scored, spread = np.zeros(len(which), dtype=bool), np.ones(told.shape[:2], dtype=np.float32)
        return cls(at_s, lines, which, scored, answered[None][:0], answered, answered, spread)

    def after(self, positions: Rows) -> Self:
        """With these windows scored."""
        scored = self.scored.copy()
        scored[positions] = True
        return replace(self, scored=scored)

    def of(self, lines: Collection[Line]) -> Self:
        """Of some lines only."""
        rows = [row for row, line in enumerate(self.lines) if line in lines]
        mine = tuple(self.lines[row] for row in rows)
        tables = {name: getattr(self, name)[rows] for name in ("mixed", "told", "spread")}
        return replace(self, lines=mine, experts=self.experts[:, rows], **tables)

    def without_totals(self) -> Self:
        """Of single queues only."""
        return self.of([line for line in self.lines if line.queue != ALL_QUEUES])

    def state(self) -> State:
        """As plain data."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        return {"at_s": self.at_s, "lines": lines_to_state(self.lines), **arrays}

    @classmethod
    def restored(cls, state: State, experts: int, levels: int) -> Self:
        """From `state`. Raises ForecastError where tables are not of the lines and windows that they are about."""
        lines = lines_from_state(nested(state, "lines"))
        which = array(state, "which", np.int64, (None,))
        if which.min(initial=0) < 0 or (np.diff(which) <= 0).any():
            raise ForecastError(f"the saved forecasts do not name each window once, in order; {REMEDY}")
        shape = (len(lines), len(which))
        told = array(state, "told", np.float32, (*shape, levels))
        return cls(
            int(number(state, "at_s")),
            lines,
            which,
            array(state, "scored", np.bool_, which.shape),
            array(state, "experts", np.float32, (experts, *told.shape)),
            array(state, "mixed", np.float32, told.shape),
            told,
            array(state, "spread", np.float32, shape),
        )


_ARRAYS = ("which", "experts", "mixed", "told", "spread", "scored")


class Feedback(NamedTuple):
    """What came, beside what had been said; NaN where there is nothing to learn."""

    actual: Floats  # (L, W) GPUs
    experts: Floats  # (E, L, W, Q)
    mixed: Floats  # (L, W, Q)
    told: Floats  # (L, W, Q)
    spread: Floats  # (L, W)


def feedback(
    kept: Sequence[Said], windows: Sequence[Window], history: DemandHistory
) -> tuple[tuple[Said, ...], list[Feedback]]:
    """What of `kept` is still to be scored, and what `history` says about the rest: oldest first, lines as there.

    One feedback holds one outcome per window at most. What was said of windows that are not learnt about is forgotten.
    """
    kept = [said for said in kept if said.which.max(initial=-1) < len(windows)]
    if not kept:
        return (), []
    due = _due(kept, windows, int(history.times[-1]))
    rounds = [_gathered(kept, due.picked(due.nth == n), windows, history) for n in range(due.rounds)]
    left = list(kept)
    for i in np.unique(due.said):
        left[i] = left[i].after(due.position[due.said == i])
    return tuple(said for said in left if not said.scored.all()), rounds


def first_due_s(kept: Sequence[Said], windows: Sequence[Window]) -> float:
    """Epoch second at which the first window of `kept` that is not scored yet ends; infinite where there is none.

    Now, where something was said of windows that are not among `windows`: it is to be forgotten.
    """
    if not kept:
        return np.inf
    which, scored = (np.concatenate([getattr(said, name) for said in kept]) for name in ("which", "scored"))
    if which.max(initial=-1) >= len(windows):
        return -np.inf
    at_s = np.repeat([said.at_s for said in kept], [len(said.which) for said in kept])
    return float((at_s + ends_s(windows)[which])[~scored].min(initial=np.inf))


class _Due(NamedTuple):
    """Forecasts of windows that have ended by now and are not scored yet, oldest first."""

    said: Rows  # (N,) by which of those kept
    position: Rows  # (N,) which of its windows
    window: Rows  # (N,) of those that are learnt about
    at_s: Rows  # (N,) epoch seconds of the origin
    nth: Rows  # (N,) of the same window

    def picked(self, some: NDArray[np.bool_]) -> _Due:
        return _Due(*(part[some] for part in self))

    @property
    def rounds(self) -> int:
        return int(self.nth.max(initial=-1)) + 1


def _due(kept: Sequence[Said], windows: Sequence[Window], now_s: int) -> _Due:
    counts = np.array([len(said.which) for said in kept], dtype=np.int64)
    said, at_s = (np.repeat(part, counts) for part in (np.arange(len(kept)), [said.at_s for said in kept]))
    position = np.arange(len(said)) - np.repeat(np.cumsum(counts) - counts, counts)
    window, scored = (np.concatenate([getattr(said, name) for said in kept]) for name in ("which", "scored"))
    due = np.flatnonzero(~scored & (at_s + ends_s(windows)[window] <= now_s))
    return _Due(said[due], position[due], window[due], at_s[due], _nth(window[due]))


def _nth(values: Rows) -> Rows:
    """(N,) how often each value came before."""
    order = np.argsort(values, kind="stable")
    ranked, nth = values[order], np.empty(len(values), dtype=np.int64)
    nth[order] = np.arange(len(values)) - np.searchsorted(ranked, ranked)
    return nth


def _gathered(kept: Sequence[Said], due: _Due, windows: Sequence[Window], history: DemandHistory) -> Feedback:
    """What is `due`, each window once at most."""
    experts, levels = kept[0].experts.shape[0], kept[0].mixed.shape[-1]
    shape = (len(history.lines), len(windows))
    found = Feedback(
        np.full(shape, np.nan),
        np.full((experts, *shape, levels), np.nan),
        np.full((*shape, levels), np.nan),
        np.full((*shape, levels), np.nan),
        np.ones(shape),
    )
    came = outcomes(history, _columns(history, due.at_s), windows, due.window)
    for n, (i, at, w) in enumerate(zip(due.said, due.position, due.window, strict=True)):
        said = kept[i]
        here, there = _same(said.lines, history.lines)
        found.actual[here, w] = came[here, n]
        found.experts[:, here, w] = said.experts[:, there, at]
        found.mixed[here, w] = said.mixed[there, at]
        found.told[here, w] = said.told[there, at]
        found.spread[here, w] = said.spread[there, at]
    return found


def _columns(history: DemandHistory, at_s: Rows) -> Rows:
    """(N,) of readings at some moments; beyond the last where there is none."""
    columns = np.searchsorted(history.times, at_s)
    return np.where(history.times[columns] == at_s, columns, len(history.times))


def _same(then: tuple[Line, ...], now: tuple[Line, ...]) -> tuple[Rows | slice, Rows | slice]:
    """Where lines stand now that were there then, and where they stood."""
    if then == now:
        return slice(None), slice(None)
    rows = rows_of(then, now)
    return np.flatnonzero(rows >= 0), rows[rows >= 0]
