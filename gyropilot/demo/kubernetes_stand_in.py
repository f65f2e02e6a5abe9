"""A Kubernetes API server as far as Gyropilot asks it: it lists, shows, rehearses, and stores nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gyropilot.demo.loopback import Reply, Request
from gyropilot.demo.patches import PatchError, json_patched, merge_patched

Json = dict[str, Any]

VERSION = "1"
"""The one resource version that there ever is."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind that the API server serves."""

    kind: str
    plural: str
    group: str  # empty: the core group
    version: str
    namespaced: bool = False
    scale: bool = False  # has a scale subresource on .spec.replicas

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


@dataclass(frozen=True, slots=True)
class KubernetesStandIn:
    """Answers requests from objects by kind."""

    objects: Mapping[Kind, Sequence[Json]]

    def __call__(self, request: Request) -> Reply:
        if request.path == "/version":
            return Reply(200, {"major": "1", "minor": "36", "gitVersion": "v1.36.0-demo"})
        match [part for part in request.path.split("/") if part]:
            case ["api", "v1", *rest]:
                reply = self._of_group("", "v1", rest, request)
            case ["apis"]:
                reply = Reply(200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": list(self._groups())})
            case ["apis", group]:
                reply = self._group(group)
            case ["apis", "authorization.k8s.io", "v1", "selfsubjectaccessreviews"] if request.method == "POST":
                reply = Reply(201, {**json.loads(request.body), "status": {"allowed": True}})
            case ["apis", group, version, *rest]:
                reply = self._of_group(group, version, rest, request)
            case _:
                reply = _not_found()
        return reply

    def _groups(self) -> Iterator[Json]:
        for name in sorted({kind.group for kind in self.objects if kind.group}):
            versions = sorted({kind.version for kind in self.objects if kind.group == name})
            listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
            yield {"name": name, "versions": listed, "preferredVersion": listed[-1]}

    def _group(self, name: str) -> Reply:
        found = next((group for group in self._groups() if group["name"] == name), None)
        return Reply(200, {"kind": "APIGroup", "apiVersion": "v1", **found}) if found else _not_found()

    def _of_group(self, group: str, version: str, rest: list[str], request: Request) -> Reply:
        kinds = [kind for kind in self.objects if (kind.group, kind.version) == (group, version)]
        if not kinds:
            return _not_found()
        if not rest:
            return Reply(200, _resource_list(kinds))
        namespace = rest[1] if rest[0] == "namespaces" and len(rest) > 2 else None
        plural, *address = rest[2:] if namespace is not None else rest
        kind = next((kind for kind in kinds if kind.plural == plural), None)
        if kind is None:
            return _not_found()
        return self._of_kind(kind, namespace, address, request)

    def _of_kind(self, kind: Kind, namespace: str | None, address: list[str], request: Request) -> Reply:
        inside = [o for o in self.objects[kind] if namespace in (None, o["metadata"].get("namespace"))]
        if not address:
            return _collection(kind, inside, request) if request.method == "GET" else _read_only(request)
        found = next((o for o in inside if o["metadata"]["name"] == address[0]), None)
        if found is None or (kind.namespaced and namespace is None) or not _subresource(kind, address[1:]):
            return _not_found(f'{kind.plural} "{address[0]}" not found')
        if address[1:] == ["scale"] and "replicas" not in found["spec"]:
            return _status(500, "InternalError", 'the spec replicas field ".spec.replicas" does not exist')
        shown = _scale(found) if address[1:] == ["scale"] else found
        if request.method == "GET":
            return Reply(200, shown)
        if request.method == "PATCH" and request.query.get("dryRun") == ("All",):
            return _rehearsed(shown, request)
        return _read_only(request)


def kubeconfig(url: str, folder: Path) -> Path:
    """A kubeconfig file for a stand-in served at a URL."""
    path = folder / "kubeconfig"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "demo", "cluster": {"server": url}}],
        "users": [{"name": "demo", "user": {}}],
        "contexts": [{"name": "demo", "context": {"cluster": "demo", "user": "demo"}}],
        "current-context": "demo",
    }
    path.write_text(yaml.safe_dump(config))
    return path


def _resource_list(kinds: Sequence[Kind]) -> Json:
    resources = [
        {"name": kind.plural, "singularName": "", "namespaced": kind.namespaced, "kind": kind.kind, "verbs": _VERBS}
        for kind in kinds
    ]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": kinds[0].api_version,
        "resources": resources,
    }


_VERBS = ["get", "list", "patch", "watch"]


def _collection(kind: Kind, objects: Sequence[Json], request: Request) -> Reply:
    if request.first("watch") in ("true", "1"):
        return Reply(200, None, hold_s=float(request.first("timeoutSeconds") or 60))
    chosen = [o for o in objects if _selected(o, request.first("labelSelector"), request.first("fieldSelector"))]
    begin = int(request.first("continue") or 0)
    end = begin + (int(request.first("limit") or 0) or len(chosen))
    metadata: Json = {"resourceVersion": VERSION}
    if end < len(chosen):
        metadata |= {"continue": str(end), "remainingItemCount": len(chosen) - end}
    page = {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": metadata}
    return Reply(200, {**page, "items": chosen[begin:end]})


def _selected(thing: Json, labels: str, fields: str) -> bool:
    """Equality and inequality: the parts of label and field selectors that are asked for."""
    has = thing["metadata"].get("labels") or {}
    return _holds(labels, has.get) and _holds(fields, lambda path: _field(thing, path))


def _holds(selector: str, found: Callable[[str], object]) -> bool:
    """Whether every term does: `a`, `a=b` or `a!=b`."""
    return all(_term_holds(term, found) for term in selector.split(",") if term)


def _term_holds(term: str, found: Callable[[str], object]) -> bool:
    name, equals, value = term.replace("==", "=").partition("=")
    if not equals:
        return found(name) is not None
    if name.endswith("!"):
        return found(name[:-1]) != value
    return found(name) == value


def _field(thing: Json, path: str) -> object:
    for part in path.split("."):
        thing = thing.get(part) or {}
    return thing or ""


def _subresource(kind: Kind, rest: list[str]) -> bool:
    return not rest or rest == ["status"] or (rest == ["scale"] and kind.scale)


def _scale(thing: Json) -> Json:
    metadata = {name: thing["metadata"][name] for name in ("name", "namespace", "uid") if name in thing["metadata"]}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {**metadata, "resourceVersion": VERSION},
        "spec": {"replicas": thing["spec"]["replicas"]},
        "status": {"replicas": thing.get("status", {}).get("nodes", 0)},
    }


def _rehearsed(thing: Json, request: Request) -> Reply:
    """The object as the patch would leave it."""
    patch = json.loads(request.body)
    if request.content_type == "application/json-patch+json":
        try:
            return Reply(200, json_patched(thing, patch))
        except PatchError as problem:
            return _status(422, "Invalid", f"the server rejected our request due to an error in our request: {problem}")
    if request.content_type == "application/merge-patch+json":
        given = (patch.get("metadata") or {}).get("resourceVersion", VERSION)
        if given != thing["metadata"]["resourceVersion"]:
            return _status(409, "Conflict", "the object has been modified; please apply your changes to the latest")
        return Reply(200, merge_patched(thing, patch))
    return _status(
        415, "UnsupportedMediaType", f"the body of the request was in an unknown format: {request.content_type}"
    )


def _not_found(message: str = "the server could not find the requested resource") -> Reply:
    return _status(404, "NotFound", message)


def _read_only(request: Request) -> Reply:
    return _status(403, "Forbidden", f"{request.method} {request.path}: the demo cluster is read-only")


def _status(code: int, reason: str, message: str) -> Reply:
    """The Status object with which Kubernetes says no."""
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return Reply(code, {**status, "message": message, "reason": reason, "code": code})
