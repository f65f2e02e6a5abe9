"""What came of pilots on the same jobs, side by side, as text for a terminal and as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from envs.job_file import JobFile
from envs.terms import KINDS
from envs.trial import Trial, paired
from envs.workloads import DAY_S
from gyropilot.report.simulation import span, write_frame
from gyropilot.report.words import visible

if TYPE_CHECKING:
    import pandas as pd

    from envs.bound import Bound

WIDTH = 160
SEED = 0
"""Of the bootstrap: the same figures print the same intervals."""


@dataclass(frozen=True, eq=False, slots=True)
class Trials:
    """Pilots that met the same jobs and the same weather."""

    world: str  # in words
    file: JobFile
    trials: tuple[Trial, ...]
    bound: Bound | None  # None: not asked for
    began_s: float = 0.0  # at which moment of the file the world begins

    def over_bound(self, trial: Trial) -> float | None:
        """Percent."""
        return None if self.bound is None or self.bound.usd <= 0 else 100 * (trial.total_usd / self.bound.usd - 1)

    def over_first(self, trial: Trial) -> tuple[float, float, float]:
        """Percent by which it costs more than the first, and a 90 % interval over days."""
        return paired(trial, self.trials[0], np.random.default_rng(SEED))


def to_text(found: Trials) -> str:
    """A line per pilot for what it costs, and one for what that bought."""
    paper = StringIO()
    console = Console(file=paper, width=WIDTH, force_terminal=False, color_system=None, _environ={})
    console.print(Text(f"Simulation · {found.world}\n"))
    console.print(_costs(found))
    console.print(_service(found))
    for note in found.file.notes:
        console.print(Text(visible(f"· {note}")))
    for sentence in _sentences(found):
        console.print(Text(sentence))
    return "\n".join(line.rstrip() for line in paper.getvalue().splitlines()) + "\n"


def to_json(found: Trials) -> str:
    """One object; USD, hours, times in seconds."""
    told = {
        "world": found.world,
        "days": found.trials[0].days,
        "bound_usd": None if found.bound is None else found.bound.usd,
        "pilots": [_object(found, trial) for trial in found.trials],
        "notes": list(found.file.notes),
    }
    return json.dumps(told, indent=2)


def write_jobs(path: Path, found: Trials) -> None:
    """Each job of each pilot as a row of parquet. Raises SettingsError where that cannot be written."""
    import pandas as pd

    frames = [_frame(found, trial) for trial in found.trials]
    write_frame(path, pd.concat(frames, ignore_index=True))


def _frame(found: Trials, trial: Trial) -> pd.DataFrame:
    import pandas as pd

    jobs, over_s = found.file.table, trial.days * DAY_S
    start_s, end_s = (np.where(s <= over_s, s + found.began_s, np.nan) for s in (trial.start_s, trial.end_s))
    return pd.DataFrame(
        {
            "pilot": trial.pilot,
            "job_id": found.file.ids,
            "queue": np.array(jobs.queues)[jobs.queue],
            "gpus": jobs.gpus,
            "submit_s": jobs.submit_s,
            "start_s": start_s,
            "end_s": end_s,
            "wait_s": start_s - jobs.submit_s,
            "preemptions": trial.stops,
        }
    )


def _costs(found: Trials) -> Table:
    first = found.trials[0].pilot
    kinds = [kind for kind in KINDS if any(trial.by_kind[kind] for trial in found.trials)]
    table = _table("pilot", "USD", "over bound", f"to {first}", "90 % interval", *kinds)
    for trial in found.trials:
        low, mid, high = found.over_first(trial)
        over = found.over_bound(trial)
        table.add_row(
            trial.pilot,
            f"{trial.total_usd:,.0f}",
            "" if over is None else f"{over:+.1f} %",
            "" if trial is found.trials[0] or np.isnan(mid) else f"{mid:+.1f} %",
            "" if trial is found.trials[0] or np.isnan(low) else f"[{low:+.1f}, {high:+.1f}]",
            *(f"{trial.by_kind[kind]:,.0f}" for kind in kinds),
        )
    return table


def _service(found: Trials) -> Table:
    names = ("wait p50", "wait p95", "never started", "GPU-hours", "used", "preempted", "lost", "kWh", "turns/day")
    table = _table("pilot", *names, "reversed/day")
    for trial in found.trials:
        everybody = trial.waits[0]
        table.add_row(
            trial.pilot,
            span(everybody.p50_s),
            span(everybody.p95_s),
            f"{everybody.never_started:,}",
            f"{trial.provisioned_gpu_hours:,.0f}",
            f"{100 * trial.utilisation:.0f} %",
            f"{int(trial.stops.sum()):,}",
            f"{trial.flows.lost.sum():,.1f}",
            f"{trial.kwh:,.0f}",
            f"{trial.decisions_per_day:.1f}",
            f"{trial.reversals_per_day:.1f}",
        )
    return table


def _sentences(found: Trials) -> list[str]:
    jobs = len(found.file.table)
    told = [f"\n{jobs:,} jobs in {found.trials[0].days:.1f} days; all pilots met the same jobs and the same losses."]
    if found.bound is not None:
        told.append(f"No pilot can pay less than {found.bound.usd:,.0f} USD, even if it knew all jobs beforehand.")
    return told


def _object(found: Trials, trial: Trial) -> dict[str, object]:
    low, mid, high = (figure if np.isfinite(figure) else None for figure in found.over_first(trial))
    return {
        "pilot": trial.pilot,
        "usd": trial.total_usd,
        "usd_by_kind": trial.by_kind,
        "over_bound_percent": found.over_bound(trial),
        "over_first_percent": [low, mid, high],
        "provisioned_gpu_hours": trial.provisioned_gpu_hours,
        "used_gpu_hours": trial.used_gpu_hours,
        "utilisation": trial.utilisation,
        "preemptions": int(trial.stops.sum()),
        "lost_gpu_hours": float(trial.flows.lost.sum()),
        "kwh": trial.kwh,
        "kg_co2": trial.kg_co2,
        "decisions_per_day": trial.decisions_per_day,
        "reversals_per_day": trial.reversals_per_day,
        "queues": [
            {"queue": w.queue, "jobs": w.jobs, "never_started": w.never_started, "wait_p50_s": w.p50_s,
             "wait_p95_s": w.p95_s}
            for w in trial.waits
        ],
    }  # fmt: skip


def _table(first: str, *names: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, no_wrap=True)
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    return table
