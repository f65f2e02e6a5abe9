"""`gyropilot simulate` with services, as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from gyropilot.cli import app
from gyropilot.errors import SettingsError

SCENARIO = """
flavors:
  owned: 4
  bought: {nodes: 0, max_nodes: 4, gpus_per_node: 2, lead_s: 600}
queues:
  production: {shares: {owned: {nominal: 4}, bought: {nominal: 8}}}
  research: {shares: {owned: {nominal: 4}, bought: {nominal: 8}}}
services:
  - name: chat
    queue: production
    load: {file: load.csv}
    capacity_per_s: 2
    concurrency: 4
    target_s: 10
    max_replicas: 8
"""
LOAD = "t_s,requests\n0,7200\n3600,36000\n7200,7200\n"
"""Two a second, then ten for an hour: two replicas, then eight."""

JOBS = "job_id,queue,submit_s,duration_s,gpus\na,research,0,1800,2\n"


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    path = tmp_path / "cluster.yaml"
    path.write_text(SCENARIO)
    (tmp_path / "load.csv").write_text(LOAD)
    return path


def simulated(*options: object) -> dict[str, Any]:
    answer = CliRunner().invoke(app, ["simulate", *map(str, options), "--format", "json"], catch_exceptions=False)
    told: dict[str, Any] = json.loads(answer.stdout)
    return told


def test_services_alone_are_simulated(cluster: Path) -> None:
    (chat,) = simulated("--scenario", cluster)["services"]

    assert chat["asked"] == 50_400
    assert (chat["replicas_wanted_peak"], chat["replicas_answering_peak"]) == (8, 4)
    assert chat["most_waiting"] == pytest.approx(2 * 3_600, rel=0.01)
    assert chat["share_within_target"] < chat["target_share"]


def test_pilots_that_buy_nodes_answer_more(cluster: Path) -> None:
    hold, reactive = simulated("--scenario", cluster, "--pilot", "hold,reactive")["pilots"]

    (held,), (bought,) = hold["services"], reactive["services"]
    assert held["replicas_answering_peak"] == 4
    assert bought["replicas_answering_peak"] == 8
    assert bought["share_within_target"] > held["share_within_target"] + 0.1


def test_replicas_are_written_down_among_other_jobs(cluster: Path) -> None:
    jobs, out = cluster.with_name("jobs.csv"), cluster.with_name("runs.parquet")
    jobs.write_text(JOBS)

    simulated("--scenario", cluster, "--jobs", jobs, "--jobs-out", out)

    runs = pd.read_parquet(out).set_index("job_id")
    assert runs.index.tolist()[:3] == ["a", "chat/1", "chat/2"]
    assert runs.loc["chat/1", ["queue", "gpus", "start_s"]].tolist() == ["production", 1, 0.0]
    assert len(runs) == 9


def test_the_same_load_and_seed_are_the_same_world(cluster: Path) -> None:
    assert simulated("--scenario", cluster, "--pilot", "reactive") == simulated(
        "--scenario", cluster, "--pilot", "reactive"
    )


def test_validate_counts_services_and_reads_their_loads(cluster: Path) -> None:
    told = CliRunner().invoke(app, ["scenario", "validate", str(cluster)], catch_exceptions=False)
    cluster.with_name("load.csv").write_text("t_s,requests\n0,1\n60,1\n180,1\n")

    assert told.stdout == f"{cluster} is a scenario: 2 flavors, 4 GPUs, 2 queues, 1 service\n"
    with pytest.raises(SettingsError, match="fill the gap"):
        CliRunner().invoke(app, ["scenario", "validate", str(cluster)], catch_exceptions=False)


def test_a_plain_cluster_needs_jobs() -> None:
    with pytest.raises(SettingsError, match="--fixed-nodes needs --jobs FILE"):
        CliRunner().invoke(app, ["simulate", "--fixed-nodes", "2"], catch_exceptions=False)
