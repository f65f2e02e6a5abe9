"""`gyropilot backtest` as a user runs it: on a trace, on one's own Prometheus, and refused."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from forecasting.backtest.entrants import Own, Peer
from forecasting.demand.events import Named, Stretch
from forecasting.mixture.events import events_of
from gyropilot import backtest_cli
from gyropilot.cli import app
from gyropilot.errors import ForecastError, SettingsError
from gyropilot.settings import CalendarSettings
from gyropilot.wiring import our_entrants
from tests.command import gyropilot
from tests.controlplane.objects import GPU
from tests.servers import PrometheusServer, Series, openmetrics

PAGE = (Path(__file__).parent.parent / "docs" / "backtest.md").read_text()
FAST = ("--models", "naive")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def trace(folder: Path) -> Path:
    """Nine days of two queues, hour by hour."""
    rng, path = np.random.default_rng(5), folder / "trace.csv"
    rows = [f"{3600 * hour},{queue},{rng.integers(0, 32)}" for queue in ("a", "b") for hour in range(216)]
    path.write_text("\n".join(["t_s,queue,demand_gpus", *rows]) + "\n")
    return path


def answered(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["backtest", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def refused(*arguments: object) -> str:
    with pytest.raises(SettingsError) as problem:
        CliRunner().invoke(app, ["backtest", *map(str, arguments)], catch_exceptions=False)
    return str(problem.value)


def test_json_has_the_keys_that_programs_rely_on(trace: Path) -> None:
    told = json.loads(answered("--trace", trace, *FAST, "--format", "json"))

    assert (told["step_s"], told["origins"], told["queues"]) == (3600, 24, 2)
    assert (told["first_origin"], told["last_origin"]) == ("1970-01-07T00:00:00Z", "1970-01-09T21:00:00Z")
    assert [(row["bucket"], row["model"]) for row in told["rows"]] == [
        (bucket, model) for bucket in ("1h", "1-6h", "1-24h") for model in ("seasonal-naive", "naive")
    ]
    assert list(told["rows"][0]) == [
        "model",
        "bucket",
        "wql",
        "p95_pinball",
        "p99_pinball",
        "crps",
        "mase",
        "coverage80",
        "coverage95",
        "vs_best_peer",
        "seconds_per_queue",
        "intervals",
        "vs_seasonal_naive",
        "vs_naive",
        "outcomes",
    ]
    assert told["rows"][0]["vs_best_peer"] is None
    low, mid, high = told["rows"][1]["vs_seasonal_naive"]["wql"]
    assert low <= mid <= high


def test_the_documentation_has_every_key(trace: Path) -> None:
    told = json.loads(answered("--trace", trace, *FAST, "--format", "json"))

    assert [key for key in (*told, *told["rows"][0]) if f"`{key}`" not in PAGE] == []


def test_the_example_of_the_documentation_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hours = np.arange(72)
    parquet.write_table(pa.table({"t_s": 3600 * hours, "demand_gpus": hours % 24}), folder / "demand.parquet")

    exec(PAGE.split("```python\n")[1].split("```")[0], {})

    assert capsys.readouterr().out.startswith("Backtest · ")


def test_text_ends_with_the_summary(trace: Path) -> None:
    told = answered("--trace", trace, *FAST, "--horizons", "1h,1-24h")

    assert told.startswith("Backtest · 24 origins from 7 Jan 00:00 to 9 Jan 1970 21:00 UTC, 2 queues\n")
    assert told.splitlines()[-1].startswith("naive loses ")
    assert "· the trace has no dates" in told


def test_a_page_is_written_where_it_is_asked_for(trace: Path, folder: Path) -> None:
    answered("--trace", trace, *FAST, "--format", "html", "--output", folder / "out" / "backtest.html")

    assert (folder / "out" / "backtest.html").read_text().startswith("<!DOCTYPE html>")


def test_every_forecast_is_written_where_it_is_asked_for(trace: Path, folder: Path) -> None:
    answered("--trace", trace, *FAST, "--horizons", "1h", "--forecasts-out", folder / "forecasts.parquet")

    table = parquet.read_table(folder / "forecasts.parquet").to_pandas()
    assert list(table.columns) == ["origin", "queue", "model", "start_s", "end_s", "quantile", "value"]
    assert set(table["model"]) == {"seasonal-naive", "naive"}
    assert table.groupby(["origin", "queue", "model", "end_s"], observed=True).size().unique().tolist() == [15]


@pytest.mark.parametrize("option", ["--out", "--forecasts-out"])
def test_a_folder_that_is_missing_is_made(trace: Path, folder: Path, option: str) -> None:
    answered("--trace", trace, *FAST, "--horizons", "1h", option, folder / "new" / "one" / "file")

    assert (folder / "new" / "one" / "file").stat().st_size > 0


def test_forecasts_written_to_a_link_leave_it_a_link(trace: Path, folder: Path) -> None:
    (folder / "kept").mkdir()
    (folder / "latest").symlink_to(Path("kept", "forecasts.parquet"))

    answered("--trace", trace, *FAST, "--horizons", "1h", "--forecasts-out", folder / "latest")

    assert (folder / "latest").is_symlink()
    assert parquet.read_table(folder / "kept" / "forecasts.parquet").num_rows > 0


@pytest.fixture
def nothing_is_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    def replay(*_: object) -> None:
        pytest.fail("replayed, and refused only then")

    monkeypatch.setattr("forecasting.backtest.run.replay", replay)


@pytest.mark.usefixtures("nothing_is_replayed")
@pytest.mark.parametrize("option", ["--out", "--forecasts-out"])
@pytest.mark.parametrize("name", ["trace.csv", "new/../trace.csv", "symbolic", "hard"])
def test_the_trace_is_never_written_over(trace: Path, folder: Path, option: str, name: str) -> None:
    before = trace.read_bytes()
    (folder / "new").mkdir()
    (folder / "symbolic").symlink_to("trace.csv")
    (folder / "hard").hardlink_to(trace)

    told = refused("--trace", trace, *FAST, option, name)

    assert told == f"{option} {Path(name)} is also --trace, which it would replace; give another file"
    assert trace.read_bytes() == before


@pytest.mark.usefixtures("nothing_is_replayed")
def test_a_calendar_is_never_written_over(trace: Path, folder: Path) -> None:
    (folder / "days.yaml").write_text("calendar: {timezone: Europe/Berlin}\n")

    told = refused("--trace", trace, *FAST, "--calendar", "days.yaml", "--out", "days.yaml")

    assert told == "--out days.yaml is also --calendar, which it would replace; give another file"
    assert (folder / "days.yaml").read_text() == "calendar: {timezone: Europe/Berlin}\n"


@pytest.mark.usefixtures("nothing_is_replayed")
@pytest.mark.parametrize("name", ["answer", "./answer", "link"])
def test_two_answers_are_not_written_to_one_file(trace: Path, folder: Path, name: str) -> None:
    (folder / "link").symlink_to("answer")

    told = refused("--trace", trace, *FAST, "--out", "answer", "--forecasts-out", name)

    assert told == f"--forecasts-out {Path(name)} is also --out, which it would replace; give another file"


@pytest.mark.usefixtures("nothing_is_replayed")
@pytest.mark.parametrize(
    ("option", "place", "sentence"),
    [
        ("--out", ".", "--out . is a folder; give a file, such as report.html"),
        ("--forecasts-out", ".", "--forecasts-out . is a folder; give a file, such as forecasts.parquet"),
        ("--forecasts-out", "", "--forecasts-out . is a folder; give a file, such as forecasts.parquet"),
        ("--forecasts-out", "..", "--forecasts-out .. is a folder; give a file, such as ../forecasts.parquet"),
        (
            "--forecasts-out",
            "/dev/full",
            "--forecasts-out /dev/full is no regular file, and would be replaced by one; give a file",
        ),
    ],
)
def test_what_can_be_no_file_is_refused_before_anything_is_replayed(
    trace: Path, option: str, place: str, sentence: str
) -> None:
    assert refused("--trace", trace, *FAST, option, place) == sentence


def test_span_step_and_column_are_ones_own(trace: Path) -> None:
    told = json.loads(
        answered(
            *("--trace", trace, *FAST, "--column", "demand_gpus", "--horizons", "2h", "--format", "json"),
            *("--from", 5 * 86400, "--to", "1970-01-07", "--every", "6h", "--refit", "12h", "--totals"),
        )
    )

    assert (told["first_origin"], told["last_origin"]) == ("1970-01-06T00:00:00Z", "1970-01-06T18:00:00Z")
    assert (told["queues"], told["rows"][0]["bucket"]) == (1, "2h")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--models", "oracle"), "--models got 'oracle'; it takes "),
        (("--horizons", "soon"), "--horizons got 'soon'; it takes 'next hour', an hour such as 1h"),
        (("--horizons", ""), "--horizons names none; it takes 'next hour', 1h"),
        (("--horizons", "30m"), "up to 168h; minutes are within 'next hour', six windows of 10 minutes"),
        (("--horizons", "1d"), "up to 168h; the hours of 1d are 1-24h, the last of them is 24h"),
        (("--models", ","), "--models names none; it takes "),
        (("--from", "0"), "the first origin that is possible is 1970-01-01 02:00, the last 1970-01-09 22:00"),
        (("--every", "often"), "--every got 'often': takes a duration such as 90s"),
        (("--refit", "0s"), "--refit got '0s': takes a duration such as 90s"),
        (("--from", "monday"), "--from got 'monday': takes a date such as 2026-03-02 or 2026-03-02T12:00Z"),
        (("--to", "9" * 20), f"--to got '{'9' * 20}': takes a date such as 2026-03-02"),
        (("--prometheus", "http://p"), "--trace and Prometheus (--config, --prometheus) are two histories; give one"),
    ],
)
def test_what_cannot_be_meant_is_a_matter_of_usage(trace: Path, arguments: tuple[str, ...], sentence: str) -> None:
    assert sentence in refused("--trace", trace, *FAST, *arguments)


def test_without_a_history_there_is_nothing_to_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GYROPILOT_PROMETHEUS__URL", raising=False)

    assert refused(*FAST).startswith("there is no history to replay; give --trace FILE, or your Prometheus with")
    assert refused(*FAST, "--column", "requests") == "--column names a column of a trace; give --trace FILE with it"
    assert refused(*FAST, "--calendar", "days.yaml") == (
        "--calendar is that of a trace; your own is in the settings, as `calendar`"
    )


def test_of_the_file_of_a_calendar_nothing_else_counts(trace: Path, folder: Path) -> None:
    (folder / "scenario.yaml").write_text("queues: {a: {shares: 3}}\n")
    (folder / "both.yaml").write_text("queues: {a: {shares: 3}}\ncalendar: {timezone: Europe/Berlin}\n")
    (folder / "wrong.yaml").write_text("calendar: {timezone: Mars/Olympus}\n")

    assert backtest_cli._calendar(trace, folder / "both.yaml", None, None).timezone == "Europe/Berlin"
    assert refused("--trace", trace, *FAST, "--calendar", "scenario.yaml") == (
        "scenario.yaml has no section calendar; `gyropilot config sample` shows what may stand in one"
    )
    assert "calendar.timezone" in refused("--trace", trace, *FAST, "--calendar", "wrong.yaml")


def test_a_trace_is_given_the_calendar_of_any_settings(trace: Path, folder: Path) -> None:
    days = folder / "days.yaml"
    days.write_text("calendar: {events: [{name: sale, start: 1970-01-08, end: 1970-01-08}]}\n")

    named = backtest_cli._calendar(trace, days, None, None).events

    assert [event.name for event in named] == ["sale"]
    assert backtest_cli._calendar(trace, None, None, None).events == ()
    assert json.loads(answered("--trace", trace, *FAST, "--calendar", days, "--format", "json"))["origins"] == 24


def test_models_are_told_of_events() -> None:
    sale = Named("sale", (), (Stretch(0, 86_400),))
    days = CalendarSettings.model_validate({"events": [{"name": "sale", "start": "1970-01-01", "end": "1970-01-01"}]})

    ours = our_entrants(["gyropilot"], timedelta(days=1), days)
    models = {each.name: each.model if isinstance(each, Own) else each.foresight._blank() for each in ours}
    told = {name: events_of(model) for name, model in models.items()}

    assert told["seasonal-naive"] is None
    assert told["gyropilot"] is not None
    assert told["gyropilot"].known == (sale,)


def test_a_refusal_is_one_sentence_and_an_exit_code(folder: Path) -> None:
    done = gyropilot("backtest", "--trace", "nowhere.csv", *FAST, folder=folder)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "gyropilot: nowhere.csv cannot be read: No such file or directory; give --trace a parquet or CSV file\n"
    )


def test_the_seasonal_naive_row_comes_first_asked_for_or_not() -> None:
    names = [entrant.name for entrant in our_entrants(("naive", "ets"), refit=np.timedelta64(1, "D").item())]

    assert names == ["seasonal-naive", "naive", "ets"]


def test_peers_that_are_not_installed_are_named_with_the_fix(trace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forecasting.backtest.peers.LIBRARIES", ("a_library_that_nobody_has",))

    with pytest.raises(ForecastError, match=r"a_library_that_nobody_has: pip install 'gyropilot\[bench\]'"):
        answered("--trace", trace, *FAST, "--peers")


def test_peers_are_those_that_suit_the_step_of_the_history(trace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[timedelta] = []

    def peers(step: timedelta) -> list[Peer]:
        asked.append(step)
        return []

    monkeypatch.setattr("forecasting.backtest.peers.peers", peers)

    answered("--trace", trace, *FAST, "--horizons", "1h", "--peers")

    assert asked == [timedelta(hours=1)]


def usage(until_s: int) -> Iterator[str]:
    """Queue `team` runs 4 and 8 GPUs by turns of an hour, told every five minutes for two days."""
    times = range(until_s - 2 * 86400, until_s + 300, 300)
    labels = {"cluster_queue": "team", "flavor": "h100", "resource": GPU, "replica_role": "leader"}
    yield from openmetrics(
        [
            Series("kueue_cluster_queue_resource_usage", labels, times, [4.0 + 4 * (t // 3600 % 2) for t in times]),
            Series("kueue_cluster_queue_resource_pending", labels, times, [0.0] * len(times)),
        ]
    )


def test_ones_own_prometheus_is_replayed(start_prometheus: Callable[..., PrometheusServer]) -> None:
    server = start_prometheus(usage(int(time.time())))

    told = json.loads(answered("--prometheus", server.url, *FAST, "--horizons", "next hour,1h", "--format", "json"))

    assert told["step_s"] == 300
    assert told["rows"][0]["outcomes"] > 0
    assert any(note.startswith("demand is seen only since") for note in told["notes"])
