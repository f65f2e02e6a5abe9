"""Our packages have plain names; a stranger's package of the same name must never be what is imported."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("gyropilot", "agents", "forecasting", "envs", "models", "actuators")
HEAVY = ("torch", "sklearn", "lightgbm", "statsmodels", "pandas", "scipy")


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_that_is_imported_is_ours(package: str) -> None:
    module = importlib.import_module(package)

    assert Path(str(module.__file__)).is_relative_to(ROOT)


def test_help_answers_without_loading_heavy_libraries() -> None:
    code = f"import sys, gyropilot.cli; print([m for m in {HEAVY} if m in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_python_runs_the_package_as_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gyropilot", "--help"], capture_output=True, text=True, check=True, timeout=60
    )

    assert "forecast" in done.stdout
