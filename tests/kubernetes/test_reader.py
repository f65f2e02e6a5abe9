"""The reader against a real API server, with few rights, and without writing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from gyropilot.domain import Dial, WorkloadKind
from gyropilot.errors import ForbiddenError, KubernetesError
from gyropilot.kubernetes.access import acting_needs, check_access, observing_needs, served_kinds
from gyropilot.kubernetes.reader import KubernetesReader
from gyropilot.kubernetes.scale import read_scale, read_scales
from gyropilot.kubernetes.watch import Mirror
from gyropilot.settings import Settings
from tests.controlplane import objects
from tests.controlplane.objects import STAMP
from tests.controlplane.plane import ControlPlane
from tests.kubernetes.fake_api import fake_api

GPU, MIG = "nvidia.com/gpu", "nvidia.com/mig-1g.10gb"
NOW = STAMP + timedelta(hours=2)
EVERYTHING = ("nodes", "pods", "namespaces", "jobs", "nodepools", "clusterqueues", "localqueues", "workloads")


def small_cluster() -> list[dict[str, Any]]:
    """Two H100 nodes behind a static pool, one MIG node, two queues of one cohort, gangs that run and wait."""
    return [
        objects.namespace("research"),
        objects.namespace("serving", **{"gyropilot.io/protected": "true"}),
        *(objects.gpu_node(f"h100-{i}") for i in range(2)),
        objects.gpu_node("mig-0", pool="mig", resource=MIG, gpus=7),
        objects.node_pool("h100", replicas=2),
        objects.node_pool("spare", limits={GPU: 16, "nodes": 2}),
        objects.resource_flavor("h100"),
        objects.resource_flavor("mig"),
        objects.cluster_queue("research"),
        objects.cluster_queue("serving", quotas={"mig": 7}, resource=MIG, weight="2"),
        objects.local_queue("research", "research"),
        objects.local_queue("serving", "serving"),
        objects.workload("research", "runs", admitted=STAMP, priority=3),
        objects.workload("research", "waits", count=4),
        objects.workload("research", "done", admitted=STAMP, finished=True),
        objects.workload("serving", "model", gpus=2, resource=MIG, queue="serving", flavor="mig", admitted=STAMP),
        objects.pod("research", "runs-0", 8, node="h100-0", phase="Running"),
    ]


def reading(*resources: str, verbs: Sequence[str] = ("get", "list", "watch")) -> list[dict[str, Any]]:
    groups = ["", "batch", "kueue.x-k8s.io", "karpenter.sh"]
    return [{"apiGroups": groups, "resources": list(resources), "verbs": list(verbs)}]


def reader_of(plane: ControlPlane, user: str, *rules: dict[str, Any]) -> KubernetesReader:
    kubeconfig = plane.kubeconfig_for(user)
    plane.grant(user, list(rules))
    return KubernetesReader(plane.api(kubeconfig), Settings())


class Silent(Mirror[object]):
    """Keeps what it had and hears nothing."""

    def refresh(self, now: datetime) -> Collection[object]:
        return self.kept.values()


def idle_gpus(reader: KubernetesReader, pool: str) -> float:
    return next(p.idle_gpus for p in reader.read(NOW).pools if p.name == pool)


def test_reads_a_cluster(clean_plane: ControlPlane) -> None:
    clean_plane.apply(small_cluster())

    seen = KubernetesReader(clean_plane.api(), Settings()).read(NOW)

    assert [(p.name, p.ready_nodes, p.idle_gpus, p.dial) for p in seen.pools] == [
        ("h100", 2, 8.0, Dial.POOL_SIZE),
        ("mig", 1, 7.0, None),
        ("spare", 0, 0.0, Dial.POOL_LIMIT),
    ]
    assert [(q.name, q.running_gpus, q.pending_gpus) for q in seen.queues] == [
        ("research", {GPU: 8.0}, {GPU: 32.0}),
        ("serving", {MIG: 2.0}, {}),
    ]
    assert [q.weight for q in seen.queues] == [1.0, 2.0]
    assert [(w.key, w.gpus, w.started, w.priority) for w in seen.workloads] == [
        ("research/runs", 8, STAMP, 3),
        ("research/waits", 32, None, 0),
        ("serving/model", 2, STAMP, 0),
    ]
    assert seen.workloads[2].protected == "annotated gyropilot.io/protected"
    assert seen.workloads[0].kind is WorkloadKind.TRAINING
    assert (seen.kueue, seen.seen_at) == ("v1beta2", NOW)


def test_the_second_reading_costs_only_the_changes(clean_plane: ControlPlane) -> None:
    clean_plane.apply(small_cluster())
    reader = KubernetesReader(clean_plane.api(), Settings())
    reader.read(NOW)
    clean_plane.apply([objects.workload("research", "more"), objects.gpu_node("h100-2")])
    clean_plane.delete(objects.workload("research", "waits"))
    before = len(clean_plane.audit("admin"))

    seen = reader.read(NOW)

    assert [w.name for w in seen.workloads] == ["more", "runs", "model"]
    assert seen.pools[0].ready_nodes == 3
    assert {event.verb for event in clean_plane.audit("admin")[before:]} == {"get", "watch"}


def test_a_reading_is_as_old_as_the_collection_that_was_heard_of_longest_ago() -> None:
    reader = KubernetesReader(fake_api({"/api/v1/nodes": [objects.gpu_node("a")]}), Settings())
    reader.read(NOW)
    silent = reader.mirrors["/api/v1/pods"]
    reader.mirrors["/api/v1/pods"] = Silent(silent.api, silent.path, silent.keep, heard_at=silent.heard_at)

    assert reader.read(NOW + timedelta(minutes=9)).seen_at == NOW


@pytest.mark.parametrize("groups", [3, [1], [{}], [{"name": "x"}], {"a": 1}])
def test_what_answers_and_is_no_kubernetes_is_an_error_of_ours(groups: object) -> None:
    api = replace(fake_api({}), answers={"/apis": {"groups": groups}})

    with pytest.raises(KubernetesError, match="/apis answered what no Kubernetes API would"):
        KubernetesReader(api, Settings()).read(NOW)


def test_never_writes(clean_plane: ControlPlane) -> None:
    clean_plane.apply(small_cluster())
    reader = reader_of(clean_plane, "watcher", *reading("*"))

    reader.read(NOW)
    reader.read(NOW)
    check_access(reader.api, [*observing_needs(Settings()), *acting_needs(Settings())])

    asked = clean_plane.audit("watcher")
    assert {event.verb for event in asked if event.verb != "create"} == {"get", "list", "watch"}
    assert {event.uri for event in asked if event.verb == "create"} == {
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    }


def test_what_may_not_be_read_and_is_optional_is_said(clean_plane: ControlPlane) -> None:
    clean_plane.apply(small_cluster())
    required = ("nodes", "clusterqueues", "localqueues", "workloads")

    seen = reader_of(clean_plane, "half-blind", *reading(*required)).read(NOW)

    assert "pods may not be read: idle GPUs are taken from admitted workloads instead" in seen.notes
    assert "namespaces may not be read: protection by a namespace's annotation is not seen" in seen.notes
    assert "nodepools may not be read: no pool's size can be turned" in seen.notes
    assert [w.protected for w in seen.workloads] == [None, None, None]


def test_without_sight_of_pods_idle_gpus_are_what_workloads_leave(clean_plane: ControlPlane) -> None:
    clean_plane.apply(small_cluster())
    allowed = [kind for kind in (*EVERYTHING, "resourceflavors", "cohorts") if kind != "pods"]

    seen = reader_of(clean_plane, "podless", *reading(*allowed)).read(NOW)

    assert [(p.name, p.idle_gpus) for p in seen.pools] == [("h100", 8.0), ("mig", 5.0), ("spare", 0.0)]


@pytest.mark.parametrize("resource", ["nodes", "workloads"])
def test_what_must_be_read_is_asked_for_with_the_rule(clean_plane: ControlPlane, resource: str) -> None:
    allowed = [kind for kind in EVERYTHING if kind != resource]
    reader = reader_of(clean_plane, f"without-{resource}", *reading(*allowed))

    with pytest.raises(ForbiddenError, match=rf'resources: \["{resource}"\], verbs: \["get", "list", "watch"\]'):
        reader.read(NOW)


def test_rights_to_list_are_enough(clean_plane: ControlPlane) -> None:
    clean_plane.apply(small_cluster())
    reader = reader_of(clean_plane, "lister", *reading("*", verbs=["list"]))

    assert reader.read(NOW).pools == reader.read(NOW).pools


def test_access_is_told_need_by_need(control_plane: ControlPlane) -> None:
    user = control_plane.kubeconfig_for("partial")
    control_plane.grant("partial", reading("nodes", "workloads"))

    answers = check_access(control_plane.api(user), [*observing_needs(Settings()), *acting_needs(Settings())])

    allowed = {str(need) for need, yes in answers if yes}
    assert allowed == {
        *(f"{verb} nodes" for verb in ("get", "list", "watch")),
        *(f"{verb} workloads.kueue.x-k8s.io" for verb in ("get", "list", "watch")),
    }
    assert all(need.fix.startswith("{apiGroups:") for need, _ in answers)


def test_the_administrator_may_do_all_that_is_needed(control_plane: ControlPlane) -> None:
    settings = Settings.model_validate({"pools": {"h100": {"dial": "machinedeployments.cluster.x-k8s.io/gpu/h100"}}})
    needs = [*observing_needs(settings), *acting_needs(settings)]

    answers = check_access(control_plane.api(), needs)

    assert all(yes for _, yes in answers)
    assert "patch machinedeployments.cluster.x-k8s.io/scale" in [str(need) for need in needs]


def test_tells_which_kinds_are_served(control_plane: ControlPlane) -> None:
    served = served_kinds(control_plane.api())

    assert served["workloads.kueue.x-k8s.io"] == "v1beta2"
    assert served["nodepools.karpenter.sh"] == "v1"


def test_tells_which_kinds_are_absent() -> None:
    assert set(served_kinds(fake_api({})).values()) == {None}


def test_reads_the_scale_of_anything(clean_plane: ControlPlane) -> None:
    clean_plane.apply([objects.node_pool("h100", replicas=3)])

    assert read_scale(clean_plane.api(), "nodepools.karpenter.sh/h100") == 3


def test_a_dial_told_that_is_not_there_is_said(clean_plane: ControlPlane) -> None:
    target = "nodepools.karpenter.sh/gone"

    scales, notes = read_scales(clean_plane.api(), [target])

    assert scales == {}
    assert notes[0].startswith(f"dial {target} cannot be read and is not turned")


def test_reads_a_scale_in_another_version_where_the_preferred_one_lacks_the_kind() -> None:
    newer, older = ({"groupVersion": f"example.com/{v}", "version": v} for v in ("v2", "v1"))
    answers: dict[str, Any] = {
        "/apis/example.com": {"versions": [newer, older], "preferredVersion": newer},
        "/apis/example.com/v2": {"resources": [{"name": "others", "namespaced": False}]},
        "/apis/example.com/v1": {"resources": [{"name": "racks", "namespaced": True}]},
        "/apis/example.com/v1/namespaces/gpu/racks/h100/scale": {"spec": {"replicas": 3}},
    }

    assert read_scale(replace(fake_api({}), answers=answers), "racks.example.com/gpu/h100") == 3


def test_a_dial_whose_scale_is_rubbish_is_said() -> None:
    api = replace(fake_api({}), answers={"/apis/example.com": {"versions": 3}})

    with pytest.raises(KubernetesError, match="answered what no Kubernetes API would"):
        read_scale(api, "racks.example.com/gpu/h100")


def test_a_dial_told_wrongly_is_said() -> None:
    with pytest.raises(KubernetesError, match="names no pool; write"):
        read_scale(fake_api({}), "h100")


def test_reads_what_kueue_and_kwok_really_do(full_plane: ControlPlane) -> None:
    full_plane.apply(
        [
            objects.namespace("lab"),
            *(objects.unclaimed_node(f"lab-{i}", "lab") for i in range(2)),
            objects.resource_flavor("lab", labels={"pool": "lab"}),
            objects.cluster_queue("lab", cohort="", quotas={"lab": 8}),
            objects.local_queue("lab", "lab"),
            objects.job("lab", "first", gpus=8),
            objects.job("lab", "second", gpus=4, parallelism=2),
        ]
    )
    reader = KubernetesReader(full_plane.api(), Settings.model_validate({"kubernetes": {"pool_label": "pool"}}))

    full_plane.wait_until(lambda: idle_gpus(reader, "lab") == 8.0)
    seen = reader.read(NOW)

    lab = next(q for q in seen.queues if q.name == "lab")
    assert (lab.running_gpus, lab.pending_gpus, lab.quotas[0].used_gpus) == ({GPU: 8.0}, {GPU: 8.0}, 8.0)
    assert [(w.gpus, w.started is None) for w in seen.workloads if w.queue == "lab"] == [(8, False), (8, True)]
