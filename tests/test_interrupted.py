"""Who does not wait for the answer gets one sentence and an exit code, and never a traceback."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

IMPATIENT = """
import importlib, os, signal, sys

class Impatient:
    def find_spec(self, name, path, target=None):
        if name == {moment!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Impatient())
sys.argv[1:] = ["demo"]
module, function = {entry!r}.split(":")
getattr(importlib.import_module(module), function)()
"""
"""Runs the command, and interrupts it when it comes to import what is called so."""


@pytest.mark.parametrize("moment", ["typer", "gyropilot.traces_cli", "gyropilot.demo", "forecasting.foresight"])
def test_an_interruption_while_it_loads_or_works_is_told_in_one_sentence(moment: str, tmp_path: Path) -> None:
    settings = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
    program = IMPATIENT.format(moment=moment, entry=settings["project"]["scripts"]["gyropilot"])

    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False
    )

    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "gyropilot: interrupted\n")
    assert list(tmp_path.iterdir()) == []
