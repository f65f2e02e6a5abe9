"""Forecasts of a simulated cluster: each is made when it is first looked at, as it would have been in its time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Self

from envs.recorded import Record
from envs.terms import HOUR_S
from envs.workloads import DAY_S
from forecasting.forecast import forecast
from forecasting.protocol import Forecaster, updated
from gyropilot.domain import ALL_QUEUES, ClusterState, DemandForecast, DemandHistory, Floats, Line, View
from gyropilot.settings import ForecastSettings

REFIT_S = DAY_S
FORECAST_S = 900.0
"""How often a forecaster learns anew, more often on the first day; and how old a forecast may be."""

WANTED = ForecastSettings(
    horizons=tuple(timedelta(minutes=m) for m in (5, 15, 30, 60, 120, 180, 360, 720, 1440)),
    quantiles=(0.1, 0.25, 0.5, 0.75, 0.8, 0.9, 0.95),
)


class Glance(View):
    """A view of which each part is worked out when it is first read: not every pilot looks at all, or ahead."""

    __slots__ = ("_makes",)
    _makes: Mapping[str, Callable[[], object]]

    @classmethod
    def of(cls, see: Callable[[], ClusterState], foretell: Callable[[], DemandForecast]) -> Self:
        glance = cls.__new__(cls)
        object.__setattr__(glance, "_makes", {"state": see, "forecast": foretell})
        return glance

    def __getattr__(self, name: str) -> object:
        # Only what is not there yet is asked for here.
        if name not in ("state", "forecast"):
            raise AttributeError(f"a view has no {name}")
        part = self._makes[name]()
        object.__setattr__(self, name, part)
        return part


class Foretold(DemandForecast):
    """A forecast of totals, which works out those of queues when they are first read: where no quota binds nobody does.

    Only for what a forecaster says that looks at each line alone.
    """

    _totals: DemandForecast
    _whole: Callable[[], DemandForecast]

    @classmethod
    def of_totals(cls, totals: DemandForecast, lines: tuple[Line, ...], whole: Callable[[], DemandForecast]) -> Self:
        """`lines` are those of the `whole`."""
        told = cls.__new__(cls)
        known = {name: part for name, part in vars(totals).items() if name != "gpus"}
        vars(told).update({**known, "lines": lines, "_totals": totals, "_whole": whole})
        return told

    def of(self, line: Line) -> Floats:
        return self._totals.of(line) if line.queue == ALL_QUEUES else super().of(line)

    def __getattr__(self, name: str) -> object:
        # Only what is not there yet is asked for here.
        if name != "gpus":
            raise AttributeError(f"a forecast has no {name}")
        gpus = self._whole().gpus
        object.__setattr__(self, name, gpus)
        return gpus


@dataclass(eq=False, slots=True)
class Course:
    """One forecaster on its way through a record: it learns whether or not anybody looks at what it says."""

    forecaster: Forecaster
    history: Callable[[int], DemandHistory]  # until a step
    record: Record
    fitted_s: float = 0.0
    dues: list[int] = field(default_factory=list)  # steps whose forecast nobody has looked at
    told: tuple[int, DemandForecast] | None = None  # the last one looked at, and its step

    def of(self, nth: int) -> DemandForecast:
        """The forecast of a step that was due."""
        while self.dues and self.dues[0] <= nth:
            self._learn(self.dues.pop(0), nth)
        if self.told is None or self.told[0] != nth:
            raise ValueError("a later forecast was looked at already; look at forecasts in the order of their steps")
        return self.told[1]

    def _learn(self, due: int, nth: int) -> None:
        """From all until a step that was due; the forecast of the one that is asked for."""
        history, now_s = self.history(due), due * self.record.step_s
        if now_s - self.fitted_s >= min(REFIT_S, max(self.fitted_s, HOUR_S)):
            self.forecaster, self.fitted_s = self.forecaster.fit(history), now_s
        self.forecaster = updated(self.forecaster, history)
        if due == nth:
            self.told = due, forecast(self.forecaster, history, WANTED, self.record.at(due))


@dataclass(eq=False, slots=True)
class Foretelling:
    """A forecast every FORECAST_S, made when somebody looks."""

    whole: Course
    totals: Course | None  # of these alone, where the forecaster needs no other lines for them
    newest: int | None = None  # step whose forecast was due last
    told: tuple[int, DemandForecast] | None = None  # the last one of totals, and its step

    @classmethod
    def of(cls, record: Record, forecaster: Forecaster) -> Self:
        alone = getattr(forecaster, "each_alone", False)
        totals = Course(forecaster, record.totals, record) if alone else None
        return cls(Course(forecaster, record.whole, record), totals)

    def by(self, nth: int) -> Callable[[], DemandForecast]:
        """The newest forecast at a step, for whoever looks at it."""
        if self.newest is None or (nth - self.newest) * self.whole.record.step_s >= FORECAST_S:
            self.newest = nth
            self.whole.dues.append(nth)
            if self.totals is not None:
                self.totals.dues.append(nth)
        return partial(self._of, self.newest)

    def _of(self, nth: int) -> DemandForecast:
        # Who has read of queues once will do so again.
        if self.totals is None or self.whole.told is not None:
            return self.whole.of(nth)
        if self.told is None or self.told[0] != nth:
            lines = self.whole.record.lines
            self.told = nth, Foretold.of_totals(self.totals.of(nth), lines, partial(self.whole.of, nth))
        return self.told[1]
