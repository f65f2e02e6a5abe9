"""What a simulated cluster ran and what waited, step by step; histories are windows on one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

import numpy as np

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
    running: Floats  # (Q + 1, T + 1) GPUs
    pending: Floats  # (Q + 1, T + 1) GPUs
    demand: Floats  # (Q + 1, T + 1) GPUs running and pending

    @classmethod
    def blank(cls, queues: Sequence[str], resource: str, steps: int, began_s: float, step_s: float) -> Self:
        lines = tuple(Line(queue, resource) for queue in (*queues, ALL_QUEUES))
        times = (began_s + step_s * np.arange(steps + 1)).astype(np.int64)
        return cls(began_s, step_s, lines, times, *np.zeros((3, len(lines), len(times))))

    def note(self, nth: int, running: Floats, pending: Floats) -> None:
        """The reading at the beginning of a step: (Q,) GPUs."""
        for table, now in ((self.running, running), (self.pending, pending), (self.demand, running + pending)):
            table[:-1, nth], table[-1, nth] = now, now.sum()

    def miss(self, nth: int) -> None:
        """No reading at the beginning of a step: a gap is not a zero."""
        for table in (self.running, self.pending, self.demand):
            table[:, nth] = np.nan

    def at(self, nth: int) -> datetime:
        return datetime.fromtimestamp(self.began_s + nth * self.step_s, UTC)

    def of_queues(self, nth: int) -> DemandHistory:
        """Until a reading, what is seen on a real cluster."""
        seen = self._until(nth)
        queues = DemandHistory(self.lines[:-1], self.times[seen], self.running[:-1, seen], self.pending[:-1, seen])
        if not self._misses_any(seen):  # then what was added up once need not be again
            totals = {self.lines[-1].resource: self.demand[-1, seen]}
            vars(queues).update(demand=self.demand[:-1, seen], totals=totals)
        return queues

    def whole(self, nth: int) -> DemandHistory:
        """The same with the total, as forecasters get it."""
        seen = self._until(nth)
        whole = DemandHistory(self.lines, self.times[seen], self.running[:, seen], self.pending[:, seen])
        if not self._misses_any(seen):
            vars(whole).update(demand=self.demand[:, seen], seen=np.full(len(self.lines), len(whole.times)))
        return whole

    def _misses_any(self, steps: slice) -> bool:
        return bool(np.isnan(self.demand[-1, steps]).any())

    def _until(self, nth: int) -> slice:
        return slice(max(0, nth + 1 - round(REMEMBERED.total_seconds() / self.step_s)), nth + 1)
