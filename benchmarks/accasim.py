"""AccaSim (Galleguillos et al., 2018), a simulator of clusters, on the jobs of `benchmarks.simulator`.

    pip install 'gyropilot[bench]'

First come, first served, and a job goes where it fits best, as on a fixed cluster of ours: a job of up to one node on
one node, larger gangs on whole nodes.
"""

from __future__ import annotations

import collections
import collections.abc
import io
import json
import re
import time
import warnings
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from envs.workloads import Floats, JobTable

ONE_NODE = "node"


def replayed(table: JobTable, nodes: int, per_node: int) -> tuple[float, Floats] | None:
    """Seconds that it ran, its files included, and (N,) when jobs started; None where it is not installed."""
    # Python 3.10 moved what it imports.
    collections.Mapping = collections.abc.Mapping  # type: ignore[attr-defined]
    try:
        with warnings.catch_warnings(action="ignore"):
            from accasim.base.simulator_class import Simulator
    except ImportError:
        return None
    with TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore"):
        jobs, system = Path(folder, "jobs.swf"), Path(folder, "system.json")
        jobs.write_text("\n".join(_swf(table)) + "\n")
        system.write_text(json.dumps(_system(nodes, per_node)))
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            simulator = Simulator(
                str(jobs),
                str(system),
                _dispatcher(),
                tweak_function=_whole_nodes(per_node),
                statistics_output=False,
                show_statistics=False,
                RESULTS_FOLDER_PATH=folder,
            )
            began = time.perf_counter()
            simulator.start_simulation()
            took = time.perf_counter() - began
        plan = next(path for path in Path(folder).iterdir() if path.name.startswith("sched-"))
        return took, _starts(plan.read_text(), len(table))


def _swf(table: JobTable) -> list[str]:
    """Version 2.2, eighteen columns; what is not known is -1."""
    columns = zip(table.submit_s.tolist(), table.duration_s.tolist(), table.gpus.tolist(), strict=True)
    return [
        f"{nth + 1} {submit_s:.0f} -1 {duration_s:.0f} {gpus} -1 -1 {gpus} {duration_s:.0f} -1 1 1 1 1 1 1 -1 -1"
        for nth, (submit_s, duration_s, gpus) in enumerate(columns)
    ]


def _system(nodes: int, per_node: int) -> dict[str, Any]:
    return {"groups": {ONE_NODE: {"core": per_node}}, "resources": {ONE_NODE: nodes}, "start_time": 0}


def _dispatcher() -> Any:
    from accasim.base.allocator_class import BestFit
    from accasim.base.scheduler_class import FirstInFirstOut

    return FirstInFirstOut(BestFit())


def _whole_nodes(per_node: int) -> Any:
    """Tells AccaSim how a gang lies on nodes; by itself it takes each processor for a node."""
    from accasim.utils.reader_class import Tweaker

    class WholeNodes(Tweaker):  # type: ignore[misc]
        def tweak_function(self, job: dict[str, Any]) -> dict[str, Any]:
            gpus = job["total_processors"]
            on_nodes = max(1, gpus // per_node)
            job.update(core=gpus, requested_nodes=on_nodes, requested_resources={"core": gpus // on_nodes})
            job["queue"] = job.pop("queue_number")
            return job

    return WholeNodes()


def _starts(plan: str, count: int) -> Floats:
    """(N,) seconds, of a plan whose lines end a job's places with `__start;end;...`."""
    started = np.full(count, np.nan)
    for line in plan.splitlines():
        told = re.match(r"(\d+);.*__([^;_]+);", line)
        if told:
            moment = datetime.strptime(told[2], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
            started[int(told[1]) - 1] = moment.timestamp()
    return started
