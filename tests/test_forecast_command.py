"""`gyropilot forecast` as an operator runs it, beside a Prometheus and nothing else."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from numba import njit
from typer.testing import CliRunner

from forecasting.foresight import Foresight
from gyropilot.cli import app
from gyropilot.clock import SystemClock
from gyropilot.demo import Demo, serve
from gyropilot.errors import SettingsError
from gyropilot.prometheus.metrics import Metrics
from gyropilot.prometheus.reader import PrometheusReader
from gyropilot.report.forecast import render
from gyropilot.settings import PrometheusSettings, Settings
from gyropilot.wiring import foretold
from tests.command import gyropilot
from tests.fakes import NOW, history

NAIVE = {"GYROPILOT_FORECAST__MODEL": "naive"}  # fits at once


@pytest.fixture(scope="module")
def world() -> Iterator[Demo]:
    with serve(SystemClock().now()) as demo:
        yield demo


def test_tells_each_queue_without_kubernetes_and_writes_nothing(world: Demo, tmp_path: Path) -> None:
    done = gyropilot("forecast", "--prometheus", world.prometheus_url, "--format", "json", folder=tmp_path, **NAIVE)

    told = json.loads(done.stdout)
    assert done.returncode == 0
    assert {line["queue"] for line in told["lines"]} == {"", "research", "vision", "language", "serving"}
    assert told["trust"]["origin"].startswith("fitted at ")
    assert list(tmp_path.iterdir()) == []


def test_that_loops_are_compiled_is_said_where_stderr_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    def foretold_with_a_new_loop(*asked: object) -> None:
        assert njit()(_twice)(1) == 2
        raise SettingsError("that was all")

    monkeypatch.setattr("gyropilot.wiring.foretold", foretold_with_a_new_loop)

    done = CliRunner().invoke(app, ["forecast", "--prometheus", "http://127.0.0.1:9"])

    assert str(done.exception) == "that was all"
    assert done.stderr.startswith("compiling the forecaster's loops for this ")


def _twice(number: int) -> int:
    return 2 * number


def test_the_mixture_tells_the_total_of_each_cohort_that_prometheus_knows(world: Demo) -> None:
    short = {"url": world.prometheus_url, "history": "3d", "step": "1h"}  # fits in a second
    settings = Settings.model_validate({"prometheus": short, "forecast": {"state": ""}})

    told = json.loads(render(foretold(settings, SystemClock().now()), "json"))

    now = {line["queue"]: line["newest_gpus"] for line in told["lines"]}
    assert {row["cohort"]: (row["queues"], row["newest_gpus"]) for row in told["cohorts"]} == {
        "labs": (["language", "research"], now["language"] + now["research"]),
        "products": (["serving", "vision"], now["serving"] + now["vision"]),
    }


def test_a_queue_that_is_gone_is_in_no_row_and_in_no_total(monkeypatch: pytest.MonkeyPatch) -> None:
    days = {"research": [8.0, 16.0] * 24, "vision": [24.0] * 48, "deleted": [*[32.0] * 44, *[math.nan] * 4]}
    seen = Metrics(
        history(days, timedelta(hours=1)),
        {},
        timedelta(0),
        "kueue",
        cohorts=dict.fromkeys(("research", "vision"), "all"),
    )
    monkeypatch.setattr(PrometheusReader, "read", lambda reader, now: seen)
    settings = Settings.model_validate({"prometheus": {"url": "http://prometheus"}, "forecast": {"state": ""}})

    told = json.loads(render(foretold(settings, NOW), "json"))

    assert {line["queue"]: line["newest_gpus"] for line in told["lines"]} == {"": 40, "research": 16, "vision": 24}
    assert [row["newest_gpus"] for row in told["cohorts"]] == [40]
    assert told["cohorts"][0]["values"] == told["lines"][0]["values"]
    assert "queue deleted (nvidia.com/gpu) was not seen since 2026-03-02 08:00 UTC: left out" in told["notes"]
    with pytest.raises(SettingsError, match="no queue 'deleted' in Prometheus any more; there are research, vision"):
        foretold(settings, NOW, queue="deleted")


def test_a_model_without_a_copula_says_why_it_tells_no_cohorts(world: Demo, tmp_path: Path) -> None:
    done = gyropilot("forecast", "--prometheus", world.prometheus_url, "--format", "json", folder=tmp_path, **NAIVE)

    told = json.loads(done.stdout)
    assert told["cohorts"] == []
    assert [note for note in told["notes"] if note.startswith("totals of cohorts are left out: naive does not know")]


def test_tells_one_queue_into_a_file(world: Demo, tmp_path: Path) -> None:
    asked = ["--prometheus", world.prometheus_url, "--queue", "vision", "--output", "vision.txt"]

    done = gyropilot("forecast", *asked, folder=tmp_path, **NAIVE)

    assert done.returncode == 0
    assert "Queue vision: " in (tmp_path / "vision.txt").read_text()


def test_a_queue_that_is_not_there_is_a_matter_of_usage(world: Demo, tmp_path: Path) -> None:
    done = gyropilot("forecast", "--prometheus", world.prometheus_url, "-q", "visoin", folder=tmp_path, **NAIVE)

    assert done.returncode == 2
    assert "no queue 'visoin' in Prometheus; there are language, research, serving, vision" in done.stderr


def test_a_queue_is_looked_for_before_anything_is_fitted(world: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    def forecaster(settings: Settings) -> Foresight:
        raise AssertionError("a forecaster was made")

    monkeypatch.setattr("gyropilot.wiring.foresight_of", forecaster)
    settings = Settings(prometheus=PrometheusSettings(url=world.prometheus_url))

    with pytest.raises(SettingsError, match="no queue 'visoin'"):
        foretold(settings, SystemClock().now(), queue="visoin")


@pytest.mark.parametrize("command", [("forecast",), ("plan",), ("once",), ("report",)])
@pytest.mark.parametrize("told", [("--config", "gyropilot.yaml"), ()])
def test_no_answer_replaces_the_settings(command: tuple[str], told: tuple[str, ...], tmp_path: Path) -> None:
    settings = tmp_path / "gyropilot.yaml"
    settings.write_text("prometheus: {url: http://127.0.0.1:9}\n")

    done = gyropilot(*command, *told, "--out", "./gyropilot.yaml", folder=tmp_path)

    assert done.returncode == 2
    assert "--out gyropilot.yaml is also --config, which it would replace; give another file" in done.stderr
    assert settings.read_text() == "prometheus: {url: http://127.0.0.1:9}\n"


def test_without_prometheus_it_says_where_to_tell_it(tmp_path: Path) -> None:
    done = gyropilot("forecast", folder=tmp_path)

    assert done.returncode == 2
    assert "prometheus.url is empty; give --prometheus URL" in done.stderr


def test_a_prometheus_that_is_away_is_said(tmp_path: Path) -> None:
    retries = {"GYROPILOT_PROMETHEUS__RETRIES": "0"}

    done = gyropilot("forecast", "--prometheus", "http://127.0.0.1:9", folder=tmp_path, **retries)

    assert done.returncode == 4
    assert "Prometheus at http://127.0.0.1:9" in done.stderr


def test_what_a_cycle_has_learnt_is_taken_up(world: Demo, tmp_path: Path) -> None:
    where = ["--prometheus", world.prometheus_url]
    gyropilot("once", *where, "--kubeconfig", str(world.kubeconfig), folder=tmp_path, **NAIVE)
    before = (tmp_path / "gyropilot.forecast").read_bytes()

    done = gyropilot("forecast", *where, "--format", "json", folder=tmp_path, **NAIVE)

    assert json.loads(done.stdout)["trust"]["origin"].startswith("restored from gyropilot.forecast, fitted at ")
    assert (tmp_path / "gyropilot.forecast").read_bytes() == before


def test_a_state_that_is_refused_is_said_in_one_sentence(world: Demo, tmp_path: Path) -> None:
    (tmp_path / "gyropilot.forecast").write_text("not what was saved")

    done = gyropilot("forecast", "--prometheus", world.prometheus_url, folder=tmp_path, **NAIVE)

    assert done.returncode == 0
    assert "fitting anew: gyropilot.forecast is no state that can be trusted" in done.stderr


def test_an_empty_setting_keeps_nothing(world: Demo, tmp_path: Path) -> None:
    where = ["--prometheus", world.prometheus_url, "--kubeconfig", str(world.kubeconfig)]

    gyropilot("once", *where, folder=tmp_path, GYROPILOT_FORECAST__STATE="", **NAIVE)

    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".db"]
