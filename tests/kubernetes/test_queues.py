"""Queues and workloads, with Kueue and without."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from gyropilot.domain import Queue, Workload, WorkloadKind
from gyropilot.kubernetes.inventory import Inventory
from gyropilot.kubernetes.reader import KubernetesReader
from gyropilot.settings import Settings
from tests.controlplane import objects
from tests.controlplane.objects import STAMP
from tests.kubernetes.fake_api import fake_api

GPU = "nvidia.com/gpu"
NOW = STAMP + timedelta(hours=2)
KUEUE = "/apis/kueue.x-k8s.io/v1beta2"
Raw = dict[str, Any]


def made(raw: Raw, hours_ago: float = 3.0) -> Raw:
    raw["metadata"]["creationTimestamp"] = objects.rfc3339(NOW - timedelta(hours=hours_ago))
    return raw


def with_kueue(
    *workloads: Raw,
    queues: tuple[Raw, ...] = (),
    settings: Settings | None = None,
    more: Mapping[str, list[Raw]] | None = None,
) -> Inventory:
    """One H100 node, queue research behind namespace research, and these workloads."""
    collections: dict[str, Any] = {
        "/api/v1/nodes": [objects.gpu_node("n0")],
        f"{KUEUE}/clusterqueues": queues or [objects.cluster_queue("research")],
        f"{KUEUE}/localqueues": [objects.local_queue("research", "research")],
        f"{KUEUE}/resourceflavors": [objects.resource_flavor()],
        f"{KUEUE}/cohorts": [],
        f"{KUEUE}/workloads": workloads,
        **(more or {}),
    }
    api = fake_api(collections, {"kueue.x-k8s.io": ["v1beta2", "v1beta1"]})
    return KubernetesReader(api, settings or Settings()).read(NOW)


def without_kueue(*pods: Raw, settings: Settings | None = None) -> Inventory:
    collections = {"/api/v1/nodes": [objects.gpu_node("n0")], "/api/v1/pods": pods}
    return KubernetesReader(fake_api(collections), settings or Settings()).read(NOW)


def only_queue(seen: Inventory) -> Queue:
    assert len(seen.queues) == 1
    return seen.queues[0]


def only_workload(seen: Inventory) -> Workload:
    assert len(seen.workloads) == 1
    return seen.workloads[0]


def test_a_queue_runs_what_is_admitted_and_waits_for_the_rest() -> None:
    queue = only_queue(
        with_kueue(
            made(objects.workload("research", "runs", gpus=8, admitted=STAMP)),
            made(objects.workload("research", "waits", gpus=8, count=2), hours_ago=1.5),
            made(objects.workload("research", "paused", active=False)),
        )
    )

    assert (queue.running_gpus, queue.pending_gpus) == ({GPU: 8.0}, {GPU: 16.0})
    assert queue.oldest_wait == timedelta(hours=1.5)
    assert queue.namespaces == ("research",)
    assert queue.cohort == "all"


def test_a_queue_tells_of_its_largest_gang_that_waits() -> None:
    queue = only_queue(
        with_kueue(
            made(objects.workload("research", "runs", gpus=8, count=9, admitted=STAMP)),
            made(objects.workload("research", "small", gpus=8)),
            made(objects.workload("research", "large", gpus=8, count=4)),
            made(objects.workload("research", "paused", gpus=8, count=20, active=False)),
        )
    )

    assert queue.largest_pending_gpus == {GPU: 32.0}


def test_a_quota_tells_limits_use_and_dial() -> None:
    limited = objects.cluster_queue("research", quotas={"h100": objects.quota(16, borrowing=8, lending=4)})

    (quota,) = only_queue(with_kueue(objects.workload("research", "a", admitted=STAMP), queues=(limited,))).quotas

    assert (quota.nominal_gpus, quota.borrowing_limit_gpus, quota.lending_limit_gpus) == (16, 8, 4)
    assert (quota.used_gpus, quota.dial_target) == (8.0, "research/h100/nvidia.com/gpu")
    assert quota.accelerator.model == objects.H100


def test_use_is_what_kueue_says_where_it_says() -> None:
    told = objects.cluster_queue("research")
    total = {"name": GPU, "total": "12", "borrowed": "0"}
    told["status"] = {"flavorsUsage": [{"name": "h100", "resources": [total]}]}

    assert only_queue(with_kueue(queues=(told,))).quotas[0].used_gpus == 12.0


def test_a_queue_without_accelerators_is_left_out() -> None:
    assert with_kueue(queues=(objects.cluster_queue("cpu-only", resource="cpu"), objects.cluster_queue("gpu"))).queues[
        0
    ].name == ("gpu")


def test_settings_tell_what_kueue_does_not() -> None:
    told = {"guaranteed_gpus": 4, "weight": 3.0, "target_wait": "1m", "regions": ["eu"], "allowed_pools": ["h100"]}

    queue = only_queue(with_kueue(settings=Settings.model_validate({"queues": {"research": told}})))

    assert (queue.guaranteed_gpus, queue.weight, queue.target_wait) == (4, 3.0, timedelta(minutes=1))
    assert (queue.regions, queue.allowed_pools) == (("eu",), ("h100",))


def test_defaults_of_queues_are_said_aloud() -> None:
    seen = with_kueue()

    assert "target wait of queue research not told; 10m assumed; set queues.<name>.target_wait" in seen.notes
    assert only_queue(seen).waiting_usd_per_gpu_hour == 10.0


def test_a_gang_is_told_with_its_times_and_its_dial() -> None:
    workload = only_workload(with_kueue(made(objects.workload("research", "a", priority=5, admitted=STAMP))))

    assert (workload.queue, workload.gpus, workload.priority, workload.flavor) == ("research", 8, 5, "h100")
    assert (workload.submitted, workload.started) == (NOW - timedelta(hours=3), STAMP)
    assert (workload.dial_target, workload.protected, workload.active) == ("research/a", None, True)
    assert workload.accelerator.model == objects.H100


def test_a_workload_of_no_known_queue_is_left_out() -> None:
    assert with_kueue(objects.workload("elsewhere", "a")).workloads == ()


@pytest.mark.parametrize(
    ("owner", "kind"),
    [
        (("PyTorchJob", "kubeflow.org/v1"), WorkloadKind.TRAINING),
        (("Deployment", "apps/v1"), WorkloadKind.INFERENCE),
        (("LeaderWorkerSet", "leaderworkerset.x-k8s.io/v1"), WorkloadKind.INFERENCE),
    ],
)
def test_the_owner_tells_the_kind(owner: tuple[str, str], kind: WorkloadKind) -> None:
    assert only_workload(with_kueue(objects.workload("research", "a", owner=owner))).kind is kind


def test_a_label_tells_the_kind_first() -> None:
    labelled = objects.workload("research", "a", labels={"gyropilot.io/kind": "sweep"})

    assert only_workload(with_kueue(labelled)).kind is WorkloadKind.SWEEP


@pytest.mark.parametrize("owner", ["Pod", "Deployment", "StatefulSet", "LeaderWorkerSet"])
def test_what_pausing_would_delete_is_protected_and_has_no_dial(owner: str) -> None:
    workload = only_workload(with_kueue(objects.workload("research", "a", admitted=STAMP, owner=(owner, "v1"))))

    assert workload.protected == f"pausing a {owner} would delete its pods"
    assert workload.dial_target == ""


@pytest.mark.parametrize(
    ("annotation", "value", "protected"),
    [
        ("gyropilot.io/protected", "true", "annotated gyropilot.io/protected"),
        ("gyropilot.io/protected", "demo on Friday", "demo on Friday"),
        ("gyropilot.io/protected", "false", None),
        ("karpenter.sh/do-not-disrupt", "true", "annotated karpenter.sh/do-not-disrupt"),
        ("karpenter.sh/do-not-disrupt", "3h", "annotated karpenter.sh/do-not-disrupt"),
        ("karpenter.sh/do-not-disrupt", "30m", None),
        ("karpenter.sh/do-not-disrupt", "please", None),
        (
            "cluster-autoscaler.kubernetes.io/safe-to-evict",
            "false",
            "annotated cluster-autoscaler.kubernetes.io/safe-to-evict: false",
        ),
    ],
)
def test_annotations_protect(annotation: str, value: str, protected: str | None) -> None:
    running = objects.workload("research", "a", admitted=STAMP, annotations={annotation: value})

    assert only_workload(with_kueue(running)).protected == protected


def test_annotations_of_pod_templates_protect_too() -> None:
    running = objects.workload("research", "a", admitted=STAMP)
    running["spec"]["podSets"][0]["template"]["metadata"] = {"annotations": {"karpenter.sh/do-not-disrupt": "true"}}

    assert only_workload(with_kueue(running)).protected == "annotated karpenter.sh/do-not-disrupt"


def test_a_namespace_protects_all_in_it() -> None:
    quiet = objects.namespace("research", **{"gyropilot.io/protected": "quiet week"})

    seen = with_kueue(objects.workload("research", "a", admitted=STAMP), more={"/api/v1/namespaces": [quiet]})

    assert only_workload(seen).protected == "quiet week"


def test_settings_protect_a_queue() -> None:
    settings = Settings.model_validate({"queues": {"research": {"protected": True}}})

    workload = only_workload(with_kueue(objects.workload("research", "a"), settings=settings))

    assert workload.protected == "queue research is protected by the settings"


def test_the_latest_checkpoint_of_workload_job_or_pods_counts() -> None:
    checkpoint = "gyropilot.io/last-checkpoint"
    workload = objects.workload("research", "a", admitted=STAMP, annotations={checkpoint: "2026-03-02T10:30:00Z"})
    job = objects.job("research", "owner-of-a", annotations={checkpoint: "2026-03-02T11:00:00Z"})
    job["metadata"]["uid"] = "uid-of-a"
    controller = [{"kind": "Job", "name": "owner-of-a", "uid": "uid-of-a", "controller": True}]
    pod = objects.pod(
        "research", "a-0", 8, "n0", ownerReferences=controller, annotations={checkpoint: "2026-03-02T11:30:00Z"}
    )

    seen = with_kueue(workload, more={"/apis/batch/v1/jobs": [job], "/api/v1/pods": [pod]})

    assert only_workload(seen).last_checkpoint == STAMP + timedelta(hours=1.5)


@pytest.mark.parametrize("told", ["soon", "2099-01-01T00:00:00Z"])
def test_a_checkpoint_time_that_cannot_be_is_said_and_not_used(told: str) -> None:
    seen = with_kueue(objects.workload("research", "a", annotations={"gyropilot.io/last-checkpoint": told}))

    assert only_workload(seen).last_checkpoint is None
    assert any(note.startswith("research/a is annotated gyropilot.io/last-checkpoint") for note in seen.notes)


def test_a_growing_job_waits_only_for_what_it_wants_more() -> None:
    of_job = {"kueue.x-k8s.io/job-uid": "42"}
    small = made(objects.workload("research", "a", admitted=STAMP, labels=of_job))
    large = made(objects.workload("research", "b", count=3, labels=of_job), hours_ago=1.0)

    seen = with_kueue(small, large)

    assert (only_queue(seen).running_gpus, only_queue(seen).pending_gpus) == ({GPU: 8.0}, {GPU: 16.0})
    assert (only_workload(seen).gpus, only_workload(seen).max_gpus) == (8, 24)
    assert only_queue(seen).oldest_wait == timedelta(hours=1)


def test_quota_of_a_cohort_is_said_aloud() -> None:
    group = objects.cluster_queue("x", quotas={"h100": 32})["spec"]["resourceGroups"]
    cohort = {"metadata": {"name": "all"}, "spec": {"resourceGroups": group}}

    seen = with_kueue(more={f"{KUEUE}/cohorts": [cohort]})

    assert any(note.startswith("cohort all has quota of its own (32 nvidia.com/gpu)") for note in seen.notes)


def test_without_kueue_namespaces_are_queues() -> None:
    seen = without_kueue(
        made(objects.pod("vision", "a", 6, node="n0", phase="Running")),
        made(objects.pod("vision", "b", 4), hours_ago=1.0),
        made(objects.pod("speech", "c", 1, node="n0", phase="Running")),
    )

    speech, vision = seen.queues
    assert (vision.running_gpus, vision.pending_gpus) == ({GPU: 6.0}, {GPU: 4.0})
    assert vision.oldest_wait == timedelta(hours=1)
    assert (speech.name, speech.quotas) == ("speech", ())
    assert seen.pools[0].idle_gpus == 1.0
    assert seen.kueue is None
    assert "Kueue is not installed: queues are read from pods, and no quota can be turned" in seen.notes


def test_without_kueue_a_label_names_the_queue() -> None:
    settings = Settings.model_validate({"kubernetes": {"queue_label": "team"}})

    seen = without_kueue(
        objects.pod("shared", "a", 2, labels={"team": "vision"}), objects.pod("shared", "b", 3), settings=settings
    )

    assert [queue.name for queue in seen.queues] == ["vision"]
    assert "pods without label team ask for 3 GPUs that are in no queue" in seen.notes


def test_without_kueue_pods_of_one_owner_are_one_workload_without_a_dial() -> None:
    controller = [{"kind": "Job", "name": "train", "uid": "1", "controller": True}]
    pods = [made(objects.pod("vision", f"train-{i}", 4, "n0", "Running", ownerReferences=controller)) for i in range(2)]

    workload = only_workload(without_kueue(*pods))

    assert (workload.key, workload.gpus, workload.dial_target) == ("vision/train", 8, "")
    assert workload.started == NOW - timedelta(hours=3)


def test_without_karpenter_pools_have_no_dial() -> None:
    assert without_kueue().pools[0].dial is None


def test_kueue_without_queues_falls_back_to_pods() -> None:
    api = fake_api(
        {f"{KUEUE}/{kind}": [] for kind in ("clusterqueues", "localqueues", "workloads", "resourceflavors", "cohorts")}
        | {"/api/v1/pods": [objects.pod("vision", "a", 2)]},
        {"kueue.x-k8s.io": ["v1beta2"]},
    )

    seen = KubernetesReader(api, Settings()).read(NOW)

    assert [queue.name for queue in seen.queues] == ["vision"]
    assert "Kueue has no ClusterQueues: queues are read from pods, and no quota can be turned" in seen.notes


def test_an_older_kueue_is_read_by_its_version() -> None:
    old = KUEUE.replace("v1beta2", "v1beta1")
    kinds = ("localqueues", "workloads", "resourceflavors", "cohorts")
    queue = objects.cluster_queue("research")
    queue["spec"]["cohort"] = queue["spec"].pop("cohortName")
    api = fake_api(
        {f"{old}/clusterqueues": [queue], **{f"{old}/{kind}": [] for kind in kinds}}, {"kueue.x-k8s.io": ["v1beta1"]}
    )

    seen = KubernetesReader(api, Settings()).read(NOW)

    assert (seen.kueue, seen.queues[0].cohort) == ("v1beta1", "all")


def test_a_kueue_of_versions_that_are_not_known_is_not_called_absent() -> None:
    api = fake_api({"/api/v1/nodes": [objects.gpu_node("n0")]}, {"kueue.x-k8s.io": ["v1", "v1alpha1"]})

    seen = KubernetesReader(api, Settings()).read(NOW)

    assert seen.kueue is None
    assert (
        "Kueue serves neither v1beta2 nor v1beta1, only v1, v1alpha1: queues are read from pods, and no quota can be "
        "turned" in seen.notes
    )


def admitted_pod(name: str, gpus: int = 8, flavor: str = "h100", **spec: Any) -> Raw:
    """Of the Job that made the admitted Workload `gang`; on no node, as Kueue releases it."""
    reference = {"apiVersion": "batch/v1", "kind": "Job", "name": "job", "uid": "uid-of-gang", "controller": True}
    pod = objects.pod("research", name, gpus, ownerReferences=[reference])
    pod["spec"] |= {"nodeSelector": {"karpenter.sh/nodepool": flavor}, **spec}
    return pod


def unplaced(*pods: Raw, jobs: tuple[Raw, ...] = (), owner: str = "gang") -> Inventory:
    """Beside a gang of 32 admitted GPUs, these pods."""
    gang = objects.workload("research", owner, gpus=8, count=4, admitted=STAMP)
    return with_kueue(gang, more={"/api/v1/pods": list(pods), "/apis/batch/v1/jobs": list(jobs)})


def test_admitted_pods_that_find_no_node_are_told_by_flavor_and_run_as_before() -> None:
    seen = unplaced(admitted_pod("a"), admitted_pod("b"), admitted_pod("c", flavor="elsewhere"))

    assert only_queue(seen).unplaced_gpus == {GPU: {"h100": 16.0, "": 8.0}}
    assert (only_queue(seen).running_gpus, only_queue(seen).pending_gpus) == ({GPU: 32.0}, {})
    assert "admitted pods are on no node, GPUs by queue: research 24" in seen.notes


def test_pods_that_the_scheduler_has_placed_or_does_not_look_at_are_not_without_a_node() -> None:
    terminating = admitted_pod("c")
    terminating["metadata"]["deletionTimestamp"] = objects.rfc3339(NOW)
    running = admitted_pod("d", nodeName="n0")
    running["status"]["phase"] = "Running"

    seen = unplaced(
        admitted_pod("a", nodeName="n0"),
        admitted_pod("b", schedulingGates=[{"name": "kueue.x-k8s.io/topology"}]),
        terminating,
        running,
    )

    assert only_queue(seen).unplaced_gpus == {}
    assert not any("on no node" in note for note in seen.notes)


def test_the_queue_of_a_pod_is_what_kueue_wrote_on_it() -> None:
    labelled = objects.pod("research", "a", 8, labels={"kueue.x-k8s.io/cluster-queue-name": "research"})

    assert only_queue(unplaced(labelled)).unplaced_gpus == {GPU: {"": 8.0}}


def test_the_queue_of_a_pod_is_found_through_the_job_of_a_job_set() -> None:
    job = objects.job("research", "job")
    job["metadata"] |= {"uid": "uid-of-gang", "ownerReferences": [{"kind": "JobSet", "name": "s", "uid": "uid-of-set"}]}

    assert only_queue(unplaced(admitted_pod("a"), jobs=(job,), owner="set")).unplaced_gpus == {GPU: {"h100": 8.0}}


def test_a_pod_that_holds_no_quota_is_nobodys() -> None:
    stranger = objects.pod("research", "a", 8)
    gang = objects.workload("research", "gang", gpus=8)

    seen = with_kueue(gang, more={"/api/v1/pods": [stranger, admitted_pod("b")]})

    assert only_queue(seen).unplaced_gpus == {}


def test_the_flavor_with_most_labels_is_the_one_that_was_assigned() -> None:
    flavors = [
        objects.resource_flavor("any", labels={}),
        objects.resource_flavor("h100"),
        objects.resource_flavor("h100-spot", labels={"karpenter.sh/nodepool": "h100", "market": "spot"}),
    ]
    spot = admitted_pod("a", nodeSelector={"karpenter.sh/nodepool": "h100", "market": "spot"})
    gang = objects.workload("research", "gang", admitted=STAMP)

    seen = with_kueue(gang, more={"/api/v1/pods": [spot], f"{KUEUE}/resourceflavors": flavors})

    assert only_queue(seen).unplaced_gpus == {GPU: {"h100-spot": 8.0}}


def test_without_kueue_pods_without_a_node_are_pending_and_nothing_else() -> None:
    queue = only_queue(without_kueue(objects.pod("research", "a", 8)))

    assert (queue.running_gpus, queue.pending_gpus, queue.unplaced_gpus) == ({}, {GPU: 8.0}, {})
