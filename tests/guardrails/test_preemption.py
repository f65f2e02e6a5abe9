"""Whose work may be paused: protections, and YuniKorn's laws."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gyropilot.domain import WorkloadKind
from gyropilot.guardrails.borrowers import Borrowers
from gyropilot.guardrails.floors import GuaranteedShare
from gyropilot.guardrails.protected import Protected
from gyropilot.guardrails.protocol import Situation
from gyropilot.settings import QueueSettings
from tests.fakes import GPU, NOW, queue, state, workload
from tests.guardrails.situations import contended, pause, requota, situation, turn

RULE = Protected(
    namespaces=("kube-system",),
    queues=frozenset({"production"}),
    priority=1000,
    min_runtime=timedelta(minutes=30),
    max_preemptions=2,
)


def objection(**changes: Any) -> str | None:
    seen = replace(workload(), **changes)
    return RULE.objection(pause(), situation([queue()], workloads=[seen]))


def test_an_ordinary_gang_may_be_paused() -> None:
    assert objection() is None


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"protected": "a thesis is due"}, "research/job is protected: a thesis is due"),
        ({"protected": ""}, "research/job is protected"),
        ({"namespace": "kube-system"}, "kube-system/job is in the protected namespace kube-system"),
        ({"queue": "production"}, "research/job is in the protected queue production"),
        ({"priority": 1000}, "research/job has priority 1000, protected from 1000"),
        ({"kind": WorkloadKind.INFERENCE}, "research/job serves requests, which a pause would drop"),
        ({"started": None}, "research/job does not run, so there is nothing to take back"),
        (
            {"started": NOW - timedelta(minutes=29)},
            "research/job runs for 29m only, protected for 30m",
        ),
        ({"preemptions": 2}, "research/job was taken back 2 times, at most 2 allowed"),
    ],
)
def test_protected_work_is_not_paused(changes: dict[str, Any], sentence: str) -> None:
    assert objection(**changes) == sentence


@pytest.mark.parametrize("changes", [{"priority": 999}, {"preemptions": 1}, {"started": NOW - timedelta(minutes=30)}])
def test_work_just_outside_its_protection_may_be_paused(changes: dict[str, Any]) -> None:
    assert objection(**changes) is None


def test_all_protections_are_told_at_once() -> None:
    sentence = objection(priority=2000, preemptions=3)

    assert sentence == (
        "research/job has priority 2000, protected from 1000, and was taken back 3 times, at most 2 allowed"
    )


def test_own_pauses_count_although_the_cluster_has_not_counted_them_yet() -> None:
    twice = (turn(pause(), 200), turn(pause(), 100))
    at = situation([queue()], workloads=[workload()], recent=twice)

    assert RULE.objection(pause(), at) == "research/job was taken back 2 times, at most 2 allowed"


def test_pauses_of_other_work_do_not_count() -> None:
    at = situation([queue()], workloads=[workload()], recent=(turn(pause("other"), 200), turn(pause("other"), 100)))

    assert RULE.objection(pause(), at) is None


def test_work_that_was_not_seen_is_protected() -> None:
    assert RULE.objection(pause("ghost"), situation([queue()])) == "research/ghost was not seen in the cluster"


def test_protected_work_may_be_resumed() -> None:
    resume = replace(pause(), before=0, after=1, gpus=8)

    assert RULE.objection(resume, situation([queue()], workloads=[workload(protected="mine")])) is None


LAWS = Borrowers(GuaranteedShare(0.5, {}))


def with_queues(at: Situation, *queues: Any, **changes: Any) -> Situation:
    return replace(at, state=state(queues=queues, workloads=at.state.workloads), **changes)


def test_takes_back_from_a_borrower_for_a_queue_that_waits_for_its_own() -> None:
    assert LAWS.objection(pause(), contended()) is None


def test_a_queue_that_borrows_nothing_loses_nothing() -> None:
    at = with_queues(contended(), queue("research", 24, running=24.0), queue("training", 16, pending=8.0))

    assert LAWS.objection(pause(), at) == "research borrows nothing: it runs 24 GPUs, 24 are its own"


def test_quota_that_gyropilot_lent_is_not_the_queues_own() -> None:
    at = with_queues(
        contended(),
        queue("research", 24, running=24.0),
        queue("training", 16, pending=8.0),
        entitled_gpus={f"research/h100/{GPU}": 16},
    )

    assert LAWS.objection(pause(), at) is None


def test_a_queue_is_never_pushed_below_its_guarantee() -> None:
    laws = Borrowers(GuaranteedShare(0.5, {"research": QueueSettings(guaranteed_gpus=14)}))

    assert laws.objection(pause(gpus=8), contended(gpus=8)) is None
    assert laws.objection(pause(gpus=12), contended(gpus=12)) == "research would run 12 GPUs, guaranteed 14"


def test_what_this_review_takes_back_counts() -> None:
    at = replace(contended(), approved=(pause("other", gpus=8),))

    assert LAWS.objection(pause(), at) == "research borrows nothing: it runs 16 GPUs, 16 are its own"


def test_takes_back_no_more_than_others_lack() -> None:
    at = with_queues(
        contended(),
        queue("research", 16, running=40.0),
        queue("training", 16, running=8.0, pending=80.0),
        approved=(pause("other", gpus=8),),
    )

    assert LAWS.objection(pause(), at) == "what is taken back already covers the 8 GPUs that other queues lack"


def test_what_is_being_paused_counts() -> None:
    at = contended()
    stopping = workload("stopping", "research", gpus=8, active=False)
    at = replace(at, state=replace(at.state, workloads=(*at.state.workloads, stopping)))

    assert LAWS.objection(pause(), at) == "research borrows nothing: it runs 16 GPUs, 16 are its own"


def test_what_another_cohort_gives_back_covers_nothing_here() -> None:
    at = contended()
    elsewhere = replace(queue("elsewhere", 8, running=24.0), cohort="another")
    at = replace(at, state=replace(at.state, queues=(*at.state.queues, elsewhere)), approved=(pause("x", "elsewhere"),))

    assert LAWS.objection(pause(), at) is None


def test_queues_without_a_cohort_lend_each_other_nothing() -> None:
    at = contended()
    alone = tuple(replace(q, cohort=None) for q in at.state.queues)

    sentence = LAWS.objection(pause(), replace(at, state=replace(at.state, queues=alone)))

    assert sentence == f"no other queue waits for {GPU} that is its own"


def test_nobody_takes_for_itself() -> None:
    at = with_queues(contended(), queue("research", 16, running=24.0, pending=8.0), queue("training", 16, running=16.0))

    assert LAWS.objection(pause(), at) == "no other queue waits for nvidia.com/gpu that is its own"


def test_who_has_its_own_already_takes_nothing() -> None:
    at = with_queues(contended(), queue("research", 16, running=24.0), queue("training", 16, running=16.0, pending=8.0))

    assert LAWS.objection(pause(), at) == "no other queue waits for nvidia.com/gpu that is its own"


@pytest.mark.parametrize("changes", [{"cohort": "other"}, {"active": False}])
def test_a_stranger_or_a_stopped_queue_takes_nothing(changes: dict[str, Any]) -> None:
    waits = queue("training", 16, running=8.0, pending=8.0, **changes)
    at = with_queues(contended(), queue("research", 16, running=24.0), waits)

    assert LAWS.objection(pause(), at) == "no other queue waits for nvidia.com/gpu that is its own"


def test_work_of_a_higher_priority_is_not_taken_for_work_of_a_lower_one() -> None:
    at = contended(priority=5)

    assert LAWS.objection(pause(), at) == "research/job has priority 5, what waits has 0 at most"


def test_the_priority_of_what_waits_is_its_gangs() -> None:
    at = contended(priority=5)
    waits = workload("urgent", "training", started=None, priority=5)
    at = replace(at, state=replace(at.state, workloads=(*at.state.workloads, waits)))

    assert LAWS.objection(pause(), at) is None


@pytest.mark.parametrize("running", [{}, {GPU: float("nan")}])
def test_a_queue_whose_use_is_not_known_loses_nothing(running: dict[str, float]) -> None:
    at = with_queues(
        contended(), queue("research", 16, running_gpus=running), queue("training", 16, running=8.0, pending=8.0)
    )

    assert LAWS.objection(pause(), at) is not None


def test_a_gang_or_a_queue_that_was_not_seen_loses_nothing() -> None:
    assert LAWS.objection(pause("ghost"), contended()) == "research/ghost was not seen in the cluster"
    assert LAWS.objection(pause(), with_queues(contended())) == "queue research was not seen in the cluster"


def test_a_resumed_gang_takes_from_nobody() -> None:
    assert LAWS.objection(replace(pause(), before=0, after=1), situation()) is None


def test_reasons_differ_from_the_quota_floors() -> None:
    """The laws watch pauses only: quota is the business of the floors."""
    assert requota("research", 16, 4).dial not in LAWS.dials
