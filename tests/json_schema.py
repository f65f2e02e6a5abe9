"""As much of JSON Schema 2020-12 as the schema of the settings uses; a keyword that it does not have is a KeyError."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

Schema = dict[str, Any]

_TYPES: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
_BOUNDS: dict[str, Callable[[Any, Any], bool]] = {
    "minimum": lambda value, told: value >= told,
    "exclusiveMinimum": lambda value, told: value > told,
    "maximum": lambda value, told: value <= told,
    "exclusiveMaximum": lambda value, told: value < told,
    "pattern": lambda value, told: re.search(told, value) is not None,
    "minItems": lambda value, told: len(value) >= told,
    "required": lambda value, told: set(told) <= set(value),
}
_OF = dict.fromkeys(("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"), "number") | {
    "pattern": "string",
    "minItems": "array",
    "required": "object",
}
_SAID = {"$defs", "$schema", "default", "description", "format", "title", "writeOnly"}


def refusals(value: Any, schema: Schema) -> list[str]:
    """What of the value the schema does not allow."""
    return list(_refused(value, schema, schema["$defs"], "settings"))


def _refused(value: Any, schema: Schema, named: Schema, where: str) -> Iterator[str]:
    for keyword, told in schema.items():
        if keyword not in _SAID:
            yield from _by(keyword, told, value, schema, named, where)


def _by(keyword: str, told: Any, value: Any, schema: Schema, named: Schema, where: str) -> Iterator[str]:
    if keyword == "$ref":
        yield from _refused(value, named[told.removeprefix("#/$defs/")], named, where)
    elif keyword == "anyOf":
        ways = [list(_refused(value, way, named, where)) for way in told]
        yield from [] if [] in ways else ways[0]
    elif keyword == "items":
        for nth, item in enumerate(value if isinstance(value, list) else []):
            yield from _refused(item, told, named, f"{where}[{nth}]")
    elif keyword in ("properties", "additionalProperties"):
        yield from _members(keyword, value, schema, named, where)
    elif not _allowed(keyword, told, value):
        yield f"{where}: {value!r} is not of {keyword} {told!r}"


def _members(keyword: str, value: Any, schema: Schema, named: Schema, where: str) -> Iterator[str]:
    known = schema.get("properties", {})
    for name, member in (value if isinstance(value, dict) else {}).items():
        if keyword == "properties" and name in known:
            yield from _refused(member, known[name], named, f"{where}.{name}")
        elif keyword == "additionalProperties" and name not in known:
            other = schema[keyword]
            yield from _refused(member, other, named, f"{where}.{name}") if other else [f"{where}.{name} is unknown"]


def _allowed(keyword: str, told: Any, value: Any) -> bool:
    if keyword == "type":
        return any(_TYPES[name](value) for name in ([told] if isinstance(told, str) else told))
    if keyword == "enum":
        return value in told
    return _BOUNDS[keyword](value, told) if _TYPES[_OF[keyword]](value) else True
