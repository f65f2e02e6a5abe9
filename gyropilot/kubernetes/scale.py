"""Anything with a scale subresource: where it is served, and its replicas."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from gyropilot.errors import KubernetesError, NotFoundError
from gyropilot.kubernetes.api import Api, understood


def scaled_path(api: Api, target: str) -> str:
    """The path of `{plural}.{group}/{name}` or `{plural}.{group}/{namespace}/{name}`, in the version that serves it.

    Raises NotFoundError, with the next step, where the target is not of that form or no version serves its kind.
    """
    kind, *where = target.split("/")
    plural, _, group = kind.partition(".")
    if not (plural and group and len(where) in (1, 2) and all(where)):
        raise NotFoundError(f"{target!r} names no pool; write {{plural}}.{{group}}/[{{namespace}}/]{{name}}")
    root, namespaced = _served(api, plural, group)
    if namespaced != (len(where) == 2):
        raise NotFoundError(
            f"{kind} are {'in namespaces' if namespaced else 'in no namespace'}; mend the pool's `dial`"
        )
    namespace = f"/namespaces/{quote(where[0], safe='')}" if namespaced else ""
    return f"{root}{namespace}/{plural}/{quote(where[-1], safe='')}"


def _served(api: Api, plural: str, group: str) -> tuple[str, bool]:
    """The root path of the version that serves this kind, preferred first, and whether the kind is namespaced."""
    told = api.get(f"/apis/{group}")
    preferred = told["preferredVersion"]["groupVersion"]
    for version in sorted((v["groupVersion"] for v in told["versions"]), key=lambda v: v != preferred):
        for served in api.get(f"/apis/{version}")["resources"]:
            if served["name"] == plural:
                return f"/apis/{version}", bool(served["namespaced"])
    raise NotFoundError(f"the API server serves no {plural}.{group}; mend the pool's `dial`")


def read_scale(api: Api, target: str) -> int:
    """Wanted replicas. Raises KubernetesError when the target is not there or may not be read."""
    with understood(f"{api.host}, asked for the scale of {target},"):
        scale = api.get(f"{scaled_path(api, target)}/scale")
        return int((scale.get("spec") or {}).get("replicas") or 0)  # a Scale leaves out a zero


def read_scales(api: Api, targets: Iterable[str]) -> tuple[dict[str, int], list[str]]:
    """Replicas by target, and a sentence for each target that could not be read."""
    scales, notes = {}, []
    for target in sorted(set(targets)):
        try:
            scales[target] = read_scale(api, target)
        except KubernetesError as problem:
            notes.append(f"dial {target} cannot be read and is not turned ({problem})")
    return scales, notes
