"""A rehearsal reads for real, asks for real, and turns nothing."""

from __future__ import annotations

import copy

import pytest

from actuators import actuators, rehearsals
from actuators.queue_quota import QueueQuota
from actuators.rehearsal import Rehearsal
from gyropilot.domain import Dial, OutcomeStatus
from gyropilot.errors import ConflictError, KubernetesError, LeftAlone
from gyropilot.settings import KubernetesSettings
from tests.actuators.memory import JOB, QUEUE, Memory, cluster_queue, refusal, workload

TARGET = "research/h100/nvidia.com/gpu"


def test_turns_nothing_and_says_what_would_change() -> None:
    memory = Memory({QUEUE: cluster_queue("16")})
    as_it_was = copy.deepcopy(memory.objects)

    told = Rehearsal(QueueQuota(memory.api)).turn(TARGET, 16, 12)

    assert told == "spec.resourceGroups[0].flavors[h100].resources[nvidia.com/gpu].nominalQuota: 16 → 12"
    assert memory.rehearsed == [QUEUE]
    assert (memory.patches, memory.objects) == ([], as_it_was)


def test_reads_what_the_dial_reads() -> None:
    assert Rehearsal(QueueQuota(Memory({QUEUE: cluster_queue("16")}).api)).read(TARGET) == 16


def test_is_refused_what_the_dial_would_be_refused() -> None:
    memory = Memory({QUEUE: cluster_queue("16")})
    memory.broken["PATCH", QUEUE] = refusal(KubernetesError, 403, "admission webhook denied the request")

    with pytest.raises(KubernetesError, match="admission webhook denied"):
        Rehearsal(QueueQuota(memory.api)).turn(TARGET, 16, 12)


def test_finds_the_conflict_that_the_dial_would_find() -> None:
    with pytest.raises(ConflictError, match="found at 14, expected 16"):
        Rehearsal(QueueQuota(Memory({QUEUE: cluster_queue("14")}).api)).turn(TARGET, 16, 12)


def test_leaves_alone_what_the_dial_leaves_alone() -> None:
    with pytest.raises(LeftAlone):
        Rehearsal(QueueQuota(Memory({QUEUE: cluster_queue(stopPolicy="Hold")}).api)).turn(TARGET, 16, 12)


def test_each_of_many_changes_to_one_object_is_rehearsed_against_it_as_it_is() -> None:
    rehearsal = Rehearsal(QueueQuota(Memory({QUEUE: cluster_queue("16")}).api))

    told = [rehearsal.turn(TARGET, 16, after) for after in (12, 8)]

    assert [line.rsplit(": ", 1)[1] for line in told] == ["16 → 12", "16 → 8"]


@pytest.mark.parametrize("dial", list(Dial))
def test_every_dial_has_an_actuator_and_a_rehearsal_of_it(dial: Dial) -> None:
    memory = Memory({})

    real, rehearsed = actuators(memory.api)[dial], rehearsals(memory.api)[dial]

    assert (real.dial, real.done) == (dial, OutcomeStatus.DONE)
    assert (rehearsed.dial, rehearsed.done) == (dial, OutcomeStatus.REHEARSED)
    assert isinstance(rehearsed, Rehearsal)


def test_the_annotation_that_protects_is_taken_from_the_settings() -> None:
    memory = Memory({JOB: workload(annotations={"acme.com/hands-off": "true"})})
    settings = KubernetesSettings(protect_annotation="acme.com/hands-off")

    for dials in (actuators(memory.api, settings), rehearsals(memory.api, settings)):
        with pytest.raises(LeftAlone, match="protected"):
            dials[Dial.WORKLOAD].turn("research/job", 1, 0)
