"""`gyropilot simulate` on a cluster that loses nodes, as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from typer.testing import CliRunner

from gyropilot.cli import app

CLUSTER = """
flavors:
  spot: {nodes: 2, max_nodes: 2, gpus_per_node: 8, market: spot, lead_s: 600, notice_s: 120, interruptions: losses.csv}
  own: {nodes: 1, min_nodes: 1, max_nodes: 1, gpus_per_node: 8, market: reserved, mean_time_between_failures_h: 2,
        repair_h: 1}
queues:
  a: {shares: {spot: {nominal: 16}, own: {nominal: 8}}}
"""

JOBS = """job_id,queue,submit_s,duration_s,gpus,checkpoint_s
gang,a,0,20000,16,1800
small,a,0,20000,8,1800
"""


def simulated(folder: Path, *options: str) -> dict[str, object]:
    (folder / "cluster.yaml").write_text(CLUSTER)
    (folder / "losses.csv").write_text("t_s,nodes\n6000,1\n")
    (folder / "jobs.csv").write_text(JOBS)
    files = ["--jobs", str(folder / "jobs.csv"), "--scenario", str(folder / "cluster.yaml")]
    done = CliRunner().invoke(app, ["simulate", *files, "--format", "json", *options], catch_exceptions=False)
    assert done.exit_code == 0
    (told,) = json.loads(done.stdout)["pilots"]
    assert isinstance(told, dict)
    return told


def test_what_a_recording_takes_is_told_apart_from_what_fails(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"

    told = simulated(tmp_path, "--pilot", "reactive", "--jobs-out", str(out))

    losses, jobs = told["losses"], pd.read_csv(out).set_index("job_id")
    assert isinstance(losses, dict)
    # The gang was told two minutes before: it lost its restart alone, five minutes of 16 GPUs.
    assert losses["interruptions"]["nodes"] == 1
    assert losses["interruptions"]["jobs_stopped"] == 1
    assert losses["interruptions"]["lost_gpu_hours"] == 16 * 300 / 3_600
    assert losses["failures"]["nodes"] > 0
    assert jobs.loc["gang", ["interruptions", "failures"]].tolist() == [1, 0]
    assert jobs.loc["small", "failures"] == losses["failures"]["jobs_stopped"] > 0
    lost = sum(each["lost_gpu_hours"] for each in losses.values())
    assert told["lost_gpu_hours"] == lost


def test_the_same_seed_tells_the_same(tmp_path: Path) -> None:
    first = simulated(tmp_path, "--pilot", "hold", "--seed", "5")

    assert simulated(tmp_path, "--pilot", "hold", "--seed", "5") == first
    assert simulated(tmp_path, "--pilot", "hold", "--seed", "6") != first
