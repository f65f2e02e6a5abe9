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
from gyropilot.domain import ClusterState, DemandForecast, View
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


@dataclass(eq=False, slots=True)
class Foretelling:
    """A forecast every FORECAST_S, by a forecaster that learns whether or not anybody looks at what it says."""

    record: Record
    forecaster: Forecaster
    fitted_s: float = 0.0
    dues: list[int] = field(default_factory=list)  # steps whose forecast nobody has looked at
    newest: int | None = None  # step whose forecast was due last
    told: tuple[int, DemandForecast] | None = None  # the last one looked at, and its step

    def by(self, nth: int) -> Callable[[], DemandForecast]:
        """The newest forecast at a step, for whoever looks at it."""
        if self.newest is None or (nth - self.newest) * self.record.step_s >= FORECAST_S:
            self.newest = nth
            self.dues.append(nth)
        return partial(self._of, self.newest)

    def _of(self, nth: int) -> DemandForecast:
        while self.dues and self.dues[0] <= nth:
            self._learn(self.dues.pop(0), nth)
        if self.told is None or self.told[0] != nth:
            raise ValueError("a later forecast was looked at already; look at forecasts in the order of their steps")
        return self.told[1]

    def _learn(self, due: int, nth: int) -> None:
        """From all until a step that was due; the forecast of the one that is asked for."""
        history, now_s = self.record.whole(due), due * self.record.step_s
        if now_s - self.fitted_s >= min(REFIT_S, max(self.fitted_s, HOUR_S)):
            self.forecaster, self.fitted_s = self.forecaster.fit(history), now_s
        self.forecaster = updated(self.forecaster, history)
        if due == nth:
            self.told = due, forecast(self.forecaster, history, WANTED, self.record.at(due))
