"""Jobs from files: parquet, CSV, or the Standard Workload Format, as one table in order of submission."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from envs.elastic import Range, Told, range_of
from envs.job_columns import NEEDED, refuse_missing, refuse_mistyped, unread
from envs.table_file import read_frame
from envs.words import counted
from envs.workloads import ENDINGS, KINDS, MOST_PARTS, Amounts, Ending, Floats, Ints, JobTable, parts_of
from gyropilot.domain import WorkloadKind
from gyropilot.errors import SettingsError

if TYPE_CHECKING:
    import pandas as pd

ONLY_QUEUE = "all"
"""The queue of a file that names none."""

_TRIED = 100
"""Amounts of GPUs of which it is asked whether they spoil the others."""

_CLOCK = 1e11
_AGES = 1e9
_SPAN = "that is over thirty years; give seconds"
_SINCE = f"{_SPAN} after the submission"
_SIZE = "give a number of GPUs, up to ten million"
_MOST = {
    "submit_s": (_CLOCK, "give seconds, by any clock; it looks like milliseconds"),
    "duration_s": (_AGES, _SPAN),
    "checkpoint_s": (_AGES, _SPAN),
    "leaves_s": (_AGES, _SINCE),
    "deadline_s": (_AGES, _SINCE),
    "restart_s": (_AGES, _SPAN),
    "priority": (2**31, "give a number between -2,147,483,648 and 2,147,483,647"),
    **dict.fromkeys(("gpus", "min_gpus", "max_gpus"), (1e7, _SIZE)),
}
"""Columns whose values have a size beyond which something else is meant: that, and what to give."""

ENDED_AS = {
    **dict.fromkeys(("passed", "pass", "completed", "succeeded", "success", "terminated"), Ending.PASSED),
    **dict.fromkeys(("killed", "cancelled", "canceled"), Ending.KILLED),
    **dict.fromkeys(("failed", "fail", "timeout", "node_fail", "out_of_memory"), Ending.FAILED),
}
"""What `state` may say, in the words of Philly, Slurm, PAI and Kubernetes; capitals do not matter."""

SWF_COLUMNS = (
    "job_id", "submit_s", "waited_s", "duration_s", "used", "cpu_s", "used_kb", "gpus", "asked_s", "asked_kb", "state",
    "user", "group", "program", "queue", "partition", "after", "thinking_s",
)  # fmt: skip
"""Feitelson's Standard Workload Format, version 2.2; what is used are its processors, taken as GPUs."""

SWF_ENDED_AS = {0.0: "failed", 1.0: "completed", 5.0: "cancelled"}
SWF_PARTS = (2.0, 3.0, 4.0)
"""Of `state`: stretches of a job that was stopped and went on, which has a row of its own as a whole."""


@dataclass(frozen=True, eq=False, slots=True)
class JobFile:
    """What a file tells of jobs."""

    table: JobTable
    ids: NDArray[np.str_]  # (N,) as the file names them, or their row
    notes: tuple[str, ...]  # what was left out, and why


def read_jobs(path: Path) -> JobFile:
    """The jobs of a file. Raises SettingsError naming the column, and the row, that is not what it should be."""
    frame, parts = _swf(path) if _is_swf(path) else (read_frame(path, "a parquet, CSV or SWF file of jobs"), [])
    names = [str(name) for name in frame.columns]
    refuse_missing(path, names)
    refuse_mistyped(path, names)
    file = _File(path, frame)
    submit_s = file.numbers("submit_s")
    duration_s, gpus = (file.not_negative(name) for name in ("duration_s", "gpus"))
    kept, notes = _kept(submit_s, duration_s, gpus)
    if not kept.any():
        raise SettingsError(f"{path} holds no job that ran: {', '.join(notes) or 'it has no rows'}; give another file")
    ending, unknown = file.endings()
    rows = np.flatnonzero(kept)[np.argsort(submit_s[kept], kind="stable")]
    queues, queue = file.named("queue", ONLY_QUEUE)
    sizes = file.sizes(gpus, kept)
    table = JobTable(
        queues=queues,
        queue=queue,
        submit_s=submit_s,
        duration_s=duration_s * sizes.stretch,
        gpus=sizes.most,
        priority=file.integers("priority"),
        kind=file.kinds(),
        user=file.named("user", "")[1],
        checkpoint_s=np.nan_to_num(file.numbers("checkpoint_s", np.inf), nan=np.inf, posinf=np.inf) * sizes.stretch,
        ending=ending,
        least_gpus=sizes.least,
        scaling=sizes.scaling,
        leaves_s=file.spans("leaves_s"),
        deadline_s=file.spans("deadline_s"),
        data_gb=file.spans("data_gb", 0.0),
        restart_s=file.spans("restart_s", np.nan),
    )
    ids = file.ids()[rows]
    return JobFile(table.take(rows), ids, (*parts, *notes, *unknown, *_namesakes(ids), *unread(names)))


def _is_swf(path: Path) -> bool:
    return path.name.removesuffix(".gz").endswith(".swf")


def _swf(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Its jobs, and a note on rows that are none of their own.

    -1 is what is not known; processors that were asked for count before those that were used.
    """
    import pandas as pd

    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
            rows = list(_swf_rows(path, file))
    except (OSError, UnicodeDecodeError) as problem:
        raise SettingsError(f"{path} cannot be read: {problem}; give a parquet, CSV or SWF file of jobs") from problem
    frame = pd.DataFrame(rows, columns=list(SWF_COLUMNS), dtype=np.float64)
    part = frame["state"].isin(SWF_PARTS)
    parts = counted(int(part.sum()), "row")
    notes = [f"{parts} left out: stretches of jobs that are there as a whole"] if part.any() else []
    frame = frame[~part].reset_index(drop=True)
    frame["gpus"] = frame["gpus"].where(frame["gpus"] > 0, frame["used"])
    ended = frame["state"].map(SWF_ENDED_AS)
    frame = frame.mask(frame == -1)
    whole = frame[["job_id", "user", "queue"]].fillna(-1).astype(np.int64).astype(str)
    frame = frame[list(NEEDED)].assign(job_id=whole["job_id"], user=whole["user"], queue="queue-" + whole["queue"])
    return frame.assign(state=ended), notes


def _swf_rows(path: Path, lines: Any) -> Iterator[list[float]]:
    for nth, line in enumerate(lines, 1):
        words = line.split(";", 1)[0].split()
        if not words:
            continue
        try:
            row = [float(word) for word in words]
        except ValueError as problem:
            raise SettingsError(f"{path}, line {nth}: {problem}; the Standard Workload Format is numbers") from problem
        if len(row) != len(SWF_COLUMNS):
            raise SettingsError(f"{path}, line {nth}: {len(row)} fields, the Standard Workload Format has 18")
        yield row


def _kept(submit_s: Floats, duration_s: Floats, gpus: Floats) -> tuple[NDArray[np.bool_], list[str]]:
    """(N,) jobs that ran and took GPUs, and notes on the others."""
    told = np.isfinite(submit_s) & np.isfinite(duration_s) & np.isfinite(gpus)
    works = told & (gpus > 0)
    notes = []
    if not told.all():
        notes.append(f"{_left_out(~told)}: when they came, how long they ran or on what is not told")
    if (told & ~works).any():
        notes.append(f"{_left_out(told & ~works)}: they took no GPUs")
    return works, notes


def _namesakes(ids: NDArray[np.str_]) -> list[str]:
    """A note on jobs that nobody could tell apart."""
    names, often = np.unique(ids, return_counts=True)
    several = names[often > 1]
    if not len(several):
        return []
    many = int(often[often > 1].sum())
    return [f"{many:,} jobs have the job_id of another, such as {several[0] or 'an empty one'}; each is run"]


def _left_out(rows: NDArray[np.bool_]) -> str:
    many = int(rows.sum())
    return f"{counted(many, 'job')} {'is' if many == 1 else 'are'} left out"


def _spoiler(amounts: Floats) -> int:
    """Of amounts (N,) that are no multiples of one part of a GPU: the row of the one to blame.

    Which is no part of a GPU even alone; else the rarest without which the others would do.
    """
    values, first, often = np.unique(amounts, return_index=True, return_counts=True)
    alone = [row for value, row in zip(values, first, strict=True) if parts_of(np.array([value])) is None]
    if alone:
        return int(min(alone))
    rarest = np.lexsort((first, often))[:_TRIED]
    mends = (nth for nth in rarest if parts_of(np.delete(values, nth)) is not None)
    return int(first[next(mends, rarest[0])])


@dataclass(frozen=True, eq=False, slots=True)
class _File:
    path: Path
    frame: pd.DataFrame

    def numbers(self, name: str, otherwise: float = np.nan) -> Floats:
        """(N,) values of a column, NaN where empty; `otherwise` where there is no such column."""
        import pandas as pd

        if name not in self.frame:
            return np.full(len(self.frame), otherwise)
        column = self.frame[name]
        values = np.asarray(pd.to_numeric(column, errors="coerce"), dtype=np.float64)
        wrong = np.flatnonzero(np.isnan(values) & column.notna().to_numpy())
        if len(wrong):
            raise SettingsError(
                f"{self.path}: {name} is {column.iloc[wrong[0]]!r} in data row {wrong[0] + 1}, which is no number"
                + ("; give seconds" if name.endswith("_s") else "")
            )
        return self._within(name, values)

    def _within(self, name: str, values: Floats) -> Floats:
        """The same, none so large that something else must be meant. Raises SettingsError where one is."""
        most, meant = _MOST.get(name, (np.inf, ""))
        wrong = np.flatnonzero(np.isfinite(values) & (np.abs(values) > most))
        if len(wrong):
            raise SettingsError(f"{self.path}: {name} is {values[wrong[0]]:g} in data row {wrong[0] + 1}; {meant}")
        return values

    def not_negative(self, name: str, otherwise: float = np.nan) -> Floats:
        """The same as `numbers`. Raises SettingsError where one is less than zero."""
        values = self.numbers(name, otherwise)
        self._refuse(name, values, values < 0)
        return values

    def _refuse(self, name: str, values: Floats, wrong: NDArray[np.bool_]) -> None:
        """Raises SettingsError with the first that is wrong."""
        rows = np.flatnonzero(wrong)
        if len(rows):
            raise SettingsError(
                f"{self.path}: {name} is {values[rows[0]]:g} in data row {rows[0] + 1}; give zero or more, or nothing"
            )

    def spans(self, name: str, otherwise: float = np.inf) -> Floats:
        """(N,) values of a column that are not negative; `otherwise` where nothing is told. inf only if that is."""
        values = self.not_negative(name, otherwise)
        if not np.isinf(otherwise):
            self._refuse(name, values, np.isinf(values))
        return np.where(np.isnan(values), otherwise, values)

    def amounts(self, gpus: Floats, kept: NDArray[np.bool_]) -> Amounts:
        """(N,) GPUs: whole numbers, or parts of GPUs that are all alike. Raises SettingsError where they cannot be."""
        known = np.nan_to_num(gpus)
        if (known[kept] == np.floor(known[kept])).all():
            return known.astype(np.int64)
        parts = parts_of(known[kept])
        if parts is None:
            row = int(np.flatnonzero(kept)[_spoiler(known[kept])])
            raise SettingsError(
                f"{self.path}: gpus is {gpus[row]:g} in data row {row + 1}, and with the others no multiple of a "
                f"{MOST_PARTS}th or larger part of a GPU; round them to hundredths"
            )
        whole: Floats = np.rint(known * parts) / parts
        return whole

    def sizes(self, gpus: Floats, kept: NDArray[np.bool_]) -> Range:
        """Of elastic jobs from how many GPUs to how many they go; of others all are the same."""
        self.amounts(gpus, kept)  # who tells no range is told what is wrong with gpus alone
        columns = (self.numbers(name) for name in ("min_gpus", "max_gpus", "scaling"))
        return range_of(self.path, Told(gpus, *columns), kept)

    def integers(self, name: str) -> Ints:
        """(N,) whole numbers, 0 where nothing is told."""
        values = np.nan_to_num(self.numbers(name, 0.0))
        wrong = np.flatnonzero(values != np.rint(values))
        if len(wrong):
            raise SettingsError(
                f"{self.path}: {name} is {values[wrong[0]]:g} in data row {wrong[0] + 1}; give whole numbers"
            )
        return values.astype(np.int64)

    def named(self, name: str, otherwise: str) -> tuple[tuple[str, ...], Ints]:
        """Names in order, and (N,) which each row has; `otherwise` where nothing is told."""
        if name not in self.frame:
            return (otherwise,), np.zeros(len(self.frame), dtype=np.int64)
        words = self.frame[name].astype("string").fillna(otherwise).to_numpy(dtype=str)
        names, which = np.unique(words, return_inverse=True)
        return tuple(str(word) for word in names), which.astype(np.int64)

    def kinds(self) -> Ints:
        """(N,) along KINDS: training where nothing is told."""
        names, which = self.named("kind", WorkloadKind.TRAINING.value)
        known = {kind.value: nth for nth, kind in enumerate(KINDS)}
        strange = [name for name in names if name not in known]
        if strange:
            raise SettingsError(f"{self.path}: kind {strange[0]!r} is none of {', '.join(known)}")
        found: Ints = np.array([known[name] for name in names], dtype=np.int64)[which]
        return found

    def endings(self) -> tuple[Ints, list[str]]:
        """(N,) along ENDINGS, and a note on states that are none of them; passed where nothing is told."""
        names, which = self.named("state", Ending.PASSED.value)
        known = np.array([ENDINGS.index(ENDED_AS.get(name.lower(), Ending.PASSED)) for name in names], dtype=np.int64)
        strange = [name for name in names if name.lower() not in ENDED_AS]
        notes = [f"state {', '.join(map(repr, strange[:5]))} is taken as passed"] if strange else []
        return known[which], notes

    def ids(self) -> NDArray[np.str_]:
        if "job_id" not in self.frame:
            return np.arange(1, len(self.frame) + 1).astype(str)
        ids: NDArray[np.str_] = self.frame["job_id"].astype("string").fillna("").to_numpy(dtype=str)
        return ids
