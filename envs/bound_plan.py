"""The rows and columns of the clairvoyant bound, as `bound` derives them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from envs.bound_crowds import Crowd, Grid, by_edge, crowds
from envs.bound_demand import Stream, smoothed
from envs.bound_program import INFINITE, Program
from envs.terms import HOUR_S, PoolTerms, Rates
from envs.workloads import Ints
from gyropilot.domain import Market


@dataclass(frozen=True, eq=False, slots=True)
class World:
    """What the programme is about."""

    pools: Sequence[PoolTerms]
    step_s: float
    steps: int
    rates: Rates
    streams: Sequence[Stream]
    losses_s: Mapping[str, Collection[float]]  # when the market takes many nodes, by pool

    @property
    def hours(self) -> float:
        return self.step_s / HOUR_S

    @property
    def grid(self) -> Grid:
        return Grid(self.step_s, self.steps, self.rates)


@dataclass(frozen=True, eq=False, slots=True)
class Columns:
    """Numbers of the programme's columns."""

    there: Ints  # (P, T + 1) GPUs
    asked: Ints  # (P, T + 1) GPUs, when they come
    crowds: Sequence[Crowd]


def most_nodes(pool: PoolTerms) -> int:
    return max(pool.nodes, pool.max_nodes)


def _least_gpus(pool: PoolTerms, taken: bool) -> int:
    """That are there whatever the pilot does: none where the market may take them."""
    may_go = pool.market is Market.SPOT or pool.may_lose or taken
    return 0 if may_go else min(pool.nodes, pool.min_nodes) * pool.gpus_per_node


def _lead_steps(pool: PoolTerms, step_s: float) -> int:
    """The shortest that can be; where leads vary by chance, one may be as short as can be."""
    return math.floor(pool.lead.shortest_s / step_s)


def plan(program: Program, world: World) -> Columns:
    """All columns and rows of the bound."""
    columns = _columns(program, world)
    _capacity(program, columns, world)
    return columns


def _columns(program: Program, world: World) -> Columns:
    """All that the plan says, at its price, within its bounds."""
    costs, hours, steps = world.rates, world.hours, world.steps
    least, most, free = (np.zeros((len(world.pools), steps + 1)) for _ in range(3))
    for row, pool in enumerate(world.pools):
        lead = _lead_steps(pool, world.step_s)
        begun = smoothed(0.0, world.step_s, steps)
        more = (most_nodes(pool) - pool.nodes) * smoothed(lead * world.step_s, world.step_s, steps)
        least[row] = _least_gpus(pool, pool.name in world.losses_s) * begun
        most[row] = (pool.nodes * begun + more) * pool.gpus_per_node
        free[row, lead:] = INFINITE
    per_gpu = costs.asked / np.array([pool.gpus_per_node for pool in world.pools])
    there = hours * by_edge(costs.there + costs.idle_energy + costs.idle_carbon)
    return Columns(
        there=program.add_columns(least.shape, there, least, most),
        asked=program.add_columns(least.shape, per_gpu[:, None], 0.0, free),
        crowds=crowds(program, world.grid, world.streams),
    )


def _capacity(program: Program, columns: Columns, world: World) -> None:
    """What is there was there before or has been asked for; what runs fits in."""
    there, asked = columns.there, columns.asked
    already = np.zeros(there.shape)  # of the triangle, what lies before the world began
    already[:, :2] = 0.5 * np.array([[pool.nodes * pool.gpus_per_node] for pool in world.pools])
    grows = program.add_rows(there.shape, upper=already)
    program.put(grows, there, 1.0)
    program.put(grows[:, 1:], there[:, :-1], -1.0)
    program.put(grows, asked, -1.0)
    for number, pool in enumerate(world.pools):
        for moment_s in world.losses_s.get(pool.name, ()):
            _mass_loss(program, columns, world, (number, int(moment_s // world.step_s)))
    fits = program.add_rows(there.shape, upper=0.0)
    program.put(fits, there, -1.0)
    for crowd in columns.crowds:
        program.put(fits[crowd.pools], crowd.running, 1.0)


def _mass_loss(program: Program, columns: Columns, world: World, where: tuple[int, int]) -> None:
    """Of what was there before a step in which many were taken, at most a share and one are there after it.

    Of step t: the triangle of edge t - 1 ends where it begins, that of edge t + 2 begins where it ends. Three steps lie
    between any moment of the one and the same of the other, the loss among them.
    """
    number, step = where
    if not 0 <= step < world.steps - 1:
        return
    pool = world.pools[number]
    full = pool.nodes * pool.gpus_per_node
    stays = 1.0 - pool.mass_loss_share
    before_begin = {0: 1.0, 1: 0.5}.get(step, 0.0) * full
    rounded = pool.gpus_per_node if 0 < stays < 1 else 0
    row = program.add_rows((1,), upper=stays * before_begin + rounded)
    program.put(row, columns.there[number, step + 2], 1.0)
    program.put(row, columns.asked[number, step : step + 3], -1.0)
    if step:
        program.put(row, columns.there[number, step - 1], -stays)
