"""Nodes and NodePools become pools, with every assumption said aloud."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gyropilot.domain import Dial, Market, Pool
from gyropilot.kubernetes.karpenter import parse_node_pool
from gyropilot.kubernetes.kueue import parse_flavor
from gyropilot.kubernetes.nodes import groups, parse_node
from gyropilot.kubernetes.pods import held_gpus, parse_pod
from gyropilot.kubernetes.pools import Ground, pools
from gyropilot.settings import Settings
from tests.controlplane import objects

GPU, MIG = "nvidia.com/gpu", "nvidia.com/mig-1g.10gb"
Raw = dict[str, Any]


def ground(
    *nodes: Raw, node_pools: tuple[Raw, ...] = (), flavors: tuple[Raw, ...] = (), pods: tuple[Raw, ...] = ()
) -> Ground:
    seen = [pod for pod in map(parse_pod, pods) if pod]
    return Ground(
        [parse_node(n) for n in nodes],
        [parse_node_pool(p) for p in node_pools],
        [parse_flavor(f) for f in flavors],
        held_gpus(seen),
    )


def one(seen: Ground, **told: Any) -> Pool:
    found, _ = pools(seen, Settings(**told))
    assert len(found) == 1
    return found[0]


def notes(seen: Ground, **told: Any) -> str:
    return "\n".join(pools(seen, Settings(**told))[1])


def plain_node(name: str, labels: dict[str, str]) -> Raw:
    node = objects.gpu_node(name)
    node["metadata"]["labels"] = labels
    return node


def test_counts_only_ready_schedulable_nodes_as_ready() -> None:
    pool = one(
        ground(
            objects.gpu_node("a"),
            objects.gpu_node("b", ready=False),
            objects.gpu_node("c", cordoned=True),
        )
    )

    assert (pool.name, pool.nodes, pool.ready_nodes, pool.gpus_per_node, pool.idle_gpus) == ("h100", 3, 1, 8, 8.0)


def test_a_node_that_its_autoscaler_takes_away_is_not_ready() -> None:
    leaving = objects.gpu_node("a")
    leaving["spec"]["taints"] = [{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]

    assert one(ground(leaving, objects.gpu_node("b"))).ready_nodes == 1


def test_bound_pods_take_from_the_idle_ones() -> None:
    running = objects.pod("research", "a", 6, node="n0", phase="Running")
    waiting = objects.pod("research", "b", 8)
    done = objects.pod("research", "c", 2, node="n0", phase="Succeeded")

    pool = one(ground(objects.gpu_node("n0"), objects.gpu_node("n1"), pods=(running, waiting, done)))

    assert pool.idle_gpus == 10.0


def test_a_node_whose_gpus_are_not_registered_yet_is_coming() -> None:
    starting = objects.gpu_node("b", resources={GPU: 0})

    pool = one(ground(objects.gpu_node("a"), starting))

    assert (pool.nodes, pool.ready_nodes, pool.coming_gpus) == (2, 1, 8)


def test_one_broken_gpu_does_not_shrink_the_pool() -> None:
    seen = ground(objects.gpu_node("a"), objects.gpu_node("b"), objects.gpu_node("c", gpus=7))

    assert one(seen).gpus_per_node == 8
    assert "nodes of pool h100 offer from 7 GPUs; counted as 8 each" in notes(seen)


def test_a_mixed_pool_is_one_pool_per_accelerator() -> None:
    sliced = objects.gpu_node("b", resource=MIG, gpus=14)
    found, said = pools(
        ground(
            objects.gpu_node("a"), objects.gpu_node("c"), sliced, node_pools=(objects.node_pool("h100", replicas=3),)
        ),
        Settings(),
    )

    assert [(p.name, p.accelerator.resource, p.gpus_per_node) for p in found] == [
        ("h100:gpu", GPU, 8),
        ("h100:mig-1g.10gb", MIG, 14),
    ]
    assert [p.dial for p in found] == [None, None]
    assert [p.coming_gpus for p in found] == [0, 0]
    assert "pool h100:gpu is not turned: nodepools.karpenter.sh/h100 also counts nodes with other accelerators" in said


def test_a_limit_is_about_one_accelerator_of_a_mixed_pool() -> None:
    sliced = objects.gpu_node("b", resource=MIG, gpus=14)
    dynamic = objects.node_pool("h100", limits={GPU: 16, MIG: 28})

    found, _ = pools(ground(objects.gpu_node("a"), sliced, node_pools=(dynamic,)), Settings())

    assert [(p.dial, p.dial_value) for p in found] == [(Dial.POOL_LIMIT, 16), (Dial.POOL_LIMIT, 28)]


def test_a_node_pool_that_several_pools_share_is_not_turned() -> None:
    nodes = [objects.gpu_node(team, labels={"team": team}) for team in ("vision", "speech")]
    settings = Settings.model_validate({"kubernetes": {"pool_label": "team"}})

    found, said = pools(ground(*nodes, node_pools=(objects.node_pool("h100", replicas=2),)), settings)

    assert [(p.name, p.dial) for p in found] == [("speech", None), ("vision", None)]
    assert "pool vision is not turned: NodePool h100 also has nodes of other pools" in said


def test_nodes_of_a_pool_that_offers_nothing_yet_are_coming() -> None:
    starting = objects.gpu_node("a", resources={GPU: 0})
    needs = [objects.requirement("karpenter.k8s.aws/instance-gpu-count", "8")]

    pool = one(ground(starting, node_pools=(objects.node_pool("h100", replicas=1, requirements=needs),)))

    assert (pool.nodes, pool.ready_nodes, pool.coming_gpus) == (1, 0, 8)


def test_a_slice_costs_its_share_of_a_device() -> None:
    pool = one(ground(objects.gpu_node("a", resource=MIG, gpus=7)), pools={"h100": {"price_usd_per_gpu_hour": 7.0}})

    assert pool.price_usd_per_gpu_hour == pytest.approx(1.0)
    assert pool.accelerator.device_share == pytest.approx(1 / 7)


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        ({"eks.amazonaws.com/nodegroup": "eks-gpu"}, "eks-gpu"),
        ({"cloud.google.com/gke-nodepool": "gke-gpu"}, "gke-gpu"),
        ({"kubernetes.azure.com/agentpool": "aks-gpu"}, "aks-gpu"),
        ({"cluster.x-k8s.io/deployment-name": "md-gpu"}, "md-gpu"),
        ({"nvidia.com/gpu.product": "NVIDIA-L4"}, "NVIDIA-L4"),
        ({}, "gpu"),
    ],
)
def test_names_a_pool_by_its_cloud_or_its_model(labels: dict[str, str], name: str) -> None:
    assert one(ground(plain_node("a", labels))).name == name


def test_the_label_told_wins() -> None:
    node = objects.gpu_node("a", labels={"team": "vision"})

    assert one(ground(node), kubernetes={"pool_label": "team"}).name == "vision"


def test_nodes_without_accelerators_are_no_pool() -> None:
    assert groups([parse_node(objects.gpu_node("cpu", gpus=0))]) == []


@pytest.mark.parametrize(
    ("labels", "market"),
    [
        ({"karpenter.sh/capacity-type": "spot"}, Market.SPOT),
        ({"karpenter.sh/capacity-type": "reserved"}, Market.RESERVED),
        ({"eks.amazonaws.com/capacityType": "CAPACITY_BLOCK"}, Market.RESERVED),
        ({"cloud.google.com/gke-spot": "true"}, Market.SPOT),
        ({"kubernetes.azure.com/scalesetpriority": "spot"}, Market.SPOT),
        ({}, Market.ON_DEMAND),
    ],
)
def test_tells_how_capacity_is_bought(labels: dict[str, str], market: Market) -> None:
    assert one(ground(objects.gpu_node("a", labels=labels))).market is market


def test_tells_provider_and_region() -> None:
    node = objects.gpu_node("a", labels={"topology.kubernetes.io/region": "europe-west4"})
    node["spec"]["providerID"] = "gce://project/europe-west4-a/a"

    pool = one(ground(node))

    assert (pool.provider, pool.region) == ("gcp", "europe-west4")


def test_a_static_node_pool_is_turned_by_its_size() -> None:
    pool = one(ground(objects.gpu_node("a"), node_pools=(objects.node_pool("h100", replicas=4),)))

    assert (pool.dial, pool.dial_target, pool.dial_value) == (Dial.POOL_SIZE, "nodepools.karpenter.sh/h100", 4)
    assert pool.coming_gpus == 24


def test_a_dynamic_node_pool_is_turned_by_its_limit() -> None:
    pool = one(ground(objects.gpu_node("a"), node_pools=(objects.node_pool("h100", limits={GPU: 64, "nodes": 10}),)))

    assert (pool.dial, pool.dial_target, pool.dial_value) == (
        Dial.POOL_LIMIT,
        "nodepools.karpenter.sh/h100/nvidia.com/gpu",
        64,
    )
    assert pool.max_nodes == 10


def test_a_dynamic_node_pool_without_a_limit_is_not_turned() -> None:
    seen = ground(objects.gpu_node("a"), node_pools=(objects.node_pool("h100", limits={"cpu": 1000}),))

    assert one(seen).dial is None
    assert "NodePool h100 is dynamic and has no limit for nvidia.com/gpu" in notes(seen)


def test_why_a_pool_does_not_change_its_size_is_said() -> None:
    seen = ground(objects.gpu_node("a", pool="a100"), objects.gpu_node("b"))
    dial = "machinedeployments.cluster.x-k8s.io/gpu/h100"

    assert (
        "nothing that can be turned sizes pools a100, h100, so they neither grow nor shrink; set pools.<name>.dial"
        in notes(seen)
    )
    assert "nothing that can be turned sizes pool a100, so it neither grows nor shrinks; set pools.a100.dial" in notes(
        seen, pools={"h100": {"dial": dial}}
    )
    assert "nothing that can be turned" not in notes(seen, pools={"h100": {"dial": dial}, "a100": {"dial": dial}})


def test_a_node_pool_sizes_its_pool_and_nothing_more_is_said() -> None:
    seen = ground(objects.gpu_node("a"), node_pools=(objects.node_pool("h100", replicas=1),))

    assert "nothing that can be turned" not in notes(seen)


def test_a_node_pool_without_nodes_is_a_pool_too() -> None:
    needs = [
        objects.requirement("karpenter.k8s.aws/instance-gpu-count", "8"),
        objects.requirement("karpenter.sh/capacity-type", "spot"),
    ]
    pool = one(
        ground(
            node_pools=(objects.node_pool("spot", limits={GPU: 32}, requirements=needs),),
            flavors=(objects.resource_flavor("spot"), objects.resource_flavor("h100")),
        )
    )

    assert (pool.nodes, pool.gpus_per_node, pool.market, pool.flavors) == (0, 8, Market.SPOT, ("spot",))
    assert pool.dial_value == 32


def test_a_node_pool_without_nodes_is_like_nodes_of_its_instance_type() -> None:
    seen = objects.gpu_node("a", gpus=4, labels={"node.kubernetes.io/instance-type": "g6"})
    empty = objects.node_pool(
        "more", replicas=0, requirements=[objects.requirement("node.kubernetes.io/instance-type", "g6")]
    )

    found, _ = pools(ground(seen, node_pools=(empty,)), Settings())

    assert [(p.name, p.nodes, p.gpus_per_node) for p in found] == [("h100", 1, 4), ("more", 0, 4)]


def test_a_node_pool_of_unknown_shape_is_left_out_until_told() -> None:
    seen = ground(node_pools=(objects.node_pool("later", limits={GPU: 64}),))

    assert pools(seen, Settings())[0] == ()
    assert "set pools.later.gpus_per_node" in notes(seen)
    assert one(seen, pools={"later": {"gpus_per_node": 8}}).gpus_per_node == 8


def test_a_node_pool_without_accelerators_is_nobodys_business() -> None:
    assert pools(ground(node_pools=(objects.node_pool("cpu", limits={"cpu": 100}),)), Settings()) == ((), [])


def test_a_pool_serves_the_flavors_whose_labels_its_nodes_have() -> None:
    flavors = (
        objects.resource_flavor("h100"),
        objects.resource_flavor("a100"),
        objects.resource_flavor("any", labels={}),
    )

    assert one(ground(objects.gpu_node("a"), flavors=flavors)).flavors == ("h100", "any")


def test_the_dial_told_is_turned_instead() -> None:
    target = "machinedeployments.cluster.x-k8s.io/gpu/h100"
    seen = ground(objects.gpu_node("a"), node_pools=(objects.node_pool("h100", replicas=1),))

    pool = one(replace(seen, scales={target: 3}), pools={"h100": {"dial": target}})

    assert (pool.dial, pool.dial_target, pool.dial_value) == (Dial.POOL_SIZE, target, 3)


def test_a_dial_told_that_cannot_be_read_is_not_turned() -> None:
    seen = ground(objects.gpu_node("a"), node_pools=(objects.node_pool("h100", replicas=1),))

    assert one(seen, pools={"h100": {"dial": "machinedeployments.cluster.x-k8s.io/gpu/h100"}}).dial is None


def test_what_is_told_wins_over_what_is_seen_and_assumed() -> None:
    pool = one(
        ground(objects.gpu_node("a")),
        pools={"h100": {"market": "reserved", "region": "moon", "lead_time": "1h", "max_nodes": 3, "min_nodes": 1}},
    )

    assert (pool.market, pool.region, pool.lead_time) == (Market.RESERVED, "moon", timedelta(hours=1))
    assert (pool.min_nodes, pool.max_nodes) == (1, 3)


def test_each_assumption_is_said_once_for_all_pools() -> None:
    seen = ground(
        objects.gpu_node("a"),
        objects.gpu_node("b", pool="spot", labels={"karpenter.sh/capacity-type": "spot"}),
        node_pools=(objects.node_pool("h100", replicas=1), objects.node_pool("spot", replicas=1)),
    )

    found, said = pools(seen, Settings())

    assert said[0] == (
        "price of pools h100, spot not told; 2.5 USD per GPU-hour (1 on spot) assumed; "
        "set pools.<name>.price_usd_per_gpu_hour"
    )
    assert len(said) == 5
    assert [p.price_usd_per_gpu_hour for p in found] == [2.5, 1.0]


def test_a_pool_told_and_not_seen_is_said() -> None:
    seen = ground(objects.gpu_node("a"))

    assert "settings tell of pool h1000, which is not seen" in notes(seen, pools={"h1000": {"max_nodes": 3}})
