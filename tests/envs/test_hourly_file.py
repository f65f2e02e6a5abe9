"""Prices and carbon from files."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.hourly_file import read_hours
from envs.scenario import Scenario, read_scenario
from gyropilot.errors import SettingsError

SPOT = """\
timestamp,zone,usd_per_hour
2026-03-02T00:00Z,a,8
2026-03-02T00:00Z,b,80
2026-03-02T01:30Z,a,16
2026-03-02T03:00Z,a,4
"""


def spot(folder: Path, text: str = SPOT) -> Path:
    path = folder / "spot.csv"
    path.write_text(text)
    return path


def scenario(folder: Path, hourly: str) -> Scenario:
    path = folder / "cluster.yaml"
    path.write_text(
        f"flavors: {{x: {{nodes: 1, hourly: {{{hourly}}}}}}}\nqueues: {{a: {{shares: {{x: {{nominal: 8}}}}}}}}\n"
    )
    return read_scenario(path)


def test_an_hour_has_the_mean_of_what_held_in_it(tmp_path: Path) -> None:
    assert read_hours(spot(tmp_path), "usd_per_hour", {"zone": "a"}) == (8, 12, 16, 4)


def test_rows_that_are_picked_go_by_the_files_own_clock(tmp_path: Path) -> None:
    late = SPOT.replace("2026-03-02T00:00Z,b,80", "2026-03-02T02:00Z,b,80\n2026-03-02T02:30Z,b,40")

    assert read_hours(spot(tmp_path, late), "usd_per_hour", {"zone": "b"}) == (80, 80, 60, 40)


def test_hours_begin_where_one_is_told_to(tmp_path: Path) -> None:
    assert read_hours(spot(tmp_path), "usd_per_hour", {"zone": "a"}, from_h=2) == (16, 4)


def test_seconds_count_from_nought_and_what_came_first_held_before(tmp_path: Path) -> None:
    path = spot(tmp_path, "t_s,carbon\n5400,100\n9000,200\n")

    assert read_hours(path, "carbon", {}) == (100, 100, 150)


def test_of_one_moment_the_last_row_holds(tmp_path: Path) -> None:
    assert read_hours(spot(tmp_path, "t_s,usd\n0,1\n0,2\n"), "usd", {}) == (2,)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 50)), min_size=1, max_size=12))
def test_any_hour_costs_what_its_seconds_do(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int]]
) -> None:
    text = "t_s,usd\n" + "".join(f"{at_s},{usd}\n" for at_s, usd in rows)
    path = spot(tmp_path_factory.mktemp("hours"), text)

    found = read_hours(path, "usd", {})

    ordered = sorted(rows, key=lambda row: row[0])
    for hour, usd in enumerate(found):
        seconds = range(3_600 * hour, 3_600 * (hour + 1))
        told, held, nth = 0, ordered[0][1], 0
        for second in seconds:
            while nth < len(ordered) and ordered[nth][0] <= second:
                held, nth = ordered[nth][1], nth + 1
            told += held
        assert usd == pytest.approx(told / 3_600)
    assert len(found) == ordered[-1][0] // 3_600 + 1


def test_a_scenario_reads_them_beside_itself_as_prices_of_a_gpu(tmp_path: Path) -> None:
    spot(tmp_path)

    found = scenario(
        tmp_path, "price_usd_per_gpu_hour: {file: spot.csv, column: usd_per_hour, where: {zone: a}, times: 0.125}"
    )

    assert list(found.pools[0].hourly.price_usd_per_gpu_hour) == [1, 1.5, 2, 0.5]
    assert not found.pools[0].hourly.usd_per_kwh
    assert found.load_files(tmp_path) == {"price_usd_per_gpu_hour of x": tmp_path / "spot.csv"}


@pytest.mark.parametrize(
    ("hourly", "sentence"),
    [
        ("usd_per_kwh: {file: spot.csv}", "flavors.x.hourly.usd_per_kwh.column: field required"),
        ("usd_per_kwh: 3", "hourly.usd_per_kwh: input should be a list; give a list of values, one for each hour, or"),
        ("usd_per_kwh: {file: none.csv, column: usd}", "none.csv cannot be read: No such file or directory; give a"),
        (
            "usd_per_kwh: {file: spot.csv, column: usd}",
            "has no column usd; name one of timestamp, zone, usd_per_hour as column",
        ),
        (
            "usd_per_kwh: {file: spot.csv, column: usd_per_hour, where: {zone: c}}",
            "has no row whose zone is c; pick one of a, b",
        ),
        (
            "usd_per_kwh: {file: spot.csv, column: usd_per_hour, where: {region: c}}",
            "has no column region to pick rows by; name one of timestamp, zone, usd_per_hour",
        ),
        (
            "usd_per_kwh: {file: spot.csv, column: usd_per_hour, from_h: 4}",
            "spot.csv ends in its hour 3; give a from_h that is not more than 3",
        ),
        ("usd_per_kwh: {file: minus.csv, column: usd}", "minus.csv: usd is -1 in data row 2; give a number, zero or"),
        (
            "usd_per_kwh: {file: early.csv, column: usd}",
            "early.csv: its first row is at -1 s; give seconds since the file begins",
        ),
        ("usd_per_kwh: {file: epoch.csv, column: usd}", "epoch.csv: its first row is at 1772409600 s; give seconds"),
        ("usd_per_kwh: {file: empty.csv, column: usd}", "empty.csv has 0 rows; give a table with t_s or timestamp"),
    ],
)
def test_what_cannot_be_read_is_told_with_the_next_step(tmp_path: Path, hourly: str, sentence: str) -> None:
    spot(tmp_path)
    (tmp_path / "minus.csv").write_text("t_s,usd\n0,1\n60,-1\n")
    (tmp_path / "early.csv").write_text("t_s,usd\n-1,1\n60,1\n")
    (tmp_path / "epoch.csv").write_text("t_s,usd\n1772409600,1\n1772413200,1\n")
    (tmp_path / "empty.csv").write_text("t_s,usd\n")

    with pytest.raises(SettingsError) as refused:
        _ = scenario(tmp_path, hourly).pools

    assert sentence in str(refused.value)
