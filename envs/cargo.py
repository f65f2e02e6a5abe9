"""Where jobs' data lies, in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from envs.terms import PoolTerms, regions_of
from envs.workloads import JobTable

if TYPE_CHECKING:
    from envs.compiled.quotas import Cargo

NOWHERE = -1


def cargo(jobs: JobTable, pools: Sequence[PoolTerms], homes: Mapping[str, str]) -> Cargo:
    """Before anything was sent: data lies where its queue is at home."""
    from envs.compiled.quotas import Cargo

    regions = regions_of(pools, homes)
    at = {"": NOWHERE, **{name: nth for nth, name in enumerate(regions)}}
    home = np.array([at[homes.get(queue, "")] for queue in jobs.queues], dtype=np.int64)
    return Cargo(
        jobs.data_gb.astype(np.float64),
        np.array([at[pool.region] for pool in pools], dtype=np.int64),
        home[jobs.queue],
        np.zeros((len(regions), len(regions))),
    )
