"""`gyropilot simulate` and `gyropilot scenario`: what becomes of jobs on a cluster that is not there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from gyropilot.errors import SettingsError
from gyropilot.pilot_names import asked_pilots
from gyropilot.terminal import (
    Format,
    FormatOption,
    OutputOption,
    compiling,
    progress,
    refuse_one_file_for_two,
    reply,
    say,
    terminal_columns,
)

if TYPE_CHECKING:
    from envs.bound import Bound
    from envs.faults import Fault
    from envs.foresight import Known, Plan
    from envs.job_file import JobFile
    from envs.scenario import Scenario
    from envs.trial import Trial
    from gyropilot.report.simulation import Simulation
    from gyropilot.report.trials import Trials
    from gyropilot.settings import PilotSettings

scenario_app = typer.Typer(help="A cluster with queues and quotas as a file.", no_args_is_help=True)


class Order(StrEnum):
    """Who goes first."""

    FIFO = "fifo"


def simulate(  # noqa: PLR0913, PLR0917 - its options
    jobs: Annotated[
        Path | None,
        typer.Option("--jobs", help="Parquet, CSV or SWF of jobs; not needed where a scenario has services."),
    ] = None,
    scenario: Annotated[
        Path | None, typer.Option("--scenario", help="Flavors, queues and quotas; see `gyropilot scenario sample`.")
    ] = None,
    fixed_nodes: Annotated[
        int | None, typer.Option("--fixed-nodes", help="Instead: nodes of a plain cluster, all alike.", min=1)
    ] = None,
    gpus_per_node: Annotated[
        int | None, typer.Option("--gpus-per-node", help="GPUs of each of those.", min=1, show_default="8")
    ] = None,
    order: Annotated[
        Order | None,
        typer.Option("--order", help="Who goes first there; the head of the line blocks.", show_default=Order.FIFO),
    ] = None,
    pilot: Annotated[
        str | None,
        typer.Option(
            "--pilot",
            help="Who steers the scenario's pools; several, side by side: NAME, NAME:tuned, NAME@FILE,…",
        ),
    ] = None,
    bound: Annotated[
        bool, typer.Option("--bound", help="Also what no pilot can stay below, even one that knew all jobs beforehand.")
    ] = False,
    forecaster: Annotated[
        str, typer.Option("--forecaster", help="What pilots are told of the future by; as `forecast.model`.")
    ] = "naive",
    seed: Annotated[int, typer.Option("--seed", help="Of lead times and losses.", min=0)] = 0,
    format: FormatOption = Format.TEXT,  # noqa: A002 - the option's name
    out: OutputOption = None,
    jobs_out: Annotated[
        Path | None,
        typer.Option("--jobs-out", help="Write every job's start, end, wait and place to this file: .parquet or .csv."),
    ] = None,
) -> None:
    """What becomes of jobs on a cluster: how long they wait, and how well GPUs are used. Touches no cluster.

    With --scenario by Kueue's rules for queues with quotas and borrowing; with --fixed-nodes strictly first come, first
    served. With --pilot the scenario's pools are steered, and what that costs is told.
    """
    from envs.job_file import read_jobs
    from envs.scenario import read_scenario
    from envs.table_file import refuse_other_kinds

    asked = "hold" if pilot is None and bound else pilot
    steered = None if asked is None else Steered(asked_pilots(asked), bound, forecaster, seed)
    _refuse_other_worlds(scenario, fixed_nodes, steered)
    _refuse_ignored(scenario, {"--gpus-per-node": gpus_per_node, "--order": order})
    cluster = None if scenario is None else Setting(scenario, read_scenario(scenario))
    refuse_one_file_for_two(_read_files(jobs, cluster, asked or ""), {"--out": out, "--jobs-out": jobs_out})
    if jobs_out is not None:
        refuse_other_kinds(jobs_out)
    with progress() as told, compiling():
        told("reading jobs")
        file = None if jobs is None else read_jobs(jobs)
        if cluster is None:
            told("running them")
            found: Simulation | Trials = _fixed(_told(file), fixed_nodes or 0, gpus_per_node or 8, order or Order.FIFO)
        else:
            found = _by_rules(file, cluster, steered, told)
        told("drawing the report")
        answer = _render(found, format, terminal_columns() if out is None else None)
    if jobs_out is not None:
        _write_jobs(jobs_out, found)
        say(f"jobs written to {jobs_out.resolve()}")
    reply(answer, out)


def _refuse_other_worlds(scenario: Path | None, fixed_nodes: int | None, steered: Steered | None) -> None:
    """Raises SettingsError where not exactly one cluster is told, or one that cannot be steered is to be."""
    if (scenario is None) == (fixed_nodes is None):
        raise SettingsError(
            "simulate takes either --scenario FILE or --fixed-nodes N: a cluster for the jobs to run on"
        )
    if steered is not None and scenario is None:
        raise SettingsError("--pilot and --bound need pools to steer; give --scenario FILE")


def _refuse_ignored(scenario: Path | None, told: Mapping[str, object]) -> None:
    """Raises SettingsError where something is told of a plain cluster that a scenario has another say in."""
    ignored = [option for option, value in told.items() if value is not None]
    if scenario is not None and ignored:
        raise SettingsError(f"{' and '.join(ignored)} is of --fixed-nodes; leave it out, or the --scenario")


def _told(file: JobFile | None) -> JobFile:
    """Raises SettingsError where there are no jobs."""
    if file is None:
        raise SettingsError("--fixed-nodes needs --jobs FILE: what is to run there")
    return file


def _by_rules(
    file: JobFile | None, cluster: Setting, steered: Steered | None, told: Callable[[str], None]
) -> Simulation | Trials:
    """As Kueue would have it, steered or left alone."""
    if steered is not None:
        return _steered(file, cluster, steered, told)
    told("running them")
    return _with_quotas(file, cluster)


def _render(found: Simulation | Trials, format: Format, width: int | None) -> str:  # noqa: A002 - the option's name
    from gyropilot.report import simulation, trials

    if isinstance(found, trials.Trials):
        return trials.render(found, format.value, width)
    return simulation.render(found, format.value, width)


def _write_jobs(path: Path, found: Simulation | Trials) -> None:
    from gyropilot.report import simulation, trials

    if isinstance(found, trials.Trials):
        trials.write_jobs(path, found)
    else:
        simulation.write_jobs(path, found)


def _read_files(jobs: Path | None, cluster: Setting | None, pilots: str) -> dict[str, Path | None]:
    """All that is read, by what it is called."""
    settings = {f"the file of --pilot {name}": Path(name.split("@", 1)[1]) for name in pilots.split(",") if "@" in name}
    if cluster is None:
        return {"--jobs": jobs, **settings}
    return {"--jobs": jobs, "--scenario": cluster.path, **settings, **cluster.scenario.load_files(cluster.folder)}


@scenario_app.command("sample")
def scenario_sample(
    jobs: Annotated[
        Path | None, typer.Option("--jobs", help="Instead one that fits these jobs: their queues, and enough GPUs.")
    ] = None,
) -> None:
    """Print a scenario to begin with, explained."""
    from envs.job_file import read_jobs
    from envs.scenario import SAMPLE
    from envs.scenario_draft import draft

    if jobs is None:
        typer.echo(SAMPLE, nl=False)
        return
    file = read_jobs(jobs)
    for note in file.notes:
        say(note)
    typer.echo(draft(file.table), nl=False)


@scenario_app.command("validate")
def scenario_validate(
    scenario: Annotated[Path, typer.Argument(help="The scenario's file.", metavar="FILE", show_default=False)],
) -> None:
    """Say whether a scenario can be simulated, and what it holds."""
    from envs.asides import hopeless_services
    from envs.scenario import read_scenario
    from envs.words import counted

    found = read_scenario(scenario)
    asked = [service.asked(scenario.parent) for service in found.services]
    services = f", {counted(len(asked), 'service')}" if asked else ""
    typer.echo(
        f"{scenario} is a scenario: {counted(len(found.flavors), 'flavor')}, {counted(found.gpus, 'GPU')}, "
        f"{counted(len(found.queues), 'queue')}{services}"
    )
    for sentence in hopeless_services(found):
        say(sentence)


class Setting(NamedTuple):
    """A scenario, and its file."""

    path: Path
    scenario: Scenario

    @property
    def folder(self) -> Path:
        """Beside which loads of services are."""
        return self.path.parent


class Steered(NamedTuple):
    """What is wanted of a run with pilots."""

    pilots: Mapping[str, PilotSettings]  # by what was asked for
    bound: bool
    forecaster: str
    seed: int


def _steered(file: JobFile | None, cluster: Setting, asked: Steered, told: Callable[[str], None]) -> Trials:
    import numpy as np

    from envs.asides import asides
    from envs.faults import weathered
    from envs.foresight import Known
    from envs.meeting import met, refuse_ages
    from envs.scenario import with_all_queues
    from envs.trial import steps_of
    from envs.unfit import Room, unfit
    from envs.words import counted
    from envs.world import Weather
    from gyropilot.report.trials import Trials

    scenario = cluster.scenario
    world, faults, rng = scenario.world, scenario.surprises, np.random.default_rng(asked.seed)
    meets = met(scenario, cluster.folder, file, rng.spawn(1)[0])
    table = with_all_queues(scenario, meets.file.table)
    jobs = replace(table, submit_s=table.submit_s - meets.began_s)
    refuse_ages(jobs, meets.file.ids)
    weather = weathered(faults, Weather.drawn(world.pools, steps_of(jobs), rng), world.pools, world.step_s)
    known = Known(world, jobs, scenario.paid, weather)
    trials = tuple(_tried(name, known, asked, faults, told) for name in asked.pilots)
    services = tuple(tuple(each.served(trial.replicas) for each in meets.services) for trial in trials)
    bound, plan = _yardsticks(known, trials, bool(faults), told) if asked.bound else (None, None)
    words = f"{_size(scenario)} at first, {counted(len(scenario.queues), 'queue')}"
    never = np.isinf(np.min([trial.start_s for trial in trials], axis=0))
    hopeless = unfit(Room.of(jobs.queues, scenario.at_most), replace(meets.file, table=jobs), never, meets.services)
    told_too = hopeless, asides(scenario, jobs)
    return Trials(words, meets.file, trials, bound, meets.began_s, plan, faults, services, *told_too)


def _size(scenario: Scenario) -> str:
    from envs.words import counted

    return f"{counted(scenario.gpus, 'GPU')} of {counted(len(scenario.flavors), 'flavor')}"


def _tried(name: str, known: Known, asked: Steered, faults: Sequence[Fault], told: Callable[[str], None]) -> Trial:
    """By the name that was asked for; each pilot has a forecaster of its own."""
    from agents.pilots import make_pilot
    from envs.heard import Heard
    from envs.trial import tried
    from forecasting.registry import make

    told(f"{name} steers")
    pilot, forecaster = make_pilot(asked.pilots[name], asked.forecaster), make(asked.forecaster)
    heard = Heard(pilot, known.steps, lambda words: told(words.replace(pilot.name, name, 1)))
    trial = tried(known.world, known.jobs, heard, known.prices, known.weather, forecaster, faults)
    return replace(trial, pilot=name)


def _yardsticks(
    known: Known, trials: Sequence[Trial], may_lose: bool, told: Callable[[str], None]
) -> tuple[Bound, Plan]:
    """What no pilot stays below, and what somebody paid who knew all jobs."""
    from envs.bound import clairvoyant
    from envs.foresight import foreseen

    told("what no pilot stays below")
    world = known.world
    eligible = {queue: tuple(shares) for queue, shares in world.shares.items()}
    # Of nodes that an outage may take none is sure to be paid for.
    pools = [replace(pool, min_nodes=0) for pool in world.pools] if may_lose else world.pools
    bound = clairvoyant(known.jobs, pools, known.prices, world.step_s, known.steps, eligible)
    told("what a plan pays that knew all jobs")
    return bound, foreseen(known, bound, [trial.nodes for trial in trials])


def _fixed(file: JobFile, nodes: int, gpus_per_node: int, order: Order) -> Simulation:
    import numpy as np

    from envs.fixed import FixedCluster, replay
    from envs.words import counted
    from gyropilot.report.simulation import Simulation

    cluster = FixedCluster(nodes, gpus_per_node)
    runs = replay(file.table, cluster)
    world = f"{counted(nodes, 'node')} x {counted(gpus_per_node, 'GPU')}, first come first served"
    facts = {"nodes": nodes, "gpus_per_node": gpus_per_node, "order": order.value}
    where = {"nodes": np.split(runs.node, runs.first[1:-1])}
    return Simulation(world, facts, cluster.gpus, file, runs.start_s, runs.end_s, file.table.gpus, where)


def _with_quotas(file: JobFile | None, cluster: Setting) -> Simulation:
    import numpy as np

    from envs.asides import asides, fixed
    from envs.cargo import egress
    from envs.meeting import met
    from envs.replay import replay
    from envs.scenario import refuse_unsteered, with_all_queues
    from envs.unfit import Room, unfit
    from envs.words import counted
    from gyropilot.report.simulation import Simulation
    from gyropilot.report.simulation.rows import named

    scenario = cluster.scenario
    refuse_unsteered(scenario)
    meets = met(scenario, cluster.folder, file, np.random.default_rng())
    jobs = with_all_queues(scenario, meets.file.table)
    ran = replay(jobs, scenario.cluster, np.inf)
    table = replace(meets.file, table=jobs)
    hopeless = unfit(Room.of(jobs.queues, scenario.cluster), table, np.isinf(ran.start_s), meets.services)
    return Simulation(
        f"{_size(scenario)}, {counted(len(scenario.queues), 'queue')} with quotas",
        {"scenario": str(cluster.path), "gpus": scenario.gpus},
        scenario.gpus,
        meets.file,
        ran.start_s,
        ran.end_s,
        ran.gpus,
        where={"flavor": named(ran.flavors, ran.flavor)},
        services=tuple(each.served(ran.spells, meets.began_s) for each in meets.services),
        egress=egress(jobs, ran.flavor, scenario.pools, scenario.world.homes, scenario.paid),
        unfit=hopeless,
        aside=(*(fixed(scenario) if hopeless else ()), *asides(scenario, jobs)),
    )
