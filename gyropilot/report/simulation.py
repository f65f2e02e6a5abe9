"""A simulation as text for a terminal, as JSON, and job by job."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from envs.fixed import FixedCluster, Runs
from envs.job_file import JobFile
from envs.tally import Tally, Waits, tally
from gyropilot.errors import SettingsError
from gyropilot.report.words import visible

WIDTH = 160
COLUMNS = ("jobs", "GPU-hours", "wait p50", "wait p95", "mean", "longest")


def to_text(cluster: FixedCluster, file: JobFile, runs: Runs) -> str:
    """A line per queue, the longest waits first, and what all of it comes to."""
    found = tally(runs, cluster)
    paper = StringIO()
    console = Console(file=paper, width=WIDTH, force_terminal=False, color_system=None, _environ={})
    title = f"Simulation · {cluster.nodes:,} nodes x {cluster.gpus_per_node} GPUs, first come first served"
    console.print(Text(f"{title}\n"))
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("queue", overflow="fold", max_width=60)
    for name in COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    everybody, *queues = found.waits
    for waits in (everybody, *sorted(queues, key=lambda waits: -waits.p95_s)):
        table.add_row(*(Text(visible(cell)) for cell in _cells(waits)))
    console.print(table)
    for note in file.notes:
        console.print(Text(visible(f"· {note}")))
    console.print(Text(f"\n{_headline(found)}"))
    return "\n".join(line.rstrip() for line in paper.getvalue().splitlines()) + "\n"


def to_json(cluster: FixedCluster, file: JobFile, runs: Runs) -> str:
    """One object; times in seconds."""
    found = tally(runs, cluster)
    told = {
        "nodes": cluster.nodes,
        "gpus_per_node": cluster.gpus_per_node,
        "order": "fifo",
        "provisioned_gpu_hours": found.provisioned_gpu_hours,
        "used_gpu_hours": found.used_gpu_hours,
        "utilisation": found.utilisation,
        "queues": [_object(waits) for waits in found.waits],
        "notes": list(file.notes),
    }
    return json.dumps(told, indent=2)


def write_jobs(path: Path, file: JobFile, runs: Runs) -> None:
    """Each job as a row of parquet, in order of submission. Raises SettingsError where that cannot be written."""
    import pandas as pd

    frame = pd.DataFrame(
        {
            "job_id": file.ids,
            "queue": np.array(runs.jobs.queues)[runs.jobs.queue],
            "gpus": runs.jobs.gpus,
            "submit_s": runs.jobs.submit_s,
            "start_s": runs.start_s,
            "end_s": runs.end_s,
            "wait_s": runs.wait_s,
            "preemptions": np.zeros(len(runs.jobs), dtype=np.int64),  # nobody is, in this order
            "nodes": np.split(runs.node, runs.first[1:-1]),
        }
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.to_parquet(path, index=False)
    except OSError as problem:
        raise SettingsError(f"{path} cannot be written: {problem}; give another --jobs-out") from problem


def _headline(found: Tally) -> str:
    everybody = found.waits[0]
    return (
        f"{everybody.jobs:,} jobs used {found.used_gpu_hours:,.0f} of {found.provisioned_gpu_hours:,.0f} GPU-hours "
        f"({found.utilisation:.0%}); half of them waited {_span(everybody.p50_s)} or less, 5 % more than "
        f"{_span(everybody.p95_s)}"
    ).replace("%)", " %)")


def _cells(waits: Waits) -> list[str]:
    spans = (waits.p50_s, waits.p95_s, waits.mean_s, waits.longest_s)
    return [waits.queue or "all", f"{waits.jobs:,}", f"{waits.gpu_hours:,.0f}", *(_span(span) for span in spans)]


def _object(waits: Waits) -> dict[str, object]:
    return {
        "queue": waits.queue,
        "jobs": waits.jobs,
        "gpu_hours": waits.gpu_hours,
        "wait_p50_s": waits.p50_s,
        "wait_p95_s": waits.p95_s,
        "wait_mean_s": waits.mean_s,
        "wait_longest_s": waits.longest_s,
    }


def _span(seconds: float) -> str:
    """A time as people say it: 0 s, 45 s, 12 min, 3.4 h, 2.1 d."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5_400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3_600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} d"
