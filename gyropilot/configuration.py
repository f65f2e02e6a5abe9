"""Where settings come from: command line over environment over one YAML file over defaults."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import ErrorDetails, PydanticUndefined, core_schema
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import (
    SettingsError as SourceError,
)

from gyropilot.errors import SettingsError
from gyropilot.settings import DURATION_PATTERN, CalendarSettings, Section, Settings, format_duration

PREFIX = "GYROPILOT_"
DEFAULT_FILE = Path("gyropilot.yaml")
CONFIG_VARIABLE = "GYROPILOT_CONFIG"


def load(path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """The settings in force. Raises SettingsError naming the field, what it got, what it takes, where to set it.

    `path`: the YAML file; None takes $GYROPILOT_CONFIG, else ./gyropilot.yaml where there is one, else none.
    `overrides`: nested values of the command line, which win over everything.
    """
    file = find_file(path)
    document = read_file(file) if file else {}
    _refuse_unknown_variables()
    try:
        return _Everywhere.from_sources(document, dict(overrides or {}))
    except ValidationError as problem:
        raise SettingsError("\n".join(_sentence(e, file, document) for e in problem.errors())) from problem
    except SourceError as problem:
        raise SettingsError(
            f"an environment variable cannot be read: {problem}; lists and maps are given as JSON"
        ) from problem


def load_calendar(path: Path) -> CalendarSettings:
    """The `calendar` of a settings file, whatever else stands in it. Raises SettingsError, also where it has none."""
    file = find_file(path) or path
    document = read_file(file)
    if "calendar" not in document:
        raise SettingsError(f"{file} has no section calendar; `gyropilot config sample` shows what may stand in one")
    try:
        return Settings.model_validate({"calendar": document["calendar"]}).calendar
    except ValidationError as problem:
        raise SettingsError("\n".join(_sentence(e, file, document) for e in problem.errors())) from problem


def find_file(path: Path | None) -> Path | None:
    """The file to read, or None when there is none and none was asked for."""
    asked = path or (Path(os.environ[CONFIG_VARIABLE]) if os.environ.get(CONFIG_VARIABLE) else None)
    if asked is None:
        return DEFAULT_FILE if DEFAULT_FILE.is_file() else None
    if not asked.is_file():
        raise SettingsError(f"no settings file at {asked}; write one with `gyropilot config sample > {asked}`")
    return asked


def read_file(path: Path) -> dict[str, Any]:
    """The file's mapping; an empty file is an empty mapping."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        raise SettingsError(f"{path} is not YAML: {' '.join(str(problem).split())}") from problem
    except OSError as problem:
        raise SettingsError(f"{path} cannot be read: {problem.strerror}") from problem
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise SettingsError(f"{path} must hold a mapping of sections, it holds a {type(document).__name__}")
    if strange := [name for name in document if not isinstance(name, str)]:
        raise SettingsError(f"{strange[0]!r} is no section of the settings; it is set in {path}")
    # A section whose lines are all commented out reads as null: nothing is told.
    return {name: section for name, section in document.items() if section is not None}


class _Everywhere(BaseSettings, Settings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, case_sensitive=False
    )
    document: ClassVar[dict[str, Any]] = {}

    @classmethod
    def from_sources(cls, document: dict[str, Any], overrides: dict[str, Any]) -> Settings:
        bound = type("Settings", (cls,), {"document": document, "__module__": __name__})
        return bound(**overrides)  # type: ignore[no-any-return]

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, InitSettingsSource(settings_cls, init_kwargs=cls.document)


def _refuse_unknown_variables() -> None:
    sections = {name.upper() for name in Settings.model_fields}
    for variable in os.environ:
        section, nested, _ = variable.removeprefix(PREFIX).partition("__")
        if variable.startswith(PREFIX) and nested and section not in sections:
            close = difflib.get_close_matches(section, sections, n=1)
            raise SettingsError(
                f"{variable} names no section of the settings"
                + (f"; did you mean {PREFIX}{close[0]}__…?" if close else "")
            )


def _sentence(error: ErrorDetails, file: Path | None, document: Mapping[str, Any]) -> str:
    where = [str(part) for part in error["loc"]]
    name, variable = ".".join(where), PREFIX + "__".join(where).upper()
    if error["type"] == "extra_forbidden":
        problem = f"{name} is no setting{_suggestion(where)}"
    else:
        takes = error["msg"].removeprefix("Value error, ")
        problem = f"{name} got {_shown(where, error['input'])}: {takes[:1].lower()}{takes[1:]}"
    if variable in os.environ:
        return f"{problem}; it is set by the environment variable {variable}"
    if file and _holds(document, where):
        return f"{problem}; it is set in {file}"
    return f"{problem}; set it in {file or DEFAULT_FILE} or {variable}"


def _shown(where: list[str], value: object) -> str:
    secret = any(word in part for part in where for word in ("password", "token", "headers", "url"))
    told = format_duration(value) if isinstance(value, timedelta) else value
    return "a secret" if secret else repr(told)[:80]


def _suggestion(where: list[str]) -> str:
    model: Any = Settings
    for part in where[:-1]:
        field = model.model_fields.get(part) if isinstance(model, type) and issubclass(model, BaseModel) else None
        model = _section(field) if field else None
    names = list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []
    close = difflib.get_close_matches(where[-1], names, n=1)
    return f" (did you mean {'.'.join([*where[:-1], close[0]])}?)" if close else ""


def _holds(document: Any, where: list[str]) -> bool:
    for part in where:
        if isinstance(document, Mapping) and part in document:
            document = document[part]
        elif isinstance(document, list) and part.isdigit() and int(part) < len(document):
            document = document[int(part)]
        else:
            return False
    return True


def _section(field: FieldInfo) -> type[Section] | None:
    """The section that a field holds, directly or as the values of a map by name."""
    candidates = (field.annotation, *getattr(field.annotation, "__args__", ()))
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, Section)), None)


# -- what the settings are, for people -----------------------------------------------------------------------------


def show(settings: Settings) -> str:
    """The settings in force as YAML, secrets masked."""
    return yaml.safe_dump(json.loads(settings.model_dump_json()), sort_keys=False, allow_unicode=True)


def schema() -> dict[str, Any]:
    """JSON schema of the settings file, for editors."""
    made = Settings.model_json_schema(schema_generator=_FileSchema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


class _FileSchema(GenerateJsonSchema):
    """What a file may hold, as it is written there: durations as text or seconds, a section left empty."""

    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> JsonSchemaValue:
        bounds = {"ge": "minimum", "gt": "exclusiveMinimum"}
        told = {word: schema[key].total_seconds() for key, word in bounds.items() if key in schema}  # type: ignore[literal-required]
        return {"type": ["string", "number"], "pattern": DURATION_PATTERN, **(told or {"minimum": 0})}

    def encode_default(self, dft: Any) -> Any:
        return json.loads(_plain(dft))

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        if isinstance(schema.get("default"), Section):
            return {"anyOf": [made, {"type": "null"}]}
        return made


def sample() -> str:
    """A settings file with every field commented: its default, and why."""
    lines = ["# Gyropilot settings. Every line is optional; what stands here are the defaults."]
    for name, field in Settings.model_fields.items():
        lines += ["", f"# {field.description}"]
        section = _section(field)
        if field.annotation is section and section is not None:
            lines += [f"{name}:", *_sample_fields(section, "  ")]
        elif section is not None:
            lines += [
                f"{name}: {{}}",
                "#   a-name:",
                *(f"# {line.replace('# ', '', 1)}" for line in _sample_fields(section, "    ")),
            ]
    return "\n".join(lines) + "\n"


def _sample_fields(section: type[Section], indent: str) -> Iterator[str]:
    for name, field in section.model_fields.items():
        yield f"{indent}# {field.description}"
        yield f"{indent}# {name}: {_default(field)}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "(required)"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined or value is None:
        return "null"
    text: str = json.dumps(json.loads(_plain(value)))
    return text.strip('"') if text.startswith('"') and text != '""' else text


def _plain(value: object) -> str:
    from pydantic import TypeAdapter

    from gyropilot.settings import Duration

    durations: TypeAdapter[Any] = TypeAdapter(list[Duration])
    values = list(value) if isinstance(value, tuple) else [value]
    if values and hasattr(values[0], "total_seconds"):
        dumped = json.loads(durations.dump_json(values))
        return json.dumps(dumped if isinstance(value, tuple) else dumped[0])
    return TypeAdapter(type(value)).dump_json(value).decode()


def table() -> str:
    """docs/settings.md: every setting with default, environment variable and reason."""
    lines = [
        "# Settings",
        "",
        "One YAML file (`--config`, `$GYROPILOT_CONFIG`, or `./gyropilot.yaml`), overridden by environment variables",
        "(`GYROPILOT_` and the path in capitals, sections parted by `__`: `GYROPILOT_PROMETHEUS__URL`; lists and maps",
        "as JSON), overridden by the command line. `gyropilot config sample` writes a file with every default;",
        "`config show` prints what is in force; `config schema` gives a JSON schema to editors.",
        "Durations are written `90s`, `15m`, `2h`, `14d`. This page is made from the code by `gyropilot config docs`.",
    ]
    for name, field in Settings.model_fields.items():
        section = _section(field)
        if section is None:
            continue
        by_name = field.annotation is not section
        prefix = f"{name}.<name>" if by_name else name
        lines += [
            "",
            f"## `{prefix}`",
            "",
            str(field.description),
            "",
            "| setting | default | meaning |",
            "|---|---|---|",
        ]
        for leaf, inner in section.model_fields.items():
            lines.append(f"| `{prefix}.{leaf}` | {_cell(_default(inner))} | {inner.description} |")
    return "\n".join(lines) + "\n"


def _cell(default: str) -> str:
    return f"`{default}`" if len(default) <= 60 else f"`{default[:57]}…`"
