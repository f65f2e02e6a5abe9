"""How often the bands of cohorts held: what was said of their totals, kept until it is known what came.

It is counted and changes no forecast, so that cohorts stay what their queues add up to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Self

import numpy as np

from forecasting.cohorts import Groups, added_up, cohorts_among, together
from forecasting.demand.lineage import quieted
from forecasting.demand.outages import outages
from forecasting.demand.seen import DAY_S
from forecasting.mixture.calibration import Coverage
from forecasting.mixture.copula import Copula
from forecasting.mixture.ensemble import REMEMBERED, Ensemble
from forecasting.mixture.lessons import LEVELS
from forecasting.mixture.said import Said, feedback, first_due_s
from forecasting.protocol import Forecaster, State
from forecasting.rolling import until
from forecasting.store import lines_from_state, lines_to_state, nested, number, several
from gyropilot.domain import ALL_QUEUES, DemandForecast, DemandHistory, Line, Realised, Window


@dataclass(frozen=True, eq=False, slots=True)
class Held:
    """Forecasts of cohorts that are not scored yet, as many as the mixture keeps of its own, and how others did."""

    groups: Groups = field(default_factory=dict)
    heard_s: int = 0  # epoch seconds of the newest forecast of the mixture that was heard, or came before all this
    kept: tuple[Said, ...] = ()
    coverage: Coverage | None = None  # of totals, as which cohorts count; None: nobody asked about any yet

    def learnt(self, model: Forecaster, history: DemandHistory, cohort_of: Mapping[str, str]) -> Self:
        """Having heard what `model` said since, and scored what has come true or not; the same where that is nothing.

        Where `model` does not know how queues move together, or there were no cohorts for a day, all is forgotten: one
        look at which none is told says little.
        """
        if not len(history.times):
            return self
        groups = cohorts_among(history.lines, cohort_of)
        if not groups and int(history.times[-1]) - self.heard_s < DAY_S:
            return self
        if not groups or not isinstance(model, Ensemble) or model.copula is None or model.lessons is None:
            return self if self.coverage is None else type(self)()
        windows, buckets = model.lessons.windows, model.lessons.coverage.buckets
        mine = self._of(groups, buckets, int(history.times[-1]))
        return mine._heard(model.kept, history, windows, model.copula)._scored(history, windows)

    def realised(self) -> tuple[Realised, ...]:
        """For each bucket and nominal coverage of which anything was counted."""
        counted = () if self.coverage is None else self.coverage.realised()
        return tuple(row._replace(group="cohorts") for row in counted)

    def state(self) -> State:
        """As plain data."""
        groups = [
            {"cohort": lines_to_state([cohort]), "queues": lines_to_state(lines)}
            for cohort, lines in self.groups.items()
        ]
        return {
            "groups": groups,
            "heard_s": self.heard_s,
            "kept": [said.state() for said in self.kept],
            "coverage": None if self.coverage is None else self.coverage.state(),
        }

    @classmethod
    def restored(cls, state: State) -> Self:
        """From `state`. Raises ForecastError."""
        groups: dict[Line, tuple[Line, ...]] = {}
        for group in several(state, "groups"):
            (cohort,) = lines_from_state(nested(group, "cohort"))
            groups[cohort] = lines_from_state(nested(group, "queues"))
        return cls(
            groups,
            int(number(state, "heard_s")),
            tuple(Said.restored(said, 0, len(LEVELS)) for said in several(state, "kept")),
            None if state["coverage"] is None else Coverage.restored(nested(state, "coverage")),
        )

    def _of(self, groups: Groups, buckets: tuple[str, ...], now_s: int) -> Self:
        """Of the cohorts of now: what was said of one whose queues are others by now is forgotten."""
        if self.coverage is None or self.coverage.buckets != buckets:
            return type(self)(groups, now_s, (), Coverage.start(buckets))
        if groups == self.groups and self.heard_s <= now_s:
            return self
        same = {cohort for cohort, lines in groups.items() if self.groups.get(cohort) == lines}
        kept = tuple(said.of(same) for said in self.kept if said.at_s <= now_s)  # none from before a clock was set back
        return replace(self, groups=groups, heard_s=min(self.heard_s, now_s), kept=kept)

    def _heard(self, kept: Sequence[Said], history: DemandHistory, windows: Sequence[Window], copula: Copula) -> Self:
        """With what was said since; of other lines than are seen now, nothing."""
        new = [said for said in kept if said.at_s > self.heard_s and said.lines == history.lines]
        if not new:
            return self
        mine = tuple(_of_cohorts(self.groups, said, history, windows, copula) for said in new)
        return replace(self, heard_s=new[-1].at_s, kept=(*self.kept, *mine))

    def _scored(self, history: DemandHistory, windows: tuple[Window, ...]) -> Self:
        if self.coverage is None or first_due_s(self.kept, windows) > history.times[-1]:
            return self
        came = _lately(history, self.groups)
        kept, rounds = feedback(self.kept, windows, came)
        now, coverage = datetime.fromtimestamp(int(history.times[-1]), UTC), self.coverage
        totals = [Line(ALL_QUEUES, line.resource) for line in came.lines]
        for each in rounds:
            coverage = coverage.learnt(totals, each.actual, each.told, LEVELS, now)
        return replace(self, kept=kept, coverage=coverage)


def _of_cohorts(groups: Groups, said: Said, history: DemandHistory, windows: Sequence[Window], copula: Copula) -> Said:
    """What the queues' forecasts, as they are shown, add up to."""
    asked = [windows[w] for w in said.which]
    known = until(history, int(np.searchsorted(history.times, said.at_s)))
    told = DemandForecast(
        made_at=datetime.fromtimestamp(said.at_s, UTC),
        lines=said.lines,
        horizons=tuple(window.end for window in asked),
        quantiles=LEVELS,
        gpus=quieted(said.told.astype(np.float64), known, asked, LEVELS),
    )
    return Said.by_nobody(said.at_s, tuple(groups), said.which, together(told, asked, copula, groups).gpus)


def _lately(history: DemandHistory, groups: Groups) -> DemandHistory:
    """What cohorts demanded since anything was said that is not scored; as of totals, nothing was seen at outages."""
    first = max(0, len(history.times) - round(REMEMBERED / history.step))
    times, running, pending = history.times[first:], history.running[:, first:], history.pending[:, first:]
    sums = added_up(DemandHistory(history.lines, times, running, pending), groups)
    sums.running[:, outages(history)[first:]] = np.nan
    return sums
