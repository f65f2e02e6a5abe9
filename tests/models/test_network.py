"""A trained network on disk: what is written can be run without torch, and what does not fit is refused by name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="pip install onnx to write networks")

from agents.encoding import FACTORS, FEATURES
from agents.pilots import Newsvendor, make_pilot
from agents.pilots.network import CARD, POLICY, load, read_card, running
from gyropilot.errors import SettingsError
from gyropilot.settings import PilotSettings
from models.network import to_onnx
from models.registry import begin
from tests.agents.test_learned import seen
from tests.models.cards import card, layers, published


def learned(folder: Path, **how: bool) -> PilotSettings:
    return PilotSettings(name="learned", network=folder, **how)


def test_a_model_card_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = published(tmp_path / "new" / "net")

    assert read_card(folder) == card((folder / POLICY).read_bytes())
    assert sorted(path.name for path in folder.iterdir()) == [CARD, POLICY]


def test_onnx_computes_what_the_layers_do_for_any_number_of_pools() -> None:
    network = running(to_onnx(layers(1.25)))
    (first, _), (last, bias) = layers(1.25)
    rows = np.random.default_rng(1).normal(size=(5, len(FEATURES))).astype(np.float32)

    assert network(rows) == pytest.approx(np.tanh(rows @ first.T) @ last.T + bias, abs=1e-6)
    assert network(rows[:0]).shape == (0, len(FACTORS))


def test_settings_name_a_folder_and_get_its_pilot(tmp_path: Path) -> None:
    pilot = make_pilot(learned(published(tmp_path, 1.25)))

    intent = pilot.steer(seen())

    assert intent.pilot == "learned"
    assert intent.pool_gpus == {"h100": 32}
    assert intent.why("h100").startswith("newsvendor wanted 48, the network 1.25 x")


def test_the_base_comes_with_the_network_but_preemption_stays_the_operators_word(tmp_path: Path) -> None:
    folder, other = published(tmp_path / "a"), published(tmp_path / "b", base=PilotSettings(preempt=False))

    def base(folder: Path, preempt: bool) -> object:
        return getattr(make_pilot(learned(folder, preempt=preempt)), "base", None)

    assert base(folder, True) == Newsvendor(dead_band_gpus=3)
    assert base(folder, False) == Newsvendor(dead_band_gpus=3, preempt=False)
    assert base(other, True) == Newsvendor(preempt=False)


def test_it_runs_where_neither_torch_nor_onnx_is_installed(tmp_path: Path) -> None:
    program = f"""
import sys
sys.modules.update(dict.fromkeys(("torch", "stable_baselines3", "onnx")))
from agents.pilots import make_pilot
from gyropilot.settings import PilotSettings
from tests.agents.test_learned import seen
print(make_pilot(PilotSettings(name="learned", network={str(published(tmp_path, 2.0))!r})).steer(seen()).pool_gpus)
"""

    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)

    assert (ran.stdout.strip(), ran.stderr) == ("{'h100': 64}", "")


def test_a_network_sees_forecasts_of_whom_it_was_trained_with_or_is_refused(tmp_path: Path) -> None:
    folder = published(tmp_path / "net")

    assert make_pilot(learned(folder), "naive").name == "learned"
    with pytest.raises(
        SettingsError,
        match=r"net was trained with forecasts of naive and would see those of gyropilot, .*; set forecast\.model "
        r"\(--forecaster\) to naive, or train one with --forecaster gyropilot$",
    ):
        make_pilot(learned(folder), "gyropilot")


def refusal(settings: PilotSettings) -> str:
    with pytest.raises(SettingsError) as told:
        make_pilot(settings)
    return str(told.value)


def test_what_is_missing_is_named_with_the_next_step(tmp_path: Path) -> None:
    next_step = "train one with `gyropilot train`, or set pilot.name to newsvendor"
    folder = published(tmp_path / "net")
    (folder / POLICY).unlink()

    assert refusal(PilotSettings(name="learned")) == (
        "pilot.network is empty; give the folder that `gyropilot train` wrote, or set pilot.name to newsvendor"
    )
    assert refusal(learned(tmp_path)) == (
        f"{tmp_path} holds no trained network (card.json: No such file or directory); {next_step}"
    )
    assert refusal(learned(folder)) == (
        f"{folder} holds no trained network (policy.onnx: No such file or directory); {next_step}"
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"encoding": 99}, "was trained on encoding 99, this gyropilot has 1"),
        ({"features": ("other",)}, "was trained on encoding 1, this gyropilot has 1"),
        ({"factors": (1.0, 2.0)}, "was trained on other factors than this gyropilot's"),
        ({"base": PilotSettings(name="learned")}, "corrects another learned pilot"),
        ({"network_sha256": "0"}, "is not the network that card.json tells of; copy both again"),
    ],
)
def test_a_network_that_does_not_fit_is_refused(tmp_path: Path, changes: dict[str, Any], why: str) -> None:
    assert why in refusal(learned(published(tmp_path, **changes)))


def test_files_that_are_something_else_are_refused(tmp_path: Path) -> None:
    folder = published(tmp_path)
    (folder / CARD).write_text(json.dumps({"encoding": 1}))
    assert f"{folder / CARD} is no model card: features: Field required" in refusal(learned(folder))
    (folder / CARD).write_text("{")
    assert f"{folder / CARD} is no model card: the file: Invalid JSON" in refusal(learned(folder))

    with pytest.raises(SettingsError, match=r"^the network cannot be run by onnxruntime: .* train one with"):
        running(b"no network")
    narrow = ((np.zeros((4, 3), np.float32), np.zeros(4, np.float32)), layers()[1])
    with pytest.raises(SettingsError, match="cannot be run by onnxruntime"):
        running(to_onnx(narrow))


def test_a_card_and_its_network_are_loaded_together(tmp_path: Path) -> None:
    found, network = load(published(tmp_path, 0.8))

    assert found.pooled.mid == -1.5
    assert network(np.zeros((2, len(FEATURES)), np.float32)).argmax(axis=1).tolist() == [FACTORS.index(0.8)] * 2


def test_a_folder_belongs_to_one_training(tmp_path: Path) -> None:
    begin(tmp_path / "a", "one", resume=False)
    begin(tmp_path / "a", "one", resume=True)

    with pytest.raises(SettingsError, match="holds a training already; --resume goes on with it"):
        begin(tmp_path / "a", "one", resume=False)
    with pytest.raises(SettingsError, match="was begun with other jobs, another scenario, base, split or version"):
        begin(tmp_path / "a", "other", resume=True)
    with pytest.raises(SettingsError, match="holds something that is no training"):
        begin(tmp_path, "one", resume=False)
    (tmp_path / "a" / "run.json").write_text("[]")
    with pytest.raises(SettingsError, match=r"run\.json cannot be read"):
        begin(tmp_path / "a", "one", resume=True)
