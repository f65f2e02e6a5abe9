"""Runs `gyropilot` as a user does: another process, another working folder, no settings but those given."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def gyropilot(*args: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The finished process, with what it printed."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GYROPILOT_")}
    inherited.pop("KUBECONFIG", None)
    return subprocess.run(
        [sys.executable, "-m", "gyropilot", *args],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=folder,
        env={**inherited, "HOME": str(folder), **environment},
    )
