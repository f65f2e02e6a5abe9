"""The actuators on a real API server, with the real kinds of Kueue, Karpenter and Kubernetes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from actuators import actuators, rehearsals
from actuators.apply import apply, apply_all
from actuators.protocol import Actuator
from gyropilot.domain import Action, Dial, OutcomeStatus
from gyropilot.errors import ConflictError, KubernetesError
from gyropilot.kubernetes.api import JSON_PATCH, Api
from tests.controlplane import objects
from tests.controlplane.plane import ControlPlane
from tests.fakes import GPU, action

Object = dict[str, Any]
STAMP = objects.STAMP


def own_queue(plane: ControlPlane, name: str, **changes: Any) -> str:
    """A ClusterQueue of a test's own with 16 GPUs; answers with its path."""
    wanted = objects.cluster_queue(name, **changes)
    plane.apply([wanted])
    return plane.path_of(wanted)


def own_pool(plane: ControlPlane, name: str, replicas: int | None = None, limit: int | None = None) -> str:
    wanted = objects.node_pool(name, replicas, None if limit is None else {GPU: limit})
    plane.apply([wanted])
    return plane.path_of(wanted)


def deployment(name: str, replicas: int) -> Object:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "busybox"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
    }


def quota(queue: str, before: int = 16, after: int = 12) -> Action:
    return action(before=before, after=after, target=f"{queue}/h100/{GPU}", subject=queue)


def size(target: str, before: int, after: int) -> Action:
    return action(Dial.POOL_SIZE, before, after, target=target)


def nominal(seen: Object) -> str:
    return str(seen["spec"]["resourceGroups"][0]["flavors"][0]["resources"][0]["nominalQuota"])


@dataclass(frozen=True, slots=True)
class Overtaken(Api):
    """A door through which someone else always gets in just before a write of ours."""

    someone: Callable[[], object] = lambda: None

    def patch(self, path: str, body: Object | Sequence[Object], content_type: str) -> Object:
        self.someone()
        return Api.patch(self, path, body, content_type)


def overtaken(api: Api, someone: Callable[[], object]) -> Mapping[Dial, Actuator]:
    return actuators(Overtaken(api.client, api.timeout_s, api.page_size, someone=someone))


def replacing(api: Api, path: str, pointer: str, value: object) -> Callable[[], object]:
    return lambda: api.patch(path, [{"op": "replace", "path": pointer, "value": value}], JSON_PATCH)


QUOTA_POINTER = "/spec/resourceGroups/0/flavors/0/resources/0/nominalQuota"


def test_turns_a_quota_and_puts_it_back(control_plane: ControlPlane) -> None:
    path, api = own_queue(control_plane, "turned"), control_plane.api()
    before = api.get(path)["spec"]

    done = apply(quota("turned"), actuators(api)[Dial.QUEUE_QUOTA])
    lowered = nominal(api.get(path))
    undone = apply(quota("turned").undo(), actuators(api)[Dial.QUEUE_QUOTA])

    assert (done.status, done.sentence) == (OutcomeStatus.DONE, "turned from 16 to 12")
    assert done.diff == f"spec.resourceGroups[0].flavors[h100].resources[{GPU}].nominalQuota: 16 → 12"
    assert (lowered, undone.status) == ("12", OutcomeStatus.DONE)
    assert api.get(path)["spec"] == before


def test_changes_one_quota_of_six_and_nothing_else(control_plane: ControlPlane) -> None:
    cells = {f: {"nominalQuota": str(i), "borrowingLimit": "3"} for i, f in enumerate(("a100", "h100", "h200"), 5)}
    wide = objects.cluster_queue("wide", quotas=cells)
    cpus = objects.cluster_queue("wide", quotas={"c1": 100, "c2": 200, "c3": 300}, resource="cpu")
    wide["spec"]["resourceGroups"] += cpus["spec"]["resourceGroups"]
    control_plane.apply([wide])
    path, api = control_plane.path_of(wide), control_plane.api()
    expected = api.get(path)["spec"]
    expected["resourceGroups"][1]["flavors"][2]["resources"][0]["nominalQuota"] = "250"

    outcome = apply(action(before=300, after=250, target="wide/c3/cpu"), actuators(api)[Dial.QUEUE_QUOTA])

    assert outcome.diff == "spec.resourceGroups[1].flavors[c3].resources[cpu].nominalQuota: 300 → 250"
    assert api.get(path)["spec"] == expected


def test_a_quota_moved_while_it_is_turned_is_left_as_the_other_wants_it(control_plane: ControlPlane) -> None:
    path, api = own_queue(control_plane, "contested"), control_plane.api()

    outcome = apply(quota("contested"), overtaken(api, replacing(api, path, QUOTA_POINTER, "14"))[Dial.QUEUE_QUOTA])

    assert outcome.status is OutcomeStatus.LEFT_ALONE
    assert "nominalQuota moved from 16 to 14 just before it was turned; left alone" in outcome.sentence
    assert nominal(api.get(path)) == "14"


def test_a_pool_sized_while_it_is_turned_is_left_as_the_other_wants_it(control_plane: ControlPlane) -> None:
    path, api = own_pool(control_plane, "contested", replicas=4), control_plane.api()
    dials = overtaken(api, replacing(api, path, "/spec/replicas", 7))

    outcome = apply(size("nodepools.karpenter.sh/contested", 4, 5), dials[Dial.POOL_SIZE])

    assert outcome.sentence == "spec.replicas moved from 4 to 7 just before it was turned; left alone"
    assert api.get(path)["spec"]["replicas"] == 7


def test_an_empty_pool_that_someone_else_grew_meanwhile_is_left_alone(control_plane: ControlPlane) -> None:
    path, api = own_pool(control_plane, "emptied", replicas=0), control_plane.api()
    dials = overtaken(api, replacing(api, path, "/spec/replicas", 7))

    with pytest.raises(ConflictError):
        dials[Dial.POOL_SIZE].turn("nodepools.karpenter.sh/emptied", 0, 2)

    assert api.get(path)["spec"]["replicas"] == 7


def test_an_empty_pool_is_grown_though_its_status_moves_meanwhile(control_plane: ControlPlane) -> None:
    path, api = own_pool(control_plane, "emptied-busy", replicas=0), control_plane.api()
    status = [{"op": "add", "path": "/status", "value": {"nodes": 1}}]
    dials = overtaken(api, lambda: api.patch(f"{path}/status", status, JSON_PATCH))

    outcome = apply(size("nodepools.karpenter.sh/emptied-busy", 0, 2), dials[Dial.POOL_SIZE])

    assert (outcome.status, api.get(path)["spec"]["replicas"]) == (OutcomeStatus.DONE, 2)


@pytest.mark.parametrize("kind", ["spec", "status"])
def test_what_does_not_matter_may_move_meanwhile(control_plane: ControlPlane, kind: str) -> None:
    path, api = own_queue(control_plane, f"busy-{kind}"), control_plane.api()
    places = {"spec": (path, "/spec/queueingStrategy", "StrictFIFO"), "status": (f"{path}/status", "/status", {})}
    where, pointer, value = places[kind]
    someone = lambda: api.patch(where, [{"op": "add", "path": pointer, "value": value}], JSON_PATCH)  # noqa: E731

    outcome = apply(quota(f"busy-{kind}"), overtaken(api, someone)[Dial.QUEUE_QUOTA])

    assert outcome.status is OutcomeStatus.DONE


def test_sizes_a_static_pool_down_to_nothing_and_up_again(control_plane: ControlPlane) -> None:
    path, api = own_pool(control_plane, "sized", replicas=2), control_plane.api()
    target, dial = "nodepools.karpenter.sh/sized", actuators(api)[Dial.POOL_SIZE]

    outcomes = [apply(size(target, b, a), dial) for b, a in ((2, 0), (0, 3))]

    assert [outcome.diff for outcome in outcomes] == ["spec.replicas: 2 → 0", "spec.replicas: 0 → 3"]
    assert api.get(path)["spec"]["replicas"] == 3


def test_sizes_a_deployment(control_plane: ControlPlane) -> None:
    control_plane.apply([deployment("served", 2)])
    api = control_plane.api()

    outcome = apply(size("deployments.apps/default/served", 2, 3), actuators(api)[Dial.POOL_SIZE])

    assert outcome.status is OutcomeStatus.DONE
    assert api.get("/apis/apps/v1/namespaces/default/deployments/served")["spec"]["replicas"] == 3


def test_sizes_a_machine_deployment_of_cluster_api(control_plane: ControlPlane) -> None:
    control_plane.install_crds("cluster-api")
    reference = {"apiGroup": "infrastructure.example.com", "kind": "Machine", "name": "gpu"}
    machines = {
        "apiVersion": "cluster.x-k8s.io/v1beta2",
        "kind": "MachineDeployment",
        "metadata": {"name": "gpu", "namespace": "default"},
        "spec": {
            "clusterName": "c",
            "replicas": 3,
            "selector": {"matchLabels": {"pool": "gpu"}},
            "template": {
                "metadata": {"labels": {"pool": "gpu"}},
                "spec": {
                    "clusterName": "c",
                    "bootstrap": {"dataSecretName": "none"},
                    "infrastructureRef": reference,
                },
            },
        },
    }
    control_plane.apply([machines])
    api = control_plane.api()

    outcome = apply(size("machinedeployments.cluster.x-k8s.io/default/gpu", 3, 4), actuators(api)[Dial.POOL_SIZE])

    assert (outcome.status, outcome.diff) == (OutcomeStatus.DONE, "spec.replicas: 3 → 4")
    assert api.get(control_plane.path_of(machines))["spec"]["replicas"] == 4


def test_leaves_a_dynamic_pool_to_karpenter(control_plane: ControlPlane) -> None:
    path, api = own_pool(control_plane, "dynamic", limit=64), control_plane.api()

    outcome = apply(size("nodepools.karpenter.sh/dynamic", 4, 5), actuators(api)[Dial.POOL_SIZE])

    assert outcome.status is OutcomeStatus.LEFT_ALONE
    assert outcome.sentence.startswith("pool dynamic is dynamic: Karpenter sizes it")
    assert "replicas" not in api.get(path)["spec"]


def test_turns_the_limit_of_a_dynamic_pool(control_plane: ControlPlane) -> None:
    path, api = own_pool(control_plane, "limited", limit=64), control_plane.api()
    wanted = action(Dial.POOL_LIMIT, 64, 72, target=f"nodepools.karpenter.sh/limited/{GPU}")

    outcome = apply(wanted, actuators(api)[Dial.POOL_LIMIT])

    assert (outcome.status, outcome.diff) == (OutcomeStatus.DONE, f"spec.limits[{GPU}]: 64 → 72")
    assert api.get(path)["spec"]["limits"] == {GPU: "72"}


def test_pauses_a_workload_and_resumes_it(control_plane: ControlPlane) -> None:
    gang = objects.workload("default", "gang", admitted=STAMP)
    control_plane.apply([gang])
    api, path = control_plane.api(), control_plane.path_of(gang)
    pause = action(Dial.WORKLOAD, 1, 0, target="default/gang")

    paused = apply(pause, actuators(api)[Dial.WORKLOAD])
    active = api.get(path)["spec"]["active"]
    resumed = apply(pause.undo(), actuators(api)[Dial.WORKLOAD])

    assert (paused.sentence, paused.diff, active) == ("paused", "spec.active: true → false", False)
    assert (resumed.sentence, api.get(path)["spec"]["active"]) == ("resumed", True)


def test_pauses_a_workload_that_does_not_say_it_is_active(control_plane: ControlPlane) -> None:
    silent = objects.workload("default", "silent", admitted=STAMP)
    del silent["spec"]["active"]
    control_plane.apply([silent])
    api = control_plane.api()

    outcome = apply(action(Dial.WORKLOAD, 1, 0, target="default/silent"), actuators(api)[Dial.WORKLOAD])

    assert (outcome.sentence, api.get(control_plane.path_of(silent))["spec"]["active"]) == ("paused", False)


@pytest.mark.parametrize(
    ("name", "changes", "why"),
    [
        ("over", {"admitted": STAMP, "finished": True}, "is finished"),
        ("waits", {}, "is not admitted"),
        ("bare", {"admitted": STAMP, "owner": ("Pod", "v1")}, "pausing a Pod would delete its pods"),
        ("kept", {"admitted": STAMP, "annotations": {"gyropilot.io/protected": "thesis"}}, "is protected"),
    ],
)
def test_leaves_workloads_alone(control_plane: ControlPlane, name: str, changes: Object, why: str) -> None:
    control_plane.apply([objects.workload("default", name, **changes)])
    wanted = action(Dial.WORKLOAD, 1, 0, target=f"default/{name}")

    outcome = apply(wanted, actuators(control_plane.api())[Dial.WORKLOAD])

    assert outcome.status is OutcomeStatus.LEFT_ALONE
    assert why in outcome.sentence


def test_a_queue_that_is_gone_is_left_alone(control_plane: ControlPlane) -> None:
    outcome = apply(quota("gone"), actuators(control_plane.api())[Dial.QUEUE_QUOTA])

    assert outcome.status is OutcomeStatus.LEFT_ALONE
    assert outcome.sentence == 'clusterqueues.kueue.x-k8s.io "gone" not found; left alone'


def test_says_the_api_server_s_own_sentence_when_it_refuses_a_value(control_plane: ControlPlane) -> None:
    path, api = own_pool(control_plane, "too-large", replicas=2), control_plane.api()

    outcome = apply(size("nodepools.karpenter.sh/too-large", 2, 3_000_000_000), actuators(api)[Dial.POOL_SIZE])

    assert outcome.status is OutcomeStatus.REFUSED
    assert outcome.sentence.startswith("the API server refused: ")
    assert api.get(path)["spec"]["replicas"] == 2


def every_dial(plane: ControlPlane, name: str) -> tuple[list[Action], list[str]]:
    """An action for each kind of dial, on objects of their own; and these objects' paths."""
    gang = objects.workload("default", name, admitted=STAMP)
    plane.apply([gang])
    paths = [
        own_queue(plane, name),
        own_pool(plane, f"{name}-static", replicas=4),
        own_pool(plane, f"{name}-dynamic", limit=64),
        plane.path_of(gang),
    ]
    actions = [
        quota(name),
        size(f"nodepools.karpenter.sh/{name}-static", 4, 5),
        action(Dial.POOL_LIMIT, 64, 72, target=f"nodepools.karpenter.sh/{name}-dynamic/{GPU}"),
        action(Dial.WORKLOAD, 1, 0, target=f"default/{name}"),
    ]
    return actions, paths


def test_a_rehearsal_leaves_every_object_as_it_was_to_the_byte(control_plane: ControlPlane) -> None:
    actions, paths = every_dial(control_plane, "rehearsed")
    api = control_plane.api()
    before = [api.get(path) for path in paths]
    seen = len(control_plane.audit("admin"))

    outcomes = apply_all(actions, rehearsals(api))

    assert [outcome.status for outcome in outcomes] == [OutcomeStatus.REHEARSED] * 4
    assert [outcome.diff.rsplit(": ", 1)[1] for outcome in outcomes] == ["16 → 12", "4 → 5", "64 → 72", "true → false"]
    assert [api.get(path) for path in paths] == before
    asked = control_plane.audit("admin")[seen:]
    assert all(event.reads for event in asked)
    assert sum(event.verb == "patch" and "dryRun=All" in event.uri for event in asked) == 4


def test_turning_every_dial_writes_four_times_and_no_more(control_plane: ControlPlane) -> None:
    actions, _ = every_dial(control_plane, "written")
    api = control_plane.api()
    seen = len(control_plane.audit("admin"))

    outcomes = apply_all(actions, actuators(api))

    assert [outcome.status for outcome in outcomes] == [OutcomeStatus.DONE] * 4
    written = [event for event in control_plane.audit("admin")[seen:] if not event.reads]
    assert [event.verb for event in written] == ["patch"] * 4
    assert all("fieldManager=gyropilot" in event.uri for event in written)


def test_many_rehearsals_of_one_queue_do_not_build_on_each_other(control_plane: ControlPlane) -> None:
    own_queue(control_plane, "twice")
    api = control_plane.api()

    outcomes = apply_all([quota("twice", 16, 12), quota("twice", 16, 8)], rehearsals(api))

    assert [outcome.status for outcome in outcomes] == [OutcomeStatus.REHEARSED] * 2


def test_a_server_that_does_not_answer_is_no_server_that_refused(control_plane: ControlPlane) -> None:
    own_queue(control_plane, "unanswered")
    api = control_plane.api()
    broken = Overtaken(api.client, api.timeout_s, api.page_size, someone=_no_answer)

    outcome = apply(quota("unanswered"), actuators(broken)[Dial.QUEUE_QUOTA])

    assert outcome.status is OutcomeStatus.FAILED
    assert outcome.sentence.startswith("not known whether it was turned: ")


def _no_answer() -> None:
    raise KubernetesError("the Kubernetes API does not answer (ReadTimeoutError)")
