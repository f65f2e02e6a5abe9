"""What was said at a moment, kept until it is known what came."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from forecasting.pooling import rows_of
from forecasting.protocol import State
from forecasting.store import lines_from_state, lines_to_state, nested, number
from forecasting.windows import outcome
from gyropilot.domain import ALL_QUEUES, DemandHistory, Floats, Line, Window

Halves = NDArray[np.float32]
"""Enough to tell who was right, at half the memory."""


@dataclass(frozen=True, eq=False, slots=True)
class Said:
    """Forecasts from one origin for some of the windows that are learnt about."""

    at_s: int  # epoch seconds of the newest reading
    lines: tuple[Line, ...]
    which: NDArray[np.int64]  # (V,) of the windows
    scored: NDArray[np.bool_]  # (V,)
    experts: Halves  # (E, L, V, Q) GPUs
    mixed: Halves  # (L, V, Q) as they were listened to
    told: Halves  # (L, V, Q) with offsets and widening: what was answered
    spread: Halves  # (L, V) GPUs that offsets are measured in

    def due(self, end_s: NDArray[np.float64], now_s: int) -> NDArray[np.int64]:
        """Positions in `which` of windows that have ended by now, of those not scored; `end_s` (W,) of each window."""
        ended = self.at_s + end_s[self.which] <= now_s
        return np.flatnonzero(ended & ~self.scored)

    def after(self, positions: NDArray[np.int64]) -> Self:
        """With these windows scored."""
        scored = self.scored.copy()
        scored[positions] = True
        return replace(self, scored=scored)

    def without_totals(self) -> Self:
        """Of single queues only."""
        rows = [row for row, line in enumerate(self.lines) if line.queue != ALL_QUEUES]
        lines = tuple(self.lines[row] for row in rows)
        tables = {name: getattr(self, name)[rows] for name in ("mixed", "told", "spread")}
        return replace(self, lines=lines, experts=self.experts[:, rows], **tables)

    def state(self) -> State:
        """As plain data."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        return {"at_s": self.at_s, "lines": lines_to_state(self.lines), **arrays}

    @classmethod
    def restored(cls, state: State) -> Self:
        """From `state`."""
        lines = lines_from_state(nested(state, "lines"))
        return cls(int(number(state, "at_s")), lines, **{name: np.asarray(state[name]) for name in _ARRAYS})


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

    One feedback holds one outcome per window at most.
    """
    end_s = np.array([window.end.total_seconds() for window in windows])
    now_s, left, rounds = int(history.times[-1]), list(kept), list[Feedback]()
    while True:
        picked = list(_oldest_due(left, end_s, now_s))
        if not picked:
            return tuple(said for said in left if not said.scored.all()), rounds
        rounds.append(_gathered([(left[i], positions) for i, positions in picked], windows, history))
        for i, positions in picked:
            left[i] = left[i].after(positions)


def _oldest_due(kept: Sequence[Said], end_s: Floats, now_s: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Which of `kept` to score, at which of its windows, so that no window comes twice."""
    taken = np.zeros(len(end_s), dtype=bool)
    for i, said in enumerate(kept):
        due = said.due(end_s, now_s)
        due = due[~taken[said.which[due]]]
        if len(due):
            taken[said.which[due]] = True
            yield i, due


def _gathered(
    picked: Sequence[tuple[Said, NDArray[np.int64]]], windows: Sequence[Window], history: DemandHistory
) -> Feedback:
    experts, levels = picked[0][0].experts.shape[0], picked[0][0].mixed.shape[-1]
    shape = (len(history.lines), len(windows))
    found = Feedback(
        np.full(shape, np.nan),
        np.full((experts, *shape, levels), np.nan),
        np.full((*shape, levels), np.nan),
        np.full((*shape, levels), np.nan),
        np.ones(shape),
    )
    for said, positions in picked:
        rows, at = rows_of(said.lines, history.lines), said.which[positions]
        here = np.flatnonzero(rows >= 0)
        there, where = rows[here], np.ix_(here, at)
        found.actual[where] = _came(history, said.at_s, [windows[w] for w in at])[here]
        found.experts[:, here[:, None], at] = said.experts[:, there[:, None], positions]
        found.mixed[where] = said.mixed[np.ix_(there, positions)]
        found.told[where] = said.told[np.ix_(there, positions)]
        found.spread[where] = said.spread[np.ix_(there, positions)]
    return found


def _came(history: DemandHistory, at_s: int, windows: Sequence[Window]) -> Floats:
    """(L, V) what came after `at_s`; NaN where the history does not reach back to it."""
    column = int(np.searchsorted(history.times, at_s))
    if history.times[column] != at_s:
        return np.full((len(history.lines), len(windows)), np.nan)
    return outcome(history, column, windows)
