"""Kueue Workloads of both versions, and the elastic ones that have two."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from gyropilot.kubernetes.gangs import Gang, one_per_job, parse_gang
from gyropilot.kubernetes.kueue import FlavorQuota, parse_cluster_queue, parse_cohort
from tests.controlplane import objects

GPU = "nvidia.com/gpu"


def parsed(raw: dict[str, Any]) -> Gang:
    gang = parse_gang(raw)
    assert gang is not None
    return gang


def test_a_pending_gang_wants_what_kueue_says_it_requests() -> None:
    gang = parsed(objects.workload("research", "a", gpus=8, count=4))

    assert (gang.needs, gang.reserved, gang.admitted) == ({GPU: 32}, False, None)


def test_a_new_gang_wants_what_its_pods_ask_for() -> None:
    raw = objects.workload("research", "a", gpus=8, count=4)
    del raw["status"]

    assert parsed(raw).needs == {GPU: 32}


def test_an_admitted_gang_holds_what_was_assigned() -> None:
    gang = parsed(objects.workload("research", "a", gpus=8, count=2, admitted=objects.STAMP))

    assert (gang.needs, gang.admitted, gang.cluster_queue) == ({GPU: 16}, objects.STAMP, "research")
    assert gang.flavors == {GPU: "h100"}


def test_pods_that_are_done_gave_their_gpus_back() -> None:
    raw = objects.workload("research", "a", gpus=8, count=4, admitted=objects.STAMP)
    raw["status"]["admission"]["podSetAssignments"][0]["count"] = 4
    raw["status"]["reclaimablePods"] = [{"name": "main", "count": 1}]

    assert parsed(raw).needs == {GPU: 24}


def test_finished_gangs_and_those_without_accelerators_are_none() -> None:
    assert parse_gang(objects.workload("research", "a", admitted=objects.STAMP, finished=True)) is None
    assert parse_gang(objects.workload("research", "b", resource="cpu")) is None


def test_partial_admission_tells_the_least() -> None:
    assert parsed(objects.workload("research", "a", gpus=8, count=4, min_count=2)).least == {GPU: 16}


def test_counts_only_the_times_it_was_taken_back() -> None:
    raw = objects.workload("research", "a")
    raw["status"]["schedulingStats"] = {
        "evictions": [
            {"reason": "Preempted", "underlyingCause": "", "count": 2},
            {"reason": "Deactivated", "underlyingCause": "", "count": 1},
            {"reason": "PodsReadyTimeout", "underlyingCause": "", "count": 5},
        ]
    }

    assert parsed(raw).preemptions == 3


def test_an_older_kueue_tells_only_the_last_eviction() -> None:
    raw = objects.workload("research", "a")
    evicted = {"type": "Evicted", "status": "True", "reason": "Preempted", "lastTransitionTime": "2026-03-02T11:00:00Z"}
    raw["status"]["conditions"].append(evicted)

    gang = parsed(raw)

    assert gang.preemptions == 1
    assert gang.waiting_since == datetime(2026, 3, 2, 11, tzinfo=UTC)


def test_a_growing_job_is_one_gang_that_wants_more() -> None:
    of_job = {"kueue.x-k8s.io/job-uid": "42"}
    small = objects.workload("research", "a", gpus=8, count=1, admitted=objects.STAMP, labels=of_job)
    large = objects.workload("research", "b", gpus=8, count=2, labels=of_job)
    other = objects.workload("research", "c", gpus=8)

    gangs = one_per_job(map(parsed, [large, small, other]))

    assert [(g.name, g.needs, g.wanted) for g in gangs] == [("a", {GPU: 8}, {GPU: 16}), ("c", {GPU: 8}, None)]


def test_reads_the_older_version_of_queues() -> None:
    raw = objects.cluster_queue("research", quotas={"h100": objects.quota(16, borrowing=8, lending=4)})
    raw["apiVersion"] = "kueue.x-k8s.io/v1beta1"
    raw["spec"]["cohort"] = raw["spec"].pop("cohortName")

    queue = parse_cluster_queue(raw)

    assert queue.cohort == "all"
    assert queue.quotas == (FlavorQuota("h100", GPU, 16, 8, 4),)


def test_reads_the_older_version_of_workloads() -> None:
    raw = objects.workload("research", "a", admitted=objects.STAMP, priority=7)
    raw["apiVersion"] = "kueue.x-k8s.io/v1beta1"
    raw["spec"] |= {"priorityClassName": "high", "priorityClassSource": "kueue.x-k8s.io/workloadpriorityclass"}

    assert (parsed(raw).priority, parsed(raw).needs) == (7, {GPU: 8})


def test_a_stopped_or_paused_queue_is_not_active() -> None:
    assert parse_cluster_queue(objects.cluster_queue("a")).active
    assert not parse_cluster_queue(objects.cluster_queue("a", stop_policy="Hold")).active
    assert not parse_cluster_queue(objects.cluster_queue("a", annotations={"gyropilot.io/paused": "true"})).active


def test_a_queue_without_a_cohort_has_none() -> None:
    assert parse_cluster_queue(objects.cluster_queue("a", cohort="")).cohort is None


def test_only_cohorts_with_accelerators_of_their_own_matter() -> None:
    group = objects.cluster_queue("x", quotas={"h100": 32})["spec"]["resourceGroups"]
    rich = {"metadata": {"name": "all"}, "spec": {"resourceGroups": group}}

    cohort = parse_cohort(rich)

    assert cohort is not None
    assert cohort.gpus == {GPU: 32}
    assert parse_cohort({"metadata": {"name": "all"}, "spec": {}}) is None
