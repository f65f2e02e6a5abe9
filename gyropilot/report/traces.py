"""Traces in words and as JSON: which there are, and what jobs are in one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from io import StringIO
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from envs.fidelity import CLASSES, QUANTILES, gang_class
from envs.originals import Original
from envs.profiles import Published
from envs.words import counted
from envs.workloads import DAY_S, ENDINGS, JobTable
from gyropilot.report.simulation.words import hours
from gyropilot.report.words import TOTAL, visible

WIDTH = 160


@dataclass(frozen=True, slots=True)
class Group:
    """Some of the jobs: those of one queue, or of one class of gangs."""

    name: str
    jobs: int
    gpu_hours: float
    duration_s: tuple[float, ...]  # along QUANTILES


@dataclass(frozen=True, slots=True)
class Description:
    """What jobs a table holds."""

    name: str
    days: float  # from the first submission to the last
    everything: Group
    largest_gpus: int
    users: int  # 1: not told
    endings: dict[str, float]  # shares of jobs
    queues: tuple[Group, ...]  # the most GPU-hours first
    sizes: tuple[Group, ...]  # by class of gangs
    notes: tuple[str, ...] = ()


def described(name: str, jobs: JobTable, notes: Sequence[str] = ()) -> Description:
    """What jobs these are."""
    of = gang_class(jobs.gpus)
    queues = [_group(each, jobs.take(jobs.queue == index)) for index, each in enumerate(jobs.queues)]
    return Description(
        name=name,
        days=float(jobs.submit_s.max() - jobs.submit_s.min()) / DAY_S,
        everything=_group("all", jobs),
        largest_gpus=int(jobs.gpus.max()),
        users=len(np.unique(np.stack([jobs.queue, jobs.user]), axis=1).T) if jobs.user.any() else 1,
        endings={ending.value: float((jobs.ending == index).mean()) for index, ending in enumerate(ENDINGS)},
        queues=tuple(sorted((q for q in queues if q.jobs), key=lambda q: -q.gpu_hours)),
        sizes=tuple(_group(each, jobs.take(of == index)) for index, (_, each) in enumerate(CLASSES)),
        notes=tuple(notes),
    )


def to_json(found: Description) -> str:
    """The same for programs; durations by their quantile."""
    told = asdict(found)
    for group in (told["everything"], *told["queues"], *told["sizes"]):
        group["duration_s"] = {f"p{q * 100:g}": d for q, d in zip(QUANTILES, group["duration_s"], strict=False)}
    return json.dumps(told, indent=2)


def to_text(found: Description) -> str:
    """A headline, the queues, the sizes, and how jobs ended."""
    whole = found.everything
    lines = [
        f"{found.name} · {counted(whole.jobs, 'job')} in {found.days:,.1f} days, "
        f"{counted(len(found.queues), 'queue')}, "
        f"{hours(whole.gpu_hours)} GPU-hours, up to {found.largest_gpus:,} GPUs a job"
    ]
    if found.users > 1:
        lines.append(f"{found.users:,} users")
    lines.append(", ".join(f"{share:.1%} {name}" for name, share in found.endings.items()))
    lines += [f"· {note}" for note in found.notes]
    tables = [
        _table("queue", (replace(whole, name=TOTAL), *found.queues)),
        _table("size", [each for each in found.sizes if each.jobs]),
    ]
    return "\n".join([*map(visible, lines), "", *map(_printed, tables)])


def listed(originals: Sequence[Original], profiles: Sequence[Published], folder: Path) -> str:
    """Public originals with whether they are in the folder, and what can be generated without them."""
    lines = ["public originals: gyropilot traces download NAME", ""]
    for each in originals:
        here = f"in {folder}" if (folder / each.file).is_file() else "not here"
        checksum = "checksum published" if each.sha256 else "no checksum"
        lines.append(
            f"{each.name:<16} {_bytes(each.size_bytes):>11}  {each.licence:<26} {checksum:<19} {visible(here)}"
        )
        # An address is one word, so that it can be copied.
        lines += [f"{'':<16} {each.what}", f"{'':<16} {each.address}"]
    lines += ["", "bundled profiles: gyropilot traces generate NAME --out jobs.parquet", ""]
    lines += [f"{profile.name:<16} {profile.what} ({profile.source})" for profile in profiles]
    return "\n".join(lines)


def listed_json(originals: Sequence[Original], profiles: Sequence[Published], folder: Path) -> str:
    """The same for programs."""
    files = [{**asdict(o), "file": str(folder / o.file), "here": (folder / o.file).is_file()} for o in originals]
    made = [{"name": p.name, "what": p.what, "source": p.source} for p in profiles]
    return json.dumps({"originals": files, "profiles": made}, indent=2)


def one_original(each: Original) -> str:
    """What is known of a public file without having it."""
    checksum = each.sha256 or "none published"
    facts = (
        ("size", _bytes(each.size_bytes)),
        ("licence", each.licence),
        ("address", each.address),
        ("sha256", checksum),
    )
    return "\n".join([f"{each.name} · {each.what}", *(f"{name:<8} {value}" for name, value in facts)])


def _group(name: str, jobs: JobTable) -> Group:
    durations = tuple(float(d) for d in np.quantile(jobs.stays_s, QUANTILES)) if len(jobs) else ()
    return Group(name, len(jobs), float(jobs.gpu_seconds.sum()) / 3600, durations)


def _table(of: str, groups: Sequence[Group]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(of, overflow="fold", max_width=60)
    for name in ("jobs", "GPU-hours", *(f"runs p{q * 100:g}" for q in QUANTILES)):
        table.add_column(name, justify="right", no_wrap=True)
    for group in groups:
        cells = (visible(group.name), f"{group.jobs:,}", hours(group.gpu_hours), *map(_span, group.duration_s))
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _span(seconds: float) -> str:
    for unit, length in (("d", DAY_S), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:,.0f} s"


def _bytes(count: int | None) -> str:
    return "not told" if count is None else f"{count / 1e6:,.1f} MB"


def _printed(table: Table) -> str:
    paper = StringIO()
    Console(file=paper, width=WIDTH, force_terminal=False, color_system=None, _environ={}).print(table)
    return "\n".join(line.rstrip() for line in paper.getvalue().strip("\n").splitlines()[1:]) + "\n"
