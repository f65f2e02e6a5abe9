"""What `gyropilot simulate` tells unasked, and which files it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from numba import njit
from typer.testing import CliRunner

from forecasting.compiled.first_use import first_use
from gyropilot.cli import app
from gyropilot.errors import SettingsError
from gyropilot.terminal import COMPILING
from tests.command import gyropilot

JOBS = """job_id,queue,submit_s,duration_s,gpus
a,vision,0,3600,8
b,nlp,1800,3600,4
"""
CLUSTER = """
flavors: {x: 8}
queues:
  vision: {cohort: all, shares: {x: {nominal: 8}}}
  nlp: {cohort: all, shares: {x: {nominal: 0}}}
"""
SERVED = """services:
  - {name: chat, queue: nlp, load: {file: load.csv}, capacity_per_s: 2}
"""


def test_the_first_run_says_that_loops_are_compiled_and_the_next_does_not(tmp_path: Path) -> None:
    (tmp_path / "jobs.csv").write_text(JOBS)
    asked = ("simulate", "--jobs", "jobs.csv", "--fixed-nodes", "1", "--format", "json")

    first, second = (gyropilot(*asked, folder=tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "kept")) for _ in range(2))

    assert first.stderr == f"{COMPILING}\n"
    assert second.stderr == ""
    assert first.stdout == second.stdout


def test_that_what_is_compiled_is_not_kept_is_told_once() -> None:
    heard: list[bool] = []
    twice = njit()(_twice)

    with first_use(heard.append):
        assert (twice(1), twice(2.0)) == (2, 4.0)  # compiled for whole numbers, and for others

    assert heard == [False]


@pytest.mark.parametrize("option", ["--out", "--jobs-out"])
@pytest.mark.parametrize(
    ("name", "whose"),
    [
        ("jobs.csv", "--jobs"),
        ("cluster.yaml", "--scenario"),
        ("load.csv", "the load of service chat"),
        ("../{}/load.csv", "the load of service chat"),
        ("tuned.yaml", "the file of --pilot newsvendor@.*"),
    ],
)
def test_no_file_that_is_read_is_written_over(option: str, name: str, whose: str, tmp_path: Path) -> None:
    files = {
        "jobs.csv": JOBS,
        "cluster.yaml": CLUSTER + SERVED,
        "load.csv": "t_s,requests\n0,60\n60,120\n",
        "tuned.yaml": "pilot: {name: newsvendor}\n",
    }
    for each, text in files.items():
        (tmp_path / each).write_text(text)
    written = tmp_path / name.format(tmp_path.name)
    told = {"--jobs": "jobs.csv", "--scenario": "cluster.yaml"}
    asked = [word for each, file in told.items() for word in (each, str(tmp_path / file))]

    with pytest.raises(SettingsError, match=rf"{option} .* is also {whose}, which it would replace; give another"):
        CliRunner().invoke(
            app,
            ["simulate", *asked, "--pilot", f"newsvendor@{tmp_path / 'tuned.yaml'}", option, str(written)],
            catch_exceptions=False,
        )

    assert {each: (tmp_path / each).read_text() for each in files} == files


def _twice(number: float) -> float:
    return 2 * number
