"""deploy/rbac.yaml on a real API server: enough to see and to turn, and not a right more."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from actuators import actuators, rehearsals
from actuators.apply import apply
from gyropilot.domain import Dial, OutcomeStatus
from gyropilot.errors import KubernetesError
from gyropilot.kubernetes.access import acting_needs, asked_as, check_access, observing_needs
from gyropilot.kubernetes.api import JSON_PATCH, Api
from gyropilot.settings import Settings
from tests.controlplane import objects
from tests.controlplane.plane import ControlPlane
from tests.fakes import GPU, action

MANIFEST = Path(__file__).parents[2] / "deploy" / "rbac.yaml"
DOCUMENTS: list[dict[str, Any]] = list(yaml.safe_load_all(MANIFEST.read_text()))
QUEUE = "/apis/kueue.x-k8s.io/v1beta2/clusterqueues/guarded"
QUOTA = f"guarded/h100/{GPU}"
SAME = [{"op": "replace", "path": "/spec/resourceGroups/0/flavors/0/resources/0/nominalQuota", "value": "16"}]


def role(name: str) -> list[dict[str, Any]]:
    found = (each for each in DOCUMENTS if each["kind"] == "ClusterRole" and each["metadata"]["name"] == name)
    rules: list[dict[str, Any]] = next(found)["rules"]
    return rules


def granted(name: str) -> set[tuple[str, str, str]]:
    """(verb, group, resource) of a role."""
    return {
        (v, g, r) for each in role(name) for v in each["verbs"] for g in each["apiGroups"] for r in each["resources"]
    }


@pytest.fixture(scope="module")
def as_gyropilot(control_plane: ControlPlane) -> Iterator[Api]:
    """The door as the account that the manifest makes, once the policy that holds it to rehearsals is in force."""
    control_plane.apply(DOCUMENTS)
    api = control_plane.api(control_plane.kubeconfig_for_service_account("gyropilot", "gyropilot"))
    control_plane.apply([objects.cluster_queue("guarded")])
    _wait(lambda: _policy_is_in_force(api))
    yield api
    control_plane.kubectl("delete", "--ignore-not-found", "-f", str(MANIFEST), "--wait=false")


def _policy_is_in_force(api: Api) -> bool:
    try:
        api.patch(QUEUE, SAME, JSON_PATCH)
    except KubernetesError as problem:
        return "only rehearses here" in problem.said
    return False


def _wait(held: Any) -> None:
    """The API server learns of roles and policies a moment after they are stored."""
    until = time.monotonic() + 30
    while not held():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_the_observing_role_reads_only() -> None:
    assert {verb for verb, _, _ in granted("gyropilot-observe")} == {"get", "list", "watch"}


def test_the_turning_role_patches_only_dials() -> None:
    assert granted("gyropilot-turn") == {
        ("patch", "kueue.x-k8s.io", "clusterqueues"),
        ("patch", "kueue.x-k8s.io", "workloads"),
        ("patch", "karpenter.sh", "nodepools"),
        ("patch", "karpenter.sh", "nodepools/scale"),
    }


@pytest.mark.parametrize("name", ["gyropilot-observe", "gyropilot-turn"])
def test_no_role_has_a_wildcard(name: str) -> None:
    assert not [right for right in granted(name) if "*" in right]


def test_every_right_that_is_granted_is_needed() -> None:
    needs = [*observing_needs(Settings()), *acting_needs(Settings())]
    needed = {(n.verb, n.group, f"{n.resource}/{n.subresource}".rstrip("/")) for n in needs}

    assert granted("gyropilot-observe") | granted("gyropilot-turn") == needed


def test_the_api_server_allows_all_that_is_needed(as_gyropilot: Api) -> None:
    needs = [*observing_needs(Settings()), *acting_needs(Settings())]

    assert [str(need) for need, allowed in check_access(as_gyropilot, needs) if not allowed] == []


@pytest.mark.parametrize(
    ("verb", "group", "resource"),
    [
        ("get", "", "secrets"),
        ("create", "", "pods"),
        ("delete", "", "pods"),
        ("patch", "", "nodes"),
        ("delete", "kueue.x-k8s.io", "clusterqueues"),
        ("update", "kueue.x-k8s.io", "clusterqueues"),
        ("create", "karpenter.sh", "nodepools"),
        ("delete", "karpenter.sh", "nodeclaims"),
    ],
)
def test_the_api_server_allows_nothing_else(as_gyropilot: Api, verb: str, group: str, resource: str) -> None:
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    spec = {"resourceAttributes": {"verb": verb, "group": group, "resource": resource}}

    answer = as_gyropilot.review("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {**review, "spec": spec})

    assert answer["status"]["allowed"] is False


def test_as_delivered_it_can_rehearse(as_gyropilot: Api) -> None:
    outcome = apply(action(target=QUOTA), rehearsals(as_gyropilot)[Dial.QUEUE_QUOTA])

    assert (outcome.status, outcome.sentence) == (OutcomeStatus.REHEARSED, "the API server would take it")


def test_as_delivered_it_can_ask_who_it_is(as_gyropilot: Api) -> None:
    assert asked_as(as_gyropilot) == "system:serviceaccount:gyropilot:gyropilot"


def test_as_delivered_it_cannot_act(as_gyropilot: Api) -> None:
    outcome = apply(action(target=QUOTA), actuators(as_gyropilot)[Dial.QUEUE_QUOTA])

    assert outcome.status is OutcomeStatus.REFUSED
    assert outcome.sentence.startswith("the API server refused: ")
    assert "gyropilot only rehearses here; delete the policy binding gyropilot-rehearses" in outcome.sentence


def test_it_acts_once_the_policy_is_unbound(control_plane: ControlPlane, as_gyropilot: Api) -> None:
    binding = next(each for each in DOCUMENTS if each["kind"] == "ValidatingAdmissionPolicyBinding")
    control_plane.delete(binding)
    _wait(lambda: not _policy_is_in_force(as_gyropilot))
    try:
        done = apply(action(target=QUOTA), actuators(as_gyropilot)[Dial.QUEUE_QUOTA])
        undone = apply(action(target=QUOTA).undo(), actuators(as_gyropilot)[Dial.QUEUE_QUOTA])
    finally:
        control_plane.apply([binding])
        _wait(lambda: _policy_is_in_force(as_gyropilot))

    assert [done.status, undone.status] == [OutcomeStatus.DONE] * 2


def test_one_that_may_only_look_is_told_which_rule_is_missing(control_plane: ControlPlane) -> None:
    control_plane.apply([objects.cluster_queue("looked-at")])
    looker = control_plane.api(control_plane.kubeconfig_for("looker"))
    control_plane.grant("looker", role("gyropilot-observe"))

    outcome = apply(action(target=f"looked-at/h100/{GPU}"), rehearsals(looker)[Dial.QUEUE_QUOTA])

    assert outcome.status is OutcomeStatus.REFUSED
    assert outcome.sentence == (
        "not allowed; add to the ClusterRole: "
        '{apiGroups: ["kueue.x-k8s.io"], resources: ["clusterqueues"], verbs: ["patch"]}'
    )


def test_a_stranger_is_told_which_rule_is_missing_to_read(control_plane: ControlPlane) -> None:
    stranger = control_plane.api(control_plane.kubeconfig_for("passer-by"))

    outcome = apply(action(target=QUOTA), rehearsals(stranger)[Dial.QUEUE_QUOTA])

    assert outcome.sentence.endswith('{apiGroups: ["kueue.x-k8s.io"], resources: ["clusterqueues"], verbs: ["get"]}')
