"""A scenario to begin with that fits a table of jobs: its queues, and about as many GPUs as they need."""

from __future__ import annotations

import json
from math import ceil

import numpy as np

from envs.tally import Ran, tally
from envs.workloads import Ints, JobTable

GPUS_PER_NODE = 8
IN_USE = 0.8
"""Share of GPUs that would be in use on average: fuller clusters make everybody wait."""


def draft(jobs: JobTable) -> str:
    """A scenario's text, with what was assumed of it as comments."""
    nodes = _nodes(jobs)
    queues = "\n".join(
        f"  {json.dumps(name, ensure_ascii=False)}: {{cohort: all, shares: {{gpus: {{nominal: {gpus}}}}}}}"
        for name, gpus in zip(jobs.queues, _quotas(jobs, 2 * nodes * GPUS_PER_NODE).tolist(), strict=True)
    )
    return f"""\
# Drawn up for a table of jobs, to be changed: `gyropilot scenario sample` explains every field.
# As many nodes as keep {100 * IN_USE:.0f} % of GPUs in use on average, and beside them what the largest job needs;
# a pilot may ask for twice as many.
flavors:
  gpus:
    nodes: {nodes}
    max_nodes: {2 * nodes}
    gpus_per_node: {GPUS_PER_NODE}
    lead_s: 600
    price_usd_per_gpu_hour: 2.5

# Quotas go by GPU-hours, and add up to all that a pilot may ask for: to hold queues to shares of what is there without
# one, halve them. Queues of one cohort lend to each other what they do not use.
queues:
{queues}
"""


def _nodes(jobs: JobTable) -> int:
    """At least one: with no room beside it the largest job would wait until nobody else runs."""
    ends_s = jobs.submit_s + jobs.stays_s
    wanted = tally(jobs, Ran.once(jobs.submit_s, ends_s, jobs.gpus), 1)
    mean = wanted.used_gpu_hours / wanted.provisioned_gpu_hours if wanted.provisioned_gpu_hours else 0.0
    return max(1, ceil((mean / IN_USE + float(jobs.least_gpus.max())) / GPUS_PER_NODE))


def _quotas(jobs: JobTable, gpus: int) -> Ints:
    """(Q,) that add up to so many GPUs."""
    work = np.bincount(jobs.queue, weights=jobs.gpu_seconds, minlength=len(jobs.queues))
    shares = work / work.sum() if work.sum() else np.full(len(work), 1 / len(work))
    quotas: Ints = np.diff(np.rint(gpus * np.cumsum(shares)), prepend=0).astype(np.int64)
    return quotas
