"""Days of jobs like those of a table, each arriving whatever came before: what tomorrow brings cannot be told today."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envs.terms import HOUR_S
from envs.workloads import DAY_S, Floats, JobTable

HOURS = 24


@dataclass(frozen=True, eq=False, slots=True)
class Memoryless:
    """A Poisson process with a rate for each hour of the day; each job is one of the table's at that hour, drawn anew.

    Users who come again, sweeps and bursts are gone: given the hour, what comes is independent of all that came. Hours
    are those of the table's clock, `submit_s`.
    """

    jobs: JobTable
    table_days: float  # how many days of jobs the table holds
    days: float = 1.0  # how long each draw is

    def __call__(self, rng: np.random.Generator) -> JobTable:
        hours = np.arange(round(self.days * HOURS))
        counts = rng.poisson(self._by_hour[hours % HOURS])
        hour = np.repeat(hours, counts)
        submit_s = np.sort((hour + rng.random(len(hour))) * HOUR_S)
        drawn = self.jobs.take(self._like((submit_s // HOUR_S).astype(np.int64) % HOURS, rng))
        drawn.submit_s[:] = submit_s
        return drawn

    @property
    def _by_hour(self) -> Floats:
        """(24,) jobs a day."""
        hour = (self.jobs.submit_s % DAY_S // HOUR_S).astype(np.int64)
        rate: Floats = np.bincount(hour, minlength=HOURS) / self.table_days
        return rate

    def _like(self, hour: np.ndarray[tuple[int], np.dtype[np.int64]], rng: np.random.Generator) -> np.ndarray:
        """A row of the table for each, of the same hour."""
        of = (self.jobs.submit_s % DAY_S // HOUR_S).astype(np.int64)
        order = np.argsort(of, kind="stable")
        first, after = np.searchsorted(of[order], hour), np.searchsorted(of[order], hour, side="right")
        return order[first + (rng.random(len(hour)) * (after - first)).astype(np.int64)]
