"""A simulation as text for a terminal, as JSON, and job by job."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from envs.job_file import JobFile
from envs.tally import Tally, Waits, tally
from envs.workloads import Floats
from gyropilot.errors import SettingsError
from gyropilot.report.words import visible

if TYPE_CHECKING:
    import pandas as pd

WIDTH = 160
COLUMNS = ("jobs", "never started", "GPU-hours", "wait p50", "wait p95", "mean", "longest")


@dataclass(frozen=True, eq=False, slots=True)
class Simulation:
    """What became of the jobs of a file."""

    world: str  # on what, in words
    facts: Mapping[str, object]  # the same for programs
    gpus: int
    file: JobFile
    start_s: Floats  # (N,) inf: never
    where: Mapping[str, Any]  # (N,) by name of the column: nodes, or the flavor

    @property
    def tally(self) -> Tally:
        return tally(self.file.table, self.start_s, self.gpus)


def to_text(found: Simulation) -> str:
    """A line per queue, the longest waits first, and what all of it comes to."""
    paper = StringIO()
    console = Console(file=paper, width=WIDTH, force_terminal=False, color_system=None, _environ={})
    console.print(Text(f"Simulation · {found.world}\n"))
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("queue", overflow="fold", max_width=60)
    for name in COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    everybody, *queues = found.tally.waits
    for waits in (everybody, *sorted(queues, key=lambda waits: -waits.p95_s)):
        table.add_row(*(Text(visible(cell)) for cell in _cells(waits)))
    console.print(table)
    for note in found.file.notes:
        console.print(Text(visible(f"· {note}")))
    console.print(Text(f"\n{_headline(found.tally)}"))
    return "\n".join(line.rstrip() for line in paper.getvalue().splitlines()) + "\n"


def to_json(found: Simulation) -> str:
    """One object; times in seconds."""
    figures = found.tally
    told = {
        **found.facts,
        "provisioned_gpu_hours": figures.provisioned_gpu_hours,
        "used_gpu_hours": figures.used_gpu_hours,
        "utilisation": figures.utilisation,
        "queues": [_object(waits) for waits in figures.waits],
        "notes": list(found.file.notes),
    }
    return json.dumps(told, indent=2)


def write_jobs(path: Path, found: Simulation) -> None:
    """Each job as a row of parquet, in order of submission. Raises SettingsError where that cannot be written."""
    import pandas as pd

    jobs, start_s = found.file.table, np.where(np.isfinite(found.start_s), found.start_s, np.nan)
    frame = pd.DataFrame(
        {
            "job_id": found.file.ids,
            "queue": np.array(jobs.queues)[jobs.queue],
            "gpus": jobs.gpus,
            "submit_s": jobs.submit_s,
            "start_s": start_s,
            "end_s": start_s + jobs.duration_s,
            "wait_s": start_s - jobs.submit_s,
            "preemptions": np.zeros(len(jobs), dtype=np.int64),  # nobody is, in these worlds
            **found.where,
        }
    )
    write_frame(path, frame)


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """As parquet. Raises SettingsError where that cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.to_parquet(path, index=False)
    except OSError as problem:
        raise SettingsError(f"{path} cannot be written: {problem}; give another --jobs-out") from problem


def _headline(found: Tally) -> str:
    everybody = found.waits[0]
    never = f", {everybody.never_started:,} never started" if everybody.never_started else ""
    return (
        f"{everybody.jobs:,} jobs used {found.used_gpu_hours:,.0f} of {found.provisioned_gpu_hours:,.0f} GPU-hours "
        f"({100 * found.utilisation:.0f} %){never}; half of them waited {span(everybody.p50_s)} or less, 5 % more "
        f"than {span(everybody.p95_s)}"
    )


def _cells(waits: Waits) -> list[str]:
    spans = (waits.p50_s, waits.p95_s, waits.mean_s, waits.longest_s)
    counts = (f"{waits.jobs:,}", f"{waits.never_started:,}", f"{waits.gpu_hours:,.0f}")
    return ["all" if waits.queue is None else waits.queue, *counts, *(span(seconds) for seconds in spans)]


def _object(waits: Waits) -> dict[str, object]:
    return {
        "queue": waits.queue,
        "jobs": waits.jobs,
        "never_started": waits.never_started,
        "gpu_hours": waits.gpu_hours,
        "wait_p50_s": waits.p50_s,
        "wait_p95_s": waits.p95_s,
        "wait_mean_s": waits.mean_s,
        "wait_longest_s": waits.longest_s,
    }


def span(seconds: float) -> str:
    """A time as people say it: 0 s, 45 s, 12 min, 3.4 h, 2.1 d."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5_400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3_600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} d"
