"""One value is set on condition that neither it nor the way to it has moved."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actuators.apply import apply
from actuators.patch import Knob, annotation, leave_alone_if_held, look, pointer
from actuators.queue_quota import QueueQuota
from actuators.rehearsal import Rehearsal
from gyropilot.domain import OutcomeStatus
from gyropilot.errors import ConflictError, ForbiddenError, KubernetesError, LeftAlone
from tests.actuators.memory import QUEUE, Memory, cluster_queue, refusal
from tests.fakes import action

TARGET = "research/h100/nvidia.com/gpu"
QUOTA = ("spec", "resourceGroups", 0, "flavors", 0, "resources", 0, "nominalQuota")


def quota_in(memory: Memory) -> Any:
    return look(memory.objects[QUEUE], QUOTA)


def move(memory: Memory, quota: str) -> None:
    memory.objects[QUEUE] = cluster_queue(quota)


def test_tests_identity_names_and_old_value_before_it_replaces() -> None:
    memory = Memory({QUEUE: cluster_queue("16")})

    QueueQuota(memory.api).turn(TARGET, 16, 12)

    at = "/spec/resourceGroups/0/flavors/0"
    assert memory.patches == [
        (
            QUEUE,
            [
                {"op": "test", "path": "/metadata/uid", "value": "q-1"},
                {"op": "test", "path": f"{at}/name", "value": "h100"},
                {"op": "test", "path": f"{at}/resources/0/name", "value": "nvidia.com/gpu"},
                {"op": "test", "path": f"{at}/resources/0/nominalQuota", "value": "16"},
                {"op": "replace", "path": f"{at}/resources/0/nominalQuota", "value": "12"},
            ],
        )
    ]


def test_does_not_send_anything_when_the_value_is_another_already() -> None:
    memory = Memory({QUEUE: cluster_queue("14")})

    with pytest.raises(ConflictError, match="found at 14, expected 16"):
        QueueQuota(memory.api).turn(TARGET, 16, 12)

    assert memory.patches == []


def test_a_value_moved_between_read_and_write_is_a_conflict() -> None:
    memory = Memory({QUEUE: cluster_queue("16")})
    memory.then = lambda: move(memory, "14")

    with pytest.raises(ConflictError, match="nominalQuota moved from 16 to 14 just before it was turned"):
        QueueQuota(memory.api).turn(TARGET, 16, 12)

    assert quota_in(memory) == "14"


def test_an_object_made_anew_between_read_and_write_is_a_conflict() -> None:
    memory = Memory({QUEUE: cluster_queue("16")})
    memory.then = lambda: memory.objects[QUEUE]["metadata"].update(uid="q-2")

    with pytest.raises(ConflictError, match=r"metadata\.uid moved from q-1 to q-2"):
        QueueQuota(memory.api).turn(TARGET, 16, 12)

    assert quota_in(memory) == "16"


def test_a_list_reordered_between_read_and_write_is_a_conflict() -> None:
    memory = Memory({QUEUE: cluster_queue("16")})
    flavors = memory.objects[QUEUE]["spec"]["resourceGroups"][0]["flavors"]
    other = {"name": "a100", "resources": [{"name": "nvidia.com/gpu", "nominalQuota": "16"}]}
    memory.then = lambda: flavors.insert(0, other)

    with pytest.raises(ConflictError, match="name moved from h100 to a100"):
        QueueQuota(memory.api).turn(TARGET, 16, 12)

    assert [each["resources"][0]["nominalQuota"] for each in flavors] == ["16", "16"]


def test_a_refusal_of_the_new_value_is_not_taken_for_a_conflict() -> None:
    memory = Memory({QUEUE: cluster_queue("16")})
    memory.broken["PATCH", QUEUE] = refusal(KubernetesError, 422, "spec.nominalQuota: Invalid value")

    with pytest.raises(KubernetesError, match="Invalid value") as problem:
        QueueQuota(memory.api).turn(TARGET, 16, 12)

    assert not isinstance(problem.value, ConflictError)


def test_a_refusal_stands_when_the_object_cannot_be_read_again() -> None:
    memory = Memory({QUEUE: cluster_queue("16")})
    memory.broken["PATCH", QUEUE] = refusal(KubernetesError, 422, "spec.nominalQuota: Invalid value")
    memory.then = lambda: memory.broken.update({("GET", QUEUE): refusal(KubernetesError, None, "no answer")})

    with pytest.raises(KubernetesError, match="Invalid value"):
        QueueQuota(memory.api).turn(TARGET, 16, 12)


def test_no_other_error_is_asked_about_again() -> None:
    memory = Memory({QUEUE: cluster_queue("16")})
    memory.broken["PATCH", QUEUE] = refusal(ForbiddenError, 403, "no")
    memory.then = lambda: move(memory, "14")

    with pytest.raises(ForbiddenError):
        QueueQuota(memory.api).turn(TARGET, 16, 12)


@pytest.mark.parametrize("made", ["15", "500m", "lots"])
def test_says_when_a_webhook_made_it_another_value(made: str) -> None:
    memory = Memory({QUEUE: cluster_queue("16")})
    memory.webhook = lambda _: cluster_queue(made)

    with pytest.raises(KubernetesError, match=f"asked for 12, the API server made it {made}"):
        QueueQuota(memory.api).turn(TARGET, 16, 12)


@pytest.mark.parametrize("made", ["15", "500m"])
def test_what_a_webhook_wrote_instead_counts_as_written(made: str) -> None:
    memory = Memory({QUEUE: cluster_queue("16")})
    memory.webhook = lambda _: cluster_queue(made)

    outcome = apply(action(before=16, after=12, target=TARGET), QueueQuota(memory.api))

    assert (outcome.status, quota_in(memory)) == (OutcomeStatus.FAILED, made)
    assert outcome.sentence == (
        f"turned, but not as asked: asked for 12, made it {made} (does a webhook own this value?)"
    )


def test_what_a_webhook_would_write_instead_is_a_refusal_when_rehearsed() -> None:
    memory = Memory({QUEUE: cluster_queue("16")})
    memory.webhook = lambda _: cluster_queue("500m")

    outcome = apply(action(before=16, after=12, target=TARGET), Rehearsal(QueueQuota(memory.api)))

    assert (outcome.status, quota_in(memory)) == (OutcomeStatus.REFUSED, "16")


def test_a_webhook_may_write_the_value_in_another_form() -> None:
    memory = Memory({QUEUE: cluster_queue("8000")})
    memory.webhook = lambda _: cluster_queue("4k")

    told = QueueQuota(memory.api).turn(TARGET, 8000, 4000)

    assert told == "spec.resourceGroups[0].flavors[h100].resources[nvidia.com/gpu].nominalQuota: 8000 → 4k"


def test_an_absent_value_is_added_where_it_is_still_absent() -> None:
    memory = Memory({"/a": {"metadata": {"uid": "1"}, "spec": {}}})
    knob = Knob("/a", memory.get("/a"), ("spec", "active"))

    knob.set(memory.api, False)

    assert memory.patches[0][1] == [
        {"op": "test", "path": "/metadata/uid", "value": "1"},
        {"op": "test", "path": "/spec/active", "value": None},
        {"op": "add", "path": "/spec/active", "value": False},
    ]


def test_an_absent_value_that_someone_set_meanwhile_is_a_conflict() -> None:
    memory = Memory({"/a": {"metadata": {"uid": "1"}, "spec": {}}})
    knob = Knob("/a", memory.get("/a"), ("spec", "active"))
    memory.objects["/a"]["spec"]["active"] = True

    with pytest.raises(ConflictError, match=r"spec\.active moved from None to True"):
        knob.set(memory.api, False)

    assert memory.objects["/a"]["spec"] == {"active": True}


def test_values_below_zero_are_left_alone() -> None:
    memory = Memory({QUEUE: cluster_queue("16")})

    with pytest.raises(LeftAlone, match="-1 is below zero"):
        QueueQuota(memory.api).turn(TARGET, 16, -1)

    assert memory.patches == []


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (("spec", "replicas"), "/spec/replicas"),
        (("spec", "limits", "nvidia.com/gpu"), "/spec/limits/nvidia.com~1gpu"),
        (("a~b", 0), "/a~0b/0"),
        (("~1",), "/~01"),
    ],
)
def test_pointers_escape_slashes_and_tildes(place: tuple[str | int, ...], text: str) -> None:
    assert pointer(place) == text


@settings(deadline=None)
@given(st.lists(st.text(min_size=1), min_size=1))
def test_pointers_can_be_read_back(place: list[str]) -> None:
    parts = pointer(tuple(place)).split("/")[1:]

    assert [part.replace("~1", "/").replace("~0", "~") for part in parts] == place


@pytest.mark.parametrize(
    "place", [("spec", "b"), ("spec", "a", 3), ("spec", "a", "x"), ("spec", "a", 0, "x"), ("x", "y")]
)
def test_what_is_absent_is_none(place: tuple[str | int, ...]) -> None:
    assert look({"spec": {"a": [1]}}, place) is None


@pytest.mark.parametrize(
    ("value", "said"), [("true", "true"), ("payroll week", "payroll week"), ("false", ""), ("False", ""), ("", "")]
)
def test_an_annotation_that_says_false_says_nothing(value: str, said: str) -> None:
    assert annotation({"annotations": {"gyropilot.io/protected": value}}, "gyropilot.io/protected") == said


def test_objects_without_annotations_say_nothing() -> None:
    assert annotation({}, "gyropilot.io/protected") == ""


def test_leaves_alone_what_is_being_deleted() -> None:
    with pytest.raises(LeftAlone, match="pool h100 is being deleted"):
        leave_alone_if_held({"metadata": {"deletionTimestamp": "2026-03-02T12:00:00Z"}}, "pool h100")


def test_leaves_alone_what_its_owner_paused() -> None:
    with pytest.raises(LeftAlone, match=r"pool h100 is annotated gyropilot\.io/paused"):
        leave_alone_if_held({"metadata": {"annotations": {"gyropilot.io/paused": "true"}}}, "pool h100")
