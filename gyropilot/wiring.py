"""The only file that chooses implementations: settings in, an autopilot out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, TypeVar

from actuators import actuators, rehearsals
from agents import make_agents
from agents.pilots import make_pilot
from forecasting.backtest.as_run import AsRun
from forecasting.backtest.entrants import Own, Peer
from forecasting.cohorts import with_cohorts
from forecasting.demand.calendar import Place
from forecasting.demand.events import named
from forecasting.demand.trace import Trace
from forecasting.forecast import NO_CALENDAR
from forecasting.foresight import Foresight
from forecasting.foretold import Foretold
from forecasting.mixture.events import informed
from forecasting.registry import ALL_FORECASTERS, make
from gyropilot.clock import Clock
from gyropilot.cycle import Autopilot, Memory, NoMemory
from gyropilot.daemon import Daemon, Pace
from gyropilot.domain import ClusterState, Cycle, Queue
from gyropilot.errors import ForecastError, SettingsError
from gyropilot.guardrails import guardrails
from gyropilot.journal import Holder, Journal
from gyropilot.kubernetes.api import Api
from gyropilot.kubernetes.reader import KubernetesReader
from gyropilot.metrics import Telemetry
from gyropilot.observe import Observer, SeenDemand, demand_seen
from gyropilot.prometheus.reader import PrometheusReader
from gyropilot.settings import CalendarSettings, ForecastSettings, Settings

Mode = Literal["plan", "rehearse", "act"]
Told = Callable[[str], None]  # hears what is being done, one phrase at a time

log = logging.getLogger("gyropilot")

_NO_PROMETHEUS = (
    "prometheus.url is empty; give --prometheus URL, set it in gyropilot.yaml, or GYROPILOT_PROMETHEUS__URL"
)

_LEASE = timedelta(minutes=2)
"""How long a journal is kept for a writer that has died where it cannot be seen, at least."""

_NAMED = 12
"""Queues that a refusal lists, at most."""

_Asked = TypeVar("_Asked")
_Given = TypeVar("_Given")


def planner(settings: Settings, told: Told = lambda phrase: None) -> Autopilot:
    """An autopilot that reads real servers and only recommends. Raises SettingsError when what it needs is not told."""
    pilot, _ = _autopilot(settings, "plan", told)
    return replace(pilot, memory=remembered(settings))


@dataclass(frozen=True, slots=True)
class Writer:
    """An autopilot that writes its cycles down, as the only one that writes this journal."""

    pilot: Autopilot
    foresight: Foresight
    journal: Journal
    settings: Settings
    clock: Clock
    holder: Holder

    def step(self, now: datetime) -> Cycle:
        """One cycle. Raises JournalError, before anything is read, while another gyropilot writes this journal."""
        lasting = max(_LEASE, 3 * self.settings.daemon.interval)
        self.journal.hold(self.holder, self.clock.now, lasting)
        return self.pilot.step(now)

    def tidy(self) -> str:
        """Drops what is older than is to be kept; answers with one sentence."""
        dropped = self.journal.drop_before(self.clock.now() - self.settings.journal.keep)
        return f"{dropped} old cycles dropped from the journal"


@contextmanager
def writer(
    settings: Settings, mode: Literal["rehearse", "act"], clock: Clock, told: Told = lambda phrase: None
) -> Iterator[Writer]:
    """What `gyropilot once` steps. Only mode "act" turns dials. Raises SettingsError when what it needs is not told."""
    pilot, foresight = _autopilot(settings, mode, told)
    with Journal(settings.journal.url) as journal:
        try:
            yield Writer(replace(pilot, memory=journal), foresight, journal, settings, clock, Holder.here())
        finally:
            _save(foresight)


@contextmanager
def daemon(settings: Settings, mode: Literal["rehearse", "act"], clock: Clock) -> Iterator[Daemon]:
    """What `gyropilot run` runs."""
    with writer(settings, mode, clock) as made:
        yield Daemon(
            step=made.step,
            fit=made.foresight.fit,
            due=made.foresight.due,
            tidy=made.tidy,
            settings=settings.daemon,
            fit_at=settings.forecast.fit_at,
            clock=clock,
            telemetry=Telemetry(),
            pace=Pace(settings.daemon, clock.now()),
        )


def foresight_of(settings: Settings) -> Foresight:
    """The forecaster that the settings name, with what it learnt before where that was saved; it writes nothing."""
    return Foresight(settings.forecast, settings.calendar, _state_file(settings))


def remembered(settings: Settings) -> Memory:
    """The journal where there is one already: a recommendation creates no files."""
    path = settings.journal.url.removeprefix("sqlite:///")
    if path != settings.journal.url and not Path(path).is_file():
        return NoMemory()
    return Journal(settings.journal.url)


def our_entrants(
    names: Sequence[str],
    refit: timedelta,
    calendar: CalendarSettings = NO_CALENDAR,
    in_force: str = "gyropilot",
) -> list[Own | AsRun]:
    """Our own forecasters in a backtest: the seasonal-naive one first, asked for or not, and "gyropilot" next.

    That one, and the one `in_force`, as they run beside a cluster; the others bare, to compare with.
    """
    if not names:
        raise SettingsError(f"--models names none; it takes {', '.join(sorted(ALL_FORECASTERS))}")
    strange = [name for name in names if name not in ALL_FORECASTERS]
    if strange:
        raise SettingsError(f"--models got {strange[0]!r}; it takes {', '.join(sorted(ALL_FORECASTERS))}")
    first = ("seasonal-naive", *(name for name in names if name == "gyropilot"))
    as_run, place, events = ("gyropilot", in_force), Place.of(calendar), named(calendar)
    return [
        AsRun(Foresight(ForecastSettings.model_validate({"model": name}), calendar), refit)
        if name in as_run
        else Own(name, informed(make(name, place), events), refit)
        for name in dict.fromkeys((*first, *names))
    ]


def peer_entrants(step: timedelta) -> list[Peer]:
    """Everybody else's that suit a history of that step. Raises ForecastError where they are not installed."""
    from forecasting.backtest.peers import peers

    return list(peers(step))


def foretold(settings: Settings, now: datetime, told: Told = lambda phrase: None, queue: str | None = None) -> Foretold:
    """What Prometheus alone lets one expect, of one queue where one is named.

    Raises SettingsError, also where that queue is not there, UnreachableError, ObservationError.
    """
    if not settings.prometheus.url:
        raise SettingsError(_NO_PROMETHEUS)
    told("reading Prometheus")
    metrics = PrometheusReader(settings.prometheus, settings.kubernetes.pool_label).read(now)
    seen = demand_seen(metrics, settings)
    _refuse_unknown(queue, seen)  # before the fit, which may take minutes
    told("forecasting")
    foresight, notes = foresight_of(settings), (*metrics.notes, *seen.notes)
    queues = tuple(Queue(name, cohort=cohort) for name, cohort in metrics.cohorts.items())
    demand = foresight(ClusterState(now, (), queues, (), seen.history, {"prometheus": metrics.age}, gone=seen.gone))
    found = Foretold(seen.history.with_totals(seen.gone), demand, foresight.outlook(), foresight.lessons(), notes)
    return with_cohorts(found, metrics.cohorts, foresight.copula()) if queue is None else found.of_queue(queue)


def _refuse_unknown(queue: str | None, seen: SeenDemand) -> None:
    names = sorted({line.queue for line in seen.history.lines})
    if queue is not None and queue not in names:
        any_more = " any more" if queue in {line.queue for line in seen.gone.lines} else ""
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        there = f"there are {', '.join(names[:_NAMED]) or 'none'}{more}"
        raise SettingsError(f"no queue {queue!r} in Prometheus{any_more}; {there}")


def remembered_demand(settings: Settings, now: datetime, told: Told = lambda phrase: None) -> Trace:
    """What one's own Prometheus remembers, on the grid of the settings. Raises SettingsError, UnreachableError."""
    if not settings.prometheus.url:
        raise SettingsError(
            "there is no history to replay; give --trace FILE, or your Prometheus with --prometheus URL, "
            "prometheus.url or GYROPILOT_PROMETHEUS__URL"
        )
    told("reading Prometheus")
    metrics = PrometheusReader(settings.prometheus, settings.kubernetes.pool_label).read(now)
    return Trace(metrics.history, metrics.notes)


def _autopilot(settings: Settings, mode: Mode, told: Told) -> tuple[Autopilot, Foresight]:
    """An autopilot that has no memory yet. Only mode "act" turns dials; the others ask with dryRun=All."""
    if not settings.prometheus.url:
        raise SettingsError(_NO_PROMETHEUS)
    api = Api.connect(settings.kubernetes)
    observer = Observer(
        _telling(
            told, "reading Prometheus", PrometheusReader(settings.prometheus, settings.kubernetes.pool_label).read
        ),
        _telling(told, "reading the Kubernetes API", KubernetesReader(api, settings).read),
        settings,
    )
    foresight = foresight_of(settings)
    pilot = Autopilot(
        observe=observer,
        forecast=_telling(told, "forecasting", foresight),
        pilot=make_pilot(settings.pilot, settings.forecast.model),
        agents=make_agents(settings),
        guardrails=guardrails(settings),
        actuators=(actuators if mode == "act" else rehearsals)(api, settings.kubernetes),
        memory=NoMemory(),
        look_back=max(
            settings.guardrails.budget_window, settings.guardrails.cooldown, settings.guardrails.reversal_cooldown
        ),
        mode=mode,
    )
    return pilot, foresight


def _state_file(settings: Settings) -> Path | None:
    """Where what was learnt is kept: beside the journal, where that is a file."""
    if settings.forecast.state is not None:
        return Path(settings.forecast.state) if settings.forecast.state else None
    dialect, _, journal = settings.journal.url.partition(":///")
    is_file = dialect == "sqlite" and journal and journal != ":memory:"
    return Path(journal if is_file else "gyropilot").with_suffix(".forecast")


def _save(foresight: Foresight) -> None:
    """At the end of all work: what cannot be saved is said, and learnt again at the next start."""
    try:
        foresight.save()
    except ForecastError as problem:
        log.warning("what was learnt is lost: %s", problem)


def _telling(told: Told, phrase: str, stage: Callable[[_Asked], _Given]) -> Callable[[_Asked], _Given]:
    def telling(asked: _Asked) -> _Given:
        told(phrase)
        return stage(asked)

    return telling
