"""One quota of one ClusterQueue is turned, and nothing else in it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actuators.queue_quota import QueueQuota
from gyropilot.domain import Dial, OutcomeStatus
from gyropilot.errors import LeftAlone, NotFoundError
from tests.actuators.memory import QUEUE, Json, Memory, cluster_queue

TARGET = "research/h100/nvidia.com/gpu"
V1BETA1 = QUEUE.replace("v1beta2", "v1beta1")
FLAVORS = ("a100", "h100", "h200")


def table(cells: list[list[int]], strings: bool) -> Json:
    """Two groups of three flavors each: GPUs and memory in the first, CPUs in the second."""
    covered = (("nvidia.com/gpu", "memory"), ("cpu",))
    groups = []
    for g, resources in enumerate(covered):
        flavors = [
            {
                "name": f"{flavor}-{g}",
                "resources": [
                    {"name": name, "nominalQuota": _written(cells[g][f] + r, strings), "borrowingLimit": "1"}
                    for r, name in enumerate(resources)
                ],
            }
            for f, flavor in enumerate(FLAVORS)
        ]
        groups.append({"coveredResources": list(resources), "flavors": flavors})
    return {"metadata": {"name": "research", "uid": "q-1"}, "spec": {"resourceGroups": groups, "cohortName": "all"}}


def _written(value: int, strings: bool) -> str | int:
    return str(value) if strings else value


CELLS = st.lists(st.lists(st.integers(0, 10**6), min_size=3, max_size=3), min_size=2, max_size=2)


@settings(deadline=None)
@given(CELLS, st.booleans(), st.integers(0, 2), st.sampled_from([0, 1]), st.integers(0, 10**6))
def test_changes_one_value_of_a_large_queue_and_no_other(
    cells: list[list[int]], strings: bool, flavor: int, group: int, after: int
) -> None:
    memory = Memory({QUEUE: table(cells, strings)})
    resource = ("nvidia.com/gpu", "cpu")[group]
    expected = copy.deepcopy(memory.objects[QUEUE])
    expected["spec"]["resourceGroups"][group]["flavors"][flavor]["resources"][0]["nominalQuota"] = _written(
        after, strings
    )

    QueueQuota(memory.api).turn(f"research/{FLAVORS[flavor]}-{group}/{resource}", cells[group][flavor], after)

    assert memory.objects[QUEUE] == expected


@settings(deadline=None)
@given(CELLS, st.integers(0, 10**6))
def test_an_undo_puts_everything_back(cells: list[list[int]], after: int) -> None:
    memory = Memory({QUEUE: table(cells, strings=True)})
    as_it_was = copy.deepcopy(memory.objects[QUEUE])
    dial, target = QueueQuota(memory.api), "research/h200-0/nvidia.com/gpu"

    dial.turn(target, cells[0][2], after)
    dial.turn(target, after, cells[0][2])

    assert memory.objects[QUEUE] == as_it_was


@pytest.mark.parametrize(("raw", "value"), [("16", 16), (16, 16), ("8k", 8000), ("0", 0)])
def test_reads_the_quota(raw: str | int, value: int) -> None:
    assert QueueQuota(Memory({QUEUE: cluster_queue(raw)}).api).read(TARGET) == value


def test_tells_what_changed() -> None:
    told = QueueQuota(Memory({QUEUE: cluster_queue("16")}).api).turn(TARGET, 16, 12)

    assert told == "spec.resourceGroups[0].flavors[h100].resources[nvidia.com/gpu].nominalQuota: 16 → 12"


def test_tests_the_raw_value_that_was_seen_not_its_number() -> None:
    memory = Memory({QUEUE: cluster_queue("8k")})

    QueueQuota(memory.api).turn(TARGET, 8000, 7000)

    tested = [each["value"] for each in memory.patches[0][1] if each["path"].endswith("nominalQuota")]
    assert tested == ["8k", "7000"]


@pytest.mark.parametrize("resource", ["cpu", "nvidia.com/gpu", "example.com/a/b/c"])
def test_a_resource_may_have_slashes_of_its_own(resource: str) -> None:
    memory = Memory({QUEUE: cluster_queue("16", resource)})

    assert QueueQuota(memory.api).read(f"research/h100/{resource}") == 16


def test_turns_the_older_version_where_the_newer_is_not_served() -> None:
    memory = Memory({V1BETA1: cluster_queue("16")})

    QueueQuota(memory.api).turn(TARGET, 16, 12)

    assert [path for path, _ in memory.patches] == [V1BETA1]


def test_says_which_queue_there_is_not() -> None:
    with pytest.raises(NotFoundError, match="research not found"):
        QueueQuota(Memory({}).api).read(TARGET)


@pytest.mark.parametrize("target", ["", "research", "research/h100", "research//nvidia.com/gpu", "/h100/gpu", "a/b/"])
def test_leaves_alone_what_names_no_quota(target: str) -> None:
    with pytest.raises(LeftAlone, match="names no quota; write"):
        QueueQuota(Memory({QUEUE: cluster_queue()}).api).read(target)


@pytest.mark.parametrize("policy", ["Hold", "HoldAndDrain"])
def test_leaves_a_stopped_queue_alone(policy: str) -> None:
    memory = Memory({QUEUE: cluster_queue(stopPolicy=policy)})

    with pytest.raises(LeftAlone, match=rf"queue research is stopped by its owner \(stopPolicy {policy}\)"):
        QueueQuota(memory.api).turn(TARGET, 16, 12)

    assert memory.patches == []


def test_turns_a_queue_that_says_it_is_not_stopped() -> None:
    assert QueueQuota(Memory({QUEUE: cluster_queue(stopPolicy="None")}).api).read(TARGET) == 16


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        ({"deletionTimestamp": "2026-03-02T12:00:00Z"}, "queue research is being deleted"),
        ({"annotations": {"gyropilot.io/paused": "true"}}, "queue research is annotated"),
    ],
)
def test_leaves_a_held_queue_alone(metadata: dict[str, Any], why: str) -> None:
    held = cluster_queue()
    held["metadata"].update(metadata)

    with pytest.raises(LeftAlone, match=why):
        QueueQuota(Memory({QUEUE: held}).api).turn(TARGET, 16, 12)


@pytest.mark.parametrize("target", ["research/a100/nvidia.com/gpu", "research/h100/amd.com/gpu"])
def test_leaves_alone_a_quota_that_is_not_there(target: str) -> None:
    with pytest.raises(LeftAlone, match="queue research has no quota of"):
        QueueQuota(Memory({QUEUE: cluster_queue()}).api).read(target)


def test_leaves_alone_a_queue_without_quotas() -> None:
    bare: Json = {"metadata": {"name": "research"}, "spec": {}}

    with pytest.raises(LeftAlone, match=r"no quota of nvidia\.com/gpu in flavor h100"):
        QueueQuota(Memory({QUEUE: bare}).api).read(TARGET)


def test_names_cannot_lead_to_another_path() -> None:
    memory = Memory({"/apis/kueue.x-k8s.io/v1beta2/clusterqueues/a%3FdryRun": cluster_queue()})

    assert QueueQuota(memory.api).read("a?dryRun/h100/nvidia.com/gpu") == 16


def test_is_the_dial_of_quotas_and_turns_for_real() -> None:
    dial = QueueQuota(Memory({}).api)

    assert (dial.dial, dial.done) == (Dial.QUEUE_QUOTA, OutcomeStatus.DONE)
