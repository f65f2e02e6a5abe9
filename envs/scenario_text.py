"""A scenario's text: read, and told what is wrong with it in its own words."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gyropilot.errors import SettingsError
from gyropilot.near_names import nearest

Models = set[type[BaseModel]]

GPUS, POOL, WHETHER, RULES = "<GPUs>", "<pool>", "<whether>", "<rules>"
FILE, MADE, ONE_PRICE, BY_WAY = "<file>", "<made>", "<one price>", "<by way>"
SHAPES = {GPUS, POOL, WHETHER, RULES, FILE, MADE, ONE_PRICE, BY_WAY}
"""Which of two shapes somebody meant: what is wrong is told of that one alone, and no file calls anything so."""

_PLAINLY = {
    "model_type": "input should be names with values, indented or in braces",
    "model_attributes_type": "input should be names with values, indented or in braces",
    "dict_type": "input should be names with values, indented or in braces",
    "tuple_type": "input should be a list",
    "too_short": "input should not be empty",
    "path_type": "input should be the name of a file",
    "union_tag_not_found": "kind: field required",
}
"""What pydantic says in words of Python."""

_NEXT_STEPS = {
    GPUS: "give a number of GPUs, or {nodes: N, max_nodes: M, ...}",
    ONE_PRICE: "give a number of USD, zero or more, or {from-region: {to-region: USD}}",
    BY_WAY: "give {from-region: {to-region: USD}}, each zero or more, or one number for all ways",
    MADE: "give {per_s: RATE, days: D, ...}, or {file: FILE, column: NAME}",
}
"""What to give where one of two shapes was meant, by the shape."""


class _Loader(yaml.SafeLoader):
    """Refuses what is told twice, of which YAML itself would take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        told = set[str]()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value != "<<" and key.value in told:
                line = key.start_mark.line + 1
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value} is told twice, last in line {line}; keep one"
                )
            told.add(key.value)
        return super().construct_mapping(node, deep)


def document(path: Path) -> Any:
    """What a file holds. Raises SettingsError where it cannot be read, or is no YAML."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as problem:
        raise SettingsError(
            f"{path} cannot be read: {problem.strerror}; `gyropilot scenario sample` prints one to begin with"
        ) from problem
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        raise SettingsError(f"{path} is not YAML: {' '.join(str(problem).split())}") from problem


def sentences(problem: ValidationError, model: type[BaseModel]) -> list[str]:
    """One for each field of a model that is not what it should be."""
    return [_sentence(error, model) for error in problem.errors()]


def _sentence(error: ErrorDetails, model: type[BaseModel]) -> str:
    """What is wrong with a field, which is named as the file names it, and what to give instead."""
    parts = error["loc"]
    if parts[-1:] == ("[key]",):
        return f"{_place(parts[:-2])}: {error['input']!r} is no word; put names such as 2024, on and no in quotes"
    if error["type"] == "extra_forbidden":
        return f"{_place(parts)}: {_instead(str(parts[-1]), model, parts[:-1])}"
    step = _NEXT_STEPS.get(str(parts[-1]) if parts else "")
    return f"{_place(parts)}: {_wrong(error)}{f'; {step}' if step else ''}"


def _place(parts: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in parts if part not in SHAPES) or "the file"


def _wrong(error: ErrorDetails) -> str:
    """The words of whoever refused it, else pydantic's or better ones."""
    ours = error.get("ctx", {}).get("error")
    wrong = str(ours) if isinstance(ours, ValueError) else _PLAINLY.get(error["type"], error["msg"])
    return f"{wrong[:1].lower()}{wrong[1:]}"


def _instead(name: str, model: type[BaseModel], parts: tuple[int | str, ...]) -> str:
    """Which field was meant, or which there are."""
    models: Models = {model}
    for part in parts:
        fields = [each.model_fields[str(part)] for each in models if part in each.model_fields]
        models = {found for field in fields for found in _models(field.annotation)} or models
    known = list(dict.fromkeys(field for each in models for field in each.model_fields))
    if name in known:
        return "does not go with what else is told there; leave one of them out"
    meant = nearest(name, known)
    words = f"did you mean {meant}?" if meant else f"there are {', '.join(known)}"
    return f"no field is called so; {words}"


def _models(annotation: object) -> Models:
    """All that stand in an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return {model for each in get_args(annotation) for model in _models(each)}
