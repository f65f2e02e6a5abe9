"""A Kubernetes API in memory, for what the real one cannot be made to do on demand."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, cast

from gyropilot.demo.patches import PatchError, json_patched
from gyropilot.errors import KubernetesError, NotFoundError
from gyropilot.kubernetes.api import Api

Json = dict[str, Any]

QUEUE = "/apis/kueue.x-k8s.io/v1beta2/clusterqueues/research"
JOB = "/apis/kueue.x-k8s.io/v1beta2/namespaces/research/workloads/job"
POOL = "/apis/karpenter.sh/v1/nodepools/h100"


class Memory:
    """Objects by path. `then` runs once between a read and the write that follows it; `broken` paths raise."""

    def __init__(self, objects: Mapping[str, Json]) -> None:
        self.objects = {path: copy.deepcopy(each) for path, each in objects.items()}
        self.patches: list[tuple[str, Sequence[Json]]] = []
        self.rehearsed: list[str] = []
        self.then: Callable[[], object] = lambda: None
        self.broken: dict[tuple[str, str], KubernetesError] = {}
        self.webhook: Callable[[Json], Json] = lambda seen: seen
        self.stores = True

    @property
    def api(self) -> Api:
        return cast(Api, self)

    def rehearsing(self) -> Self:
        other = copy.copy(self)
        other.stores = False
        return other

    def get(self, path: str) -> Json:
        if problem := self.broken.get(("GET", path)):
            raise problem
        if path not in self.objects:
            raise refusal(NotFoundError, 404, f"{path.rsplit('/', 1)[-1]} not found")
        return copy.deepcopy(self.objects[path])

    def patch(self, path: str, body: Sequence[Json], content_type: str) -> Json:
        assert content_type == "application/json-patch+json"
        self.then()
        if problem := self.broken.get(("PATCH", path)):
            raise problem
        try:
            answer = self.webhook(
                json_patched(self.objects[path], _without_tests_for_nothing(self.objects[path], body))
            )
        except PatchError as problem:
            said = "the server rejected our request due to an error in our request"
            raise refusal(KubernetesError, 422, said) from problem
        self._keep(path, body, answer)
        return copy.deepcopy(answer)

    def _keep(self, path: str, body: Sequence[Json], answer: Json) -> None:
        if self.stores:
            self.patches.append((path, body))
            self.objects[path] = answer
        else:
            self.rehearsed.append(path)


def _without_tests_for_nothing(seen: Json, body: Sequence[Json]) -> Sequence[Json]:
    """As for the API server, a test for null holds where nothing is."""
    return [each for each in body if each["op"] != "test" or each["value"] is not None or _there(seen, each["path"])]


def _there(seen: Json, path: str) -> bool:
    try:
        json_patched(seen, [{"op": "remove", "path": path}])
    except PatchError:
        return False
    return True


def refusal(kind: type[KubernetesError], status: int | None, said: str) -> KubernetesError:
    """An answer as the door to the cluster raises it."""
    problem = kind(f"PATCH /apis/x: {status} {said}")
    problem.status, problem.said = status, said
    return problem


def cluster_queue(quota: str | int = "16", resource: str = "nvidia.com/gpu", **spec: Any) -> Json:
    """Queue research, with one quota of flavor h100."""
    flavor = {"name": "h100", "resources": [{"name": resource, "nominalQuota": quota}]}
    return {
        "metadata": {"name": "research", "uid": "q-1", "resourceVersion": "7"},
        "spec": {"resourceGroups": [{"coveredResources": [resource], "flavors": [flavor]}], **spec},
    }


def workload(active: bool | None = True, admitted: bool = True, **metadata: Any) -> Json:
    """Workload job of a batch Job."""
    return {
        "metadata": {
            "name": "job",
            "uid": "w-1",
            "resourceVersion": "7",
            "ownerReferences": [{"kind": "Job", "apiVersion": "batch/v1", "name": "job"}],
            **metadata,
        },
        "spec": {"podSets": [{"name": "main", "template": {"spec": {}}}]}
        | ({} if active is None else {"active": active}),
        "status": {"conditions": [{"type": "Admitted", "status": "True"}] if admitted else []},
    }


def node_pool(replicas: int | None = 4, limits: Mapping[str, Any] | None = None, **metadata: Any) -> Json:
    """NodePool h100: static with replicas, else dynamic."""
    spec = {} if replicas is None else {"replicas": replicas}
    return {
        "metadata": {"name": "h100", "uid": "p-1", "resourceVersion": "7", **metadata},
        "spec": {**spec, **({"limits": dict(limits)} if limits is not None else {})},
    }


def scale(replicas: int | None = 4) -> Json:
    spec = {} if replicas is None else {"replicas": replicas}
    return {"kind": "Scale", "metadata": {"name": "h100", "uid": "p-1", "resourceVersion": "7"}, "spec": spec}


def discovery(group: str, version: str, plural: str, namespaced: bool = False) -> dict[str, Json]:
    """What the API server says of a kind that it serves in one version."""
    served = {"groupVersion": f"{group}/{version}", "version": version}
    return {
        f"/apis/{group}": {"versions": [served], "preferredVersion": served},
        f"/apis/{group}/{version}": {"resources": [{"name": plural, "namespaced": namespaced}]},
    }
