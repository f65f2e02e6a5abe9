"""`gyropilot run`: paces the autopilot on the clock. The only place that waits, and that catches everything."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.interval import IntervalTrigger

from gyropilot.clock import Clock
from gyropilot.crontab import triggers
from gyropilot.domain import Cycle
from gyropilot.errors import GyropilotError, ObservationError, UnreachableError
from gyropilot.metrics import Telemetry, serve
from gyropilot.settings import DaemonSettings

log = logging.getLogger("gyropilot")

_MISSED_CYCLES_UNTIL_UNWELL = 5

_FIRST_CYCLE_WITHIN = timedelta(minutes=30)
"""It reads weeks of history and fits the forecaster: on a large cluster, a matter of minutes."""


@dataclass
class Pace:
    """When the next cycle may begin: every interval, or later after failures, doubling up to a limit."""

    settings: DaemonSettings
    since: datetime  # when the daemon began
    failures: int = 0
    not_before: datetime = field(default=datetime.min.replace(tzinfo=UTC))
    last_success: datetime | None = None
    last_sentence: str = "the first cycle is under way: it reads the history and fits the forecaster"

    def due(self, now: datetime) -> bool:
        # Ticks come an interval apart, give or take some milliseconds: the one nearest to the pause's end counts.
        return now + self.settings.interval / 2 >= self.not_before

    def succeeded(self, now: datetime, sentence: str) -> None:
        self.failures, self.last_success, self.last_sentence = 0, now, sentence

    def failed(self, now: datetime, sentence: str) -> timedelta:
        """The pause from now, the end of the cycle, until the next try."""
        doubled: timedelta = self.settings.interval * 2 ** min(self.failures, 16)
        pause = min(self.settings.max_pause, doubled)
        self.failures, self.not_before, self.last_sentence = self.failures + 1, now + pause, sentence
        return pause

    def health(self, now: datetime) -> tuple[bool, str]:
        """Well until several intervals have passed without a cycle that succeeded, whether others failed or hang."""
        patience = self.settings.interval * _MISSED_CYCLES_UNTIL_UNWELL
        if self.last_success is None and not self.failures:
            patience = max(patience, _FIRST_CYCLE_WITHIN)
        waited = now - (self.last_success or self.since)
        if waited <= patience:
            return True, self.last_sentence
        return False, f"no cycle has succeeded for {waited.total_seconds():.0f} s; last: {self.last_sentence}"


@dataclass(frozen=True, slots=True)
class Daemon:
    """What runs each minute (`step`, and beside it what is `due`) and each night (`fit`, `tidy` the journal).

    The rest is pace and telling. Work answers with one sentence, or with an empty one.
    """

    step: Callable[[datetime], Cycle]
    fit: Callable[[], str]
    due: Callable[[datetime], Iterable[Callable[[], str]]]  # what cannot wait for the night; may hold `fit`
    tidy: Callable[[], str]
    settings: DaemonSettings
    fit_at: str
    clock: Clock
    telemetry: Telemetry
    pace: Pace

    def tick(self) -> None:
        """One cycle, one sentence; a failure is a sentence too, and a longer pause."""
        now = self.clock.now()
        if not self.pace.due(now):
            return
        began = time.perf_counter()
        try:
            cycle = self.step(now)
            self.telemetry.record(cycle, time.perf_counter() - began)
        except GyropilotError as problem:
            self._failed(_result(problem), str(problem))
        except Exception as problem:
            log.exception("unexpected")
            self._failed("failed", f"unexpected {type(problem).__name__}: {problem}")
        else:
            self.pace.succeeded(self.clock.now(), cycle.sentence)
            log.info("%s", cycle.sentence)

    def night(self) -> None:
        """The nightly fit, then the journal is tidied; one failing leaves the other alone."""
        self._fit()
        self._done(self.tidy, "the journal was not tidied, old cycles stay until the next night")

    def tend(self) -> None:
        """What the forecaster needs between nights; one failing leaves the others alone."""
        for task in self.due(self.clock.now()):
            if task == self.fit:
                self._fit()
            else:
                self._done(task, "put off")

    def _fit(self) -> None:
        fitted = self._done(self.fit, "fit failed, the old one stays")
        self.telemetry.fits.labels("done" if fitted else "failed").inc()

    def _done(self, task: Callable[[], str], otherwise: str) -> bool:
        try:
            if sentence := task():
                log.info("%s", sentence)
        except Exception as problem:  # noqa: BLE001 - it is said, and tried again another time
            log.warning("%s: %s", otherwise, problem)
            return False
        return True

    def _failed(self, result: str, sentence: str) -> None:
        self.telemetry.cycles.labels(result).inc()
        pause = self.pace.failed(self.clock.now(), sentence)
        log.warning("holding still: %s; next try in about %s s", sentence, f"{pause.total_seconds():g}")


def run(daemon: Daemon, until: Callable[[], None]) -> None:
    """Runs until `until` returns; a cycle under way is finished first. Raises OSError when the port is taken."""
    scheduler, settings = _scheduled(daemon), daemon.settings
    health = lambda: daemon.pace.health(daemon.clock.now())  # noqa: E731 - bound to this daemon's clock
    with serve(daemon.telemetry, settings.listen, settings.port, health) as port:
        interval_s = settings.interval.total_seconds()
        log.info("metrics and health on %s:%s; one cycle every %s s", settings.listen, port, f"{interval_s:g}")
        scheduler.start()
        try:
            until()
        finally:
            scheduler.shutdown(wait=True)
            log.info("stopped")


def _scheduled(daemon: Daemon) -> BackgroundScheduler:
    """The first cycle at once, then one each interval; what the forecaster needs between them, and the nights."""
    scheduler = BackgroundScheduler(
        timezone=UTC,
        # One thread each: cycles never overlap, and a long fit does not hold up the next cycle.
        executors={"cycle": ThreadPoolExecutor(1), "fit": ThreadPoolExecutor(1)},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    each = IntervalTrigger(seconds=daemon.settings.interval.total_seconds(), timezone=UTC)
    scheduler.add_job(daemon.tick, each, next_run_time=daemon.clock.now(), executor="cycle", id="cycle")
    scheduler.add_job(daemon.tend, each, executor="fit", id="tend")
    scheduler.add_job(daemon.night, OrTrigger(triggers(daemon.fit_at)), executor="fit", id="fit")
    return scheduler


def _result(problem: GyropilotError) -> str:
    if isinstance(problem, ObservationError):
        return "refused"
    return "unreachable" if isinstance(problem, UnreachableError) else "failed"
