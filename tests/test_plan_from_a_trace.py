"""`gyropilot plan` on a real Prometheus that holds a public trace and a real API server with its queues and nodes."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.command import gyropilot
from tests.controlplane.plane import ControlPlane
from tests.controlplane.site import missing
from tests.servers import PrometheusServer, openmetrics
from tests.trace_world import Trace, as_kueue_metrics, as_objects, helios_earth

RBAC = Path(__file__).parent.parent / "deploy" / "rbac.yaml"
AHEAD_S = 40 * 60  # of the trace lies after now: what the forecast must foresee


@dataclass(frozen=True)
class Earth:
    """The cluster, and what `plan` said of it."""

    trace: Trace
    ends_s: int
    plane: ControlPlane
    kubeconfig: Path
    prometheus: PrometheusServer

    def command(self, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs as a user would, with the service account and roles that are delivered."""
        where = ("--prometheus", self.prometheus.url, "--kubeconfig", str(self.kubeconfig))
        return gyropilot(*args, *where, folder=self.kubeconfig.parent, **environment)


@pytest.fixture(scope="module")
def earth(
    tmp_path_factory: pytest.TempPathFactory, start_prometheus: Callable[..., PrometheusServer]
) -> Iterator[Earth]:
    trace = helios_earth()
    if why := missing("manifests", "kwok", "kwok-stages.yaml"):
        pytest.skip(why)
    ends_s = int(time.time()) // 60 * 60 + AHEAD_S
    prometheus = start_prometheus(openmetrics(as_kueue_metrics(trace, ends_s)))
    plane = ControlPlane.started(tmp_path_factory.mktemp("earth"), ("kwok",))
    try:
        plane.install_crds("kueue", "karpenter")
        plane.apply(as_objects(trace))
        plane.apply(yaml.safe_load_all(RBAC.read_text()))
        account = plane.kubeconfig_for_service_account("gyropilot", "gyropilot")
        yield Earth(trace, ends_s, plane, account, prometheus)
    finally:
        plane.stop()


@pytest.fixture(scope="module")
def plan(earth: Earth) -> dict[str, Any]:
    done = earth.command("plan", "--format", "json")
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_the_plan_is_one_json_object_with_every_key(plan: dict[str, Any]) -> None:
    assert {"decided_at", "state", "forecast", "actions", "summary"} <= set(plan)
    assert {"queues", "pools"} <= set(plan["state"])


def test_pools_and_queues_are_what_the_api_server_holds(earth: Earth, plan: dict[str, Any]) -> None:
    (pool,) = plan["state"]["pools"]

    assert (pool["name"], pool["nodes"], pool["gpus"]) == ("a100", earth.trace.nodes, sum(earth.trace.capacity))
    assert {q["name"]: q["nominal_gpus"] for q in plan["state"]["queues"]} == dict(
        zip(earth.trace.queues, earth.trace.capacity, strict=True)
    )


def test_every_queue_has_a_forecast_of_ascending_quantiles(earth: Earth, plan: dict[str, Any]) -> None:
    assert set(plan["forecast"]) == set(earth.trace.queues)
    for told in plan["forecast"].values():
        values = np.array(told["values"])
        assert values.shape == (len(told["horizons_s"]), len(told["quantiles"]))
        assert np.isfinite(values).all()
        assert (values >= 0).all()
        assert (np.diff(values, axis=1) >= 0).all()


def test_forecasts_begin_at_what_is_seen_and_foresee_what_follows(earth: Earth, plan: dict[str, Any]) -> None:
    minutes = earth.trace.running.shape[1]
    decided_s = np.datetime64(plan["decided_at"].removesuffix("Z").split("+")[0]).astype("datetime64[s]").astype(int)
    now = minutes - 1 - (earth.ends_s - int(decided_s)) // 60
    told = [plan["forecast"][queue] for queue in earth.trace.queues]
    horizon, low, mid, high = 30, *(told[0]["quantiles"].index(q) for q in (0.1, 0.5, 0.9))
    row = told[0]["horizons_s"].index(horizon * 60)
    ahead = earth.trace.demand[:, now + horizon - 5 : now + horizon].mean(axis=1)
    nearest = np.array([t["values"][0][mid] for t in told])

    relative_error = np.abs(nearest - earth.trace.demand[:, now]).sum() / earth.trace.demand[:, now].sum()
    inside = [
        t["values"][row][low] - 0.5 <= y <= t["values"][row][high] + 0.5 for t, y in zip(told, ahead, strict=True)
    ]

    assert relative_error < 0.05
    assert sum(inside) >= 10  # of 16; 80 % are promised over many origins, this is one


def test_quota_moves_from_queues_that_idle_to_queues_that_wait_and_the_cohort_keeps_its_total(
    plan: dict[str, Any],
) -> None:
    moves = [a for a in plan["actions"] if a["dial"] == "queue-quota" and a["verdict"] == "approved"]

    assert moves
    assert sum(a["after"] - a["before"] for a in moves) == 0
    assert all(f"{a['before']} → {a['after']}" in a["diff"] and "nominalQuota" in a["diff"] for a in moves)


def test_each_action_says_why_and_what_is_expected(plan: dict[str, Any]) -> None:
    assert plan["actions"]
    for action in plan["actions"]:
        assert action["reason"]
        assert {"usd", "waiting_gpu_hours", "kwh", "kg_co2"} <= set(action["expected"])
        assert action["verdict"] == ("held back" if action["objections"] else "approved")


def test_nothing_is_turned(earth: Earth, plan: dict[str, Any]) -> None:
    queues = earth.plane.request("GET", "/apis/kueue.x-k8s.io/v1beta2/clusterqueues")["items"]
    quotas = {
        q["metadata"]["name"]: int(q["spec"]["resourceGroups"][0]["flavors"][0]["resources"][0]["nominalQuota"])
        for q in queues
    }

    assert quotas == dict(zip(earth.trace.queues, earth.trace.capacity, strict=True))
    assert plan["actions"]


def test_every_request_was_a_read_a_review_or_a_dry_run(earth: Earth, plan: dict[str, Any]) -> None:
    ours = earth.plane.audit("system:serviceaccount:gyropilot:gyropilot")

    rehearsed = [event for event in ours if event.verb == "patch"]
    other = [
        event
        for event in ours
        if event.verb not in ("get", "list", "watch")
        and not (event.verb == "create" and "/selfsubjectaccessreviews" in event.uri)
        and "dryRun=All" not in event.uri
    ]

    assert len(rehearsed) == len([a for a in plan["actions"] if a["verdict"] == "approved"])
    assert other == []


def test_the_report_is_one_small_file_that_names_every_queue(earth: Earth, tmp_path: Path) -> None:
    page = tmp_path / "report.html"

    quick = {"GYROPILOT_FORECAST__MODEL": "naive"}
    done = earth.command("plan", "--format", "html", "--out", str(page), **quick)

    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert len(text.encode()) < 1_500_000
    assert [queue for queue in earth.trace.queues if queue not in text] == []


def test_the_preflight_finds_what_the_plan_needs(earth: Earth) -> None:
    done = earth.command("check", "--format", "json")

    found = {f["name"]: f["found"] for f in json.loads(done.stdout)}
    assert done.returncode == 0, done.stderr
    assert found["kueue_cluster_queue_resource_usage"]
    assert found["clusterqueues.kueue.x-k8s.io"]
    assert found["patch clusterqueues.kueue.x-k8s.io"]
