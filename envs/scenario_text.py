"""A scenario's text: read, and told what is wrong with it in its own words."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from forecasting.demand.parquet_file import is_parquet
from gyropilot.errors import SettingsError
from gyropilot.near_names import nearest

Models = set[type[BaseModel]]

GPUS, POOL, WHETHER, RULES = "<GPUs>", "<pool>", "<whether>", "<rules>"
FILE, MADE, ONE_PRICE, BY_WAY, HOURS = "<file>", "<made>", "<one price>", "<by way>", "<hours>"
SHAPES = {GPUS, POOL, WHETHER, RULES, FILE, MADE, ONE_PRICE, BY_WAY, HOURS}
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
    HOURS: "give a list of values, one for each hour, or {file: FILE, column: NAME}",
    MADE: "give {per_s: RATE, days: D, ...}, or {file: FILE, column: NAME}",
}
"""What to give where one of two shapes was meant, by the shape."""

_SAMPLE = "`gyropilot scenario sample` prints one to begin with"

_BOUNDS = {"ge": "at least", "gt": "more than", "lt": "less than", "le": "at most"}
_BEYOND = {"greater_than_equal", "greater_than", "less_than", "less_than_equal", "finite_number"}
"""Of a number: the words of its bounds, and what pydantic calls one that is not within them."""


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
        raise SettingsError(f"{path} cannot be read: {problem.strerror}; {_SAMPLE}") from problem
    except UnicodeDecodeError as problem:
        kind = "parquet, as tables of jobs are (--jobs)" if is_parquet(path) else "no text"
        raise SettingsError(f"{path} is {kind}, and a scenario is YAML; {_SAMPLE}") from problem
    except yaml.YAMLError as problem:
        step = "" if isinstance(problem, yaml.constructor.ConstructorError) else f"; {_SAMPLE}"
        raise SettingsError(f"{path} is not YAML: {' '.join(str(problem).split())}{step}") from problem


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
    step = _NEXT_STEPS.get(str(parts[-1]), "") or _numbers(error, model) if parts else _SAMPLE
    return f"{_place(parts)}: {_wrong(error)}{f'; {step}' if step else ''}"


def _place(parts: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in parts if part not in SHAPES) or "the file"


def _wrong(error: ErrorDetails) -> str:
    """The words of whoever refused it, else pydantic's or better ones."""
    ours = error.get("ctx", {}).get("error")
    wrong = str(ours) if isinstance(ours, ValueError) else _PLAINLY.get(error["type"], error["msg"])
    return f"{wrong[:1].lower()}{wrong[1:]}"


def _numbers(error: ErrorDetails, model: type[BaseModel]) -> str:
    """Which numbers a field may have, and why, where it has one that is none of them."""
    if error["type"] not in _BEYOND:
        return ""
    fields, _ = _along(error["loc"], model)
    limits = {name: at for field in fields for name, at in _limits(field)}
    told = " and ".join(f"{word} {limits[name]:.15g}" for name, word in _BOUNDS.items() if name in limits)
    why = next((f": {field.description}" for field in fields if field.description), "")
    return f"give {told or 'a number'} instead of {error['input']}{why}"


def _limits(told: object) -> Iterator[tuple[str, float]]:
    """What bounds a number that stands in an annotation or a field: its name, as pydantic has it, and where it is."""
    if isinstance(told, FieldInfo):
        for each in (*told.metadata, told.annotation):
            yield from _limits(each)
    elif dataclasses.is_dataclass(told):
        yield from ((name, at) for name in _BOUNDS if isinstance(at := getattr(told, name, None), int | float))
    for each in (*getattr(told, "__metadata__", ()), *get_args(told)):
        yield from _limits(each)


def _instead(name: str, model: type[BaseModel], parts: tuple[int | str, ...]) -> str:
    """Which field was meant, or which there are."""
    _, models = _along(parts, model)
    known = list(dict.fromkeys(field for each in models for field in each.model_fields))
    if name in known:
        return "does not go with what else is told there; leave one of them out"
    meant = nearest(name, known)
    words = f"did you mean {meant}?" if meant else f"there are {', '.join(known)}"
    return f"no field is called so; {words}"


def _along(parts: tuple[int | str, ...], model: type[BaseModel]) -> tuple[list[FieldInfo], Models]:
    """The last field on the way to a place, as each shape has it, and the models that may stand there."""
    models: Models = {model}
    last: list[FieldInfo] = []
    for part in parts:
        fields = [each.model_fields[str(part)] for each in models if part in each.model_fields]
        models = {found for field in fields for found in _models(field.annotation)} or models
        last = fields or last
    return last, models


def _models(annotation: object) -> Models:
    """All that stand in an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return {model for each in get_args(annotation) for model in _models(each)}
