"""What a simulated cluster ran and what waited, step by step; histories are windows on one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

import numpy as np
from numpy.typing import NDArray

from envs.workloads import Floats, Ints
from gyropilot.domain import ALL_QUEUES, DemandHistory, Line

REMEMBERED = timedelta(days=28)


@dataclass(frozen=True, eq=False, slots=True)
class Record:
    """Readings of Q queues and, in the last row, of all of them, at the beginning of each of T steps and at the end."""

    began_s: float  # seconds since the epoch
    step_s: float
    lines: tuple[Line, ...]  # (Q + 1,) of one resource
    times: Ints  # (T + 1,) seconds since the epoch
    readings: Floats  # (3, Q + 1, T + 1) GPUs running, pending, and both
    unseen: NDArray[np.bool_]  # (T + 1,) where there is no reading

    @classmethod
    def blank(cls, queues: Sequence[str], resource: str, steps: int, began_s: float, step_s: float) -> Self:
        lines = tuple(Line(queue, resource) for queue in (*queues, ALL_QUEUES))
        times = (began_s + step_s * np.arange(steps + 1)).astype(np.int64)
        unseen = np.zeros(len(times), dtype=np.bool_)
        return cls(began_s, step_s, lines, times, np.zeros((3, len(lines), len(times))), unseen)

    @property
    def demand(self) -> Floats:
        """(Q + 1, T + 1) GPUs running and pending."""
        demand: Floats = self.readings[2]
        return demand

    def note(self, nth: int, running: Floats, pending: Floats) -> None:
        """The reading at the beginning of a step: (Q,) GPUs."""
        now = np.array((running, pending, running + pending))
        self.readings[:, :-1, nth], self.readings[:, -1, nth] = now, np.add.reduce(now, axis=1)

    def miss(self, nth: int) -> None:
        """No reading at the beginning of a step: a gap is not a zero."""
        self.readings[:, :, nth], self.unseen[nth] = np.nan, True

    def at(self, nth: int) -> datetime:
        return datetime.fromtimestamp(self.began_s + nth * self.step_s, UTC)

    def of_queues(self, nth: int) -> DemandHistory:
        """Until a reading, what is seen on a real cluster."""
        until = self._until(nth)
        running, pending, demand = self.readings[:, :-1, until]
        queues = DemandHistory(self.lines[:-1], self.times[until], running, pending)
        # What was added up once need not be again.
        vars(queues).update(demand=demand, totals={self.lines[-1].resource: self.readings[2, -1, until]})
        return queues

    def whole(self, nth: int) -> DemandHistory:
        """The same with the total, as forecasters get it."""
        return self._of_lines(slice(None), nth)

    def totals(self, nth: int) -> DemandHistory:
        """Of the total alone, for forecasters who need no more for it."""
        return self._of_lines(slice(-1, None), nth)

    def _of_lines(self, rows: slice, nth: int) -> DemandHistory:
        until = self._until(nth)
        lines, (running, pending, demand) = self.lines[rows], self.readings[:, rows, until]
        history = DemandHistory(lines, self.times[until], running, pending)
        seen = len(history.times) - np.count_nonzero(self.unseen[until])
        vars(history).update(demand=demand, seen=np.full(len(lines), seen))
        return history

    def _until(self, nth: int) -> slice:
        return slice(max(0, nth + 1 - round(REMEMBERED.total_seconds() / self.step_s)), nth + 1)
