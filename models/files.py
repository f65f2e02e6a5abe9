"""Files that are there whole or not at all, whenever a machine stops."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from gyropilot.errors import SettingsError


def write_whole(path: Path, content: bytes) -> None:
    """Replaces a file at once; makes folders that are missing. Raises SettingsError where that cannot be done."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as problem:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise SettingsError(f"{path} cannot be written: {problem.strerror}; give another --out") from problem
