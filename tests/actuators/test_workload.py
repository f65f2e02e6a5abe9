"""A workload is paused only where it comes back unharmed."""

from __future__ import annotations

from typing import Any

import pytest

from actuators.workload import WorkloadPause
from gyropilot.domain import Dial
from gyropilot.errors import ConflictError, LeftAlone, NotFoundError
from tests.actuators.memory import JOB, Json, Memory, workload

TARGET = "research/job"


def pause(seen: Json) -> Memory:
    """The memory after a pause; raises what the dial raises."""
    memory = Memory({JOB: seen})
    WorkloadPause(memory.api).turn(TARGET, 1, 0)
    return memory


def test_pauses_an_admitted_workload() -> None:
    assert pause(workload()).objects[JOB]["spec"]["active"] is False


def test_resumes_a_paused_workload() -> None:
    memory = Memory({JOB: workload(active=False, admitted=False)})

    told = WorkloadPause(memory.api).turn(TARGET, 0, 1)

    assert memory.objects[JOB]["spec"]["active"] is True
    assert told == "spec.active: false → true"


def test_resumes_what_was_protected_after_its_pause() -> None:
    precious = workload(active=False, admitted=False, annotations={"gyropilot.io/protected": "thesis deadline"})
    memory = Memory({JOB: precious})

    WorkloadPause(memory.api).turn(TARGET, 0, 1)

    assert memory.objects[JOB]["spec"]["active"] is True


@pytest.mark.parametrize(("active", "value"), [(True, 1), (False, 0), (None, 1)])
def test_absent_means_active(active: bool | None, value: int) -> None:
    assert WorkloadPause(Memory({JOB: workload(active)}).api).read(TARGET) == value


def test_pauses_a_workload_that_does_not_say_it_is_active() -> None:
    memory = pause(workload(active=None))

    assert memory.objects[JOB]["spec"]["active"] is False
    assert memory.patches[0][1][-1] == {"op": "add", "path": "/spec/active", "value": False}


def test_tests_identity_and_old_value_before_it_replaces() -> None:
    assert pause(workload()).patches[0][1] == [
        {"op": "test", "path": "/metadata/uid", "value": "w-1"},
        {"op": "test", "path": "/spec/active", "value": True},
        {"op": "replace", "path": "/spec/active", "value": False},
    ]


def test_a_workload_paused_by_someone_else_in_between_is_a_conflict() -> None:
    memory = Memory({JOB: workload()})
    memory.then = lambda: memory.objects[JOB]["spec"].update(active=False)

    with pytest.raises(ConflictError, match=r"spec\.active moved from True to False"):
        WorkloadPause(memory.api).turn(TARGET, 1, 0)


def test_leaves_a_finished_workload_alone() -> None:
    finished = workload()
    finished["status"]["conditions"].append({"type": "Finished", "status": "True"})

    with pytest.raises(LeftAlone, match="workload job is finished"):
        pause(finished)


def test_leaves_a_workload_alone_that_holds_nothing() -> None:
    with pytest.raises(LeftAlone, match="not admitted, so there is nothing to take back"):
        pause(workload(admitted=False))


def test_leaves_a_workload_alone_whose_admission_was_withdrawn() -> None:
    evicted = workload(admitted=False)
    evicted["status"]["conditions"].append({"type": "Admitted", "status": "False"})

    with pytest.raises(LeftAlone, match="not admitted"):
        pause(evicted)


def test_leaves_a_workload_alone_that_has_no_status_yet() -> None:
    fresh = workload()
    del fresh["status"]

    with pytest.raises(LeftAlone, match="not admitted"):
        pause(fresh)


@pytest.mark.parametrize("kind", ["Pod", "ReplicaSet", "Deployment", "StatefulSet", "LeaderWorkerSet"])
def test_leaves_alone_what_would_not_survive_a_pause(kind: str) -> None:
    with pytest.raises(LeftAlone, match=f"workload job would not survive: pausing a {kind} would delete its pods"):
        pause(workload(ownerReferences=[{"kind": kind, "apiVersion": "v1", "name": "p"}]))


def test_leaves_a_pod_group_alone() -> None:
    with pytest.raises(LeftAlone, match="would not survive: pausing a Pod would delete its pods"):
        pause(workload(annotations={"kueue.x-k8s.io/is-group-workload": "true"}, ownerReferences=[]))


@pytest.mark.parametrize("kind", ["Job", "JobSet", "PyTorchJob", "TrainJob", "RayJob", "MPIJob", "AppWrapper"])
def test_pauses_what_its_controller_starts_again(kind: str) -> None:
    memory = pause(workload(ownerReferences=[{"kind": kind, "apiVersion": "x/v1", "name": "j"}]))

    assert memory.objects[JOB]["spec"]["active"] is False


def test_pauses_a_workload_that_nobody_owns() -> None:
    assert pause(workload(ownerReferences=[])).patches != []


@pytest.mark.parametrize("value", ["true", "thesis deadline"])
def test_leaves_a_protected_workload_alone(value: str) -> None:
    with pytest.raises(LeftAlone, match=rf"protected \(gyropilot\.io/protected: {value}\)"):
        pause(workload(annotations={"gyropilot.io/protected": value}))


def test_leaves_a_workload_alone_whose_pods_are_protected() -> None:
    guarded = workload()
    guarded["spec"]["podSets"][0]["template"]["metadata"] = {"annotations": {"gyropilot.io/protected": "true"}}

    with pytest.raises(LeftAlone, match="protected"):
        pause(guarded)


def test_a_protection_that_says_false_is_none() -> None:
    assert pause(workload(annotations={"gyropilot.io/protected": "false"})).patches != []


def test_the_annotation_that_protects_can_be_another() -> None:
    memory = Memory({JOB: workload(annotations={"acme.com/hands-off": "true"})})

    with pytest.raises(LeftAlone, match=r"acme\.com/hands-off: true"):
        WorkloadPause(memory.api, "acme.com/hands-off").turn(TARGET, 1, 0)


@pytest.mark.parametrize(
    "metadata",
    [{"deletionTimestamp": "2026-03-02T12:00:00Z"}, {"annotations": {"gyropilot.io/paused": "true"}}],
)
def test_leaves_a_held_workload_alone(metadata: dict[str, Any]) -> None:
    with pytest.raises(LeftAlone, match="workload job is"):
        pause(workload(**metadata))


@pytest.mark.parametrize("after", [-1, 2])
def test_knows_only_active_and_paused(after: int) -> None:
    memory = Memory({JOB: workload()})

    with pytest.raises(LeftAlone, match="neither 1"):
        WorkloadPause(memory.api).turn(TARGET, 1, after)

    assert memory.patches == []


@pytest.mark.parametrize("target", ["", "job", "research/", "/job", "research/job/more"])
def test_leaves_alone_what_names_no_workload(target: str) -> None:
    with pytest.raises(LeftAlone, match="names no workload; write"):
        WorkloadPause(Memory({JOB: workload()}).api).read(target)


def test_turns_the_older_version_where_the_newer_is_not_served() -> None:
    path = JOB.replace("v1beta2", "v1beta1")
    memory = Memory({path: workload()})

    WorkloadPause(memory.api).turn(TARGET, 1, 0)

    assert [each for each, _ in memory.patches] == [path]


def test_a_workload_that_is_gone_is_not_found() -> None:
    with pytest.raises(NotFoundError):
        WorkloadPause(Memory({}).api).turn(TARGET, 1, 0)


def test_is_the_dial_of_workloads() -> None:
    assert WorkloadPause(Memory({}).api).dial is Dial.WORKLOAD
