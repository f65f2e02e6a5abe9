"""Where jobs' data lies, in numbers, and what is sent of it where each job starts once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from envs.terms import PoolTerms, Prices, rates, regions_of
from envs.workloads import Floats, Ints, JobTable

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


class Egress(NamedTuple):
    """What was sent to other regions."""

    gb: float
    usd: float


def egress(
    jobs: JobTable, flavor: Ints, pools: Sequence[PoolTerms], homes: Mapping[str, str], prices: Prices
) -> Egress:
    """Of jobs (N,) that started once, each in the pool that `flavor` counts, or NOWHERE."""
    lies = cargo(jobs, pools, homes)
    went = np.where(flavor == NOWHERE, NOWHERE, lies.region[flavor])
    sends = (lies.lies != NOWHERE) & (went != NOWHERE) & (lies.lies != went)
    usd_per_gb = rates(pools, jobs.queues, prices, np.zeros(1), homes).sent
    usd: Floats = jobs.data_gb[sends] * usd_per_gb[lies.lies[sends], went[sends]]
    return Egress(float(jobs.data_gb[sends].sum()), float(usd.sum()))
