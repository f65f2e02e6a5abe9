from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import requests

from gyropilot.demo.kubernetes_stand_in import Kind, KubernetesStandIn, kubeconfig
from gyropilot.demo.loopback import served
from gyropilot.errors import ConflictError, ForbiddenError, KubernetesError, NotFoundError
from gyropilot.kubernetes.api import JSON_PATCH, MERGE_PATCH, Api
from gyropilot.settings import KubernetesSettings

POOL = Kind("NodePool", "nodepools", "karpenter.sh", "v1", scale=True)
POD = Kind("Pod", "pods", "", "v1", namespaced=True)
POOLS = "/apis/karpenter.sh/v1/nodepools"


def pool(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "kind": "NodePool",
        "metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": "1"},
        "spec": spec,
        "status": {"nodes": spec.get("replicas", 0)},
    }


def pod(namespace: str, name: str, phase: str = "Running", **labels: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "labels": labels, "resourceVersion": "1"}
    return {"kind": "Pod", "metadata": metadata, "spec": {}, "status": {"phase": phase}}


OBJECTS = {
    POOL: [pool("static", replicas=4), pool("dynamic", limits={"nvidia.com/gpu": "32"})],
    POD: [pod("a", f"p{i}", team="red" if i % 2 else "blue") for i in range(5)] + [pod("b", "p0", "Succeeded")],
}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with served(KubernetesStandIn(OBJECTS)) as url:
        yield Api.connect(KubernetesSettings(kubeconfig=kubeconfig(url, tmp_path), page_size=2))


def test_lists_page_by_page(api: Api) -> None:
    pages = list(api.pages("/api/v1/pods"))

    assert [len(page["items"]) for page in pages] == [2, 2, 2]
    assert pages[0]["metadata"]["remainingItemCount"] == 4
    assert "continue" not in pages[2]["metadata"]


def test_lists_a_namespace_and_what_selectors_choose(api: Api) -> None:
    def names(path: str, **query: str) -> list[str]:
        return [item["metadata"]["name"] for item in api.list(path, **query)]

    assert names("/api/v1/namespaces/b/pods") == ["p0"]
    assert names("/api/v1/pods", labelSelector="team=red") == ["p1", "p3"]
    assert names("/api/v1/pods", labelSelector="team!=red,team") == ["p0", "p2", "p4"]
    assert names("/api/v1/pods", fieldSelector="status.phase!=Running") == ["p0"]


@pytest.mark.parametrize(
    "path",
    [
        f"{POOLS}/absent",
        f"{POOLS}/static/log",
        "/apis/karpenter.sh/v1/nodeclaims",
        "/apis/volcano.sh",
        "/apis/volcano.sh/v1",
        "/api/v1/pods/p0",
        "/healthz",
    ],
)
def test_what_is_not_there_is_not_found(api: Api, path: str) -> None:
    with pytest.raises(NotFoundError, match="404"):
        api.get(path)


def test_tells_groups_and_kinds(api: Api) -> None:
    group = api.get("/apis/karpenter.sh")

    assert [g["name"] for g in api.get("/apis")["groups"]] == ["karpenter.sh"]
    assert group["preferredVersion"]["groupVersion"] == "karpenter.sh/v1"
    assert [(r["name"], r["namespaced"]) for r in api.get("/apis/karpenter.sh/v1")["resources"]] == [
        ("nodepools", False)
    ]
    assert api.get("/version")["gitVersion"].startswith("v1.")


def test_a_rehearsed_patch_answers_the_change_and_stores_nothing(api: Api) -> None:
    path = f"{POOLS}/static"
    patch = [
        {"op": "test", "path": "/spec/replicas", "value": 4},
        {"op": "replace", "path": "/spec/replicas", "value": 5},
    ]

    answer = api.rehearsing().patch(path, patch, JSON_PATCH)

    assert answer["spec"]["replicas"] == 5
    assert api.get(path)["spec"]["replicas"] == 4


def test_a_rehearsed_merge_patch_of_another_version_conflicts(api: Api) -> None:
    patch = {"metadata": {"resourceVersion": "0"}, "spec": {"replicas": 5}}

    with pytest.raises(ConflictError, match="modified"):
        api.rehearsing().patch(f"{POOLS}/static", patch, MERGE_PATCH)


def test_a_failed_test_is_refused_as_invalid(api: Api) -> None:
    patch = [{"op": "test", "path": "/spec/replicas", "value": 3}]

    with pytest.raises(KubernetesError, match="422"):
        api.rehearsing().patch(f"{POOLS}/static", patch, JSON_PATCH)


def test_a_real_write_is_forbidden(api: Api) -> None:
    with pytest.raises(ForbiddenError, match="the demo cluster is read-only"):
        api.patch(f"{POOLS}/static", [], JSON_PATCH)
    with pytest.raises(ForbiddenError, match="the demo cluster is read-only"):
        api.create(POOLS, pool("more"))


def test_an_unknown_kind_of_patch_is_refused(api: Api) -> None:
    with pytest.raises(KubernetesError, match="415"):
        api.rehearsing().patch(f"{POOLS}/static", {}, "application/strategic-merge-patch+json")


def test_shows_and_rehearses_the_scale_of_what_has_replicas(api: Api) -> None:
    scale = f"{POOLS}/static/scale"
    patch = [{"op": "replace", "path": "/spec/replicas", "value": 6}]

    assert api.get(scale)["spec"] == {"replicas": 4}
    assert api.rehearsing().patch(scale, patch, JSON_PATCH)["spec"] == {"replicas": 6}
    with pytest.raises(KubernetesError, match="does not exist"):
        api.get(f"{POOLS}/dynamic/scale")


def test_allows_everything_when_asked(api: Api) -> None:
    review = {"kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": {"verb": "get"}}}

    answer = api.review("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)

    assert answer["status"] == {"allowed": True}
    assert answer["spec"] == review["spec"]


def test_a_watch_ends_when_its_time_is_over(api: Api) -> None:
    assert list(api.watch(POOLS, "1", seconds=0)) == []


def test_closing_does_not_wait_for_a_watch() -> None:
    with served(KubernetesStandIn(OBJECTS)) as url:
        watching = requests.get(f"{url}{POOLS}?watch=true&timeoutSeconds=3600", stream=True, timeout=60)
        began = monotonic()

    assert monotonic() - began < 5
    assert watching.content == b""
