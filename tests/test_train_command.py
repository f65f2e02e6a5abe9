"""`gyropilot train` as a user runs it, and the pilot `learned` where other pilots are asked for."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from agents.pilots import make_pilot
from agents.pilots.network import Figure
from envs.table_file import write_table
from envs.workloads import TrainingProfile, generate
from gyropilot import configuration, train_cli
from gyropilot.cli import app
from gyropilot.demo import DEMO_NOW, serve
from gyropilot.errors import GyropilotError, SettingsError
from gyropilot.report.training import to_text
from gyropilot.settings import ForecastSettings, PilotSettings, Settings
from gyropilot.wiring import planner
from tests.models.cards import card, published

SCENARIO = """
flavors:
  owned: 16
  bought: {nodes: 0, max_nodes: 20, lead_s: 600}
queues:
  a: &alike {cohort: all, shares: {owned: {nominal: 8}, bought: {nominal: 80}}}
  b: *alike
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "cluster.yaml"
    path.write_text(SCENARIO)
    return path


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    """Two waves, the second of which is more than the owned GPUs."""
    path = tmp_path / "jobs.csv"
    rows = [f"{nth},{'ab'[nth % 2]},{nth % 6 * 300 + nth // 6 * 7200},5400,{4 + nth}" for nth in range(12)]
    path.write_text("\n".join(["job_id,queue,submit_s,duration_s,gpus", *rows]))
    return path


def days_of_jobs(tmp_path: Path, days: float) -> Path:
    """Generated, of the same queues."""
    path = tmp_path / "jobs.parquet"
    profile = tuple(TrainingProfile(name, 40.0) for name in ("a", "b"))
    write_table(generate(profile, days, np.random.default_rng(0)), path)
    return path


def answered(*args: object) -> str:
    """What was printed; errors are raised."""
    ran = CliRunner().invoke(app, [str(arg) for arg in args])
    if ran.exception:
        raise ran.exception
    return ran.stdout


def test_training_ends_with_a_table_and_a_folder_that_simulate_runs(
    scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("stable_baselines3", reason="pip install 'gyropilot[train]' to learn")
    from models import school

    tiny = partial(school.Recipe, worlds=2, rollout=24, batch=48, epochs=1, hidden=(8,), days=2)
    monkeypatch.setattr(school, "Recipe", tiny)
    table, out = days_of_jobs(tmp_path, 4.2), tmp_path / "net"
    days = ("--validation-days", 1, "--held-out-days", 1)

    told = answered("train", "--jobs", table, "--scenario", scenario, "--steps", 48, "--seeds", 0, *days, "--out", out)

    assert "Training · newsvendor's wishes corrected, bought" in told
    assert "0, chosen" in told
    assert f"`simulate --pilot newsvendor,learned@{out}` runs it" in told
    card = json.loads((out / "card.json").read_text())
    assert (card["base"]["name"], card["data"]["pools"], card["seeds"][0]["steps"]) == ("newsvendor", ["bought"], 48)
    with pytest.raises(SettingsError, match="--resume goes on with it"):
        answered("train", "--jobs", table, "--scenario", scenario, "--seeds", 0, *days, "--out", out)


def test_what_was_trained_steers_simulate_and_plan_where_torch_cannot_be_imported(
    scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("stable_baselines3", reason="pip install 'gyropilot[train]' to learn")
    from models import school

    tiny = partial(school.Recipe, worlds=2, rollout=24, batch=48, epochs=1, hidden=(8,), days=2)
    monkeypatch.setattr(school, "Recipe", tiny)
    table, out = days_of_jobs(tmp_path, 4.2), tmp_path / "net"
    once = ("--jobs", table, "--scenario", scenario)
    days = ("--validation-days", 1, "--held-out-days", 1)

    told = answered("train", *once, *once, "--steps", 48, "--seeds", 0, *days, "--out", out)

    assert "2 clusters" in told
    program = f"""
import sys
sys.modules.update(dict.fromkeys(("torch", "stable_baselines3", "onnx")))
from typer.testing import CliRunner
from gyropilot.cli import app
from gyropilot.demo import DEMO_NOW, serve
from gyropilot.settings import ForecastSettings, PilotSettings
from gyropilot.wiring import planner
words = ["simulate", "--jobs", {str(table)!r}, "--scenario", {str(scenario)!r}, "--pilot", "learned@{out}"]
ran = CliRunner().invoke(app, words)
assert ran.exit_code == 0, ran.output
pilot = PilotSettings(name="learned", network={str(out)!r})
with serve(DEMO_NOW) as world:
    changes = {{"pilot": pilot, "forecast": ForecastSettings(model="naive")}}
    print(planner(world.settings.model_copy(update=changes)).plan(world.now).intent.pilot)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert (ran.stdout.strip(), ran.returncode) == ("learned", 0), ran.stderr


def test_each_cluster_comes_with_its_jobs(jobs: Path, scenario: Path, tmp_path: Path) -> None:
    pytest.importorskip("stable_baselines3", reason="pip install 'gyropilot[train]' to learn")

    with pytest.raises(SettingsError, match="--jobs is given 2 times and --scenario 1 times; give both for each"):
        answered("train", "--jobs", jobs, "--jobs", jobs, "--scenario", scenario, "--out", tmp_path / "net")


def test_the_page_on_learning_can_be_followed_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("stable_baselines3", reason="pip install 'gyropilot[train]' to learn")
    from models import school

    tiny = partial(school.Recipe, worlds=2, rollout=24, batch=48, epochs=1, hidden=(8,), days=2)
    monkeypatch.setattr(school, "Recipe", tiny)
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[1] / "docs" / "learning.md").read_text()
    scenario, settings = (block.split("```")[0] for block in page.split("```yaml\n")[1:3])
    (tmp_path / "cluster.yaml").write_text(scenario)
    (tmp_path / "gyropilot.yaml").write_text(settings)
    shorter = {"--days 21": "--days 4.3", "--steps 200000 --seeds 0,1,2": "--steps 48 --seeds 0 --validation-days 1 "
               "--held-out-days 1"}  # fmt: skip
    commands = page.split("```\npip install")[1].split("```")[0]
    for long, short in shorter.items():
        assert long in commands
        commands = commands.replace(long, short)

    generate, train, simulate = (shlex.split(line)[1:] for line in commands.splitlines()[1:])
    again = [word if word != "4.3" else "1" for word in generate]  # fewer jobs to simulate

    _, trained, _, simulated = (answered(*words) for words in (generate, train, again, simulate))

    assert "Training · newsvendor's wishes corrected, bought" in trained
    assert re.search(r"\n learned@network +[1-9][\d,]* ", simulated)
    found = configuration.load(tmp_path / "gyropilot.yaml")
    assert make_pilot(found.pilot, found.forecast.model).name == "learned"


def test_a_network_that_changes_nothing_pays_what_its_base_pays(jobs: Path, scenario: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="pip install onnx to write networks")
    net = published(tmp_path / "net", 1.0, base=PilotSettings())
    pilots = f"newsvendor,learned@{net}"

    told = json.loads(
        answered("simulate", "--jobs", jobs, "--scenario", scenario, "--pilot", pilots, "--format", "json")
    )

    first, second = told["pilots"]
    assert (first["pilot"], second["pilot"]) == ("newsvendor", f"learned@{net}")
    assert first["usd"] == second["usd"] > 0


def test_simulate_and_plan_refuse_a_network_that_was_trained_with_another_forecaster(
    jobs: Path, scenario: Path, tmp_path: Path
) -> None:
    pytest.importorskip("onnx", reason="pip install onnx to write networks")
    net = published(tmp_path / "net")
    pilots = ("--pilot", f"learned@{net}", "--forecaster", "seasonal-naive")
    settings = Settings(pilot=PilotSettings(name="learned", network=net), forecast=ForecastSettings(model="auto"))

    with pytest.raises(SettingsError, match="trained with forecasts of naive and would see those of seasonal-naive"):
        answered("simulate", "--jobs", jobs, "--scenario", scenario, *pilots)
    with serve(DEMO_NOW) as world, pytest.raises(SettingsError, match="naive and would see those of auto"):
        planner(world.settings.model_copy(update={"pilot": settings.pilot, "forecast": settings.forecast}))


def test_a_plan_is_made_by_a_network_and_says_so(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="pip install onnx to write networks")
    pilot = PilotSettings(name="learned", network=published(tmp_path, 1.5))

    with serve(DEMO_NOW) as world:
        changes = {"pilot": pilot, "forecast": ForecastSettings(model="naive")}
        cycle = planner(world.settings.model_copy(update=changes)).plan(world.now)

    assert cycle.intent.pilot == "learned"
    assert any("the network 1.5 x" in reason for reason in cycle.intent.reasons.values())


def test_what_is_not_installed_is_named_with_its_extra(
    scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_cli, "find_spec", lambda name: None if name == "torch" else object())

    with pytest.raises(GyropilotError, match=r"training needs torch: pip install 'gyropilot\[train\]'") as told:
        answered("train", "--jobs", "none.csv", "--scenario", scenario, "--out", tmp_path / "net")

    assert told.value.exit_code == 1


def test_a_base_is_named_or_a_settings_file(tmp_path: Path) -> None:
    tuned = tmp_path / "tuned.yaml"
    tuned.write_text("pilot: {name: reactive, scale_down_after: 20m}\n")

    assert train_cli._base("newsvendor") == PilotSettings()
    assert train_cli._base(str(tuned)) == train_cli._base(f"reactive@{tuned}")
    assert train_cli._base(str(tuned)).name == "reactive"
    with pytest.raises(SettingsError, match="--base learned cannot be corrected by another network"):
        train_cli._base("learned")
    with pytest.raises(SettingsError, match="no pilot 'nobody'"):
        train_cli._base("nobody")


def test_who_wants_nothing_cannot_be_corrected() -> None:
    with pytest.raises(
        SettingsError, match=r"a base is one of static, reactive, threshold, ces, newsvendor, receding$"
    ):
        train_cli._base("hold")


def test_nothing_is_begun_where_something_was_to_be_resumed(jobs: Path, scenario: Path, tmp_path: Path) -> None:
    pytest.importorskip("stable_baselines3", reason="pip install 'gyropilot[train]' to learn")

    with pytest.raises(SettingsError, match=r"and .*net holds none; give the folder of one, or leave --resume out"):
        answered("train", "--jobs", jobs, "--scenario", scenario, "--out", tmp_path / "net", "--resume")

    assert not (tmp_path / "net").exists()


def test_seeds_are_whole_numbers() -> None:
    assert train_cli._numbers("3, 1") == (3, 1)
    with pytest.raises(SettingsError, match="--seeds got 'a'; it takes whole numbers"):
        train_cli._numbers("a")


def test_a_learned_pilot_without_a_folder_is_told_where_one_comes_from(
    jobs: Path, scenario: Path, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=r"pilot\.network is empty; give the folder that `gyropilot train` wrote"):
        answered("simulate", "--jobs", jobs, "--scenario", scenario, "--pilot", "learned")
    with pytest.raises(SettingsError, match=r"holds no trained network \(card\.json: No such file or directory\)"):
        answered("simulate", "--jobs", jobs, "--scenario", scenario, "--pilot", f"learned@{tmp_path}")


WORSE = "The network does not pay: it costs"
BETTER = "The network costs 1.0 % less than newsvendor on 2 held-out days"


@pytest.mark.parametrize(
    ("picked_at", "figure", "verdict"),
    [
        (0, Figure(mid=0.0), "No seed was better than newsvendor on the validation days: the network changes nothing."),
        (9, Figure(), "newsvendor paid nothing on 2 held-out days: what the network is worth cannot be told."),
        (
            9,
            Figure(mid=1.0),
            f"{WORSE} 1.0 % more than newsvendor on 2 held-out days; run newsvendor",
        ),
        (
            9,
            Figure(mid=0.01),
            f"{WORSE} as much as newsvendor on 2 held-out days; run newsvendor",
        ),
        (9, Figure(mid=-1.0, low=-2.0, high=0.5), f"{BETTER} (90 %: 2.0 % less to 0.5 % more); that is not sure."),
        (9, Figure(mid=-1.0, low=-2.0, high=-0.5), f"{BETTER} (90 %: 0.5 to 2.0 % less)."),
    ],
)
def test_what_it_is_worth_is_one_sentence(picked_at: int, figure: Figure, verdict: str) -> None:
    found = card(b"")
    seed = found.seeds[0].model_copy(update={"picked_at": picked_at, "held_out": figure})

    text = to_text(found.model_copy(update={"seeds": (seed,)}), "net")

    assert verdict in text.replace("\n", " ")


def test_figures_of_a_training_are_told_in_tenths_with_signs_as_those_of_pilots_are() -> None:
    found = card(b"", pooled=Figure(mid=-1.04, low=-2.16, high=0.02))

    text = to_text(found, "net")

    assert re.search(r"all +−1\.0 % +−2\.2 to 0\.0 %\n", text)
