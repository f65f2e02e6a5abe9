"""Files are whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyropilot.errors import SettingsError
from models.files import write_whole


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"

    write_whole(path, b"one")
    write_whole(path, b"two")

    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_what_cannot_be_written_is_told_with_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"in the way")

    with pytest.raises(SettingsError, match=r"cannot be written: .*; give another --out"):
        write_whole(tmp_path / "file" / "inner", b"one")
