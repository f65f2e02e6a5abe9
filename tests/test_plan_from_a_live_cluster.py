"""`gyropilot plan` on a cluster that lives: Kueue admits real jobs, kwok plays nodes, Prometheus scrapes all of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from gyropilot.clock import SystemClock
from gyropilot.prometheus.client import Client
from gyropilot.prometheus.demand import pods, read_demand
from gyropilot.prometheus.queries import Queries
from gyropilot.settings import PrometheusSettings
from tests.command import gyropilot
from tests.controlplane.objects import (
    GPU,
    cluster_queue,
    job,
    local_queue,
    namespace,
    node_class,
    node_pool,
    requirement,
    resource_flavor,
    unclaimed_node,
)
from tests.controlplane.plane import ControlPlane

RBAC = Path(__file__).parent.parent / "deploy" / "rbac.yaml"
SETTINGS = {"GYROPILOT_KUBERNETES__POOL_LABEL": "pool"}


@pytest.fixture(scope="module")
def live(full_plane: ControlPlane) -> ControlPlane:
    """Four nodes of eight GPUs; `busy` wants 40 GPUs on a quota of 16, `idle` wants nothing on a quota of 16."""
    plane = full_plane
    plane.apply([unclaimed_node(f"live-{n}", "live") for n in range(4)])
    plane.apply([resource_flavor("live", {"pool": "live"})])
    for name in ("busy", "idle"):
        plane.apply(
            [
                namespace(name),
                cluster_queue(name, cohort="live", quotas={"live": {"nominalQuota": "16", "borrowingLimit": "0"}}),
                local_queue(name, name),
            ]
        )
    plane.apply([job("busy", f"train-{n}", gpus=8) for n in range(5)])
    plane.wait_until(lambda: _demand(plane) == (16.0, 24.0) and _running_pods(plane) == 2.0, 120)
    plane.apply(yaml.safe_load_all(RBAC.read_text()))
    return plane


@pytest.fixture(scope="module")
def scarce(live: ControlPlane) -> ControlPlane:
    """Beside them a quota of 24 GPUs on nodes of which Karpenter may make one; of two gangs of 8, one finds no node."""
    machine = requirement("node.kubernetes.io/instance-type", "h100-8x")
    live.apply(
        [
            node_class(),
            node_pool("scarce", limits={GPU: 8}, requirements=[machine]),
            resource_flavor("scarce"),
            namespace("scarce"),
            cluster_queue("scarce", cohort="", quotas={"scarce": 24}),
            local_queue("scarce", "scarce"),
            *(job("scarce", f"gang-{n}", gpus=8) for n in range(2)),
        ]
    )
    bound = "/api/v1/namespaces/scarce/pods?fieldSelector=spec.nodeName!="
    # For long enough that no reading is left from when one of the two was admitted.
    usage = f'max(min_over_time(kueue_cluster_queue_resource_usage{{cluster_queue="scarce",resource="{GPU}"}}[20s]))'
    live.wait_until(lambda: len(live.request("GET", bound)["items"]) == 1 and _seen(live, usage) == 16.0, 60)
    return live


def _demand(plane: ControlPlane) -> tuple[float | None, ...]:
    """Running and pending GPUs of `busy`, as Kueue told Prometheus."""
    labels = f'{{cluster_queue="busy",resource="{GPU}"}}'
    return tuple(_seen(plane, f"max(kueue_cluster_queue_resource_{name}{labels})") for name in ("usage", "pending"))


def _running_pods(plane: ControlPlane) -> float | None:
    """Pods of `busy` that run, as kube-state-metrics told Prometheus, which scrapes it at another moment."""
    return _seen(plane, 'sum(kube_pod_status_phase{namespace="busy",phase="Running"})')


def _seen(plane: ControlPlane, query: str) -> float | None:
    answer = requests.post(f"{plane.url('prometheus')}/api/v1/query", data={"query": query}, timeout=10)
    result = answer.json()["data"]["result"]
    return float(result[0]["value"][1]) if result else None


@pytest.fixture(scope="module")
def plan(live: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("plan")
    account = live.kubeconfig_for_service_account("gyropilot", "gyropilot")
    where = ("--prometheus", live.url("prometheus"), "--kubeconfig", str(account))
    done = gyropilot("plan", "--format", "json", *where, folder=folder, **SETTINGS)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_demand_is_what_kueue_admitted_and_what_waits(plan: dict[str, Any]) -> None:
    queues = {q["name"]: q for q in plan["state"]["queues"]}

    assert (queues["busy"]["running_gpus"], queues["busy"]["pending_gpus"]) == (16, 24)
    assert (queues["idle"]["running_gpus"], queues["idle"]["pending_gpus"]) == (0, 0)


def test_idle_gpus_are_counted_from_the_pods_that_the_scheduler_bound(plan: dict[str, Any]) -> None:
    (pool,) = [p for p in plan["state"]["pools"] if p["name"] == "live"]

    assert (pool["nodes"], pool["gpus"], pool["idle_gpus"]) == (4, 32, 16)


def test_a_forecast_is_made_from_minutes_of_history(plan: dict[str, Any]) -> None:
    told = plan["forecast"]["busy"]
    median = told["quantiles"].index(0.5)

    assert told["values"][0][median] == pytest.approx(40, abs=8)
    assert any("demand is seen only since" in note for note in plan["state"]["notes"])


def test_quota_of_the_idle_queue_goes_to_the_busy_one_in_allowed_steps(plan: dict[str, Any]) -> None:
    moves = {a["subject"]: (a["before"], a["after"]) for a in plan["actions"] if a["dial"] == "queue-quota"}

    assert moves == {"idle": (16, 12), "busy": (16, 20)}


def test_kueue_itself_would_take_the_rehearsed_changes(plan: dict[str, Any]) -> None:
    diffs = [a["diff"] for a in plan["actions"] if a["dial"] == "queue-quota" and a["verdict"] == "approved"]

    assert len(diffs) == 2
    assert all("nominalQuota" in diff for diff in diffs)


def test_nothing_was_written(live: ControlPlane, plan: dict[str, Any]) -> None:
    ours = live.audit("system:serviceaccount:gyropilot:gyropilot")
    wrote = [e for e in ours if e.verb not in ("get", "list", "watch") and "dryRun=All" not in e.uri]

    assert len(ours) > 5
    assert wrote == []
    assert plan["actions"]


def test_demand_without_kueue_metrics_is_read_from_pods(live: ControlPlane) -> None:
    client = Client(PrometheusSettings(url=live.url("prometheus")))
    source = pods(Queries({}, "", ""))

    demand = read_demand(source, lambda promql, row: client.snapshot(promql, SystemClock().now(), row)).history

    running = dict(zip((line.queue for line in demand.lines), demand.running[:, 0].tolist(), strict=True))
    assert running["busy"] == 16


def test_a_journalled_cycle_is_reported_again(live: ControlPlane, tmp_path: Path) -> None:
    account = live.kubeconfig_for_service_account("gyropilot", "gyropilot")
    where = ("--prometheus", live.url("prometheus"), "--kubeconfig", str(account))

    once = gyropilot("once", "--format", "json", *where, folder=tmp_path, **SETTINGS)
    listed = gyropilot("history", "--format", "json", folder=tmp_path, **SETTINGS)
    again = gyropilot("report", "--format", "json", folder=tmp_path, **SETTINGS)

    assert once.returncode == 0, once.stderr
    assert [entry["mode"] for entry in json.loads(listed.stdout)] == ["rehearse"]
    assert json.loads(again.stdout)["summary"] == json.loads(once.stdout)["summary"]
    assert json.loads(again.stdout)["actions"] == json.loads(once.stdout)["actions"]


def test_acting_is_refused_by_the_delivered_policy_and_the_cluster_stays_as_it_was(
    live: ControlPlane, tmp_path: Path
) -> None:
    account = live.kubeconfig_for_service_account("gyropilot", "gyropilot")
    where = ("--prometheus", live.url("prometheus"), "--kubeconfig", str(account))

    done = gyropilot("once", "--act", "--format", "json", *where, folder=tmp_path, **SETTINGS)

    outcomes = [a["outcome"] for a in json.loads(done.stdout)["actions"] if a["verdict"] == "approved"]
    quota = live.request("GET", "/apis/kueue.x-k8s.io/v1beta2/clusterqueues/idle")["spec"]["resourceGroups"][0]
    assert any("gyropilot only rehearses here" in outcome for outcome in outcomes)
    assert quota["flavors"][0]["resources"][0]["nominalQuota"] == "16"


def test_once_told_to_act_turns_the_quotas(live: ControlPlane, tmp_path: Path) -> None:
    where = ("--prometheus", live.url("prometheus"), "--kubeconfig", str(live.kubeconfig))

    done = gyropilot("once", "--act", "--format", "json", *where, folder=tmp_path, **SETTINGS)

    assert done.returncode == 0, done.stderr
    busy = live.request("GET", "/apis/kueue.x-k8s.io/v1beta2/clusterqueues/busy")["spec"]["resourceGroups"][0]
    assert busy["flavors"][0]["resources"][0]["nominalQuota"] == "20"
    assert "2 done" in json.loads(done.stdout)["summary"]


def test_the_limit_that_keeps_admitted_work_without_a_node_is_raised_by_a_node(
    scarce: ControlPlane, tmp_path: Path
) -> None:
    where = ("--prometheus", scarce.url("prometheus"), "--kubeconfig", str(scarce.kubeconfig))

    done = gyropilot("plan", "--format", "json", *where, folder=tmp_path, **SETTINGS)

    told = json.loads(done.stdout)
    (queue,) = [q for q in told["state"]["queues"] if q["name"] == "scarce"]
    (raised,) = [a for a in told["actions"] if a["subject"] == "scarce"]
    assert (queue["running_gpus"], queue["pending_gpus"], queue["unplaced_gpus"]) == (16, 0, 8)
    assert (raised["dial"], raised["before"], raised["after"]) == ("pool-limit", 8, 16)
    assert raised["reason"].startswith("8 admitted GPUs find no node and do not fit in 0 idle and 0 coming GPUs")
