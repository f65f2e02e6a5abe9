"""The actuators beside Kueue and Karpenter at work: their webhooks have a say, and their controllers follow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from actuators import actuators, rehearsals
from actuators.apply import apply
from gyropilot.domain import Dial, OutcomeStatus
from tests.controlplane import objects
from tests.controlplane.plane import ControlPlane
from tests.fakes import GPU, action

NAMESPACE = "dials"
WORKLOADS = f"/apis/kueue.x-k8s.io/v1beta2/namespaces/{NAMESPACE}/workloads"
JOB = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/gang"


@pytest.fixture(scope="module")
def plane(full_plane: ControlPlane) -> Iterator[ControlPlane]:
    """Queue `dials` with 16 GPUs of a flavor that two fake nodes have, and 8 that it may lend."""
    lent = {"dials-h100": objects.quota(16, lending=8)}
    nodes = [objects.unclaimed_node(f"dials-{i}", "dials-h100") for i in range(2)]
    made = [
        objects.namespace(NAMESPACE),
        *nodes,
        objects.resource_flavor("dials-h100", labels={"pool": "dials-h100"}),
        objects.cluster_queue("dials", cohort="dials", quotas=lent),
        objects.local_queue(NAMESPACE, "dials"),
    ]
    full_plane.apply(made)
    yield full_plane
    full_plane.kubectl("delete", "job", "--all", "-n", NAMESPACE, "--wait=false")
    full_plane.kubectl("delete", "nodepool/dials-static", "--ignore-not-found", "--wait=false")
    full_plane.kubectl("delete", "clusterqueue/dials", "resourceflavor/dials-h100", "--wait=false")
    full_plane.kubectl("delete", "node", *(node["metadata"]["name"] for node in nodes), "--wait=false")


def comes_true(held: Callable[[], Any], seconds: float = 40) -> bool:
    """Whether it holds before the time is up: controllers follow in their own time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if held():
            return True
        time.sleep(0.2)
    return False


@pytest.mark.parametrize("dials", [actuators, rehearsals])
def test_kueue_s_webhook_refuses_a_quota_below_what_is_lent(plane: ControlPlane, dials: Callable[..., Any]) -> None:
    api = plane.api()

    outcome = apply(action(before=16, after=4, target=f"dials/dials-h100/{GPU}"), dials(api)[Dial.QUEUE_QUOTA])

    assert outcome.status is OutcomeStatus.REFUSED
    assert outcome.sentence.startswith('the API server refused: admission webhook "vclusterqueue.kb.io" denied')
    assert "lendingLimit" in outcome.sentence
    assert actuators(api)[Dial.QUEUE_QUOTA].read(f"dials/dials-h100/{GPU}") == 16


def test_kueue_takes_a_quota_and_takes_it_back(plane: ControlPlane) -> None:
    wanted = action(before=16, after=12, target=f"dials/dials-h100/{GPU}")
    dial = actuators(plane.api())[Dial.QUEUE_QUOTA]

    outcomes = [apply(each, dial) for each in (wanted, wanted.undo())]

    assert [outcome.status for outcome in outcomes] == [OutcomeStatus.DONE] * 2
    assert [outcome.diff.rsplit(": ", 1)[1] for outcome in outcomes] == ["16 → 12", "12 → 16"]


def test_kueue_suspends_the_job_of_a_paused_workload_and_starts_it_again(plane: ControlPlane) -> None:
    api = plane.api()
    plane.apply([objects.job(NAMESPACE, "gang", gpus=8)])
    assert comes_true(lambda: api.list(WORKLOADS) and not api.get(JOB)["spec"]["suspend"])
    name = api.list(WORKLOADS)[0]["metadata"]["name"]
    pause = action(Dial.WORKLOAD, 1, 0, target=f"{NAMESPACE}/{name}")
    dial = actuators(api)[Dial.WORKLOAD]

    assert apply(pause, dial).sentence == "paused"
    assert comes_true(lambda: api.get(JOB)["spec"]["suspend"])

    assert apply(pause.undo(), dial).sentence == "resumed"
    assert comes_true(lambda: not api.get(JOB)["spec"]["suspend"])
    assert [each["metadata"]["name"] for each in api.list(WORKLOADS)] == [name]


def test_karpenter_makes_the_nodes_that_a_pool_s_size_asks_for(plane: ControlPlane) -> None:
    api = plane.api()
    machine = objects.requirement("node.kubernetes.io/instance-type", "l4-4x")
    plane.apply([objects.node_class(), objects.node_pool("dials-static", 0, requirements=[machine])])

    grow = action(Dial.POOL_SIZE, 0, 1, target="nodepools.karpenter.sh/dials-static")
    dial = actuators(api)[Dial.POOL_SIZE]

    assert apply(grow, dial).diff == "spec.replicas: 0 → 1"
    assert comes_true(lambda: nodes_of(plane, "dials-static") and registered(plane))

    assert apply(grow.undo(), dial).diff == "spec.replicas: 1 → 0"
    assert comes_true(lambda: not nodes_of(plane, "dials-static"))


def nodes_of(plane: ControlPlane, pool: str) -> list[dict[str, Any]]:
    return plane.api().list("/api/v1/nodes", labelSelector=f"karpenter.sh/nodepool={pool}")


def registered(plane: ControlPlane) -> bool:
    """Whether Karpenter knows its node as its own: one that it gives up before then stays behind."""
    claims = plane.api().list("/apis/karpenter.sh/v1/nodeclaims")
    conditions = (each for claim in claims for each in claim.get("status", {}).get("conditions", ()))
    return any((each["type"], each["status"]) == ("Registered", "True") for each in conditions)
