"""A mirror of a collection: whole at first, then by its changes, whole again when those are lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gyropilot.errors import ForbiddenError, KubernetesError
from gyropilot.kubernetes.api import Api
from gyropilot.kubernetes.watch import LIST_AFTER, Mirror
from tests.controlplane import objects
from tests.controlplane.plane import ControlPlane
from tests.fakes import NOW
from tests.kubernetes.fake_api import FakeApi, fake_api

NODES, NODE_POOLS = "/api/v1/nodes", "/apis/karpenter.sh/v1/nodepools"
Raw = dict[str, Any]


def gpus(raw: Raw) -> tuple[str, str] | None:
    offered = raw["status"].get("allocatable", {}).get("nvidia.com/gpu")
    return (raw["metadata"]["name"], offered) if offered else None


def mirror(api: Api) -> Mirror[tuple[str, str]]:
    return Mirror(api, NODES, gpus)


def changed(kind: str, node: Raw, version: str = "2") -> Raw:
    node["metadata"]["resourceVersion"] = version
    return {"type": kind, "object": node}


def served(*events: Raw | Exception) -> FakeApi:
    api = fake_api({NODES: [objects.gpu_node("a"), objects.gpu_node("b")]})
    api.events.append(events)
    return api


def test_applies_what_changed() -> None:
    nodes = mirror(
        served(
            changed("ADDED", objects.gpu_node("c")),
            changed("MODIFIED", objects.gpu_node("a", gpus=4)),
            changed("DELETED", objects.gpu_node("b")),
            changed("BOOKMARK", {"metadata": {}}, "9"),
        )
    )
    nodes.refresh(NOW)

    assert sorted(nodes.refresh(NOW)) == [("a", "4"), ("c", "8")]
    assert nodes.version == "9"


def test_forgets_what_is_not_to_be_kept_any_more() -> None:
    plain = objects.gpu_node("a")
    del plain["status"]["allocatable"]["nvidia.com/gpu"]
    nodes = mirror(served(changed("MODIFIED", plain)))
    nodes.refresh(NOW)

    assert sorted(nodes.refresh(NOW)) == [("b", "8")]


@pytest.mark.parametrize(
    "broken",
    [
        {"type": "ERROR", "object": {"code": 410, "message": "too old resource version"}},
        KubernetesError("410 Gone"),
        KubernetesError("the watch broke off"),
        ForbiddenError("may not watch"),
    ],
)
def test_lists_again_when_the_changes_are_lost(broken: Raw | Exception) -> None:
    nodes = mirror(served(changed("DELETED", objects.gpu_node("a")), broken))
    nodes.refresh(NOW)

    assert sorted(nodes.refresh(NOW)) == [("a", "8"), ("b", "8")]
    assert nodes.version == "1"


def test_is_empty_handed_rather_than_stale_when_listing_fails() -> None:
    nodes = mirror(served())
    nodes.refresh(NOW)
    blind = fake_api({}, forbidden=[NODES])
    blind.events.append([KubernetesError("410 Gone")])
    nodes.api = blind

    with pytest.raises(ForbiddenError):
        nodes.refresh(NOW)

    assert nodes.version == ""


def test_tells_when_it_last_heard_how_things_stand() -> None:
    nodes = mirror(served())
    nodes.refresh(NOW)
    nodes.refresh(NOW + timedelta(minutes=1))
    nodes.api = fake_api({}, forbidden=[NODES])
    nodes.api.events.append([KubernetesError("410 Gone")])

    with pytest.raises(ForbiddenError):
        nodes.refresh(NOW + timedelta(minutes=2))

    assert nodes.heard_at == NOW + timedelta(minutes=1)


@pytest.mark.parametrize("items", [[1], [{}], [{"metadata": {"name": "a"}}], 3, "rubbish"])
def test_what_is_no_kubernetes_object_is_an_error_of_ours(items: object) -> None:
    api = fake_api({})
    answers = {NODES: {"metadata": {"resourceVersion": "1"}, "items": items}}

    with pytest.raises(KubernetesError, match="/api/v1/nodes answered what no Kubernetes API would"):
        mirror(replace(api, answers=answers)).refresh(NOW)


def test_lists_again_when_a_change_is_no_kubernetes_object() -> None:
    nodes = mirror(served({"type": "ADDED"}))
    nodes.refresh(NOW)

    assert sorted(nodes.refresh(NOW)) == [("a", "8"), ("b", "8")]


def test_a_watch_that_tells_nothing_deceives_for_a_while_only() -> None:
    nodes = mirror(served())
    nodes.refresh(NOW)
    nodes.api = fake_api({NODES: [objects.gpu_node("a")]})

    seen = [sorted(nodes.refresh(NOW)) for _ in range(LIST_AFTER + 1)]

    assert seen[-1] == [("a", "8")]
    assert seen[-2] == [("a", "8"), ("b", "8")]


def test_lists_page_by_page(clean_plane: ControlPlane) -> None:
    clean_plane.apply(objects.gpu_node(f"page-{i}") for i in range(5))
    before = len(clean_plane.audit("admin"))

    seen = mirror(clean_plane.api(page_size=2)).refresh(NOW)

    assert sorted(name for name, _ in seen) == [f"page-{i}" for i in range(5)]
    lists = [event for event in clean_plane.audit("admin")[before:] if event.verb == "list"]
    assert len(lists) == 3
    assert all("limit=2" in event.uri for event in lists)


def test_follows_a_real_api_server(clean_plane: ControlPlane) -> None:
    clean_plane.apply([objects.gpu_node("a"), objects.gpu_node("b")])
    nodes = mirror(clean_plane.api())
    nodes.refresh(NOW)
    clean_plane.apply([objects.gpu_node("c"), objects.gpu_node("a", gpus=4)])
    clean_plane.delete(objects.gpu_node("b"))
    before = len(clean_plane.audit("admin"))

    seen = nodes.refresh(NOW)

    assert sorted(seen) == [("a", "4"), ("c", "8")]
    assert "list" not in [event.verb for event in clean_plane.audit("admin")[before:]]


def test_lists_again_when_a_real_version_has_expired(clean_plane: ControlPlane) -> None:
    clean_plane.apply([objects.node_pool("h100", replicas=1)])
    pools = Mirror(clean_plane.api(), NODE_POOLS, lambda raw: str(raw["metadata"]["name"]))
    pools.version = "1"  # older than the kind itself, of which the API server cannot tell
    before = len(clean_plane.audit("admin"))

    assert list(pools.refresh(NOW)) == ["h100"]
    verbs = [event.verb for event in clean_plane.audit("admin")[before:] if event.uri.startswith(NODE_POOLS)]
    assert (verbs[0], verbs[-1]) == ("watch", "list")


def test_a_field_selector_holds_for_the_changes_too(clean_plane: ControlPlane) -> None:
    clean_plane.apply([objects.namespace("research"), objects.pod("research", "a"), objects.pod("research", "b")])
    query = {"fieldSelector": "status.phase!=Succeeded"}
    pods = Mirror(clean_plane.api(), "/api/v1/pods", lambda raw: str(raw["metadata"]["name"]), query)
    pods.refresh(NOW)

    clean_plane.apply([objects.pod("research", "a", phase="Succeeded")])

    assert list(pods.refresh(NOW)) == ["b"]
