"""What an installation brings: in an environment of its own, to a process that sees none of our files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("gyropilot", "agents", "forecasting", "envs", "models", "actuators")
BESIDE = ("pyproject.toml", "setup.py", "README.md", "LICENSE")
MADE = "import gymnasium; print(gymnasium.make('gyropilot/Cluster-v0').spec.id)"

Answer = Callable[..., str]


@pytest.fixture
def answer(tmp_path: Path) -> Answer:
    """Of Python in an environment that has what we need, but not us; a warning is an error unless told otherwise."""
    home = tmp_path / "environment"
    venv.create(home, symlinks=True)
    theirs = sysconfig.get_path("purelib", "venv", {"base": str(home)})
    Path(theirs, "needed.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    def answered(*words: str | Path, **variables: str) -> str:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        ran = subprocess.run(
            [home / "bin" / "python", *words],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            cwd=elsewhere,
            env={**kept, "PYTHONWARNINGS": "error", **variables},
        )
        assert (ran.returncode, ran.stderr) == (0, "")
        return ran.stdout.strip()

    return answered


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """What is installed, in a place that may be written to."""
    source = tmp_path / "source"
    for room in ROOMS:
        shutil.copytree(ROOT / room, source / room, ignore=shutil.ignore_patterns("__pycache__"))
    for file in BESIDE:
        shutil.copy(ROOT / file, source)
    return source


@pytest.mark.parametrize("how", [(), ("--editable",)], ids=["plain", "editable"])
def test_after_installation_gymnasium_makes_the_cluster_by_its_name_alone(
    how: tuple[str, ...], answer: Answer, ours: Path
) -> None:
    options = ("--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")

    answer("-m", "pip", "install", *options, *how, ours, PYTHONWARNINGS="ignore")

    assert answer("-c", MADE) == "gyropilot/Cluster-v0"
    assert answer("-c", "import sys; print({'gymnasium', 'numpy', 'envs'} & set(sys.modules))") == "set()"


def test_files_that_are_not_installed_are_not_known_to_gymnasium_as_the_guide_says(answer: Answer, ours: Path) -> None:
    told = answer(
        "-c",
        "import gymnasium\n"
        "try:\n    gymnasium.make('gyropilot/Cluster-v0')\n"
        "except gymnasium.error.NamespaceNotFound as problem:\n    print(type(problem).__name__, problem)",
        PYTHONPATH=str(ours),
    )
    guide = (ROOT / "docs" / "simulator.md").read_text()

    name, words = told.split(" ", 1)

    assert f"{name}: {words[: words.index(' not found') + 10]}" in guide
    assert answer("-c", MADE.replace("'g", "'envs:g"), PYTHONPATH=str(ours)) == "gyropilot/Cluster-v0"
