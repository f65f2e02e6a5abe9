"""When jobs of a run ran, of which some had to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from envs.losses import CAUSES
from envs.replay import NOWHERE, Spells
from envs.workloads import Floats, Ints, JobTable

if TYPE_CHECKING:
    from envs.world import Run


class Presence:
    """Looks at some rigid jobs of a run after each of its steps, and writes down from when until when each ran.

    Nodes and dials stop jobs when a step begins, or nodes when their notice is over: both is exact. What jobs stop
    others within a step counts from its beginning, and so does what stops more than once in it.
    """

    def __init__(self, run: Run, jobs: JobTable, rows: Ints) -> None:
        self._run, self._gpus, self._rows = run, jobs.gpus, rows
        self._began_s: Floats = np.full(len(rows), np.nan)
        self._flavor: Ints = np.full(len(rows), NOWHERE)
        self._stops, self._told = np.zeros_like(rows), np.zeros_like(rows)
        self._stopped: list[Spells] = []

    def look(self) -> None:
        """After a step."""
        if not len(self._rows):
            return
        stops = self._run.sites.fates.stops[0, self._rows] - self._stops
        if stops.any():
            self._note(float(self._run.nth[0] - 1) * self._run.world.step_s, stops)
            self._stops += stops
        runs = self._run.sites.state.runs
        self._flavor = runs.flavor[0, self._rows]
        self._began_s = np.where(self._flavor == NOWHERE, np.nan, runs.began_s[0, self._rows])

    def _note(self, step_s: float, stops: Ints) -> None:
        """Those that ran when the step began, at `step_s`, and stopped since, so many times (R,)."""
        runs = self._run.sites.state.runs
        since_s = np.where(runs.flavor[0, self._rows] == NOWHERE, np.nan, runs.began_s[0, self._rows])
        gone = ~np.isnan(self._began_s) & (self._began_s != since_s)
        rows, end_s = self._rows[gone], step_s + np.where(stops == 1, self._ran_on_s(), 0.0)[gone]
        self._stopped.append(Spells(rows, self._flavor[gone], self._gpus[rows], self._began_s[gone], end_s))

    def _ran_on_s(self) -> Floats:
        """(R,) for how long each ran after it was told that its node goes; 0 where it was not."""
        troubles, hits = self._run.sites.troubles, self._run.hits
        if troubles is None or hits is None:
            return np.zeros(len(self._rows))
        taken = hits[CAUSES.index("interruptions"), self._rows]
        told = (taken > self._told) & (self._flavor != NOWHERE)
        self._told = taken
        return np.where(told, troubles.notice_s[0, self._flavor], 0.0)

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
