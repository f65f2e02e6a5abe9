"""The patches that Kubernetes takes for custom resources: JSON patch (RFC 6902) and merge patch (RFC 7386)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any


class PatchError(Exception):
    """The patch does not fit the document: a path is absent, or a test found something else."""


def json_patched(document: Any, operations: Sequence[dict[str, Any]]) -> Any:
    """A changed copy. Knows test, replace, add and remove. Raises PatchError; the original is never touched."""
    changed = copy.deepcopy(document)
    for operation in operations:
        _apply(changed, operation)
    return changed


def merge_patched(document: Any, patch: Any) -> Any:
    """A changed copy: maps are merged, None removes, all else replaces."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    base = document if isinstance(document, dict) else {}
    kept = {name: copy.deepcopy(value) for name, value in base.items() if name not in patch}
    given = {name: merge_patched(base.get(name), value) for name, value in patch.items() if value is not None}
    return {**kept, **given}


def _apply(document: Any, operation: dict[str, Any]) -> None:
    path, verb = str(operation.get("path", "")), operation.get("op")
    *way, last = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]] or [""]
    holder = document
    for part in way:
        holder = _inside(holder, part, path)
    if verb == "test":
        found = _inside(holder, last, path)
        if found != operation.get("value"):
            raise PatchError(f"testing value {path} failed: it is {found!r}, not {operation.get('value')!r}")
    elif verb == "add":
        _add(holder, last, operation.get("value"), path)
    elif verb in ("replace", "remove"):
        _inside(holder, last, path)
        key = int(last) if isinstance(holder, list) else last
        if verb == "remove":
            del holder[key]
        else:
            holder[key] = copy.deepcopy(operation.get("value"))
    else:
        raise PatchError(f"operation {verb!r} is not known here; test, replace, add and remove are")


def _inside(holder: Any, part: str, path: str) -> Any:
    try:
        return holder[int(part)] if isinstance(holder, list) else holder[part]
    except (KeyError, IndexError, ValueError, TypeError) as problem:
        raise PatchError(f"nothing at {path}") from problem


def _add(holder: Any, last: str, value: Any, path: str) -> None:
    if isinstance(holder, list):
        index = len(holder) if last == "-" else int(last) if last.isdigit() else -1
        if not 0 <= index <= len(holder):
            raise PatchError(f"no place {path}")
        holder.insert(index, copy.deepcopy(value))
    elif isinstance(holder, dict):
        holder[last] = copy.deepcopy(value)
    else:
        raise PatchError(f"nothing at {path}")
