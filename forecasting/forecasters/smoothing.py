"""Levels and seasons of hours, smoothed in many ways, of which each line keeps to those that were right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from math import floor
from typing import Self

import numpy as np

from forecasting.bands import doubted, hat, widths
from forecasting.demand.seen import DAY_S, some_lines
from forecasting.demand.signals import Rows
from forecasting.demand.slots import Past, Slots
from forecasting.forecasters.judging import HOUR_S, LEADS_H, Hours, Judged, Trial, judge
from forecasting.forecasters.naive import Naive
from forecasting.forecasters.room import Room
from forecasting.protocol import State
from forecasting.store import floats, nested
from forecasting.windows import over_instants
from gyropilot.domain import DemandHistory, Floats, Window

HOUR = timedelta(hours=1)
HOURS = 28 * 24
"""That are smoothed."""

DOUBT = 2.0
"""The share of what never happened falls with this power of the days that were seen."""

AFRESH_S = 3 * HOUR_S
MOST_AFRESH = 24
"""So often ways are judged again between fits, where there are no more lines: some milliseconds each."""


@dataclass(frozen=True, eq=False)
class Smoothing:
    """Exponential smoothing of what is unusual for the hour (Holt 1957, Winters 1960), with errors of the last weeks.

    All hours of a line share their errors, so that a service is known well within days. Lines of which too little was
    seen are forecast as `Naive` does. Between fits ways are judged anew for at most MOST_AFRESH lines.
    """

    slots: Slots | None = None
    judged: Judged = field(default_factory=lambda: Judged.nothing(0))
    afresh: list[Trial] = field(default_factory=list)  # the newest; it changes what is worked out when, and no answer

    name = "smoothing"

    def fit(self, history: DemandHistory) -> Self:
        """Tries all ways on the last weeks of each line."""
        slots = Slots.of(history)
        hours = hourly(Past.until_fit(slots, np.arange(len(slots.lines))), slots.count, slots.slot_s)
        return replace(self, slots=slots, judged=judge(hours), afresh=[])

    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        """(L, W, Q) GPUs."""
        table = np.full((len(history.lines), len(windows), len(quantiles)), np.nan)
        room = Room.of(history, self.slots)
        rows = np.flatnonzero(room.known >= 0)
        if self.slots is not None and len(rows) and len(windows):
            table[rows] = self._told(history, room, rows, windows, quantiles)
        new = np.flatnonzero(np.isnan(table).any(axis=(1, 2)))
        if len(new):
            table[new] = Naive().predict(some_lines(history, new), windows, quantiles)
        return room.doubt.bounded(table)

    def state(self) -> State:
        """Past days, and how each line is smoothed."""
        slots = None if self.slots is None else self.slots.state()
        return {"slots": slots, **self.judged._asdict()}

    @classmethod
    def restored(cls, state: State) -> Self:
        """From what `state` gave."""
        slots = None if state["slots"] is None else Slots.restored(nested(state, "slots"))
        blank = Judged.nothing(0 if slots is None else len(slots.lines))
        return cls(slots, Judged(*(floats(state, name, table.shape) for name, table in blank._asdict().items())))

    def _told(
        self, history: DemandHistory, room: Room, rows: Rows, windows: Sequence[Window], quantiles: Sequence[float]
    ) -> Floats:
        """(R, W, Q) GPUs of lines that were known at the fit; NaN where too little was seen."""
        from forecasting.compiled import smoothing

        assert self.slots is not None
        known, now = room.known[rows], self.slots.column(history)
        past = self.slots.past(history, known, rows)
        hours, ages_h = hourly(past, now, self.slots.slot_s), room.age_s[rows] / HOUR_S
        if self.slots.slot_s < HOUR_S:  # the newest slot has only begun
            hours[1, :, -1:] = np.where(ages_h < self.slots.slot_s / HOUR_S, room.now[rows], np.nan)[:, None]
        judged = self._judged(past, known, now, history.step.total_seconds())

        def answer(ends_s: Floats) -> Floats:
            found = smoothing.told(hours, *judged, ends_s / HOUR_S, ages_h, np.log(LEADS_H))
            return self._doubted(found @ hat(quantiles), room, rows, ends_s, quantiles)

        return over_instants(answer, windows, HOUR)

    def _judged(self, past: Past, known: Rows, now: float, step_s: float) -> Judged:
        """What the fit found, or would have found at the last but one multiple of AFRESH_S.

        From the last one on there are so many hours to find out what it would find then, a little at each tick: what
        is told follows from history alone, and no tick waits for it.
        """
        slots = self.slots
        assert slots is not None
        found = self.judged.of(known)
        if len(known) > MOST_AFRESH:
            return found
        since_s = (now - slots.count) * slots.slot_s
        turn, elapsed_s = divmod(slots.end_s + since_s, AFRESH_S)
        trials = []
        for nth, share in ((turn - 1, 1.0), (turn, (elapsed_s + step_s) / AFRESH_S)):
            then = floor((nth * AFRESH_S - slots.end_s) / slots.slot_s)
            if then > 0:
                trials.append(self._trial(past, known, then).further(share))
                found = trials[-1].judged if nth < turn else found
        self.afresh[:] = trials
        return found

    def _trial(self, past: Past, known: Rows, then: int) -> Trial:
        """What was tried so far on the hours until some slots after the fit."""
        assert self.slots is not None
        about = known.tobytes() + past.late_total[:, : then + 1].tobytes() + past.late_seen[:, : then + 1].tobytes()
        begun = next((trial for trial in list(self.afresh) if trial.hours.about == about), None)
        return begun or Trial(Hours.of(hourly(past, self.slots.count + then, self.slots.slot_s), about))

    def _doubted(self, told: Floats, room: Room, rows: Rows, ends_s: Floats, quantiles: Sequence[float]) -> Floats:
        """With room for what never happened, which is the less the more days were seen."""
        share = (1 + room.doubt.seen_s[rows] / DAY_S) ** -DOUBT
        return doubted(told, share, room.now[rows], widths(room.doubt.scale[rows], ends_s), quantiles)


def in_hours(window: Window, step: timedelta) -> bool:
    """Whether it is as long as what is smoothed, whatever the step: of minutes the newest reading says more."""
    return window.end - window.start >= HOUR


def hourly(past: Past, now: float, slot_s: float) -> Floats:
    """(2, R, N) means of the last hours, and of the last slot of each; the last ends at slot `now`. NaN: not seen."""
    per_hour = HOUR_S / slot_s
    ends = now - per_hour * np.arange(min(HOURS, int(now / per_hour)) - 1, -1, -1, dtype=np.float64)
    means = past.means(ends - per_hour, ends, now)
    return np.stack([means, past.means(ends - 1, ends, now) if per_hour > 1 else means])
