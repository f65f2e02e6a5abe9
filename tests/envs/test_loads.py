"""Loads from files and made up."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from envs.loads import Load, MadeLoad, read_load, read_log
from envs.profiles import SERVICES
from envs.services import ServiceQueue
from envs.workloads import DAY_S, Rhythm
from gyropilot.errors import SettingsError


def written(folder: Path, name: str = "load.csv", **columns: object) -> Path:
    path = folder / name
    frame = pd.DataFrame(columns)
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)
    return path


def test_a_rate_is_taken_as_it_is_and_steps_are_sorted(tmp_path: Path) -> None:
    found = read_load(written(tmp_path, t_s=[600, 0, 300], rate_rps=[3.0, 1.0, 2.0]))

    assert (found.step_s, found.per_s.tolist()) == (300.0, [1.0, 2.0, 3.0])


@pytest.mark.parametrize("name", ["requests", "tokens"])
def test_counts_are_divided_by_the_step(name: str, tmp_path: Path) -> None:
    found = read_load(written(tmp_path, "load.parquet", t_s=[0, 60], **{name: [120, 600]}))

    assert found.per_s.tolist() == [2.0, 10.0]
    assert found.asked == 720.0


def test_timestamps_tell_the_steps_where_all_are_known(tmp_path: Path) -> None:
    moments = pd.date_range("2026-03-02", periods=3, freq="h")

    assert read_load(written(tmp_path, timestamp=moments, x_per_s=[1, 2, 3])).step_s == 3_600.0


def test_one_of_several_series_and_columns_is_taken_by_its_name(tmp_path: Path) -> None:
    path = written(tmp_path, t_s=[0, 0, 60, 60], queue=["a", "b", "a", "b"], in_tps=[1, 2, 3, 4], out_tps=[5, 6, 7, 8])

    assert read_load(path, "out_tps", "b").per_s.tolist() == [6.0, 8.0]


@pytest.mark.parametrize(
    ("columns", "asked", "why"),
    [
        ({"t_s": [0, 60, 180], "x_rps": [1, 1, 1]}, {}, "from 60 s to 180 s are 120 s; fill the gap"),
        ({"t_s": [0, 60, 60], "x_rps": [1, 1, 1]}, {}, "fill the gap, leave what is told twice out"),
        ({"t_s": [0], "x_rps": [1]}, {}, "holds 1 steps; a load has two at least"),
        ({"t_s": [0, 60], "x_rps": [1, None]}, {}, "x_rps is nan in data row 2; give a number"),
        ({"t_s": [0, 60], "x_rps": [1, -2]}, {}, "x_rps is -2 in data row 2"),
        ({"t_s": [0, 60], "x_rps": [1, 1e30]}, {}, "x_rps is 1e.30 in data row 2; give a number, .* none beyond all"),
        ({"timestamp": ["2026-03-02", "soon"], "x_rps": [1, 2]}, {}, "timestamp is 'soon', which is no time; give ISO"),
        ({"t_s": [0, 60], "x": [1, 2]}, {}, "has 0 columns that may be meant; name one as load.column"),
        ({"t_s": [0, 60], "x_rps": [1, 2]}, {"column": "y"}, "has no column y; name one as load.column"),
        ({"x_rps": [1, 2]}, {}, "neither t_s nor a timestamp"),
        ({"t_s": [0, 60], "x_rps": [1, 2]}, {"series": "a"}, "holds no series a, and has no column queue"),
        ({"t_s": [0, 0], "queue": ["a", "b"], "x_rps": [1, 2]}, {}, "holds 2 series, by its column queue: a, b"),
    ],
)
def test_what_is_no_load_is_refused(
    columns: dict[str, list[float | str]], asked: dict[str, str], why: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=why):
        read_load(written(tmp_path, "load.csv", **columns), **asked)


def test_a_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(SettingsError, match="No such file"):
        read_load(Path("absent.csv"))


def test_a_while_can_be_cut_out_and_multiplied() -> None:
    load = Load(60.0, np.array([1.0, 2.0, 3.0, 4.0]))

    assert load.cut(60.0, 120.0).per_s.tolist() == [2.0, 3.0]
    assert load.times(10.0, 120.0, 60.0).per_s.tolist() == [1.0, 2.0, 30.0, 4.0]


def test_a_made_load_has_its_mean_its_peak_hour_and_a_quieter_weekend() -> None:
    load = MadeLoad(40.0, 7.0, Rhythm(14.0, 0.5, 0.8)).drawn(np.random.default_rng(1))

    days = load.per_s.reshape(7, -1)
    assert days[:5].mean() == pytest.approx(40.0, rel=0.05)
    assert days[5:].mean() == pytest.approx(32.0, rel=0.05)
    assert days[:5].mean(axis=0).argmax() / 60 == pytest.approx(14.0, abs=1.5)
    assert load.end_s == 7 * DAY_S


def test_bursts_multiply_a_load_for_a_while() -> None:
    calm, wild = (
        MadeLoad(40.0, 7.0, noise=0.0, bursts_per_day=many, burst_times=3.0).drawn(np.random.default_rng(2))
        for many in (0.0, 5.0)
    )

    share = (wild.per_s / calm.per_s).round(6)
    assert set(share.tolist()) == {1.0, 3.0}
    assert (share > 1).mean() == pytest.approx(5 * 600 / DAY_S, rel=0.5)


def test_the_same_seed_makes_the_same_load() -> None:
    one, other = (MadeLoad(5.0, 1.0, bursts_per_day=4.0).drawn(np.random.default_rng(3)) for _ in range(2))

    assert one.per_s.tolist() == other.per_s.tolist()


LOG = {"TIMESTAMP": ["2026-03-02 00:00:00", "2026-03-02 00:00:30.5", "2026-03-02 00:01:10", "2026-03-02 00:02:20"]}


def test_requests_one_by_one_are_counted_until_the_last_whole_bin(tmp_path: Path) -> None:
    found = read_log(written(tmp_path, "log.csv", **LOG), 60.0)

    assert (found.step_s, found.per_s.tolist()) == (60.0, [2 / 60, 1 / 60])


def test_what_a_column_says_of_requests_is_added_up(tmp_path: Path) -> None:
    path = written(tmp_path, "log.parquet", t_s=[100.0, 101.0, 170.0, 225.0], output_tokens=[30, 90, 600, 7])

    assert read_log(path, 60.0, "output_tokens").per_s.tolist() == [2.0, 10.0]


@pytest.mark.parametrize(
    ("bin_s", "column", "why"),
    [
        (600.0, None, "tells of 140 s; give a load.bin_s that is less"),
        (60.0, "tokens", "no column tokens; there are TIME"),
    ],
)
def test_a_log_that_cannot_be_counted_is_refused(bin_s: float, column: str | None, why: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=why):
        read_log(written(tmp_path, "log.csv", **LOG), bin_s, column)


def trace(name: str) -> Path:
    folder = os.environ.get("GYROPILOT_TRACES")
    if not folder:
        pytest.skip(f"set GYROPILOT_TRACES to the folder that holds {name}.parquet")
    return Path(folder) / f"{name}.parquet"


@pytest.mark.parametrize(
    ("name", "column", "series", "step_s", "days"),
    [
        ("serving_burstgpt_hourly", None, "conversation", 3_600.0, 61),
        ("serving_azure2024_conv_hourly", None, None, 3_600.0, 6),
        ("serving_servegen_model", "rate_rps", "m-large", 600.0, 14),
    ],
)
def test_public_traces_of_requests_are_loads(
    name: str, column: str | None, series: str | None, step_s: float, days: float
) -> None:
    found = read_load(trace(name), column, series)

    assert found.step_s == step_s
    assert found.end_s / DAY_S == pytest.approx(days, abs=0.1)
    assert found.asked > 1e5


@pytest.mark.parametrize(("series", "column"), [("code", None), ("conv", "output_tokens")])
def test_a_public_log_of_requests_is_a_load(series: str, column: str | None) -> None:
    found = read_log(trace("serving_azure2023_requests"), 60.0, column, series)

    assert 50 <= len(found.per_s) <= 62
    assert found.per_s.mean() == pytest.approx({"code": 2.5, "conv": 1_150.0}[series], rel=0.25)


def made(queue: str) -> MadeLoad:
    (found,) = [part.load for part in SERVICES if isinstance(part, ServiceQueue) and part.queue == queue]
    return found


def test_the_conversations_of_the_profile_are_those_of_azure() -> None:
    days = read_load(trace("serving_azure2024_conv_hourly")).per_s.reshape(6, 24)  # from a Sunday on
    ours = made("conversation")

    hour = np.tile(2 * np.pi * (np.arange(24) + 0.5) / 24, 5)
    mean, east, north = np.linalg.lstsq(np.stack([hour**0, np.cos(hour), np.sin(hour)], 1), days[1:].ravel())[0]
    assert ours.per_s == pytest.approx(mean, rel=0.01)
    assert ours.rhythm.swing == pytest.approx(np.hypot(east, north) / mean, abs=0.01)
    assert ours.rhythm.peak_hour == pytest.approx(np.arctan2(north, east) * 12 / np.pi % 24, abs=0.1)
    assert ours.rhythm.weekend_share == pytest.approx(days[0].mean() / days[1:].mean(), abs=0.01)


def test_the_bursts_of_the_profile_are_those_of_burstgpt() -> None:
    per_hour = 3_600 * read_load(trace("serving_burstgpt_hourly"), series="api").per_s
    ours = made("api")

    wild = per_hour > 500
    bursts = int((np.diff(wild.astype(int), prepend=0) == 1).sum())
    assert ours.per_s / 100 == pytest.approx(per_hour[~wild].mean() / 3_600, rel=0.01)
    assert ours.burst_times == pytest.approx(per_hour[wild].mean() / per_hour[~wild].mean(), rel=0.02)
    assert ours.bursts_per_day == pytest.approx(bursts / (len(per_hour) / 24), rel=0.01)
    assert ours.burst_s == pytest.approx(3_600 * wild.sum() / bursts, rel=0.01)


def test_the_large_model_of_the_profile_is_that_of_servegen() -> None:
    per_s = read_load(trace("serving_servegen_model"), "rate_rps", "m-large").per_s
    ours = made("m-large")

    hour = 2 * np.pi * (np.arange(len(per_s)) + 0.5) / 144
    terms = np.stack([hour**0, np.cos(hour), np.sin(hour)], 1)
    mean, east, north = found = np.linalg.lstsq(terms, per_s)[0]
    assert 10 * ours.per_s == pytest.approx(mean, rel=0.01)
    assert ours.rhythm.swing == pytest.approx(np.hypot(east, north) / mean, abs=0.01)
    assert ours.noise == pytest.approx((per_s / (terms @ found)).std(), abs=0.01)
