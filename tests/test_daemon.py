"""The daemon paces cycles, says one sentence each, survives surprises, and stops cleanly."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from gyropilot.daemon import Daemon, Pace, run
from gyropilot.domain import Cycle, Intent
from gyropilot.errors import ForecastError, JournalError, ObservationError, PrometheusError
from gyropilot.metrics import Telemetry
from gyropilot.settings import DaemonSettings
from tests.fakes import NOW, forecast, pool, queue, state

SETTINGS = DaemonSettings(interval=timedelta(minutes=1), max_pause=timedelta(minutes=15), listen="127.0.0.1", port=0)


class HandClock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time

    def turn(self, delay: timedelta) -> None:
        self.time += delay


def quiet_cycle(now: datetime) -> Cycle:
    return Cycle(now, state([pool()], [queue(running=4)]), forecast({"research": 4.0}), Intent("hold"), ())


def daemon(
    step: Callable[[datetime], Cycle],
    fit: Callable[[], str] = lambda: "fitted",
    tidy: Callable[[], str] = lambda: "tidied",
    due: Sequence[Callable[[], str]] = (),
) -> Daemon:
    return Daemon(
        step, fit, lambda now: due, tidy, SETTINGS, "0 3 * * *", HandClock(), Telemetry(), Pace(SETTINGS, NOW)
    )


def counted(telemetry: Telemetry, name: str, **labels: str) -> float:
    return telemetry.registry.get_sample_value(name, labels) or 0.0


def test_each_cycle_ends_in_one_sentence(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    daemon(quiet_cycle).tick()

    assert caplog.messages == ["nothing wanted; holding still"]


def test_the_pause_doubles_after_each_failure_up_to_its_limit() -> None:
    pace = Pace(SETTINGS, NOW)

    pauses = [pace.failed(NOW, "no answer") / timedelta(minutes=1) for _ in range(6)]

    assert pauses == [1, 2, 4, 8, 15, 15]


def test_a_failed_cycle_is_not_tried_again_before_its_pause_is_over() -> None:
    asked = []

    def unreachable(now: datetime) -> Cycle:
        asked.append(now)
        raise PrometheusError("no answer")

    clock = HandClock()
    watched = replace(daemon(unreachable), clock=clock)
    for _ in range(4):  # at minutes 0, 1, 2 and 3; pauses of 1 and 2 minutes follow the first two tries
        watched.tick()
        clock.turn(timedelta(minutes=1))

    assert asked == [NOW, NOW + timedelta(minutes=1), NOW + timedelta(minutes=3)]


def test_a_tick_some_milliseconds_early_is_not_missed() -> None:
    pace = Pace(SETTINGS, NOW)
    pace.failed(NOW + timedelta(milliseconds=5), "no answer")

    assert pace.due(NOW + timedelta(minutes=1, milliseconds=2))


def test_the_pause_begins_when_the_failed_cycle_ends() -> None:
    clock = HandClock()

    def times_out(now: datetime) -> Cycle:
        clock.turn(timedelta(minutes=3))
        raise PrometheusError("no answer")

    watched = replace(daemon(times_out), clock=clock)
    watched.tick()

    assert watched.pace.not_before == NOW + timedelta(minutes=4)


def test_a_success_ends_the_doubling() -> None:
    pace = Pace(SETTINGS, NOW)
    pace.failed(NOW, "no answer")

    pace.succeeded(NOW, "well")

    assert pace.failed(NOW, "no answer") == timedelta(minutes=1)


@pytest.mark.parametrize(
    ("problem", "result"),
    [
        (ObservationError("stale"), "refused"),
        (PrometheusError("no answer"), "unreachable"),
        (ZeroDivisionError("surprise"), "failed"),
    ],
)
def test_a_failure_is_counted_by_its_kind_and_does_not_end_the_daemon(problem: Exception, result: str) -> None:
    def fails(now: datetime) -> Cycle:
        raise problem

    watched = daemon(fails)
    watched.tick()

    assert counted(watched.telemetry, "gyropilot_cycles_total", result=result) == 1


def test_a_cycle_that_cannot_be_counted_is_a_failure_too() -> None:
    broken = Telemetry()
    broken.seconds = None  # type: ignore[assignment]
    watched = replace(daemon(quiet_cycle), telemetry=broken)

    watched.tick()

    assert watched.pace.failures == 1


def test_a_fit_that_fails_leaves_the_old_one_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    def fails() -> str:
        raise ValueError("too little history")

    watched = daemon(quiet_cycle, fails)
    watched.night()

    assert caplog.messages == ["fit failed, the old one stays: too little history"]
    assert counted(watched.telemetry, "gyropilot_fits_total", result="failed") == 1


def test_a_fit_that_fails_does_not_keep_the_journal_untidy(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    def fails() -> str:
        raise ValueError("too little history")

    daemon(quiet_cycle, fails, lambda: "7 old cycles dropped from the journal").night()

    assert caplog.messages[-1] == "7 old cycles dropped from the journal"


def test_a_journal_that_cannot_be_tidied_is_no_failed_fit(caplog: pytest.LogCaptureFixture) -> None:
    def fails() -> str:
        raise JournalError("the disk is full")

    watched = daemon(quiet_cycle, tidy=fails)
    watched.night()

    assert caplog.messages == [
        "the journal was not tidied, old cycles stay until the next night: the disk is full",
    ]
    assert counted(watched.telemetry, "gyropilot_fits_total", result="done") == 1
    assert counted(watched.telemetry, "gyropilot_fits_total", result="failed") == 0


def test_an_early_fit_is_counted_as_any(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    def fit() -> str:
        return "fitted early"

    watched = daemon(quiet_cycle, fit, due=[fit])
    watched.tend()

    assert caplog.messages == ["fitted early"]
    assert counted(watched.telemetry, "gyropilot_fits_total", result="done") == 1


def test_what_cannot_be_saved_now_is_said_and_is_no_failed_fit(caplog: pytest.LogCaptureFixture) -> None:
    def save() -> str:
        raise ForecastError("the disk is full")

    watched = daemon(quiet_cycle, due=[save, lambda: ""])
    watched.tend()

    assert caplog.messages == ["put off: the disk is full"]
    assert counted(watched.telemetry, "gyropilot_fits_total", result="failed") == 0


def test_health_is_lost_after_several_missed_cycles() -> None:
    pace = Pace(SETTINGS, NOW - timedelta(days=1))
    pace.succeeded(NOW, "well")
    pace.failed(NOW, "no answer")

    assert pace.health(NOW + timedelta(minutes=4))[0]
    assert pace.health(NOW + timedelta(minutes=6)) == (False, "no cycle has succeeded for 360 s; last: no answer")


def test_health_is_lost_when_a_cycle_hangs() -> None:
    pace = Pace(SETTINGS, NOW)
    pace.succeeded(NOW, "well")

    assert pace.health(NOW + timedelta(minutes=6)) == (False, "no cycle has succeeded for 360 s; last: well")


def test_the_first_cycle_has_time_to_fit_and_says_that_it_does() -> None:
    pace = Pace(SETTINGS, NOW)

    well, sentence = pace.health(NOW + timedelta(minutes=20))

    assert (well, sentence) == (True, "the first cycle is under way: it reads the history and fits the forecaster")
    assert not pace.health(NOW + timedelta(minutes=31))[0]


def test_a_first_cycle_that_fails_is_forgiven_as_long_as_any() -> None:
    pace = Pace(SETTINGS, NOW)
    pace.failed(NOW, "no answer")

    assert pace.health(NOW + timedelta(minutes=4)) == (True, "no answer")
    assert not pace.health(NOW + timedelta(minutes=6))[0]


def test_the_daemon_serves_metrics_and_health_and_stops_cleanly(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    pages: dict[str, str] = {}

    def until() -> None:
        base = f"http://127.0.0.1:{_port(caplog.messages)}"
        _wait_for(lambda: json.loads(_page(f"{base}/healthz"))["why"] == "nothing wanted; holding still")
        pages["healthz"], pages["metrics"] = _page(f"{base}/healthz"), _page(f"{base}/metrics?name=gyropilot")
        with pytest.raises(urllib.error.HTTPError):
            _page(f"{base}/else")

    run(daemon(quiet_cycle), until)

    assert json.loads(pages["healthz"])["ok"] is True
    assert 'gyropilot_pool_gpus{pool="h100",resource="nvidia.com/gpu"} 32.0' in pages["metrics"]
    assert caplog.messages[-1] == "stopped"
    assert "metrics" not in {thread.name for thread in threading.enumerate()}


def _port(messages: list[str]) -> str:
    return next(m for m in messages if m.startswith("metrics and health")).split(":")[1].split(";")[0]


def _page(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        text: str = answer.read().decode()
    return text


def _wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(200):
        if condition():
            return
        threading.Event().wait(0.05)
    raise AssertionError("it did not come about within 10 s")
