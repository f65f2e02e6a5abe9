"""The only file that chooses implementations: settings in, an autopilot out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from actuators import actuators, rehearsals
from agents import make_agents
from agents.pilots import make_pilot
from forecasting.forecast import forecast, learn
from forecasting.protocol import Forecaster
from forecasting.registry import make
from gyropilot.clock import Clock
from gyropilot.cycle import Autopilot, Memory, NoMemory
from gyropilot.daemon import Daemon, Pace
from gyropilot.domain import ClusterState, DemandForecast
from gyropilot.errors import SettingsError
from gyropilot.guardrails import guardrails
from gyropilot.journal import Journal
from gyropilot.kubernetes.api import Api
from gyropilot.kubernetes.reader import KubernetesReader
from gyropilot.metrics import Telemetry
from gyropilot.observe import Observer
from gyropilot.prometheus.reader import PrometheusReader
from gyropilot.settings import Settings

Mode = Literal["plan", "rehearse", "act"]
Told = Callable[[str], None]  # hears what is being done, one phrase at a time

_Asked = TypeVar("_Asked")
_Given = TypeVar("_Given")


@dataclass(slots=True)
class Foresight:
    """The forecaster in force; a fit replaces it whole, so that a cycle under way keeps the one it began with."""

    settings: Settings
    forecaster: Forecaster = field(init=False)
    seen: ClusterState | None = None
    fitted: bool = False

    def __post_init__(self) -> None:
        self.forecaster = make(self.settings.forecast.model)

    def __call__(self, state: ClusterState) -> DemandForecast:
        """The forecast for what was seen; the very first one fits first."""
        self.seen = state
        if not self.fitted:
            self.fit()
        return forecast(self.forecaster, state.history, self.settings.forecast, state.seen_at)

    def fit(self) -> str:
        """Learns from the history that was seen last; answers with one sentence."""
        if self.seen is None:
            return "nothing was seen yet, so there is nothing to fit"
        history = self.seen.history
        self.forecaster = learn(self.forecaster, history)
        self.fitted = True
        return f"fitted {self.forecaster.name} on {len(history.times)} steps of {len(history.lines)} lines"


def autopilot(settings: Settings, mode: Mode, told: Told = lambda phrase: None) -> tuple[Autopilot, Foresight]:
    """An autopilot that reads real servers. Only mode "act" turns dials; the others ask with dryRun=All.

    Raises SettingsError when what it needs is not told.
    """
    if not settings.prometheus.url:
        raise SettingsError(
            "prometheus.url is empty; give --prometheus URL, set it in gyropilot.yaml, or GYROPILOT_PROMETHEUS__URL"
        )
    api = Api.connect(settings.kubernetes)
    observer = Observer(
        _telling(
            told, "reading Prometheus", PrometheusReader(settings.prometheus, settings.kubernetes.pool_label).read
        ),
        _telling(told, "reading the Kubernetes API", KubernetesReader(api, settings).read),
        settings,
    )
    foresight = Foresight(settings)
    pilot = Autopilot(
        observe=observer,
        forecast=_telling(told, "forecasting", foresight),
        pilot=make_pilot(settings.pilot),
        agents=make_agents(settings),
        guardrails=guardrails(settings),
        actuators=(actuators if mode == "act" else rehearsals)(api, settings.kubernetes),
        memory=remembered(settings) if mode == "plan" else Journal(settings.journal.url),
        look_back=max(
            settings.guardrails.budget_window, settings.guardrails.cooldown, settings.guardrails.reversal_cooldown
        ),
        mode=mode,
    )
    return pilot, foresight


def daemon(settings: Settings, mode: Mode, clock: Clock) -> Daemon:
    """What `gyropilot run` runs."""
    pilot, foresight = autopilot(settings, mode)
    journal = Journal(settings.journal.url)

    def tend() -> str:
        dropped = journal.drop_before(clock.now() - settings.journal.keep)
        return f"{foresight.fit()}; {dropped} old cycles dropped from the journal"

    return Daemon(
        step=pilot.step,
        tend=tend,
        settings=settings.daemon,
        fit_at=settings.forecast.fit_at,
        clock=clock,
        telemetry=Telemetry(),
        pace=Pace(settings.daemon, clock.now()),
    )


def remembered(settings: Settings) -> Memory:
    """The journal where there is one already: a recommendation creates no files."""
    path = settings.journal.url.removeprefix("sqlite:///")
    if path != settings.journal.url and not Path(path).is_file():
        return NoMemory()
    return Journal(settings.journal.url)


def _telling(told: Told, phrase: str, stage: Callable[[_Asked], _Given]) -> Callable[[_Asked], _Given]:
    def telling(asked: _Asked) -> _Given:
        told(phrase)
        return stage(asked)

    return telling
