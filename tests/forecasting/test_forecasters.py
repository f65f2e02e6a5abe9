from collections.abc import Callable
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forecasting.check import QUANTILES, WINDOWS, check_forecaster, gangs
from forecasting.forecast import guard
from forecasting.forecasters.forest import Forest
from forecasting.forecasters.trees import Growth
from forecasting.mixture import ensemble
from forecasting.mixture.ensemble import Ensemble
from forecasting.protocol import Forecaster
from forecasting.registry import ALL_FORECASTERS, make
from forecasting.rolling import until
from forecasting.store import load, save
from gyropilot.domain import DemandHistory, Floats, Line
from gyropilot.errors import ForecastError
from gyropilot.settings import ForecastSettings

needs_the_model = pytest.mark.skipif(
    find_spec("fracast") is None,
    reason="the foundation model is not installed; pip install 'gyropilot[foundation]'",
)
LIGHT = Growth(rows=1_500, trees=2)
QUICKER: dict[str, Callable[[], Forecaster]] = {
    "forest": lambda: Forest(LIGHT),
    "gyropilot": lambda: Ensemble((Forest(LIGHT), *Ensemble().experts[1:])),
}
"""The same with less to learn from, so that all promises are checked in seconds."""

each_forecaster = pytest.mark.parametrize(
    "make_one",
    [
        pytest.param(QUICKER.get(name, make_one), id=name, marks=[needs_the_model] if name == "foundation" else [])
        for name, make_one in ALL_FORECASTERS.items()
    ],
)


@pytest.fixture(autouse=True)
def warms_up_for_hours_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ensemble, "WARM_UP", timedelta(hours=6))


@each_forecaster
def test_keeps_every_promise(make_one: Callable[[], Forecaster]) -> None:
    check_forecaster(make_one)


demand_of_any_shape = st.tuples(st.integers(0, 3), st.integers(0, 80)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.floats(0, 2_000, width=16) | st.just(np.nan))
)
steps = st.sampled_from([timedelta(seconds=1), timedelta(minutes=1), timedelta(minutes=5), timedelta(hours=7)])


@each_forecaster
@settings(max_examples=30, deadline=None)
@given(demand=demand_of_any_shape, step=steps)
def test_gives_a_sound_table_whatever_was_seen(
    make_one: Callable[[], Forecaster], demand: Floats, step: timedelta
) -> None:
    history = _history(demand, step)

    for model in (make_one(), make_one().fit(history)):
        guard(model.predict(history, WINDOWS, QUANTILES), (len(demand), len(WINDOWS), len(QUANTILES)), model.name)


@each_forecaster
def test_answers_the_same_after_a_restart(make_one: Callable[[], Forecaster], tmp_path: Path) -> None:
    whole = gangs()
    model, seen = make_one().fit(whole), until(whole, 200)

    save(model.state(), tmp_path / "model.npz")
    again = type(model).restored(load(tmp_path / "model.npz"))

    assert np.array_equal(model.predict(seen, WINDOWS, QUANTILES), again.predict(seen, WINDOWS, QUANTILES))


@each_forecaster
def test_is_less_sure_the_less_was_seen(make_one: Callable[[], Forecaster]) -> None:
    one_reading, steady_week = _history(np.full((1, 1), 40.0)), _history(np.full((1, 700), 40.0))

    wide, narrow = (make_one().predict(h, WINDOWS, [0.1, 0.9])[0, -1] for h in (one_reading, steady_week))

    assert np.diff(narrow)[0] < 0.2 * np.diff(wide)[0]


@pytest.mark.parametrize("name", ["naive", "ets", "lightgbm", "auto"])
def test_follows_the_newest_reading(name: str) -> None:
    history = _history(np.full((1, 900), 40.0) + np.tile([0.0, 1.0], 450))
    jumped = _history(np.hstack([history.running[:, :-1], [[80.0]]]))

    model = make(name).fit(history)

    assert 76 <= model.predict(jumped, WINDOWS[:1], [0.5])[0, 0, 0] <= 84


def test_knows_the_models_that_the_settings_offer() -> None:
    offered = ForecastSettings.model_fields["model"].annotation

    assert set(ALL_FORECASTERS) == set(getattr(offered, "__args__", ()))


def test_names_the_models_when_asked_for_another() -> None:
    with pytest.raises(ForecastError, match=r"no forecaster is called 'prophet'; choose one of analog, anomaly, arima"):
        make("prophet")


def _history(running: Floats, step: timedelta = timedelta(minutes=15)) -> DemandHistory:
    times = 1_772_452_800 - np.arange(running.shape[1] - 1, -1, -1, dtype=np.int64) * int(step.total_seconds())
    lines = tuple(Line(f"queue-{i}", "nvidia.com/gpu") for i in range(len(running)))
    return DemandHistory(lines, times, running, np.zeros_like(running))
