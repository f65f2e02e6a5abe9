"""Streams that share pools: the short programme has the optimum of the long one, in which each runs by pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.bound import clairvoyant
from envs.bound_crowds import Crowd, Grid, Late
from envs.bound_demand import Stream
from envs.bound_program import Program
from envs.terms import HOUR_S, PoolTerms, Prices
from envs.workloads import Floats, Ints, JobTable
from tests.envs.test_bound import TICK_S, some_world, table

THETAS = (0.0, 0.5, 1.0)


@dataclass(frozen=True, eq=False, slots=True)
class Alone:
    """One stream, told pool by pool."""

    stream: Stream
    pools: Ints
    running: Ints
    backlog: Ints
    waiting: Ints

    def told(self, values: Floats) -> list[Late]:
        return [Late(self.stream, values[self.backlog][:-1], float(values[self.waiting][0]))]


def one_by_one(program: Program, grid: Grid, streams: Sequence[Stream]) -> list[Crowd]:
    return [alone(program, grid, stream) for stream in streams]


def alone(program: Program, grid: Grid, stream: Stream) -> Alone:
    """As the bound derives it, without short cuts."""
    line, hours, steps = stream.line, grid.hours, grid.steps + 1
    busy = hours * (grid.rates.busy_energy + grid.rates.busy_carbon)[line.pools]
    running = program.add_columns((len(line.pools), steps), busy[:, None])
    backlog = program.add_columns((steps,))
    waiting = program.add_columns((1,), line.waiting_usd + line.waiting_jobs_usd / stream.largest_gpus)
    work = program.add_rows((steps,), stream.possible, stream.possible)
    program.put(work, backlog, 1.0)
    program.put(work[1:], backlog[:-1], -1.0)
    program.put(work, running, line.speeds[:, None])
    for theta in THETAS:
        hidden = theta**2 / 2 * line.mixed * stream.square_gpu_s / HOUR_S
        row = program.add_rows((1,), lower=-hidden)
        program.put(row, waiting, 1.0)
        program.put(row, backlog[:-1], -grid.step_s * hours / stream.longest_s)
        program.put(row, running, hours * (1 - theta) * (1 - line.speeds / line.fastest)[:, None])
    return Alone(stream, line.pools, running, backlog, waiting)


def agree(monkeypatch: pytest.MonkeyPatch, *world: object, **more: object) -> None:
    short = clairvoyant(*world, **more)  # type: ignore[arg-type]
    with monkeypatch.context() as patched:
        patched.setattr("envs.bound_plan.crowds", one_by_one)
        long = clairvoyant(*world, **more)  # type: ignore[arg-type]

    assert short.usd == pytest.approx(long.usd, rel=1e-6, abs=1e-6)
    assert short.usd_by_kind.sum() == pytest.approx(short.usd, rel=1e-6, abs=1e-6)


pool_terms = st.builds(
    PoolTerms,
    name=st.just("x"),
    nodes=st.integers(0, 2),
    max_nodes=st.integers(2, 4),
    gpus_per_node=st.integers(1, 4),
    price_usd_per_gpu_hour=st.sampled_from([0.0, 1.0, 2.5]),
    speed=st.sampled_from([0.5, 1.0, 1.0, 1.0]),
    lead_s=st.sampled_from([0.0, 3 * TICK_S]),
    watts_busy_per_gpu=st.sampled_from([0.0, 1_000.0]),
)
rows = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 12), st.integers(1, 12), st.integers(1, 4)), min_size=1, max_size=12
)


@settings(max_examples=60, deadline=None)
@given(
    pools=st.tuples(pool_terms, pool_terms, pool_terms),
    jobs=rows.map(lambda r: table(r, ("a", "b", "c"), TICK_S)),
    waits=st.tuples(st.sampled_from([1.0, 5.0]), st.sampled_from([1.0, 20.0])),
    eligible=st.sampled_from([None, {"b": ["p0", "p2"]}, {"a": [], "c": ["p1"]}]),
)
def test_is_the_optimum_of_streams_told_pool_by_pool(
    pools: tuple[PoolTerms, ...], jobs: JobTable, waits: tuple[float, float], eligible: dict[str, list[str]] | None
) -> None:
    named = [replace(pool, name=f"p{number}") for number, pool in enumerate(pools)]
    prices = Prices(
        waiting_usd_per_gpu_hour=waits[0],
        waiting_usd_per_job_hour=2.0,
        queue_waiting_usd_per_gpu_hour={"b": waits[1]},
        churn_usd_per_node=0.5,
        usd_per_kwh=0.3,
    )

    with pytest.MonkeyPatch.context() as monkeypatch:
        agree(monkeypatch, jobs, named, prices, 2 * TICK_S, 10, eligible)


@pytest.mark.parametrize("seed", range(2))
def test_is_the_optimum_of_a_longer_world(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs, pools = some_world(seed)
    prices = Prices(waiting_usd_per_gpu_hour=3.0, queue_waiting_usd_per_gpu_hour={"b": 9.0})

    agree(monkeypatch, jobs, pools, prices, 900.0, 32)


def test_the_dearest_goes_first() -> None:
    jobs = table([(0, 0.0, 1.0, 4), (1, 0.0, 1.0, 4)], ("cheap", "dear"))
    prices = Prices(waiting_usd_per_gpu_hour=1.0, queue_waiting_usd_per_gpu_hour={"dear": 9.0})
    pool = PoolTerms("pool", nodes=1, max_nodes=1, gpus_per_node=4, price_usd_per_gpu_hour=0.0, lead_s=0.0)

    bound = clairvoyant(jobs, [pool], prices, HOUR_S / 4, 12)

    assert bound.backlog[1] == pytest.approx(np.zeros(12), abs=1e-6)
    assert bound.usd_by_kind[1] == pytest.approx(4.0)
