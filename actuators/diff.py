"""What a turn changed, line by line, from the object as it was and as the API server answered it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from gyropilot.kubernetes.api import Json

_NOISE = ("managedFields", "resourceVersion", "generation")  # move with every write and say nothing of it
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def diff(before: Json, after: Json) -> str:
    """Lines "path: old → new" for every value that differs, so that what webhooks add shows as well."""
    old, new = dict(_leaves(_told(before))), dict(_leaves(_told(after)))
    return "\n".join(
        f"{path}: {old.get(path, 'absent')} → {new.get(path, 'absent')}"
        for path in {**old, **new}
        if old.get(path) != new.get(path)
    )


def _told(seen: Json) -> Json:
    """Without the status, which controllers write at any time, and without the server's own book-keeping."""
    metadata = {key: value for key, value in (seen.get("metadata") or {}).items() if key not in _NOISE}
    told = {**{key: value for key, value in seen.items() if key != "status"}, "metadata": metadata}
    if seen.get("kind") == "Scale":  # it leaves out a zero
        told["spec"] = {"replicas": 0, **seen.get("spec", {})}
    return told


def _leaves(node: object, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(node, Mapping):
        for key, child in node.items():
            yield from _leaves(child, _join(path, str(key)))
    elif isinstance(node, list):
        for label, child in zip(_labels(node), node, strict=True):
            yield from _leaves(child, f"{path}[{label}]")
    else:
        yield path, node if isinstance(node, str) else json.dumps(node)


def _join(path: str, key: str) -> str:
    if not _PLAIN.fullmatch(key):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else key


def _labels(items: Sequence[object]) -> Sequence[object]:
    """The items' names where each has one of its own, else their positions."""
    names = [item.get("name") for item in items if isinstance(item, Mapping)]
    named = len(names) == len(items) and all(isinstance(name, str) for name in names)
    return names if named and len(set(names)) == len(items) else range(len(items))
