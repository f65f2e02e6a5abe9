"""Cycles as JSON and back, from the fields of the domain's own types: a noun that grows a field is written with it.

Reading is lenient where time passes: a field that an older journal lacks takes its default, one that is not known
any more is skipped. Not a number is `null` in arrays, and the words `nan`, `inf`, `-inf` elsewhere.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from gyropilot.domain import Cycle, DemandHistory
from gyropilot.errors import JournalError

_MICROSECOND = timedelta(microseconds=1)


def to_json(cycle: Cycle, tail: timedelta = timedelta(days=3)) -> str:
    """The whole cycle; of its history what a report draws, for Prometheus has the rest.

    Of queues that are gone that is what they add to totals.
    """
    history, gone = cycle.state.history, cycle.state.gone.past_total()
    state = replace(cycle.state, history=tail_of(history, tail), gone=tail_of(gone, tail))
    return json.dumps(encode(replace(cycle, state=state)), separators=(",", ":"), allow_nan=False)


def from_json(text: str | bytes) -> Cycle:
    """What `to_json` wrote. Raises JournalError for anything else."""
    cycle: Cycle = read(Cycle, text)
    return cycle


def read(kind: Any, text: str | bytes) -> Any:
    """A value of the kind. Raises JournalError when the text does not hold one."""
    try:
        return decode(kind, json.loads(text))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as problem:
        raise JournalError(
            f"the journal holds something that is no {kind.__name__} ({problem}); it was written by another program "
            "or is damaged: restore it from a backup, or set journal.url to a new file"
        ) from problem


def tail_of(history: DemandHistory, tail: timedelta) -> DemandHistory:
    """The newest readings, on the same grid."""
    steps = min(len(history.times), max(1, int(tail / history.step)))
    first = len(history.times) - steps
    return DemandHistory(history.lines, history.times[first:], history.running[:, first:], history.pending[:, first:])


def encode(value: Any) -> Any:
    """As JSON's own types."""
    if isinstance(value, str | bool | int | NoneType):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, timedelta):
        return value // _MICROSECOND
    return _encode_array(value) if isinstance(value, np.ndarray | np.generic) else _encode_whole(value)


def _encode_array(value: NDArray[Any] | np.generic) -> Any:
    if isinstance(value, np.generic):
        return encode(value.item())
    return {"shape": list(value.shape), "values": [_number(x) for x in value.ravel().tolist()]}


def _encode_whole(value: Any) -> Any:
    if is_dataclass(value):
        return {f.name: encode(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value):
            return {key: encode(item) for key, item in value.items()}
        return [[encode(key), encode(item)] for key, item in value.items()]
    return [encode(item) for item in value]


def _number(value: float) -> Any:
    return None if math.isnan(value) else encode(value)


def decode(kind: Any, value: Any) -> Any:
    """The value of a kind that `encode` gave."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        some = next(part for part in parts if part is not NoneType)
        return None if value is None else decode(some, value)
    if origin is tuple:
        return tuple(decode(parts[0], item) for item in value)
    if origin is np.ndarray:
        return _array(value, get_args(parts[1])[0])
    if origin is not None:  # the only other generic of the domain is Mapping
        pairs = value.items() if isinstance(value, dict) else value
        return {decode(parts[0], key): decode(parts[1], item) for key, item in pairs}
    return _decode_plain(kind, value)


def _decode_plain(kind: Any, value: Any) -> Any:
    if kind is datetime:
        return datetime.fromisoformat(value)
    if kind is timedelta:
        return value * _MICROSECOND
    if is_dataclass(kind):
        return _decode_fields(kind, value)
    if issubclass(kind, tuple):
        return kind(*(decode(hint, item) for hint, item in zip(_hints(kind).values(), value, strict=True)))
    return kind(value)


def _decode_fields(kind: Any, value: Mapping[str, Any]) -> Any:
    hints = _hints(kind)
    return kind(**{name: decode(hints[name], item) for name, item in value.items() if name in hints})


def _array(value: Mapping[str, Any], dtype: Any) -> NDArray[Any]:
    numbers = [math.nan if item is None else float(item) for item in value["values"]]
    if np.issubdtype(dtype, np.integer):
        return np.array(value["values"], dtype=dtype).reshape(value["shape"])
    return np.array(numbers, dtype=dtype).reshape(value["shape"])


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)
