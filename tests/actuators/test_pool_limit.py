"""A limit of a Karpenter NodePool is turned where there is one."""

from __future__ import annotations

import pytest

from actuators.pool_limit import PoolLimit
from gyropilot.domain import Dial
from gyropilot.errors import ConflictError, LeftAlone, NotFoundError
from tests.actuators.memory import POOL, Json, Memory, node_pool

TARGET = "nodepools.karpenter.sh/h100/nvidia.com/gpu"


def cluster(limit: object = "64") -> Memory:
    return Memory({POOL: node_pool(None, {"cpu": "1k", "nvidia.com/gpu": limit})})


def test_turns_one_limit_and_no_other() -> None:
    memory = cluster()

    told = PoolLimit(memory.api).turn(TARGET, 64, 72)

    assert told == "spec.limits[nvidia.com/gpu]: 64 → 72"
    assert memory.objects[POOL]["spec"]["limits"] == {"cpu": "1k", "nvidia.com/gpu": "72"}


def test_escapes_the_slash_of_a_resource() -> None:
    memory = cluster()

    PoolLimit(memory.api).turn(TARGET, 64, 72)

    assert memory.patches[0][1] == [
        {"op": "test", "path": "/metadata/uid", "value": "p-1"},
        {"op": "test", "path": "/spec/limits/nvidia.com~1gpu", "value": "64"},
        {"op": "replace", "path": "/spec/limits/nvidia.com~1gpu", "value": "72"},
    ]


def test_turns_a_limit_of_nodes() -> None:
    memory = Memory({POOL: node_pool(None, {"nodes": 8})})

    PoolLimit(memory.api).turn("nodepools.karpenter.sh/h100/nodes", 8, 9)

    assert memory.objects[POOL]["spec"]["limits"] == {"nodes": 9}


def test_a_limit_turned_by_someone_else_in_between_is_a_conflict() -> None:
    memory = cluster()
    memory.then = lambda: memory.objects.update(cluster("128").objects)

    with pytest.raises(ConflictError, match="moved from 64 to 128"):
        PoolLimit(memory.api).turn(TARGET, 64, 72)


def test_never_turns_a_limit_below_zero_which_the_api_server_would_take() -> None:
    memory = cluster()

    with pytest.raises(LeftAlone, match="-8 is below zero"):
        PoolLimit(memory.api).turn(TARGET, 64, -8)

    assert memory.patches == []


@pytest.mark.parametrize("pool", [node_pool(None, {"cpu": "1k"}), node_pool(None, {}), node_pool(None)])
def test_sets_no_limit_where_there_is_none(pool: Json) -> None:
    with pytest.raises(LeftAlone, match=r"pool h100 has no limit of nvidia\.com/gpu; set one by hand"):
        PoolLimit(Memory({POOL: pool}).api).read(TARGET)


def test_leaves_a_fraction_alone() -> None:
    with pytest.raises(LeftAlone, match="its value is 500m, not a whole number"):
        PoolLimit(cluster("500m").api).read(TARGET)


@pytest.mark.parametrize(
    "held",
    [{"deletionTimestamp": "2026-03-02T12:00:00Z"}, {"annotations": {"gyropilot.io/paused": "until Monday"}}],
)
def test_leaves_a_held_pool_alone(held: Json) -> None:
    memory = Memory({POOL: node_pool(None, {"nvidia.com/gpu": "64"}, **held)})

    with pytest.raises(LeftAlone, match="pool h100 is"):
        PoolLimit(memory.api).turn(TARGET, 64, 72)


@pytest.mark.parametrize(
    "target", ["", "h100/gpu", "nodepools.karpenter.sh/h100", "nodepools.karpenter.sh/h100/", "nodepools/h100/gpu"]
)
def test_leaves_alone_what_names_no_limit(target: str) -> None:
    with pytest.raises(LeftAlone, match="names no pool's limit; write"):
        PoolLimit(cluster().api).read(target)


def test_a_pool_that_is_gone_is_not_found() -> None:
    with pytest.raises(NotFoundError):
        PoolLimit(Memory({}).api).read(TARGET)


def test_is_the_dial_of_pool_limits() -> None:
    assert PoolLimit(Memory({}).api).dial is Dial.POOL_LIMIT
