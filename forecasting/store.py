"""What a forecaster knows, as one file: numbers and text, never code.

The file is a NumPy `.npz` without pickle: `manifest.json` holds versions, a checksum and the tree of plain data,
which refers to arrays `a0.npy`, `a1.npy`, ... Nothing in it is compressed, so that it cannot grow in memory, and
nothing is read before sizes and names were checked. `np.load` opens it too.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from forecasting.protocol import State
from gyropilot import __version__
from gyropilot.domain import Floats, Line
from gyropilot.errors import ForecastError

Array = NDArray[Any]
Shape = tuple[int | None, ...]
Made = TypeVar("Made")

FORMAT = 1
"""Raised by one whenever a file of before cannot be read any more."""

MIB = 1 << 20
MAX_BYTES = 1024 * MIB
"""A thousand queues need some 200 MB; more is neither saved nor read."""

MAX_MANIFEST_BYTES = 64 * MIB
MEMBER_BYTES = 512
"""More than a zip and NumPy add to an array."""

MAX_DEPTH = 32
MANIFEST = "manifest.json"
ARRAY = "$array"
"""The one key of a mapping that stands for an array: `{"$array": 3}` is `a3.npy`."""

DTYPES = re.compile(r"[<>|](b1|[iu][1248]|f[248]|U[1-9]\d{0,5})")
"""Bools, integers, floats and text; times go in as seconds."""

REMEDY = "delete it, the next fit makes a new one"


def save(state: State, path: Path) -> None:
    """Writes all of `state` to `path`, or leaves the file there as it was: also where `load` would refuse its size."""
    arrays: list[Array] = []
    tree = _planted(state, arrays, "state", 0)
    shapes = [[array.dtype.str, *array.shape] for array in arrays]
    manifest = {"format": FORMAT, "gyropilot": __version__, "checksum": "", "arrays": shapes, "tree": tree}
    blank = _text(manifest)
    _refuse_large(len(blank), arrays, path)
    manifest["checksum"] = _checksum(blank, arrays)
    beside = path.with_name(f"{path.name}.part")
    try:
        _write(beside, _text(manifest), arrays)
        os.replace(beside, path)  # noqa: PTH105 - the atomic step, by its textbook name
        _flush_folder(path.parent)
    except OSError as error:
        with suppress(OSError):  # on a full disk, half a file is in the way
            beside.unlink()
        raise ForecastError(f"cannot save to {path}: {error}; free space there or grant the right to write") from error


def load(path: Path) -> State:
    """What was saved to `path`, whole and unaltered; anything else is refused."""
    try:
        with path.open("rb") as file:
            return _read(file, os.fstat(file.fileno()).st_size)
    except FileNotFoundError as error:
        raise ForecastError(f"nothing was saved to {path} yet; the next fit makes it") from error
    except OSError as error:
        raise ForecastError(f"cannot read {path}: {error}; grant the right to, or {REMEDY}") from error
    except (_Unfit, zipfile.BadZipFile, EOFError, ValueError, RuntimeError, MemoryError) as error:
        raise ForecastError(f"{path} is no state that can be trusted ({error}); {REMEDY}") from error


def lines_to_state(lines: Sequence[Line]) -> State:
    """Lines as plain data."""
    return {"queues": [line.queue for line in lines], "resources": [line.resource for line in lines]}


def lines_from_state(state: State) -> tuple[Line, ...]:
    """The lines that `lines_to_state` was given."""
    queues, resources = texts(state, "queues"), texts(state, "resources")
    if len(queues) != len(resources):
        raise ForecastError(f"the saved state names {len(queues)} queues and {len(resources)} resources; {REMEDY}")
    return tuple(Line(queue, resource) for queue, resource in zip(queues, resources, strict=True))


def lines_from_pairs(state: State, key: str) -> tuple[Line, ...]:
    """The lines that `key` of a state that was loaded lists as queue and resource."""
    pairs = state.get(key)
    if not isinstance(pairs, list | tuple) or not all(_is_pair(pair) for pair in pairs):
        raise ForecastError(f"the saved state holds no pairs of text {key!r}; {REMEDY}")
    return tuple(Line(queue, resource) for queue, resource in pairs)


def array(state: State, key: str, kind: type[np.generic], shape: Shape) -> Array:
    """The array `key` of a state that was loaded; refused unless it has this type and shape (None: any length)."""
    found = state.get(key)
    if not isinstance(found, np.ndarray) or found.dtype != kind or not _is_of(found.shape, shape):
        raise ForecastError(
            f"the saved state holds no array {key!r} of shape {shape} and type {kind.__name__}; {REMEDY}"
        )
    return found


def floats(state: State, key: str, shape: Shape) -> Floats:
    """The numbers `key` of a state that was loaded; refused unless they have this shape."""
    return array(state, key, np.float64, shape)


def texts(state: State, key: str) -> tuple[str, ...]:
    """The list of text `key` of a state that was loaded."""
    found = state.get(key)
    if not isinstance(found, list | tuple) or not all(isinstance(text, str) for text in found):
        raise ForecastError(f"the saved state holds no list of text {key!r}; {REMEDY}")
    return tuple(found)


def text(state: State, key: str) -> str:
    """The text `key` of a state that was loaded."""
    found = state.get(key)
    if not isinstance(found, str):
        raise ForecastError(f"the saved state holds no text {key!r}; {REMEDY}")
    return found


def number(state: State, key: str) -> float:
    """The number `key` of a state that was loaded: finite, and no whole number that 64 bits do not hold."""
    found = state.get(key)
    if isinstance(found, bool) or not isinstance(found, int | float) or not abs(found) < 2**63:
        raise ForecastError(f"the saved state holds no number {key!r}; {REMEDY}")
    return found


def nested(state: State, key: str) -> State:
    """The mapping `key` of a state that was loaded."""
    found = state.get(key)
    if not isinstance(found, Mapping):
        raise ForecastError(f"the saved state holds no mapping {key!r}; {REMEDY}")
    return found


def several(state: State, key: str) -> Sequence[State]:
    """The list of mappings `key` of a state that was loaded."""
    found = state.get(key)
    if not isinstance(found, list | tuple) or not all(isinstance(one, Mapping) for one in found):
        raise ForecastError(f"the saved state holds no list of mappings {key!r}; {REMEDY}")
    return found


def plain(kind: Callable[..., Made], state: State, key: str) -> Made:
    """The dataclass of plain fields whose `asdict` is `key` of a state that was loaded."""
    try:
        return kind(**nested(state, key))
    except TypeError as error:
        raise ForecastError(f"the saved {key!r} is of another version ({error}); {REMEDY}") from error


def _is_pair(value: object) -> bool:
    return isinstance(value, list | tuple) and [type(text) for text in value] == [str, str]


def _is_of(found: tuple[int, ...], shape: Shape) -> bool:
    return len(found) == len(shape) and all(
        wanted in (None, length) for length, wanted in zip(found, shape, strict=True)
    )


class _Unfit(Exception):  # noqa: N818 - becomes a ForecastError that names the file
    """Why a file is refused."""


def _planted(value: Any, arrays: list[Array], place: str, depth: int) -> Any:
    """`value` as JSON can say it, its arrays put into `arrays` and referred to."""
    if depth > MAX_DEPTH:
        raise _refused(place, f"lies more than {MAX_DEPTH} deep")
    match value:
        case np.ndarray():
            arrays.append(_storable(value, place))
            return {ARRAY: len(arrays) - 1}
        case np.generic():
            return _planted(value.item(), arrays, place, depth + 1)
        case Mapping():
            return {_key(k, place): _planted(v, arrays, f"{place}.{k}", depth + 1) for k, v in value.items()}
        case list() | tuple():
            return [_planted(v, arrays, f"{place}[{i}]", depth + 1) for i, v in enumerate(value)]
        case float() if not math.isfinite(value):
            raise _refused(place, "is not a finite number")
        case None | bool() | int() | float() | str():
            return value
    raise _refused(place, f"is a {type(value).__name__}: only plain data and arrays are saved")


def _key(key: object, place: str) -> str:
    if not isinstance(key, str) or key == ARRAY:
        raise _refused(place, f"has a key {key!r}: keys are text, other than {ARRAY!r}")
    return key


def _storable(array: Array, place: str) -> Array:
    """The array in C order; NaN stands for "not known" and may be saved, infinity is a mistake."""
    if not DTYPES.fullmatch(array.dtype.str):
        raise _refused(place, f"is an array of {array.dtype}: only bools, numbers and text are saved")
    if not _without_infinity(array):
        raise _refused(place, "holds infinity")
    return np.asarray(array, order="C")


def _refused(place: str, why: str) -> ForecastError:
    return ForecastError(f"{place} {why}; leave it out of the state or say it otherwise")


def _without_infinity(array: Array) -> bool:
    return array.dtype.kind != "f" or not bool(np.isinf(array).any())


def _text(manifest: Mapping[str, Any]) -> bytes:
    return json.dumps(manifest, separators=(",", ":"), allow_nan=False).encode()


def _refuse_large(manifest_bytes: int, arrays: Sequence[Array], path: Path) -> None:
    """Before anything is written that no restart would read."""
    whole = manifest_bytes + sum(array.nbytes + MEMBER_BYTES for array in arrays) + MEMBER_BYTES
    for what, size, most in (("", whole, MAX_BYTES), ("'s manifest", manifest_bytes, MAX_MANIFEST_BYTES)):
        if size > most:
            raise ForecastError(
                f"what was learnt is too much to save: {path}{what} would have {math.ceil(size / MIB)} MiB, at most "
                f"{most / MIB:g} are read; all goes on, but a restart knows only what was saved before, or fits anew. "
                "Choose a forecast.model that remembers less, or set forecast.state to '' to save nothing"
            )


def _checksum(blank: bytes, arrays: Sequence[Array]) -> str:
    """SHA-256 of everything but itself: of the manifest with none in it, and the arrays."""
    digest = hashlib.sha256(blank)
    for array in arrays:
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _write(path: Path, manifest: bytes, arrays: Sequence[Array]) -> None:
    """A zip that is on the disk when this returns; readable by its owner only."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(zipfile.ZipInfo(MANIFEST), manifest)  # ZipInfo has no clock: same state, same bytes
            for i, array in enumerate(arrays):
                with archive.open(zipfile.ZipInfo(f"a{i}.npy"), "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Makes a rename outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(file: BinaryIO, file_bytes: int) -> State:
    if file_bytes > MAX_BYTES:
        raise _Unfit(f"it has {file_bytes} bytes, at most {MAX_BYTES} are read")
    with zipfile.ZipFile(file) as archive:
        _check_members(archive.infolist(), file_bytes)
        manifest = json.loads(archive.read(MANIFEST), parse_constant=_no_constant)
        _check_version(manifest)
        arrays = [_array(archive.read(f"a{i}.npy"), said) for i, said in enumerate(_told_arrays(manifest, archive))]
    if manifest.get("checksum") != _checksum(_text({**manifest, "checksum": ""}), arrays):
        raise _Unfit("its checksum differs: it was altered")
    tree = _grown(manifest.get("tree"), arrays)
    if not isinstance(tree, dict):
        raise _Unfit("it holds no mapping")
    return tree


def _check_members(members: Sequence[zipfile.ZipInfo], file_bytes: int) -> None:
    """Exactly what `save` writes, and no larger than the file is: nothing is compressed, nothing overlaps."""
    expected = {MANIFEST, *(f"a{i}.npy" for i in range(len(members) - 1))}
    if {m.filename for m in members} != expected:
        raise _Unfit("its members are not those of a state")
    if any(m.compress_type != zipfile.ZIP_STORED or m.file_size != m.compress_size for m in members):
        raise _Unfit("it is compressed, which we never do")
    if sum(m.file_size for m in members) > file_bytes:
        raise _Unfit("it claims to hold more than its own size")
    if next(m for m in members if m.filename == MANIFEST).file_size > MAX_MANIFEST_BYTES:
        raise _Unfit(f"its manifest has more than {MAX_MANIFEST_BYTES} bytes")


def _check_version(manifest: object) -> None:
    found = manifest.get("format") if isinstance(manifest, dict) else None
    if not isinstance(found, int) or isinstance(found, bool):
        raise _Unfit("it names no format")
    if found != FORMAT:
        raise _Unfit(f"its format is {found}, this version reads {FORMAT}")


def _no_constant(name: str) -> NoReturn:
    raise _Unfit(f"it says {name}, which is no number")


def _told_arrays(manifest: Mapping[str, Any], archive: zipfile.ZipFile) -> list[Any]:
    told = manifest.get("arrays")
    if not isinstance(told, list) or len(told) != len(archive.infolist()) - 1:
        raise _Unfit("it does not say what its arrays are")
    return told


def _array(data: bytes, told: object) -> Array:
    """The array in `.npy` bytes; their header is not parsed but must be what `save` writes for the type told."""
    dtype, shape = _type_and_shape(told)
    header = _header(dtype, shape)
    if not data.startswith(header) or len(data) - len(header) != math.prod(shape) * dtype.itemsize:
        raise _Unfit("an array is not what the manifest says")
    array: Array = np.ndarray(shape, dtype, data, len(header)).copy()
    if not _without_infinity(array):
        raise _Unfit("an array holds infinity")
    return array


def _type_and_shape(told: object) -> tuple[np.dtype[Any], tuple[int, ...]]:
    match told:
        case [str(kind), *lengths] if DTYPES.fullmatch(kind):
            shape = tuple(n for n in lengths if isinstance(n, int) and 0 <= n <= MAX_BYTES)
            if len(shape) == len(lengths):
                return np.dtype(kind), shape
    raise _Unfit("an array is of no type that we save")


def _header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    file = BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype.str, "fortran_order": False, "shape": shape})
    return file.getvalue()


def _grown(value: Any, arrays: Sequence[Array]) -> Any:
    """The tree with its arrays back in place."""
    match value:
        case {"$array": int(i)} if len(value) == 1 and 0 <= i < len(arrays):
            return arrays[i]
        case dict():
            return {k: _grown(v, arrays) for k, v in value.items()}
        case list():
            return [_grown(v, arrays) for v in value]
        case _:
            return value
