import json
import os
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from forecasting import store
from forecasting.store import floats, lines_from_state, lines_to_state, load, number, save, texts
from gyropilot.domain import ALL_QUEUES, Line
from gyropilot.errors import ForecastError
from tests.fakes import GPU

STATE = {"name": "ets", "level": np.array([8.0, np.nan]), "of": [{"lag": 3, "seen": None}, True, np.arange(6)]}

DTYPES = arrays_of.boolean_dtypes() | arrays_of.integer_dtypes() | arrays_of.floating_dtypes(sizes=(32, 64))
SHAPES = arrays_of.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
NUMBERS = DTYPES.flatmap(lambda d: arrays_of.arrays(d, SHAPES, elements={"allow_infinity": False} if _is(d) else None))
TEXTS = arrays_of.arrays("<U5", SHAPES)
PLAIN = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False)
KEYS = st.text().filter(lambda key: key != store.ARRAY)
TREES = st.recursive(
    PLAIN | NUMBERS | TEXTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)
)
STATES = st.dictionaries(KEYS, TREES, max_size=4)
ON_DISK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gyropilot.npz"


@ON_DISK
@given(state=STATES)
def test_what_was_saved_comes_back(state: dict[str, Any], path: Path) -> None:
    save(state, path)

    assert same(load(path), state)


def test_numpy_opens_it_without_pickle(path: Path) -> None:
    save(STATE, path)

    with np.load(path, allow_pickle=False) as opened:
        assert opened["a1"].tolist() == [0, 1, 2, 3, 4, 5]
        assert json.loads(opened["manifest.json"])["tree"]["name"] == "ets"


def test_the_same_state_makes_the_same_bytes(path: Path) -> None:
    save(STATE, path)
    first = path.read_bytes()

    save(STATE, path)

    assert path.read_bytes() == first


def test_only_its_owner_may_read_it_and_nothing_stays_beside_it(path: Path) -> None:
    save(STATE, path)

    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_arrays_may_be_views_scalars_and_tuples(path: Path) -> None:
    save({"view": np.arange(12).reshape(3, 4).T[::2], "count": np.int64(3), "pair": (1, 2)}, path)

    assert same(load(path), {"view": np.array([[0, 4, 8], [2, 6, 10]]), "count": 3, "pair": [1, 2]})


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (object(), "state.x is a object: only plain data and arrays"),
        (np.array([object()]), "state.x is an array of object"),
        (np.array(["2026-03-02"], "datetime64[s]"), "state.x is an array of datetime64"),
        (float("nan"), "state.x is not a finite number"),
        (np.array([1.0, np.inf]), "state.x holds infinity"),
        ([{1: 2}], r"state.x\[0\] has a key 1"),
        ({"$array": 0}, "state.x has a key '\\$array'"),
        (lambda: None, "state.x is a function"),
    ],
)
def test_refuses_to_save_what_is_no_plain_data(value: object, why: str, path: Path) -> None:
    with pytest.raises(ForecastError, match=why):
        save({"x": value}, path)

    assert not path.exists()


def test_refuses_to_save_what_has_no_end(path: Path) -> None:
    endless: dict[str, Any] = {}
    endless["again"] = endless

    with pytest.raises(ForecastError, match="lies more than 32 deep"):
        save(endless, path)


def test_a_crash_before_the_rename_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save({"night": 1}, path)

    with monkeypatch.context() as power_cut:
        power_cut.setattr(os, "replace", _crash)
        with pytest.raises(KeyboardInterrupt):
            save({"night": 2}, path)

    assert load(path) == {"night": 1}
    save({"night": 3}, path)  # what the crash left beside does not stand in the way
    assert load(path) == {"night": 3}
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_is_said_and_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save({"night": 1}, path)

    with monkeypatch.context() as full:
        full.setattr(os, "fsync", _no_space)
        with pytest.raises(ForecastError, match=r"cannot save to .*No space left.*free"):
            save({"night": 2}, path)

    assert load(path) == {"night": 1}
    assert list(path.parent.iterdir()) == [path]


def test_follows_no_link_that_someone_laid(path: Path) -> None:
    victim = path.with_name("victim")
    victim.write_text("precious")
    path.with_name("gyropilot.npz.part").symlink_to(victim)

    with pytest.raises(ForecastError, match="cannot save"):
        save(STATE, path)

    assert victim.read_text() == "precious"


def test_says_where_nothing_was_saved_yet(path: Path) -> None:
    with pytest.raises(ForecastError, match=r"nothing was saved to .* yet; the next fit makes it"):
        load(path)


@ON_DISK
@given(share=st.floats(0, 1, exclude_max=True))
def test_refuses_a_truncated_file(share: float, path: Path) -> None:
    save(STATE, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])

    with pytest.raises(ForecastError, match="delete it, the next fit makes a new one"):
        load(path)


@settings(ON_DISK, max_examples=150)
@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_an_altered_byte_changes_nothing_that_is_read(place: float, flip: int, path: Path) -> None:
    save(STATE, path)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= flip
    path.write_bytes(content)

    try:
        found = load(path)
    except ForecastError:
        return
    assert same(found, STATE)  # the byte was a zip's date or the like


@ON_DISK
@given(junk=st.binary(max_size=400))
def test_refuses_junk(junk: bytes, path: Path) -> None:
    path.write_bytes(junk)

    with pytest.raises(ForecastError, match="delete it"):
        load(path)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda m: m | {"format": 2}, "its format is 2, this version reads 1"),
        (lambda m: m | {"format": True}, "names no format"),
        (lambda m: [m], "names no format"),
        (lambda m: m | {"gyropilot": "9.9"}, "checksum"),
        (lambda m: m | {"tree": {"name": "arima"}}, "checksum"),
        (lambda m: m | {"arrays": m["arrays"][:1]}, "does not say what its arrays are"),
        (lambda m: m | {"arrays": [["|O", 2], m["arrays"][1]]}, "an array is of no type that we save"),
        (lambda m: m | {"arrays": [["<f8", -2], m["arrays"][1]]}, "an array is of no type that we save"),
        (lambda m: m | {"arrays": [["<f8", 10**8], m["arrays"][1]]}, "an array is not what the manifest says"),
        (lambda m: m | {"arrays": [["<f8", 0, 10**30], m["arrays"][1]]}, "an array is of no type that we save"),
    ],
)
def test_refuses_a_manifest_that_someone_wrote(change: Callable[[Any], Any], why: str, path: Path) -> None:
    save(STATE, path)
    forge(path, lambda name, data: json.dumps(change(json.loads(data))).encode() if name == store.MANIFEST else data)

    with pytest.raises(ForecastError, match=f"{why}.*delete it"):
        load(path)


@pytest.mark.parametrize("manifest", [b'{"format": NaN}', b"[" * 100_000, b"\xff", b""])
def test_refuses_a_manifest_that_is_no_json(manifest: bytes, path: Path) -> None:
    save(STATE, path)
    forge(path, lambda name, data: manifest if name == store.MANIFEST else data)

    with pytest.raises(ForecastError, match="delete it"):
        load(path)


def test_unpickles_nothing(path: Path) -> None:
    save({"x": np.zeros(2)}, path)
    evil = BytesIO()
    np.save(evil, np.array([_Touch(path.with_name("owned"))]), allow_pickle=True)
    forge(path, lambda name, data: evil.getvalue() if name == "a0.npy" else data)

    with pytest.raises(ForecastError, match="delete it"):
        load(path)

    assert not path.with_name("owned").exists()


def test_refuses_infinity_with_a_checksum_that_fits(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as forger:
        forger.setattr(store, "_without_infinity", lambda array: True)
        save({"x": np.array([np.inf])}, path)

    with pytest.raises(ForecastError, match="an array holds infinity"):
        load(path)


def test_refuses_a_bomb_before_it_unpacks(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(store.MANIFEST, b" " * 50_000_000)

    with pytest.raises(ForecastError, match="it is compressed, which we never do"):
        load(path)


def test_refuses_members_that_share_their_bytes(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a0.npy", b"x" * 10_000)
        archive.writestr(store.MANIFEST, b"{}")
        archive.filelist += [_renamed(archive.filelist[0], f"a{i}.npy") for i in range(1, 100)]

    with pytest.raises(ForecastError, match="claims to hold more than its own size"):
        load(path)


@pytest.mark.parametrize("name", ["a7.npy", "../../etc/passwd", "readme.txt"])
def test_refuses_a_member_that_we_never_wrote(name: str, path: Path) -> None:
    save(STATE, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"")

    with pytest.raises(ForecastError, match="members are not those of a state"):
        load(path)


def test_refuses_a_file_that_is_too_large_without_reading_it(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(store.MAX_BYTES + 1)  # a hole: takes no room

    with pytest.raises(ForecastError, match="at most 1073741824 are read"):
        load(path)


@ON_DISK
@given(state=STATES, spare=st.integers(-2_000, 2_000))
def test_what_is_saved_is_never_too_large_to_be_read(state: dict[str, Any], spare: int, path: Path) -> None:
    path.unlink(missing_ok=True)
    save(state, path)
    size = path.stat().st_size
    path.unlink()

    with pytest.MonkeyPatch.context() as small:
        small.setattr(store, "MAX_BYTES", max(0, size + spare))
        try:
            save(state, path)
        except ForecastError:
            assert not path.exists()
        else:
            assert same(load(path), state)


@pytest.mark.parametrize(
    ("limit", "why"),
    [
        ("MAX_BYTES", "gyropilot.npz would have 4 MiB, at most 1 are read; all goes on"),
        ("MAX_MANIFEST_BYTES", "gyropilot.npz's manifest would have 3 MiB, at most 1 are read; all goes on"),
    ],
)
def test_refuses_to_save_more_than_is_read_and_leaves_the_old_file(
    limit: str, why: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save({"night": 1}, path)
    monkeypatch.setattr(store, limit, 1 << 20)

    with pytest.raises(ForecastError, match=f"{why}.*or fits anew.*set forecast.state to ''"):
        save({"text": "x" * (2 << 20), "table": np.zeros(1 << 17)}, path)

    assert load(path) == {"night": 1}
    assert list(path.parent.iterdir()) == [path]


def test_lines_come_back_in_their_order() -> None:
    lines = (Line("research", GPU), Line("", GPU), Line("ärzte/nacht", "google.com/tpu"), Line(ALL_QUEUES, GPU))

    assert lines_from_state(lines_to_state(lines)) == lines


@pytest.mark.parametrize("state", [{}, {"queues": ["a"], "resources": []}, {"queues": [1], "resources": [GPU]}])
def test_refuses_lines_that_contradict_themselves(state: dict[str, Any]) -> None:
    with pytest.raises(ForecastError, match="delete it"):
        lines_from_state(state)


def test_an_array_of_another_shape_or_type_is_refused() -> None:
    state = {"level": np.zeros((2, 3)), "count": np.zeros(2, np.int64), "names": ["a"]}

    assert floats(state, "level", (2, 3)).shape == (2, 3)
    assert texts(state, "names") == ("a",)
    for key, shape in (("level", (3, 2)), ("count", (2,)), ("names", (1,)), ("slope", (2, 3))):
        with pytest.raises(ForecastError, match=f"holds no array '{key}' of shape"):
            floats(state, key, shape)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 2**63, 10**400, True, "1", None])
def test_a_number_that_nobody_can_count_with_is_refused(value: object) -> None:
    assert number({"slots": 3, "step_s": 300.0}, "slots") == 3

    with pytest.raises(ForecastError, match="holds no number 'slots'"):
        number({"slots": value}, "slots")


def same(one: Any, other: Any) -> bool:
    """Equal in value, type, shape and order; NaN equals NaN."""
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and bool(one == other)


def forge(path: Path, change: Callable[[str, bytes], bytes]) -> None:
    """Writes the file anew with members changed, as someone would who knows the format."""
    with zipfile.ZipFile(path) as archive:
        members = {name: change(name, archive.read(name)) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


class _Touch:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def _renamed(member: zipfile.ZipInfo, name: str) -> zipfile.ZipInfo:
    twin = zipfile.ZipInfo(name)
    for slot in ("header_offset", "file_size", "compress_size", "CRC"):
        setattr(twin, slot, getattr(member, slot))
    return twin


def _is(dtype: "np.dtype[Any]") -> bool:
    return dtype.kind == "f"


def _crash(*_: object) -> None:
    raise KeyboardInterrupt


def _no_space(_: int) -> None:
    raise OSError(28, "No space left on device")
