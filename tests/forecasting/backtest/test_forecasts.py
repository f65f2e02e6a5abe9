"""Every forecast as parquet: whole or not there, and enough for anybody to score."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from forecasting.backtest import forecasts
from forecasting.backtest.forecasts import forecasts_to
from forecasting.backtest.protocol import QUANTILES
from forecasting.backtest.result import result
from forecasting.backtest.run import Answer, Listeners
from forecasting.losses import wql
from gyropilot.domain import Line, Window
from gyropilot.errors import SettingsError
from tests.forecasting.backtest.samples import GPU, HOUR, MIDNIGHT, Says, hourly, replayed

COLUMNS = ["origin", "queue", "model", "start_s", "end_s", "quantile", "value"]


def answer(value: float = 8.0, lines: int = 2) -> Answer:
    names = tuple(Line(f"q{n}", GPU) for n in range(lines))
    gpus = np.full((lines, 1, len(QUANTILES)), value) + np.arange(float(lines))[:, None, None]
    return Answer("naive", MIDNIGHT, names, (Window(HOUR, 2 * HOUR),), gpus)


def test_a_row_is_the_quantile_of_mean_demand_in_a_window(tmp_path: Path) -> None:
    path = tmp_path / "forecasts.parquet"

    with forecasts_to(path) as written:
        written(answer())

    told = parquet.read_table(path).to_pylist()
    assert list(told[0]) == COLUMNS
    assert len(told) == 2 * len(QUANTILES)
    assert list(told[0].values()) == [datetime(2026, 3, 2), "q0", "naive", 3600, 7200, 0.01, 8.0]  # noqa: DTZ001 - UTC
    assert list(told[-1].values()) == [datetime(2026, 3, 2), "q1", "naive", 3600, 7200, 0.99, 9.0]  # noqa: DTZ001


def test_many_answers_are_written_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecasts, "ROWS_AT_ONCE", 60)
    path = tmp_path / "forecasts.parquet"

    with forecasts_to(path) as written:
        for value in range(7):
            written(answer(float(value)))

    assert parquet.ParquetFile(path).num_row_groups == 4
    values = parquet.read_table(path).to_pydict()["value"]
    assert values[:: 2 * len(QUANTILES)] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


def test_what_was_not_answered_has_no_row(tmp_path: Path) -> None:
    path, silent = tmp_path / "forecasts.parquet", answer()
    silent.gpus[0] = np.nan

    with forecasts_to(path) as written:
        written(silent)

    assert set(parquet.read_table(path).to_pydict()["queue"]) == {"q1"}


def test_a_replay_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "forecasts.parquet"

    def fails() -> None:
        with forecasts_to(path) as written:
            written(answer())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()

    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_a_matter_of_usage(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(SettingsError, match="give another --forecasts-out"), forecasts_to(tmp_path / "file" / "f"):
        pass


def test_scored_by_another_rule_the_forecasts_score_the_same(tmp_path: Path) -> None:
    path = tmp_path / "forecasts.parquet"
    history = hourly({"a": np.random.default_rng(2).integers(1, 30, 24 * 6).tolist()})

    with forecasts_to(path) as written:
        replay = replayed(history, [Says("first")], listeners=Listeners(heard=written), buckets=("1-6h",))

    table = parquet.read_table(path).to_pandas()
    body = table[table["quantile"].round(3).isin([n / 10 for n in range(1, 10)])]
    wide = body.pivot_table(index=["origin", "end_s"], columns="quantile", values="value")
    clock = {int(t): float(v) for t, v in zip(history.times, history.demand[0], strict=True)}
    came = [clock.get(int(o.timestamp()) + int(end), np.nan) for o, end in wide.index]
    seen = np.isfinite(came)
    by_hand = wql(np.array(came)[seen], wide.to_numpy()[seen], [n / 10 for n in range(1, 10)])
    assert result(replay).rows[0].scores["wql"].value == pytest.approx(by_hand)
    assert timedelta(seconds=int(table["end_s"].max())) == 6 * HOUR
