"""What becomes of a daemon whose forecaster knows more than a file may hold."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from forecasting import store
from forecasting.foresight import Foresight
from gyropilot.daemon import Daemon, Pace
from gyropilot.domain import Cycle, Intent
from gyropilot.errors import ForecastError
from gyropilot.metrics import Telemetry
from gyropilot.settings import DaemonSettings, ForecastSettings
from tests.fakes import NOW, history, state

SEEN = state(history=history({"research": [8.0, 8.0, 16.0, 24.0] * 72}), seen_at=NOW)
SETTINGS = DaemonSettings(interval=timedelta(minutes=1), port=0)


class HandClock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time


def foresight(path: Path) -> Foresight:
    return Foresight(ForecastSettings(model="naive"), path=path)


def daemon(mine: Foresight, clock: HandClock) -> Daemon:
    """One that forecasts and does nothing else."""

    def step(now: datetime) -> Cycle:
        return Cycle(now, SEEN, mine(SEEN), Intent("hold"), ())

    tidy = lambda: ""  # noqa: E731 - there is no journal
    return Daemon(step, mine.fit, mine.due, tidy, SETTINGS, "0 3 * * *", clock, Telemetry(), Pace(SETTINGS, NOW))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a cluster had too many queues."""
    monkeypatch.setattr(store, "MAX_BYTES", 1_000)


@pytest.mark.usefixtures("small")
def test_a_state_too_large_to_save_is_said_and_the_daemon_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock, mine = HandClock(), foresight(tmp_path / "g.forecast")
    watched = daemon(mine, clock)
    watched.tick()

    watched.tend()
    watched.tend()  # it is not tried each minute
    clock.time += timedelta(minutes=1)
    watched.tick()

    (said,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert said.startswith("put off: what was learnt is too much to save")
    assert watched.pace.failures == 0
    assert watched.pace.last_success == clock.time
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("small")
def test_after_a_restart_it_is_fitted_anew(tmp_path: Path) -> None:
    before = foresight(tmp_path / "g.forecast")
    before(SEEN)
    with pytest.raises(ForecastError, match="too much to save"):
        before.save()

    after = foresight(tmp_path / "g.forecast")
    after(SEEN)

    assert after.origin == "fitted at 2026-03-02 12:00 UTC on 288 steps of 1 line"
