"""What all commands share: their common options, and how they answer, complain and show that they are at work."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from gyropilot import configuration
from gyropilot.errors import SettingsError
from gyropilot.report.words import visible
from gyropilot.settings import Settings

if TYPE_CHECKING:
    from gyropilot.wiring import Told


class Format(StrEnum):
    """How a command answers."""

    TEXT = "text"
    JSON = "json"
    HTML = "html"


class PlainFormat(StrEnum):
    """How a command answers that draws no pictures."""

    TEXT = "text"
    JSON = "json"


ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="Settings file \\[default: $GYROPILOT_CONFIG, ./gyropilot.yaml]")
]
PrometheusOption = Annotated[str | None, typer.Option("--prometheus", help="Prometheus base URL.", metavar="URL")]
KubeconfigOption = Annotated[
    Path | None,
    typer.Option("--kubeconfig", help="Kubeconfig file \\[default: $KUBECONFIG, ~/.kube/config, in-cluster]"),
]
FormatOption = Annotated[Format, typer.Option("--format", "-f", help="How to answer.")]
PlainFormatOption = Annotated[PlainFormat, typer.Option("--format", "-f", help="How to answer.")]


def _no_folder(out: Path | None) -> Path | None:
    """The same path, refused before any work is done where it is a folder."""
    with suppress(OSError):  # what cannot be looked at cannot be written either, and `reply` says why
        if out is not None and out.is_dir():
            raise SettingsError(f"--out {out} is a folder; give a file, such as {out / _FILES['--out']}")
    return out


COMPILING = (
    "compiling the {whose} loops for this machine (a minute or more); kept until they change, and what is first used "
    "later compiles its own"
)
COMPILING_EACH_TIME = (
    "compiling the {whose} loops for this run (a minute or more); set NUMBA_CACHE_DIR to a folder that can be "
    "written, and they are kept"
)

NARROWEST, WIDEST = 60, 160
"""Columns that text is drawn for: names and figures need some, and nobody follows a longer line."""

_OUT = "Write the answer to this file instead of stdout."
OutOption = Annotated[Path | None, typer.Option("--out", "-o", help=_OUT, callback=_no_folder)]
OutputOption = Annotated[Path | None, typer.Option("--out", "--output", "-o", help=_OUT, callback=_no_folder)]


def load_settings(
    config: Path | None, prometheus: str | None = None, kubeconfig: Path | None = None, out: Path | None = None
) -> Settings:
    """The settings in force, with what the command line says on top.

    Raises SettingsError, also where an answer that is written to `out` would replace a file of theirs.
    """
    refuse_one_file_for_two({"--config": configuration.find_file(config), "--kubeconfig": kubeconfig}, {"--out": out})
    overrides: dict[str, Any] = {}
    if prometheus:
        overrides["prometheus"] = {"url": prometheus}
    if kubeconfig:
        overrides["kubernetes"] = {"kubeconfig": kubeconfig}
    return configuration.load(config, overrides)


def reply(text: str, out: Path | None) -> None:
    """To stdout, or to a file and its place to stderr. Raises SettingsError where that cannot be written."""
    if out is None:
        typer.echo(text.removesuffix("\n"))
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text if text.endswith("\n") else text + "\n", encoding="utf-8")
    except OSError as problem:
        raise SettingsError(f"{out} cannot be written: {problem.strerror}; give another --out") from problem
    say(f"written to {out.resolve()}")


def same_file(one: Path, other: Path) -> bool:
    """Whether both are one file, through whatever links; also of files that are not there yet."""
    with suppress(OSError):
        return one.samefile(other)
    return os.path.realpath(one) == os.path.realpath(other)


_FILES = {"--out": "report.html", "--jobs-out": "jobs.parquet", "--forecasts-out": "forecasts.parquet"}
"""What each option that names a file to write may be given."""


def refuse_one_file_for_two(read: Mapping[str, Path | None], written: Mapping[str, Path | None]) -> None:
    """Raises SettingsError where something, called as somebody told it, would be written over, or is a folder."""
    taken = {option: path for option, path in read.items() if path is not None}
    for option, path in written.items():
        if path is None:
            continue
        if path.is_dir():
            raise SettingsError(f"{option} {path} is a folder; give a file, such as {path / _FILES[option]}")
        other = next((name for name, place in taken.items() if same_file(path, place)), None)
        if other:
            raise SettingsError(f"{option} {path} is also {other}, which it would replace; give another file")
        taken[option] = path


def terminal_columns() -> int | None:
    """Of the terminal that stdout is; None where it is none."""
    if not sys.stdout.isatty():
        return None
    return min(max(shutil.get_terminal_size().columns, NARROWEST), WIDEST)


def say(text: str) -> None:
    """One line to stderr."""
    # Errors quote names and labels of the cluster, which must not command the terminal.
    typer.echo(visible(text), err=True)


@contextmanager
def progress() -> Iterator[Told]:
    """Says on a terminal what is being done; silent where stderr is not one."""
    with Console(stderr=True).status("starting") as status:
        yield status.update


@contextmanager
def compiling(whose: str = "simulator's") -> Iterator[None]:
    """Says on stderr, terminal or not, that loops become machine code; silent where that was kept from before."""
    from forecasting.compiled.first_use import first_use

    with first_use(lambda kept: say((COMPILING if kept else COMPILING_EACH_TIME).format(whose=whose))):
        yield
