"""What columns of a table of jobs are called; who calls one otherwise is told so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from gyropilot.errors import SettingsError
from gyropilot.near_names import nearest

NEEDED = ("submit_s", "duration_s", "gpus")
OPTIONAL = (
    "job_id", "queue", "priority", "user", "kind", "checkpoint_s", "min_gpus", "max_gpus", "scaling", "leaves_s",
    "deadline_s", "data_gb", "restart_s", "state",
)  # fmt: skip

ASIDE = frozenset((
    "submit_ts", "wait_s", "gpu_type", "class", "nodes", "cpus", "min_cpus", "max_cpus", "start_s", "end_s",
    "held_gpus", "preemptions", "flavor", "pilot", "due_s", "in_time",
    "interruptions", "failures", "outages",
))  # fmt: skip
"""What public traces, and tables that `simulate` wrote, tell beside that: known, and not read."""

MOVES_NOTHING = "user"
"""No job runs otherwise for it: a column called almost so, such as how many users one has, is said to be unread."""

SO_LIKE = 0.8
"""A name that is so like one that is missing is that one, mistyped."""


def refuse_missing(path: Path, names: Sequence[str]) -> None:
    """Raises SettingsError where a table cannot be one of jobs."""
    missing = [name for name in NEEDED if name not in names]
    if not missing:
        return
    meant = [(nearest(name, names), name) for name in missing]
    renamed = ", ".join(f"{other} {name}" for other, name in meant if other)
    raise SettingsError(
        f"{path} has no column {', '.join(missing)}; a table of jobs has {', '.join(NEEDED)} and may have "
        f"{', '.join(OPTIONAL[:-1])} and {OPTIONAL[-1]}; this one has {', '.join(names) or 'none'}"
        + (f"; call its {renamed}, if that is what it tells" if renamed else "")
    )


def refuse_mistyped(path: Path, names: Sequence[str]) -> None:
    """Raises SettingsError where a column would be passed over that somebody meant to be read."""
    free = [name for name in OPTIONAL if name not in names]
    for name in _strange(names):
        meant = nearest(name, free, SO_LIKE)
        if meant and meant != MOVES_NOTHING:
            raise SettingsError(
                f"{path} has a column {name}, which nothing reads; call it {meant} if that is meant, else leave it out"
            )


def unread(names: Sequence[str]) -> list[str]:
    """A note on columns that mean nothing here, where there are any."""
    strange = _strange(names)
    if not strange:
        return []
    some = ", ".join(strange[:8]) + (f" and {len(strange) - 8} more" if len(strange) > 8 else "")
    return [f"nothing reads column {some}" if len(strange) == 1 else f"nothing reads columns {some}"]


def _strange(names: Iterable[str]) -> list[str]:
    return [name for name in names if name not in ASIDE and name not in NEEDED and name not in OPTIONAL]
