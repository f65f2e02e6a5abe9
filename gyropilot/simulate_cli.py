"""`gyropilot simulate` and `gyropilot scenario`: what becomes of jobs on a cluster that is not there."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gyropilot.errors import SettingsError
from gyropilot.terminal import OutputOption, PlainFormat, PlainFormatOption, progress, reply, same_file, say

if TYPE_CHECKING:
    from envs.job_file import JobFile
    from gyropilot.report.simulation import Simulation

scenario_app = typer.Typer(help="A cluster with queues and quotas as a file.", no_args_is_help=True)


class Order(StrEnum):
    """Who goes first."""

    FIFO = "fifo"


def simulate(  # noqa: PLR0913, PLR0917 - its options
    jobs: Annotated[Path, typer.Option("--jobs", help="Parquet, CSV or SWF of jobs.")],
    scenario: Annotated[
        Path | None, typer.Option("--scenario", help="Flavors, queues and quotas; see `gyropilot scenario sample`.")
    ] = None,
    fixed_nodes: Annotated[
        int | None, typer.Option("--fixed-nodes", help="Instead: nodes of a plain cluster, all alike.", min=1)
    ] = None,
    gpus_per_node: Annotated[int, typer.Option("--gpus-per-node", help="GPUs of each of those.", min=1)] = 8,
    order: Annotated[
        Order, typer.Option("--order", help="Who goes first there; the head of the line blocks.")
    ] = Order.FIFO,
    format: PlainFormatOption = PlainFormat.TEXT,  # noqa: A002 - the option's name
    out: OutputOption = None,
    jobs_out: Annotated[
        Path | None,
        typer.Option("--jobs-out", help="Write every job's start, end, wait and place to this parquet file."),
    ] = None,
) -> None:
    """What becomes of jobs on a cluster: how long they wait, and how well GPUs are used. Touches no cluster.

    With --scenario by Kueue's rules for queues with quotas and borrowing; with --fixed-nodes strictly first come, first
    served.
    """
    from envs.job_file import read_jobs
    from gyropilot.report.simulation import to_json, to_text, write_jobs

    if (scenario is None) == (fixed_nodes is None):
        raise SettingsError(
            "simulate takes either --scenario FILE or --fixed-nodes N: a cluster for the jobs to run on"
        )
    _refuse_one_file_for_two({"--jobs": jobs, "--scenario": scenario}, {"--out": out, "--jobs-out": jobs_out})
    with progress() as told:
        told("reading jobs")
        file = read_jobs(jobs)
        told("running them")
        found = _with_quotas(file, scenario) if scenario else _fixed(file, fixed_nodes or 0, gpus_per_node, order)
    if jobs_out is not None:
        write_jobs(jobs_out, found)
        say(f"jobs written to {jobs_out.resolve()}")
    reply((to_json if format is PlainFormat.JSON else to_text)(found), out)


def _refuse_one_file_for_two(read: Mapping[str, Path | None], written: Mapping[str, Path | None]) -> None:
    """Raises SettingsError where something would be written over, or is a folder."""
    taken = {option: path for option, path in read.items() if path is not None}
    for option, path in written.items():
        if path is None:
            continue
        if path.is_dir():
            raise SettingsError(f"{option} {path} is a folder; give a file")
        other = next((name for name, place in taken.items() if same_file(path, place)), None)
        if other:
            raise SettingsError(f"{option} {path} is also {other}, which it would replace; give another file")
        taken[option] = path


@scenario_app.command("sample")
def scenario_sample() -> None:
    """Print a scenario to begin with, explained."""
    from envs.scenario import SAMPLE

    typer.echo(SAMPLE, nl=False)


@scenario_app.command("validate")
def scenario_validate(
    scenario: Annotated[Path, typer.Argument(help="The scenario's file.", metavar="FILE", show_default=False)],
) -> None:
    """Say whether a scenario can be simulated, and what it holds."""
    from envs.scenario import read_scenario

    found = read_scenario(scenario)
    typer.echo(
        f"{scenario} is a scenario: {len(found.flavors)} flavors, {found.gpus:,} GPUs, {len(found.queues)} queues"
    )


def _fixed(file: JobFile, nodes: int, gpus_per_node: int, order: Order) -> Simulation:
    import numpy as np

    from envs.fixed import FixedCluster, replay
    from gyropilot.report.simulation import Simulation

    cluster = FixedCluster(nodes, gpus_per_node)
    runs = replay(file.table, cluster)
    world = f"{nodes:,} nodes x {gpus_per_node} GPUs, first come first served"
    facts = {"nodes": nodes, "gpus_per_node": gpus_per_node, "order": order.value}
    where = {"nodes": np.split(runs.node, runs.first[1:-1])}
    return Simulation(world, facts, cluster.gpus, file, runs.start_s, where)


def _with_quotas(file: JobFile, path: Path) -> Simulation:
    import numpy as np

    from envs.replay import replay
    from envs.scenario import read_scenario, refuse_unknown
    from gyropilot.report.simulation import Simulation

    scenario = read_scenario(path)
    refuse_unknown(scenario, file.table.queues)
    ran = replay(file.table, scenario.cluster, np.inf)
    world = f"{scenario.gpus:,} GPUs of {len(scenario.flavors)} flavors, {len(scenario.queues)} queues with quotas"
    facts = {"scenario": str(path), "gpus": scenario.gpus}
    where = {"flavor": np.array([*ran.flavors, None], dtype=object)[ran.flavor]}  # NOWHERE is the last
    return Simulation(world, facts, scenario.gpus, file, ran.start_s, where)
