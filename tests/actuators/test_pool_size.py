"""Anything with a scale subresource is sized, save where something else sizes it."""

from __future__ import annotations

import pytest

from actuators.pool_size import PoolSize
from gyropilot.domain import Dial
from gyropilot.errors import ConflictError, KubernetesError, LeftAlone, NotFoundError
from tests.actuators.memory import POOL, Json, Memory, discovery, node_pool, refusal, scale

TARGET = "nodepools.karpenter.sh/h100"
SCALE = f"{POOL}/scale"
MACHINES = "machinedeployments.cluster.x-k8s.io"
MACHINE_PATH = "/apis/cluster.x-k8s.io/v1beta2/namespaces/gpu/machinedeployments/h100"


def cluster(pool: Json | None = None, replicas: int | None = 4) -> Memory:
    """A NodePool h100 with its scale."""
    served = discovery("karpenter.sh", "v1", "nodepools")
    return Memory({**served, POOL: pool or node_pool(), SCALE: scale(replicas)})


def machines(**metadata: object) -> Memory:
    """A MachineDeployment gpu/h100 of three."""
    served = discovery("cluster.x-k8s.io", "v1beta2", "machinedeployments", namespaced=True)
    return Memory({**served, MACHINE_PATH: node_pool(3, None, **metadata), f"{MACHINE_PATH}/scale": scale(3)})


def test_sizes_a_static_pool_through_its_scale() -> None:
    memory = cluster()

    told = PoolSize(memory.api).turn(TARGET, 4, 5)

    assert told == "spec.replicas: 4 → 5"
    assert memory.patches == [
        (
            SCALE,
            [
                {"op": "test", "path": "/metadata/uid", "value": "p-1"},
                {"op": "test", "path": "/spec/replicas", "value": 4},
                {"op": "replace", "path": "/spec/replicas", "value": 5},
            ],
        )
    ]


def test_sizes_what_lives_in_a_namespace() -> None:
    memory = machines()

    PoolSize(memory.api).turn(f"{MACHINES}/gpu/h100", 3, 2)

    assert memory.objects[f"{MACHINE_PATH}/scale"]["spec"]["replicas"] == 2


@pytest.mark.parametrize("replicas", [0, None])
def test_a_pool_of_no_nodes_reads_as_zero(replicas: int | None) -> None:
    assert PoolSize(cluster(replicas=replicas).api).read(TARGET) == 0


def test_grows_a_pool_of_no_nodes() -> None:
    memory = cluster(replicas=None)

    told = PoolSize(memory.api).turn(TARGET, 0, 2)

    assert told == "spec.replicas: 0 → 2"
    assert memory.objects[SCALE]["spec"] == {"replicas": 2}


def test_shrinks_a_pool_to_no_nodes() -> None:
    memory = cluster()
    memory.webhook = lambda seen: {**seen, "spec": {}}  # as the API server answers a zero

    assert PoolSize(memory.api).turn(TARGET, 4, 0) == "spec.replicas: 4 → 0"


def test_a_pool_sized_by_someone_else_in_between_is_a_conflict() -> None:
    memory = cluster()
    memory.then = lambda: memory.objects.update({SCALE: scale(6)})

    with pytest.raises(ConflictError, match=r"spec\.replicas moved from 4 to 6"):
        PoolSize(memory.api).turn(TARGET, 4, 5)

    assert memory.objects[SCALE]["spec"]["replicas"] == 6


def test_leaves_a_dynamic_pool_to_karpenter() -> None:
    memory = cluster(node_pool(replicas=None))

    with pytest.raises(LeftAlone, match="pool h100 is dynamic: Karpenter sizes it"):
        PoolSize(memory.api).turn(TARGET, 4, 5)

    assert memory.patches == []


def test_leaves_to_the_cluster_autoscaler_what_it_sizes() -> None:
    marked = machines(annotations={"cluster.x-k8s.io/cluster-api-autoscaler-node-group-max-size": "9"})

    with pytest.raises(LeftAlone, match="sized by the cluster autoscaler"):
        PoolSize(marked.api).turn(f"{MACHINES}/gpu/h100", 3, 2)


@pytest.mark.parametrize(
    "held",
    [
        node_pool(deletionTimestamp="2026-03-02T12:00:00Z"),
        node_pool(annotations={"gyropilot.io/paused": "true"}),
    ],
)
def test_leaves_a_held_pool_alone(held: Json) -> None:
    with pytest.raises(LeftAlone, match="pool h100 is"):
        PoolSize(cluster(held).api).read(TARGET)


def test_takes_the_preferred_version_first() -> None:
    memory = cluster()
    versions = [{"groupVersion": f"karpenter.sh/{v}", "version": v} for v in ("v1alpha1", "v1")]
    memory.objects["/apis/karpenter.sh"] = {"versions": versions, "preferredVersion": versions[1]}

    assert PoolSize(memory.api).read(TARGET) == 4


def test_takes_another_version_where_the_preferred_one_lacks_the_kind() -> None:
    memory = cluster()
    versions = [{"groupVersion": f"karpenter.sh/{v}", "version": v} for v in ("v2", "v1")]
    memory.objects["/apis/karpenter.sh"] = {"versions": versions, "preferredVersion": versions[0]}
    memory.objects["/apis/karpenter.sh/v2"] = {"resources": [{"name": "others", "namespaced": False}]}

    assert PoolSize(memory.api).read(TARGET) == 4


def test_leaves_alone_a_kind_that_is_not_served() -> None:
    with pytest.raises(NotFoundError, match=r"serves no racks\.karpenter\.sh"):
        PoolSize(cluster().api).read("racks.karpenter.sh/h100")


def test_a_group_that_is_not_served_is_not_found() -> None:
    with pytest.raises(NotFoundError, match=r"metal\.example\.com not found"):
        PoolSize(cluster().api).read("racks.metal.example.com/h100")


def test_leaves_alone_a_kind_that_cannot_be_scaled() -> None:
    memory = cluster()
    del memory.objects[SCALE]

    with pytest.raises(LeftAlone, match="has no scale subresource"):
        PoolSize(memory.api).read(TARGET)


def test_leaves_alone_a_kind_whose_replicas_were_never_set() -> None:
    memory = cluster()
    said = 'Internal error occurred: the spec replicas field ".spec.replicas" does not exist'
    memory.broken["GET", SCALE] = refusal(KubernetesError, 500, said)

    with pytest.raises(LeftAlone, match="has no replicas to turn"):
        PoolSize(memory.api).read(TARGET)


def test_passes_other_errors_of_the_scale_on() -> None:
    memory = cluster()
    memory.broken["GET", SCALE] = refusal(KubernetesError, 500, "etcdserver: request timed out")

    with pytest.raises(KubernetesError, match="request timed out"):
        PoolSize(memory.api).read(TARGET)


@pytest.mark.parametrize("target", ["", "nodepools", "nodes/h100", "a.b/", "a.b//h100", "a.b/x/y/z", "a./h100"])
def test_leaves_alone_what_names_no_pool(target: str) -> None:
    with pytest.raises(NotFoundError, match="names no pool; write"):
        PoolSize(cluster().api).read(target)


@pytest.mark.parametrize(
    ("target", "why"),
    [("nodepools.karpenter.sh/gpu/h100", "are in no namespace"), (f"{MACHINES}/h100", "are in namespaces")],
)
def test_says_when_a_namespace_is_too_many_or_missing(target: str, why: str) -> None:
    memory = Memory({**cluster().objects, **machines().objects})

    with pytest.raises(NotFoundError, match=why):
        PoolSize(memory.api).read(target)


def test_is_the_dial_of_pool_sizes() -> None:
    assert PoolSize(Memory({}).api).dial is Dial.POOL_SIZE
