"""Nodes that are lost and why: chance is drawn beforehand, and what came of it is told apart by cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from envs.interruptions import ROUNDING
from envs.terms import HOUR_S, PoolTerms
from envs.workloads import Floats, Ints
from gyropilot.domain import Market

if TYPE_CHECKING:
    from envs.compiled.site import Troubles

CAUSES = ("interruptions", "failures", "outages")
"""Why nodes go: the market takes them back, their hardware fails, their place has an outage."""


class Harm(NamedTuple):
    """What chance does to nodes beside the market's share, step by step, (P, T)."""

    recorded: Ints  # nodes that the market takes back
    outage: Floats  # share of nodes
    failing: Floats  # share of nodes
    chance: Floats  # from 0 to 1: whether what is less than a node fails as one
    whom: Floats  # from 0 to 1: which jobs are on nodes that fail

    @classmethod
    def drawn(cls, pools: Sequence[PoolTerms], steps: int, rng: np.random.Generator, step_s: float) -> Self | None:
        """As the pools' terms say. None, and no chance taken, where they say nothing of it."""
        if not any(pool.troubled for pool in pools):
            return None
        shape = (len(pools), steps)
        hours = [[pool.mean_time_between_failures_h or np.inf] for pool in pools]
        failing = np.broadcast_to(-np.expm1(-step_s / HOUR_S / np.array(hours)), shape).copy()
        return cls(_recorded(pools, steps, step_s), np.zeros(shape), failing, rng.random(shape), rng.random(shape))

    @classmethod
    def none(cls, pools: Sequence[PoolTerms], steps: int) -> Self:
        """Nothing is lost."""
        nothing = np.zeros((len(pools), steps))
        return cls(nothing.astype(np.int64), *(nothing.copy() for _ in range(4)))


def _recorded(pools: Sequence[PoolTerms], steps: int, step_s: float) -> Ints:
    told = [pool.interruptions.nodes_by_step(steps, step_s) if pool.interruptions else None for pool in pools]
    return np.stack([np.zeros(steps, dtype=np.int64) if row is None else row for row in told])


def troubles(
    pools: Sequence[PoolTerms], harm: Harm | None, shape: tuple[int, int], step_s: float, checkpoint_write_s: float
) -> Troubles | None:
    """Of `shape` jobs and steps, before anything happened; None where nothing can.

    Raises ValueError where a notice is not over within a step.
    """
    from envs.compiled.site import Troubles

    if harm is None and not any(pool.troubled for pool in pools):
        return None
    jobs, steps = shape
    _refuse_long_notice(pools, step_s)
    repair = [
        ceil(pool.repair_h * HOUR_S / step_s - ROUNDING) if pool.market is Market.RESERVED else 0 for pool in pools
    ]
    return Troubles(
        np.array([pool.notice_s for pool in pools], dtype=np.float64),
        *(harm or Harm.none(pools, steps)),
        np.array(repair, dtype=np.int64),
        checkpoint_write_s,
        np.zeros(len(pools), dtype=np.int64),
        np.full(jobs, np.nan),
        np.zeros((len(CAUSES), len(pools)), dtype=np.int64),
        np.zeros((len(CAUSES), jobs), dtype=np.int64),
        np.zeros(len(CAUSES)),
    )


def _refuse_long_notice(pools: Sequence[PoolTerms], step_s: float) -> None:
    for pool in pools:
        if pool.notice_s >= step_s:
            raise ValueError(
                f"pool {pool.name} is told {pool.notice_s:g} s before it loses nodes, and a step is {step_s:g} s; "
                "give a notice_s that is less"
            )


@dataclass(frozen=True, slots=True)
class Loss:
    """What one cause took."""

    cause: str
    nodes: int
    stops: int  # of jobs
    gpu_hours: float  # of their work, restarts included
    usd: float  # of that work


def losses(found: Troubles | None, parts: int, lost_usd_per_gpu_hour: float) -> tuple[Loss, ...]:
    """Of the first of several clusters, by cause; none where nothing is told apart."""
    if found is None:
        return ()
    hours = (found.lost[0] / parts).tolist()
    counts = zip(CAUSES, found.nodes[0].sum(axis=1).tolist(), found.hits[0].sum(axis=1).tolist(), hours, strict=True)
    return tuple(Loss(cause, nodes, stops, lost, lost * lost_usd_per_gpu_hour) for cause, nodes, stops, lost in counts)
