"""What measurements on traces have in common: where the traces lie, and how what is wrong is told."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from gyropilot.errors import GyropilotError, SettingsError


def traces() -> Path:
    """The folder. Raises SettingsError where nobody says which."""
    folder = os.environ.get("GYROPILOT_TRACES")
    if not folder:
        raise SettingsError("GYROPILOT_TRACES is not set; give it the folder in which the traces lie")
    return Path(folder)


def run(main: Callable[[], None]) -> None:
    """A program whose errors are one sentence."""
    try:
        main()
    except GyropilotError as problem:
        raise SystemExit(str(problem)) from problem
