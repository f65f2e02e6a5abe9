"""`gyropilot train`: a network that corrects a pilot, from jobs that came to a cluster."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gyropilot.errors import GyropilotError, SettingsError
from gyropilot.pilot_names import KNOWN, settings_of
from gyropilot.terminal import PlainFormat, PlainFormatOption, compiling, progress, reply, say

if TYPE_CHECKING:
    from envs.faults import Surprises
    from envs.residual import Course
    from gyropilot.settings import PilotSettings

NEEDED = ("onnx", "stable_baselines3", "torch")


def train(  # noqa: PLR0913, PLR0917 - its options
    jobs: Annotated[list[Path], typer.Option("--jobs", help="Parquet, CSV or SWF of jobs; once for each cluster.")],
    scenario: Annotated[
        list[Path],
        typer.Option("--scenario", help="The cluster; see `gyropilot scenario sample`. Again for each further --jobs."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for checkpoints, the network and its card.")],
    base: Annotated[
        str, typer.Option("--base", help="Whose wishes are corrected: NAME, NAME:tuned, NAME@FILE, or a settings file.")
    ] = "newsvendor",
    steps: Annotated[int, typer.Option("--steps", help="Of five minutes each, for each seed.", min=1)] = 200_000,
    seeds: Annotated[str, typer.Option("--seeds", help="Each is a training of its own; the best is kept.")] = "0,1,2",
    held_out_days: Annotated[
        float, typer.Option("--held-out-days", help="Last days of the jobs, which only judge.", min=1)
    ] = 7.0,
    validation_days: Annotated[
        float, typer.Option("--validation-days", help="Days before those, by which the best is chosen.", min=1)
    ] = 3.0,
    days: Annotated[
        float | None,
        typer.Option(
            "--days", help="Look only at the last so many days of the jobs \\[default: all]", show_default=False
        ),
    ] = None,
    forecaster: Annotated[
        str, typer.Option("--forecaster", help="What pilots are told of the future by; as `forecast.model`.")
    ] = "naive",
    surprises: Annotated[
        float,
        typer.Option(
            "--surprises", help="How often something goes wrong on days to learn from, of what is usual.", min=0, max=20
        ),
    ] = 1.0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the training in --out.", metavar="")] = False,
    format: PlainFormatOption = PlainFormat.TEXT,  # noqa: A002 - the option's name
) -> None:
    """Train a network that corrects a pilot's wishes, and say what it is worth on other days. Touches no cluster.

    A training that was interrupted goes on with --resume. `simulate --pilot learned@FOLDER` runs what it wrote.
    """
    _refuse_without_libraries()
    from gyropilot.report.training import to_text
    from models.registry import to_go_on_with
    from models.school import Plan, Recipe, School
    from models.teaching import Lesson, taught

    settings, clusters = _base(base), _paired(jobs, scenario)
    to_go_on_with(out, resume)  # refused here, and not after the base has run for a while
    lesson = Lesson(settings, forecaster, "\n".join(map(_text, scenario)), steps, _numbers(seeds), out, resume)
    with progress() as told, compiling():
        told("reading jobs")
        read = (_course(came, path, settings, forecaster) for came, path in clusters)
        courses = tuple(replace(course, surprises=_often(surprises)) for course in read)
        told(f"{settings.name} on the validation days")
        school = School(courses, Plan(held_out_days, validation_days, days), Recipe())
        card = taught(school, lesson, told, say)
    reply(card.model_dump_json(indent=2) if format is PlainFormat.JSON else to_text(card, str(out)), None)


def _paired(jobs: list[Path], scenarios: list[Path]) -> list[tuple[Path, Path]]:
    """Clusters that are learned from together. Raises SettingsError where one lacks its jobs, or its scenario."""
    if len(jobs) != len(scenarios):
        raise SettingsError(
            f"--jobs is given {len(jobs)} times and --scenario {len(scenarios)} times; give both for each cluster, in "
            "the same order"
        )
    return list(zip(jobs, scenarios, strict=True))


def _refuse_without_libraries() -> None:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise GyropilotError(f"training needs {', '.join(missing)}: pip install 'gyropilot[train]'")


def _base(told: str) -> PilotSettings:
    """By name, or those of a settings file."""
    from gyropilot import configuration

    is_file = told.endswith((".yaml", ".yml")) and "@" not in told
    found = configuration.load(Path(told)).pilot if is_file else settings_of(told)
    if found.name == "learned":
        raise SettingsError("--base learned cannot be corrected by another network; give the pilot that is below it")
    if found.name == "hold":
        bases = ", ".join(name for name in KNOWN if name not in {"hold", "learned"})
        raise SettingsError(f"--base hold wants nothing, so there is nothing to correct; a base is one of {bases}")
    return found


def _often(surprises: float) -> Surprises | None:
    from envs.faults import Surprises

    return Surprises().often(surprises) if surprises else None


def _numbers(told: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in told.split(","))
    except ValueError as problem:
        raise SettingsError(f"--seeds got {told!r}; it takes whole numbers parted by commas: 0,1,2") from problem


def _text(scenario: Path) -> str:
    """Of a file that may be missing: `_course` says so."""
    return scenario.read_text(encoding="utf-8", errors="replace") if scenario.is_file() else ""


def _course(jobs: Path, path: Path, base: PilotSettings, forecaster: str) -> Course:
    from agents.pilots import make_pilot
    from envs.checkpoints import with_halts
    from envs.job_file import read_jobs
    from envs.residual import Course
    from envs.scenario import read_scenario, refuse_changes, refuse_unknown, with_all_queues
    from forecasting.registry import make

    scenario, file = read_scenario(path), read_jobs(jobs)
    table = with_halts(file.table, scenario.checkpoint_halt_s)
    for note in file.notes:
        say(note)
    refuse_unknown(scenario, table.queues)
    refuse_changes(scenario, "train")
    if not len(table):
        raise SettingsError(f"{jobs} holds no job that ran; there is nothing to learn from")
    world = scenario.world
    table = with_all_queues(scenario, table)
    began_s = float(table.submit_s[0]) // world.step_s * world.step_s
    moved = replace(table, submit_s=table.submit_s - began_s)
    make(forecaster)  # an unknown name is refused here, and not after the jobs have run for a day
    return Course(world, moved, scenario.paid, make_pilot(base), lambda: make(forecaster))
