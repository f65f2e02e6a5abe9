"""When jobs of a run ran, of which some had to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from envs.replay import NOWHERE, Spells
from envs.workloads import Floats, Ints, JobTable

if TYPE_CHECKING:
    from envs.world import Run


class Presence:
    """Looks at some rigid jobs of a run after each of its steps, and writes down from when until when each ran.

    Nodes and dials stop jobs when a step begins, which is exact. What jobs stop others within a step counts from its
    beginning.
    """

    def __init__(self, run: Run, jobs: JobTable, rows: Ints) -> None:
        self._run, self._gpus, self._rows = run, jobs.gpus, rows
        self._began_s: Floats = np.full(len(rows), np.nan)
        self._flavor: Ints = np.full(len(rows), NOWHERE)
        self._stops = 0
        self._stopped: list[Spells] = []

    def look(self) -> None:
        """After a step."""
        if not len(self._rows):
            return
        stops = int(self._run.sites.fates.stops[0, self._rows].sum())
        if stops > self._stops:
            self._note(float(self._run.nth[0] - 1) * self._run.world.step_s)
            self._stops = stops
        runs = self._run.sites.state.runs
        self._flavor = runs.flavor[0, self._rows]
        self._began_s = np.where(self._flavor == NOWHERE, np.nan, runs.began_s[0, self._rows])

    def _note(self, stopped_s: float) -> None:
        """Those that ran when the step began and do not since."""
        runs = self._run.sites.state.runs
        since_s = np.where(runs.flavor[0, self._rows] == NOWHERE, np.nan, runs.began_s[0, self._rows])
        gone = ~np.isnan(self._began_s) & (self._began_s != since_s)
        rows, end_s = self._rows[gone], np.full(int(gone.sum()), stopped_s)
        self._stopped.append(Spells(rows, self._flavor[gone], self._gpus[rows], self._began_s[gone], end_s))

    @property
    def spells(self) -> Spells:
        """All of them; of jobs that still run, until they would have ended."""
        runs = self._run.sites.state.runs
        ran = self._rows[runs.flavor[0, self._rows] != NOWHERE]
        last = Spells(ran, runs.flavor[0, ran], self._gpus[ran], runs.began_s[0, ran], runs.end_s[0, ran])
        return Spells.join([*self._stopped, last])


def leavers(jobs: JobTable) -> Ints:
    """Rows of jobs that leave at a moment of their own, done or not: of services, say."""
    return np.flatnonzero(np.isfinite(jobs.leaves_s))
