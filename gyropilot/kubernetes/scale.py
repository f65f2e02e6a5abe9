"""The replicas of anything with a scale subresource, read."""

from __future__ import annotations

from collections.abc import Iterable

from gyropilot.errors import KubernetesError
from gyropilot.kubernetes.api import Api


def read_scale(api: Api, target: str) -> int:
    """Wanted replicas of `{plural}.{group}/{name}` or `{plural}.{group}/{namespace}/{name}`.

    Raises KubernetesError when the target is not of that form, does not exist or may not be read.
    """
    kind, *where = target.split("/")
    plural, _, group = kind.partition(".")
    if not (plural and group and 1 <= len(where) <= 2 and all(where)):
        raise KubernetesError(f"{target!r} names no scale; write {{plural}}.{{group}}/[{{namespace}}/]{{name}}")
    root = f"/apis/{api.get(f'/apis/{group}')['preferredVersion']['groupVersion']}"
    namespace = f"/namespaces/{where[0]}" if len(where) == 2 else ""
    scale = api.get(f"{root}{namespace}/{plural}/{where[-1]}/scale")
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
