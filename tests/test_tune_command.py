"""`gyropilot tune` as a user runs it: settings that simulate and plan take, and refusals."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from agents.pilots.knobs import KNOBS, Scale
from gyropilot import configuration
from gyropilot.cli import app
from gyropilot.errors import SettingsError

SCENARIO = """
flavors:
  x: {nodes: 1, max_nodes: 6, gpus_per_node: 4, lead_s: 600}
queues:
  q: {shares: {x: {nominal: 24}}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two jobs a day for twelve days, and a cluster."""
    (tmp_path / "cluster.yaml").write_text(SCENARIO)
    jobs = [f"q,{86_400 * day + 3_600 * hour},5000,8" for day in range(12) for hour in (9, 10)]
    (tmp_path / "jobs.csv").write_text("queue,submit_s,duration_s,gpus\n" + "\n".join(jobs))
    return tmp_path


def asked(folder: Path, *options: object) -> Result:
    return CliRunner().invoke(app, ["tune", *where(folder), *map(str, options)], catch_exceptions=False)


def test_what_is_passed_over_in_the_jobs_is_said(folder: Path) -> None:
    head, *rows = (folder / "jobs.csv").read_text().splitlines()
    (folder / "jobs.csv").write_text("\n".join([f"{head},rack", *(f"{row},1" for row in rows)]))

    done = asked(folder, "--pilot", "reactive", "--until", 6.5, "--budget", 2, "--days-per-evaluation", 2)

    assert "nothing reads column rack" in done.stderr.splitlines()


def where(folder: Path) -> list[str]:
    return ["--jobs", str(folder / "jobs.csv"), "--scenario", str(folder / "cluster.yaml")]


def test_what_it_writes_is_what_simulate_and_plan_are_run_with(folder: Path) -> None:
    path = folder / "new" / "tuned.yaml"

    done = asked(
        folder, "--pilot", "reactive", "--until", 6.5, "--budget", 2, "--days-per-evaluation", 2, "--out", path
    )

    assert done.exit_code == 0
    assert "default" in done.stderr.splitlines()[-1]
    text = path.read_text()
    assert "--pilot reactive" in text.split("pilot:")[0]
    assert "--until 6.5 --budget 2 --days-per-evaluation 2 --forecaster naive --seed 0" in " ".join(
        text.replace("\n#", "").split()
    )
    assert set(yaml.safe_load(text)["pilot"]) == {"name", "scale_down_after"}
    assert configuration.load(path).pilot.name == "reactive"
    (folder / "jobs.csv").write_text("queue,submit_s,duration_s,gpus\nq,0,5000,8")
    simulated = CliRunner().invoke(app, ["simulate", *where(folder), "--pilot", f"reactive,reactive@{path}"])
    assert f"reactive@{path}" in simulated.stdout.replace("\n", "")


def test_the_last_week_is_left_alone_unless_told(folder: Path) -> None:
    why = (
        r"1 windows of 3 days with jobs lie in the 4\.0 days that are looked at; .* take 6, and the last 7 days are "
        "left alone for a test: give more jobs, or --until D to look at the first D days"
    )
    with pytest.raises(SettingsError, match=why):
        asked(folder, "--pilot", "reactive")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--pilot", "hold"), "'hold' has no settings to tune; --pilot takes one of static, reactive"),
        (("--pilot", "hal"), "'hal' is no pilot"),
        (("--pilot", "reactive", "--until", 0), "give more jobs or a later --until"),
        (("--pilot", "reactive", "--out", "jobs.csv"), "is also --jobs, which it would replace"),
    ],
)
def test_what_cannot_be_tuned_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[object, ...], why: str
) -> None:
    monkeypatch.chdir(folder)

    with pytest.raises(SettingsError, match=why):
        asked(folder, *(("--until", 6.5) if "--until" not in options else ()), *options)


def test_jobs_that_never_ran_are_nothing_to_tune_by(folder: Path) -> None:
    (folder / "jobs.csv").write_text("queue,submit_s,duration_s,gpus\nq,0,,8\n")

    with pytest.raises(SettingsError, match="no job"):
        asked(folder, "--pilot", "reactive")


def test_the_page_on_tuning_can_be_followed_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    docs = Path(__file__).parents[1] / "docs"
    (tmp_path / "cluster.yaml").write_text((docs / "simulator.md").read_text().split("```yaml\n")[1].split("```")[0])
    generate, tune, simulate = (docs / "tuning.md").read_text().split("```\n")[1].splitlines()

    # As written, but for how much of it.
    ran(generate.replace("--days 21", "--days 13.5"))
    ran(tune.replace("--budget 12", "--budget 2"))
    ran("gyropilot traces generate helios --days 0.3 --out day.parquet")
    told = ran(simulate.replace("jobs.parquet", "day.parquet"))

    assert "reactive@tuned.yaml" in told


def test_the_page_on_tuning_names_every_setting_with_its_limits() -> None:
    page = (Path(__file__).parents[1] / "docs" / "tuning.md").read_text()
    units = {Scale.MINUTES: " min"}

    told = [
        f"| `{pilot}` | `{knob.name}` | {knob.low:g}{unit} | {knob.high:g}{unit} |"
        for pilot, knobs in KNOBS.items()
        for knob in knobs
        for unit in [units.get(knob.scale, "")]
    ]

    assert re.findall(r"^\| `.*\|$", page, re.MULTILINE) == told


def ran(line: str) -> str:
    done = CliRunner().invoke(app, line.split()[1:], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout
