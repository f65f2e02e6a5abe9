"""The forecaster in force: restored, kept up, replaced whole, saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

import numpy as np
import pytest

import forecasting.foresight as module
from forecasting.forecasters.naive import Naive
from forecasting.foresight import Foresight
from forecasting.keeping import Fitted, keep, kept
from forecasting.mixture.ensemble import Ensemble
from forecasting.protocol import State
from forecasting.rolling import until
from forecasting.store import load, save
from gyropilot.domain import ClusterState, DemandHistory, Floats, Line, Queue, Window
from gyropilot.errors import ForecastError
from gyropilot.settings import ForecastSettings
from tests.fakes import GPU, NOW, history, state

STEP = timedelta(minutes=5)
SETTINGS = ForecastSettings(model="naive", horizons=(STEP, timedelta(hours=1)), quantiles=(0.1, 0.5, 0.9))
WEEK = history({"research": [8.0, 8.0, 16.0, 24.0] * 504, "vision": [32.0, 16.0, 16.0] * 672})


def seen(steps_ago: int = 0, whole: DemandHistory = WEEK) -> ClusterState:
    """What was seen so many steps before NOW."""
    return state(history=until(whole, len(whole.times) - 1 - steps_ago), seen_at=NOW - steps_ago * STEP)


def foresight(path: Path | None = None, settings: ForecastSettings = SETTINGS) -> Foresight:
    return Foresight(settings, path=path)


@dataclass(frozen=True)
class Diary:
    """A forecaster that writes down what happens to it."""

    entries: tuple[str, ...] = ()

    name = "diary"

    def fit(self, history: DemandHistory) -> Self:
        return replace(self, entries=(*self.entries, f"fit {_ago(history)}"))

    def update(self, history: DemandHistory) -> Self:
        return replace(self, entries=(*self.entries, f"update {_ago(history)}"))

    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        return np.ones((len(history.lines), len(windows), len(quantiles)))

    def state(self) -> State:
        return {"entries": list(self.entries)}

    @classmethod
    def restored(cls, state: State) -> Self:
        return cls(tuple(state["entries"]))


def _ago(history: DemandHistory) -> int:
    assert history.end is not None
    return (NOW - history.end) // STEP


def entries(of: Foresight) -> tuple[str, ...]:
    assert of.fitted is not None
    assert isinstance(of.fitted.forecaster, Diary)
    return of.fitted.forecaster.entries


@pytest.fixture
def diary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "make", lambda name, place: Diary())


@pytest.mark.usefixtures("diary")
def test_the_first_forecast_fits_and_each_learns_before_it_predicts() -> None:
    mine = foresight()

    mine(seen(2))
    mine(seen(1))

    assert entries(mine) == ("fit 2", "update 2", "update 2", "update 2", "update 1")


@pytest.mark.usefixtures("diary")
def test_a_fit_beside_the_cycles_catches_up_before_it_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = foresight()
    mine(seen(9))
    fit = Diary.fit

    def long_fit(self: Diary, history: DemandHistory) -> Diary:
        fitted = fit(self, history)
        mine(seen(3))  # a cycle while it is fitted
        return fitted

    monkeypatch.setattr(Diary, "fit", long_fit)
    mine.fit()

    assert entries(mine)[-3:] == ("fit 9", "update 3", "update 3")


@pytest.mark.usefixtures("diary")
def test_a_cycle_during_a_fit_keeps_the_forecaster_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    mine, told = foresight(), list[tuple[str, ...]]()
    mine(seen(9))
    fit = Diary.fit

    def long_fit(self: Diary, history: DemandHistory) -> Diary:
        fitted = fit(self, history)
        mine(seen(3))
        told.append(entries(mine))
        return fitted

    monkeypatch.setattr(Diary, "fit", long_fit)
    mine.fit()

    assert told[0].count("fit 9") == 1
    assert told[0][-1] == "update 3"


def test_a_restart_answers_the_very_same_without_a_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace_model("gyropilot")
    before, path = foresight(tmp_path / "g.forecast", settings), tmp_path / "g.forecast"
    before(seen(30))
    before(seen(13))
    before.save()
    expected = [before(seen(ago)).gpus for ago in (6, 0)]

    def never(self: Ensemble, history: DemandHistory) -> Ensemble:
        raise AssertionError("it was fitted")

    monkeypatch.setattr(Ensemble, "fit", never)
    after = foresight(path, settings)
    told = [after(seen(ago)) for ago in (6, 0)]

    assert np.array_equal([each.gpus for each in told], expected)
    assert told[0].trust.origin == f"restored from {path}, fitted at 2026-03-02 09:30 UTC"


def in_one_cohort(steps_ago: int) -> ClusterState:
    """The same, both queues in one cohort and a third, which is not seen, in none."""
    queues = (Queue("research", cohort="labs"), Queue("vision", cohort="labs"), Queue("speech"))
    return replace(seen(steps_ago), queues=queues)


def test_how_often_bands_of_cohorts_held_is_told_changes_no_forecast_and_outlives_a_restart(tmp_path: Path) -> None:
    path, settings = tmp_path / "g.forecast", replace_model("gyropilot")
    alone, mine = foresight(settings=settings), foresight(path, settings)

    without = [alone(seen(ago)) for ago in (30, 18, 6)]
    told = [mine(in_one_cohort(ago)) for ago in (30, 18, 6)]
    mine.fit()
    mine.save()
    again = foresight(path, settings)(in_one_cohort(6))

    assert np.array_equal([each.gpus for each in told], [each.gpus for each in without])
    assert [{row.group for row in each.trust.realised} for each in (without[-1], told[0], told[-1])] == [
        {"queues", "totals"},
        {"queues", "totals"},
        {"queues", "totals", "cohorts"},
    ]
    assert again.trust.realised == told[-1].trust.realised


def test_a_state_from_before_cohorts_were_counted_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.forecast"
    keep(Fitted(Naive(), NOW, STEP, "naive"), path)
    save({key: value for key, value in load(path).items() if key != "cohorts"}, path)

    with pytest.raises(
        ForecastError, match="the saved state holds no mapping 'cohorts'; delete it, the next fit makes"
    ):
        kept(path, Naive(), "naive", STEP)


def replace_model(name: str) -> ForecastSettings:
    return SETTINGS.model_copy(update={"model": name})


def test_a_forecast_alone_writes_no_file(tmp_path: Path) -> None:
    foresight(tmp_path / "g.forecast")(seen())

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model": "seasonal-naive"}, "holds forecast.model naive, seasonal-naive is wanted"),
        ({"max_state_age": timedelta(hours=1)}, "was fitted 0.1 d ago, forecast.max_state_age is 0.0416667 d"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_one_sentence(
    change: dict[str, object], sentence: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "g.forecast"
    saved = foresight(path)
    saved(seen(24))
    saved.save()

    again = foresight(path, SETTINGS.model_copy(update=change))
    told = again(seen())

    assert [message for message in caplog.messages if sentence in message] == caplog.messages
    assert told.trust.origin.startswith("fitted ")
    assert told.trust.fitted_at == NOW


def test_a_damaged_file_is_refused_and_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "g.forecast"
    path.write_bytes(b"PK\x03\x04 not what was saved")

    mine = foresight(path)
    mine(seen())
    mine.save()

    assert f"fitting anew: {path} is no state that can be trusted" in caplog.messages[0]
    assert kept(path, Naive(), "naive", STEP).at == NOW


def test_a_state_of_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "g.forecast"
    keep(Fitted(Naive(), NOW, STEP, "naive"), path)

    monkeypatch.setattr("forecasting.keeping.__version__", "9.9")

    with pytest.raises(ForecastError, match=r"was written by gyropilot 0\.1\.0, numpy \d+, this is gyropilot 9\.9"):
        kept(path, Naive(), "naive", STEP)


def test_a_state_learnt_in_other_steps_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.forecast"
    keep(Fitted(Naive(), NOW, STEP, "naive"), path)

    with pytest.raises(ForecastError, match="was learnt in steps of 300 s, now 60"):
        kept(path, Naive(), "naive", timedelta(minutes=1))


def names_of_due(mine: Foresight, now: datetime) -> list[str]:
    return [getattr(work, "__name__", "") for work in mine.due(now)]


def test_what_was_fitted_is_saved_soon_and_then_every_so_often(tmp_path: Path) -> None:
    mine = foresight(tmp_path / "g.forecast")
    mine(seen())

    at_first = names_of_due(mine, NOW)
    mine.save()

    assert at_first == ["save"]
    assert names_of_due(mine, NOW + timedelta(minutes=14)) == []
    assert names_of_due(mine, NOW + timedelta(minutes=15)) == ["save"]


def test_nothing_new_is_not_saved_again(tmp_path: Path) -> None:
    mine = foresight(tmp_path / "g.forecast")
    mine(seen())

    assert mine.save() == f"what was learnt is saved to {tmp_path / 'g.forecast'}"
    assert mine.save() == ""


def test_a_save_that_fails_is_tried_again_later_and_not_each_minute(tmp_path: Path) -> None:
    mine = foresight(tmp_path / "missing" / "g.forecast")
    mine(seen())

    with pytest.raises(ForecastError, match="cannot save"):
        mine.save()

    assert names_of_due(mine, NOW + timedelta(minutes=1)) == []


def test_a_shift_asks_for_a_fit_but_not_again_within_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = foresight()
    mine(seen())
    monkeypatch.setattr(module, "shifts", lambda model: 2)

    assert names_of_due(mine, NOW + timedelta(hours=2, minutes=59)) == ["look_back", "save"]
    assert names_of_due(mine, NOW + timedelta(hours=3)) == ["fit", "save"]


def test_a_rename_asks_for_a_fit_that_knows_the_new_name() -> None:
    was = history({"vision": [40.0, 48.0] * 1008, "other": [8.0, 16.0] * 1008})
    vision = [*[40.0, 48.0] * 958, *[0.0] * 100]
    now = history({"vision": vision, "vision-2": [*[0.0] * 1916, *[40.0, 48.0] * 50], "other": [8.0, 16.0] * 1008})
    mine = foresight()
    mine(seen(whole=was))
    mine(seen(whole=now))
    mine.look_back()

    assert names_of_due(mine, NOW + timedelta(hours=2, minutes=59)) == ["look_back", "save"]
    assert names_of_due(mine, NOW + timedelta(hours=3)) == ["fit", "save"]

    mine.fit()

    assert "fit" not in names_of_due(mine, NOW + timedelta(hours=6))


def test_a_queue_that_was_renamed_keeps_its_past_and_it_is_said() -> None:
    rng = np.random.default_rng(3)
    level = 40.0 + 8.0 * rng.integers(-1, 2, 2016)
    old, new = level.copy(), level.copy()
    old[-500:], new[:-500] = 0.0, 0.0
    renamed = history({"vision": list(old), "vision-2": list(new), "other": [8.0, 16.0] * 1008})

    told = foresight()(seen(whole=renamed))

    assert told.trust.renamed == ("vision-2 (nvidia.com/gpu) is taken to be what was vision (nvidia.com/gpu)",)


def test_a_fit_says_how_many_steps_were_seen_and_not_how_many_were_asked_for() -> None:
    short = replace(WEEK, running=np.full_like(WEEK.running, np.nan), pending=np.full_like(WEEK.pending, np.nan))
    short.running[:, -1] = short.pending[:, -1] = 8.0

    told = foresight()(seen(whole=short))

    assert told.trust.origin == f"fitted at {NOW:%F %R} UTC on 1 step of 2 lines"


def test_totals_do_not_count_a_borrowed_past() -> None:
    young = [np.nan] * (2016 - 100) + [16.0] * 100
    mine = foresight()

    mine(seen(whole=history({"old": [16.0] * 2016, "young": young})))
    full = mine._known()

    assert full.of(Line("young", GPU))[0] == 16.0
    assert full.of(Line("", GPU))[0] == 16.0


def test_where_no_event_is_named_what_is_due_is_told_without_laying_histories_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*_: object, **__: object) -> DemandHistory:
        raise AssertionError("weeks of a thousand queues would be copied at each look at what is due")

    mine = foresight()
    mine(seen(steps_ago=1))
    mine(seen())
    mine.fitted = Fitted(Ensemble(), NOW, STEP, "gyropilot")
    monkeypatch.setattr(module, "known", never)

    assert names_of_due(mine, NOW) == ["save"]
