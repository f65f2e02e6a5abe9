"""The forecaster in force: kept up at each cycle, fitted anew beside the cycles, saved and restored."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import NamedTuple
from weakref import ReferenceType, ref

import numpy as np

from forecasting.cohorts import copula_of
from forecasting.demand.calendar import Place
from forecasting.demand.events import named
from forecasting.demand.pasts import NO_PASTS, Pasts
from forecasting.forecast import NO_CALENDAR, forecast, known, outlook
from forecasting.keeping import Fitted, keep, kept
from forecasting.mixture.copula import Copula
from forecasting.mixture.events import events_of, informed
from forecasting.mixture.lessons import Lessons
from forecasting.mixture.trust import lessons_of, shifts
from forecasting.protocol import Forecaster, updated
from forecasting.registry import make
from gyropilot.domain import ClusterState, DemandForecast, DemandHistory, Line
from gyropilot.errors import ForecastError
from gyropilot.settings import CalendarSettings, ForecastSettings

log = logging.getLogger("gyropilot")

Work = Callable[[], str]  # answers with one sentence, an empty one where nothing is worth saying

DAY = timedelta(days=1)

LOOK_BACK = timedelta(hours=1)
"""How often it is looked for queues that were renamed or are new: it takes seconds for a thousand of them."""


class Seen(NamedTuple):
    """A history, that of queues which exist no more, when they were seen, and which queues share quota."""

    history: DemandHistory
    gone: DemandHistory
    at: datetime
    cohort_of: Mapping[str, str] = MappingProxyType({})  # by queue, of those that are in one


class Told(NamedTuple):
    """A history as forecasters got it, for as long as anybody holds it: it is large."""

    seen: Seen
    pasts: Pasts
    history: ReferenceType[DemandHistory]

    def of(self, seen: Seen, pasts: Pasts) -> DemandHistory | None:
        return self.history() if self.seen is seen and self.pasts is pasts else None


class Tried(NamedTuple):
    """A save that was begun."""

    fitted_at: datetime
    at: datetime


@dataclass(slots=True)
class Foresight:
    """Forecasts from what is seen. A fit replaces the forecaster whole: a cycle under way keeps the one it began with.

    Cycles and fits may run in two threads, one of each at a time.
    """

    settings: ForecastSettings
    calendar: CalendarSettings = NO_CALENDAR
    path: Path | None = None  # of the saved state; None: nothing is kept
    fitted: Fitted | None = None
    origin: str = ""  # where what it knows comes from, one sentence
    _seen: Seen | None = None
    _pasts: Pasts = NO_PASTS
    _told: Told | None = None
    _looked_at: datetime | None = None
    _known_names: Mapping[Line, Line] = field(default_factory=dict)  # new names that the fit in force knew
    _fit_begun_at: datetime | None = None
    _saved: Fitted | None = None
    _tried: Tried | None = None
    _turn: Lock = field(default_factory=Lock)  # held while `fitted` is replaced

    def __call__(self, state: ClusterState) -> DemandForecast:
        """The forecast for what was seen."""
        cohort_of = {queue.name: queue.cohort for queue in state.queues if queue.cohort}
        history, forecaster = self.see(Seen(state.history, state.gone, state.seen_at, cohort_of))
        told = forecast(forecaster, history, self.settings, state.seen_at, self.calendar)
        return self._explained(told)

    def see(self, seen: Seen) -> tuple[DemandHistory, Forecaster]:
        """What was seen as forecasters get it, and the one in force, having learnt from it.

        The very first time it restores what was saved, or fits.
        """
        self._seen = seen
        if self.fitted is None:
            self._begin(seen)
        return self._kept_up()

    def outlook(self) -> DemandForecast:
        """What is expected of the week after a forecast was made."""
        seen = self._seen
        if seen is None:
            raise ForecastError("nothing was seen yet; ask for a forecast first")
        forecaster = self._in_force.forecaster
        return self._explained(outlook(forecaster, self._known(), self.settings, seen.at, self.calendar))

    def lessons(self) -> Lessons | None:
        """What the forecaster in force has learnt from its own forecasts, where it does so."""
        return lessons_of(self._in_force.forecaster)

    def copula(self) -> Copula | None:
        """How queues move together, where the forecaster in force knows it."""
        return copula_of(self._in_force.forecaster)

    def fit(self) -> str:
        """Learns from the history that was seen last; answers with one sentence."""
        seen = self._seen
        if seen is None:
            return "nothing was seen yet, so there is nothing to fit"
        self._fit_begun_at = seen.at
        self.look_back()
        history, names = self._as_got(seen), self._pasts.renamed
        before = self._blank() if self.fitted is None else self.fitted.forecaster
        fitted = Fitted(before.fit(history), seen.at, history.step, self.settings.model)
        fitted = self._caught_up(fitted)  # mostly here, so that no cycle waits for it
        with self._turn:
            cohorts = self.fitted.cohorts if self.fitted else fitted.cohorts
            self.fitted = self._caught_up(replace(fitted, cohorts=cohorts))
        self._known_names = names
        learnt_from = _learnt_from(seen.history)
        self.origin = f"fitted at {seen.at:%F %R} UTC on {learnt_from}"
        return f"fitted {fitted.forecaster.name} on {learnt_from}"

    @property
    def renamed(self) -> tuple[str, ...]:
        """Queues whose past was found under another name, one sentence each."""
        return self._pasts.sentences

    def look_back(self) -> str:
        """Finds queues that go on under another name, and lends young ones a past."""
        seen = self._seen
        if seen is None or not seen.history.lines:
            return ""
        before, found = self._pasts.sentences, Pasts.of(known(seen.history, gone=seen.gone), seen.gone)
        self._looked_at = seen.at
        if found.lines or self._pasts.lines:
            self._pasts = found
        return "; ".join(sentence for sentence in self._pasts.sentences if sentence not in before)

    def save(self) -> str:
        """Writes down what was learnt since the last time. Raises ForecastError."""
        fitted, seen = self.fitted, self._seen
        if self.path is None or fitted is None or seen is None or fitted is self._saved:
            return ""
        self._tried = Tried(fitted.at, seen.at)
        keep(fitted, self.path)
        self._saved = fitted
        return f"what was learnt is saved to {self.path}"

    def due(self, now: datetime) -> Iterator[Work]:
        """What is to be done between nights, one after the other: an early fit, a look back, a save."""
        if self.fitted is None:
            return
        fit_at = self._fit_begun_at or self.fitted.at
        renamed = self._pasts.renamed.items() - self._known_names.items()
        strange = shifts(self.fitted.forecaster) or self._event_is_over() or renamed
        if strange and now - fit_at >= self.settings.early_fit_after:
            yield self.fit
        elif self.look_back_is_due(now):
            yield self.look_back
        if self._save_is_due(self.fitted, now):
            yield self.save

    def _event_is_over(self) -> bool:
        """Whether an event has passed from which nothing was learnt yet."""
        events = events_of(self._in_force.forecaster)
        # As good as always none is named, and weeks of all queues are laid together for nothing.
        return events is not None and bool(events.known) and events.unmeasured(self._known())

    def look_back_is_due(self, now: datetime) -> bool:
        """Whether it was not looked back for an hour."""
        return self._looked_at is None or now - self._looked_at >= LOOK_BACK

    def _save_is_due(self, fitted: Fitted, now: datetime) -> bool:
        tried = self._tried
        return tried is None or tried.fitted_at < fitted.at or now - tried.at >= self.settings.save_every

    def _begin(self, seen: Seen) -> None:
        """With what was saved, where that can be trusted; else with a fit."""
        restored = self._restored(seen)
        if restored is None:
            self.fit()
            return
        self.look_back()
        self.fitted = self._saved = restored
        self._known_names = self._pasts.renamed  # what it did not know, it learns at the next night's fit
        self._tried = Tried(restored.at, seen.at)
        self.origin = f"restored from {self.path}, fitted at {restored.at:%F %R} UTC"
        log.info("%s", self.origin)

    def _restored(self, seen: Seen) -> Fitted | None:
        if self.path is None or not self.path.is_file():
            return None
        try:
            found = kept(self.path, self._blank(), self.settings.model, seen.history.step)
            self._refuse_old(found, seen.at)
        except ForecastError as problem:
            log.warning("fitting anew: %s", problem)
            return None
        return replace(found, forecaster=informed(found.forecaster, named(self.calendar)))

    def _blank(self) -> Forecaster:
        return informed(make(self.settings.model, Place.of(self.calendar)), named(self.calendar))

    def _refuse_old(self, found: Fitted, now: datetime) -> None:
        age, most = now - found.at, self.settings.max_state_age
        if age > most:
            raise ForecastError(
                f"{self.path} was fitted {age / DAY:.1f} d ago, forecast.max_state_age is {most / DAY:g} d"
            )
        if age < -found.step:
            raise ForecastError(f"{self.path} was fitted at {found.at:%F %R} UTC, after {now:%F %R}; check the clocks")

    def _kept_up(self) -> tuple[DemandHistory, Forecaster]:
        """The newest history, and the forecaster having learnt from it."""
        history = self._known()
        with self._turn:
            self.fitted = _updated(self._in_force, history, self._cohort_of)
            return history, self.fitted.forecaster

    def _caught_up(self, fitted: Fitted) -> Fitted:
        """Having learnt from what came while it was fitted."""
        return _updated(fitted, self._known(), self._cohort_of)

    @property
    def _cohort_of(self) -> Mapping[str, str]:
        return self._seen.cohort_of if self._seen else {}

    def _known(self) -> DemandHistory:
        return self._as_got(self._seen) if self._seen else DemandHistory.empty()

    def _as_got(self, seen: Seen) -> DemandHistory:
        """As forecasters get it: the very same object while it is the same, so that they know it again."""
        pasts, told = self._pasts, self._told
        history = told.of(seen, pasts) if told else None
        if history is None:
            history = known(seen.history, pasts, seen.gone)
            self._told = Told(seen, pasts, ref(history))
        return history

    @property
    def _in_force(self) -> Fitted:
        if self.fitted is None:
            raise ForecastError("nothing was fitted yet; ask for a forecast first")
        return self.fitted

    def _explained(self, told: DemandForecast) -> DemandForecast:
        """With where the forecaster comes from, and whose pasts it took."""
        fitted, trust = self._in_force, told.trust
        realised = (*trust.realised, *fitted.cohorts.realised())
        known = replace(trust, origin=self.origin, fitted_at=fitted.at, renamed=self.renamed, realised=realised)
        return replace(told, trust=known)


def _learnt_from(history: DemandHistory) -> str:
    """2016 steps of 2 lines: those that were seen, of however many were asked for."""
    steps, lines = int(np.isfinite(history.demand).any(axis=0).sum()), len(history.lines)
    return f"{steps} step{'s' * (steps != 1)} of {lines} line{'s' * (lines != 1)}"


def _updated(fitted: Fitted, history: DemandHistory, cohort_of: Mapping[str, str]) -> Fitted:
    """The same object where nothing was learnt, so that nothing is saved again."""
    learnt = updated(fitted.forecaster, history)
    cohorts = fitted.cohorts.learnt(learnt, history, cohort_of)
    same = learnt is fitted.forecaster and cohorts is fitted.cohorts
    return fitted if same else replace(fitted, forecaster=learnt, cohorts=cohorts)
