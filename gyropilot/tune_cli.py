"""`gyropilot tune`: settings for a pilot from jobs that came to a cluster."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gyropilot.errors import SettingsError
from gyropilot.terminal import OutputOption, compiling, progress, refuse_one_file_for_two, reply, say

if TYPE_CHECKING:
    from envs.windows import Ground

LEFT_ALONE_DAYS = 7.0
"""The last days of the jobs, unless told: what is tuned can be put to the test on them."""


def tune(  # noqa: PLR0913, PLR0917 - its options
    pilot: Annotated[str, typer.Option("--pilot", help="Whose settings.")],
    jobs: Annotated[Path, typer.Option("--jobs", help="Parquet, CSV or SWF of jobs.")],
    scenario: Annotated[Path, typer.Option("--scenario", help="The cluster; see `gyropilot scenario sample`.")],
    until: Annotated[
        float | None,
        typer.Option(
            "--until",
            help="Look only at jobs of the first so many days \\[default: all but the last 7]",
            min=0,
            show_default=False,
        ),
    ] = None,
    budget: Annotated[
        int, typer.Option("--budget", help="Settings that are tried, the default ones included.", min=2)
    ] = (100),
    days: Annotated[
        int,
        typer.Option("--days-per-evaluation", help="Days that each of them is charged for, in windows of two.", min=2),
    ] = 10,
    forecaster: Annotated[
        str, typer.Option("--forecaster", help="What pilots are told of the future by; as `forecast.model`.")
    ] = "naive",
    seed: Annotated[int, typer.Option("--seed", help="Of windows, weather and candidates.", min=0)] = 0,
    out: OutputOption = None,
) -> None:
    """Tune a pilot's settings on jobs of the past, and say whether that helps on others. Touches no cluster.

    Writes a `pilot:` section for gyropilot.yaml; `simulate --pilot NAME@FILE` runs it. Ctrl-C keeps the best so far.
    """
    from envs.tuning import Effort, refuse_untunable, tuned
    from gyropilot.report.tuning import to_yaml, verdict

    refuse_untunable(pilot)
    refuse_one_file_for_two({"--jobs": jobs, "--scenario": scenario}, {"--out": out})
    with progress() as told, compiling():
        told("reading jobs")
        effort = Effort(budget, max(1, -(-days // 2)), forecaster, seed)
        found = tuned(pilot, [_ground(jobs, scenario, until)], effort, told)
    command = ["gyropilot", "tune", "--pilot", pilot, "--jobs", str(jobs), "--scenario", str(scenario)]
    command += [] if until is None else ["--until", f"{until:g}"]
    command += ["--budget", str(budget), "--days-per-evaluation", str(days), "--forecaster", forecaster]
    reply(to_yaml(found, shlex.join([*command, "--seed", str(seed)])), out)
    say(verdict(found))


def _ground(jobs: Path, scenario: Path, until: float | None) -> Ground:
    from envs.checkpoints import with_halts
    from envs.job_file import read_jobs
    from envs.scenario import read_scenario, refuse_changes, refuse_unknown, with_all_queues
    from envs.windows import Ground
    from envs.workloads import DAY_S

    cluster, file = read_scenario(scenario), read_jobs(jobs)
    table = with_halts(file.table, cluster.checkpoint_halt_s)
    for note in file.notes:
        say(note)
    refuse_unknown(cluster, table.queues)
    refuse_changes(cluster, "tune")
    if not len(table):
        raise SettingsError(f"{jobs} holds no job that ran; there is nothing to tune by")
    first_s, last_s = float(table.submit_s[0]), float(table.submit_s[-1])
    left_alone_days = LEFT_ALONE_DAYS if until is None else 0.0
    until_s = last_s - left_alone_days * DAY_S if until is None else min(last_s, first_s + until * DAY_S)
    queued = with_all_queues(cluster, table)
    return Ground(jobs.name, cluster.world, queued, cluster.paid, until_s, left_alone_days)
