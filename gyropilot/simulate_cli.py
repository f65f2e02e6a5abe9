"""`gyropilot simulate`: what becomes of jobs on a cluster that is not there. It touches no cluster."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gyropilot.terminal import OutputOption, PlainFormat, PlainFormatOption, progress, reply, say


class Order(StrEnum):
    """Who goes first."""

    FIFO = "fifo"


def simulate(
    jobs: Annotated[Path, typer.Option("--jobs", help="Parquet, CSV or SWF of jobs.")],
    fixed_nodes: Annotated[int, typer.Option("--fixed-nodes", help="Nodes of the cluster, all alike.", min=1)],
    gpus_per_node: Annotated[int, typer.Option("--gpus-per-node", help="GPUs of each.", min=1)] = 8,
    order: Annotated[Order, typer.Option("--order", help="Who goes first; the head of the line blocks.")] = Order.FIFO,
    format: PlainFormatOption = PlainFormat.TEXT,  # noqa: A002 - the option's name
    out: OutputOption = None,
    jobs_out: Annotated[
        Path | None,
        typer.Option("--jobs-out", help="Write every job's start, end, wait and nodes to this parquet file."),
    ] = None,
) -> None:
    """What becomes of jobs on a plain fixed cluster: how long they wait, and how well GPUs are used.

    Strict first come first served: the head of the line blocks those behind it. A job of up to a node goes to the
    fullest node that still fits it, a larger gang to whole empty nodes.
    """
    from envs.fixed import FixedCluster, replay
    from envs.job_file import read_jobs
    from gyropilot.report.simulation import to_json, to_text, write_jobs

    cluster = FixedCluster(fixed_nodes, gpus_per_node)
    with progress() as told:
        told("reading jobs")
        file = read_jobs(jobs)
        told("running them")
        runs = replay(file.table, cluster)
    if jobs_out is not None:
        write_jobs(jobs_out, file, runs)
        say(f"jobs written to {jobs_out.resolve()}")
    reply((to_json if format is PlainFormat.JSON else to_text)(cluster, file, runs), out)
