"""How streams share pools in the clairvoyant bound: columns and rows, and what they say once solved.

A crowd is all streams to which the same pools are open. None of its streams is told by pool where it runs, only all
together: whoever runs could as well run wherever as fast.

**All pools alike fast.** Of a crowd that has z GPUs in use the dearest backlog per second goes first: no other order
costs less. So the i dearest streams together are late as if there were no others, B_i[t] >= B_i[t-1] + D_i[t] - z[t],
and with prices w_1 >= w_2 >= ... of a backlog, sum_i w_i b_i = sum_i (w_i - w_(i+1)) B_i. (B_i grows with what is to be
done, so b_i = B_i - B_(i-1) >= 0, and what i is given, b_i[t-1] + D - b_i[t], is what the first i are given less what
the first i - 1 are: also >= 0.) One column and one row for each price and step, however many pools there are.

**Cohorts.** Where streams are told what they can use at most, each is a column of its own, from its first job on.

**Who stays.** What is there of a queue for a while whatever it does, in use or waiting, is a column: what of it waits.

**Of different speeds.** Each stream is told by speed, for what it waits depends on that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from envs.bound_demand import Line, Stream
from envs.bound_program import Program
from envs.terms import HOUR_S, Rates
from envs.workloads import Floats, Ints

TANGENTS = (0.0, 0.5, 1.0)
"""The thetas for which rows say what waits."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Steps of the window, and what a GPU-hour in use costs more than one that is there."""

    step_s: float
    steps: int
    rates: Rates

    @property
    def hours(self) -> float:
        return self.step_s / HOUR_S


PER_POOL = ("there", "idle_energy", "busy_energy", "idle_carbon", "busy_carbon")


def edged(first: Rates, last: Rates) -> Rates:
    """What is paid at least under each triangle, (T + 1, P), of what is paid as each step begins and as it ends.

    A triangle lies in two steps, the outer ones in one. Where prices never change, they stay as they are.
    """
    if first.there.ndim == 1:
        return first
    least = {name: np.minimum(getattr(first, name), getattr(last, name)) for name in PER_POOL}
    return first._replace(
        **{name: np.minimum(np.vstack([told[:1], told]), np.vstack([told, told[-1:]])) for name, told in least.items()}
    )


def by_edge(rate: Floats) -> Floats:
    """(P, T + 1) or (P, 1) of a rate per pool."""
    return rate[:, None] if rate.ndim == 1 else rate.T


class Late(NamedTuple):
    """What a stream's work comes to."""

    stream: Stream
    backlog: Floats  # (T,) GPUs x steps
    waiting: float  # GPU-hours, of as many GPUs as the stream counts


class Crowd(Protocol):
    """Columns of streams that share pools."""

    @property
    def pools(self) -> Ints:
        """(E,) that are open to them."""
        ...

    @property
    def running(self) -> Ints:
        """(E, T + 1) GPUs, by pool."""
        ...

    def told(self, values: Floats) -> list[Late]:
        """What a solution says of each stream."""
        ...


def crowds(program: Program, grid: Grid, streams: Sequence[Stream]) -> list[Crowd]:
    """Columns and rows of all of them: what they do, not how much is there for them."""
    together: dict[tuple[tuple[int, ...], tuple[float, ...], bool], list[Stream]] = {}
    for stream in streams:
        key = tuple(stream.line.pools.tolist()), tuple(stream.line.speeds.tolist()), stream.stays
        together.setdefault(key, []).append(stream)
    return [_crowd(program, grid, mine) for mine in together.values()]


def _crowd(program: Program, grid: Grid, streams: Sequence[Stream]) -> Crowd:
    if streams[0].stays:
        return _staying(program, grid, streams)
    if streams[0].line.mixed:
        return _mixed(program, grid, streams)
    return _alike(program, grid, streams) if streams[0].most is None else _capped(program, grid, streams)


def waiting_per_backlog(stream: Stream, grid: Grid) -> float:
    """GPU-hours of waiting that a backlog of a GPU for a step means, in each step that it lasts."""
    return grid.step_s * grid.hours / stream.longest_s


def _waiting_usd(stream: Stream) -> float:
    """Per GPU-hour, with all that were asked for and the job-hours that must come with it."""
    return stream.line.waiting_usd * stream.weight + stream.line.waiting_jobs_usd / stream.largest_gpus


def _running(program: Program, grid: Grid, line: Line) -> Ints:
    busy = grid.hours * by_edge(grid.rates.busy_energy + grid.rates.busy_carbon)
    return program.add_columns((len(line.pools), grid.steps + 1), busy[line.pools])


# all pools alike fast


@dataclass(frozen=True, eq=False, slots=True)
class _Alike:
    grid: Grid
    streams: Sequence[Stream]  # the dearest first
    pools: Ints
    running: Ints

    def told(self, values: Floats) -> list[Late]:
        served = values[self.running].sum(axis=0) * self.streams[0].line.fastest
        backlogs = _in_order(np.array([stream.possible for stream in self.streams]), served)[:, :-1]
        return [
            Late(stream, late, late.sum() * waiting_per_backlog(stream, self.grid))
            for stream, late in zip(self.streams, backlogs, strict=True)
        ]


def _alike(program: Program, grid: Grid, streams: Sequence[Stream]) -> _Alike:
    def price(stream: Stream) -> float:
        return _waiting_usd(stream) * waiting_per_backlog(stream, grid)

    dearest = sorted(streams, key=price, reverse=True)
    line = dearest[0].line
    running = _running(program, grid, line)
    used = program.add_columns((grid.steps + 1,))
    adds_up = program.add_rows(used.shape, 0.0, 0.0)
    program.put(adds_up, used, -1.0)
    program.put(adds_up, running, 1.0)
    steps_down = -np.diff([price(stream) for stream in dearest], append=0.0)
    possible = np.cumsum([stream.possible for stream in dearest], axis=0)
    for usd, work in zip(steps_down, possible, strict=True):
        if usd > 0:
            _late(program, used, line.fastest, work, usd)
    return _Alike(grid, dearest, line.pools, running)


def _late(program: Program, used: Ints, speed: float, work: Floats, usd: float) -> None:
    """Backlog is at least what could have been done and is not; at the end of the window it costs nothing."""
    costs = np.append(np.full(len(work) - 1, usd), 0.0)
    backlog = program.add_columns(work.shape, costs)
    rows = program.add_rows(work.shape, lower=work)
    program.put(rows, backlog, 1.0)
    program.put(rows[1:], backlog[:-1], -1.0)
    program.put(rows, used, speed)


def _in_order(work: Floats, served: Floats) -> Floats:
    """(K, T + 1) backlog of each where the first goes first."""
    together = np.cumsum(work, axis=0)
    late, waits = np.zeros_like(work), np.zeros(len(work))
    for step in range(work.shape[1]):
        waits = np.maximum(0.0, waits + together[:, step] - served[step])
        late[:, step] = waits
    return np.maximum(0.0, np.diff(late, axis=0, prepend=0.0))


# no stream using more than its jobs ask for


@dataclass(frozen=True, eq=False, slots=True)
class _Capped:
    grid: Grid
    streams: Sequence[Stream]
    pools: Ints
    running: Ints
    backlog: Sequence[Ints]  # per stream (T + 1 - first,)

    def told(self, values: Floats) -> list[Late]:
        return [self._late(stream, values[late]) for stream, late in zip(self.streams, self.backlog, strict=True)]

    def _late(self, stream: Stream, late: Floats) -> Late:
        backlog = np.pad(late, (self.grid.steps + 1 - len(late), 0))[:-1]
        return Late(stream, backlog, backlog.sum() * waiting_per_backlog(stream, self.grid))


def _capped(program: Program, grid: Grid, streams: Sequence[Stream]) -> _Capped:
    line = streams[0].line
    running = _running(program, grid, line)
    adds_up = program.add_rows((grid.steps + 1,), 0.0, 0.0)
    program.put(adds_up, running, -1.0)
    backlogs = [_up_to_its_most(program, grid, stream, adds_up) for stream in streams]
    return _Capped(grid, streams, line.pools, running, backlogs)


def _up_to_its_most(program: Program, grid: Grid, stream: Stream, adds_up: Ints) -> Ints:
    """Its backlog, from the first moment at which it may run."""
    most = np.zeros(grid.steps + 1) if stream.most is None else stream.most
    first = int(np.argmax(most > 0))
    used = program.add_columns(most[first:].shape, upper=most[first:])
    program.put(adds_up[first:], used, 1.0)
    usd = np.full(len(used), _waiting_usd(stream) * waiting_per_backlog(stream, grid))
    usd[-1] = 0.0
    return _work(program, stream.possible[first:], (np.array([stream.line.fastest]), used[None]), usd)


# there for a while whatever they do


@dataclass(frozen=True, eq=False, slots=True)
class _Staying:
    grid: Grid
    streams: Sequence[Stream]
    pools: Ints
    running: Ints
    waiting: Ints  # per stream (T + 1,) GPUs

    def told(self, values: Floats) -> list[Late]:
        return [self._late(stream, values[waits]) for stream, waits in zip(self.streams, self.waiting, strict=True)]

    def _late(self, stream: Stream, waits: Floats) -> Late:
        """What waits at the last edge counts to the last step."""
        late = waits[:-1].copy()
        late[-1] += waits[-1]
        return Late(stream, late, float(waits.sum()) * self.grid.hours)


def _staying(program: Program, grid: Grid, streams: Sequence[Stream]) -> _Staying:
    line, there = streams[0].line, np.array([stream.parts[0] for stream in streams])
    running = _running(program, grid, line)
    usd = grid.hours * np.array([[_waiting_usd(stream)] for stream in streams])
    waiting = program.add_columns(there.shape, usd, 0.0, there)
    adds_up = program.add_rows((grid.steps + 1,), there.sum(axis=0), there.sum(axis=0))
    program.put(adds_up, running, 1.0)
    program.put(adds_up, waiting, 1.0)
    return _Staying(grid, streams, line.pools, running, waiting)


# of different speeds


@dataclass(frozen=True, eq=False, slots=True)
class _Mixed:
    streams: Sequence[Stream]
    pools: Ints
    running: Ints
    backlog: Sequence[Ints]  # per stream (T + 1,)
    waiting: Ints  # per stream, GPU-hours

    def told(self, values: Floats) -> list[Late]:
        columns = zip(self.streams, self.backlog, self.waiting, strict=True)
        return [Late(stream, values[late][:-1], float(values[waits])) for stream, late, waits in columns]


def _mixed(program: Program, grid: Grid, streams: Sequence[Stream]) -> _Mixed:
    line = streams[0].line
    running = _running(program, grid, line)
    speeds, of = np.unique(line.speeds, return_inverse=True)
    adds_up = program.add_rows((len(speeds), grid.steps + 1), 0.0, 0.0)
    program.put(adds_up[of], running, -1.0)
    waiting = program.add_columns((len(streams),), [_waiting_usd(stream) for stream in streams])
    backlogs = []
    for stream, waits in zip(streams, waiting, strict=True):
        by_speed = program.add_columns(adds_up.shape)
        program.put(adds_up, by_speed, 1.0)
        if stream.most is not None:
            program.put(program.add_rows(stream.most.shape, upper=stream.most), by_speed, 1.0)
        backlogs.append(_work(program, stream.possible, (speeds, by_speed), np.zeros(grid.steps + 1)))
        _waiting(program, grid, stream, (speeds, by_speed, backlogs[-1], waits))
    return _Mixed(streams, line.pools, running, backlogs, waiting)


def _work(program: Program, possible: Floats, running: tuple[Floats, Ints], usd: Floats) -> Ints:
    """Backlog, at its price, is what could have been done and is not; none is done before it can be."""
    speeds, by_speed = running
    backlog = program.add_columns(possible.shape, usd)
    rows = program.add_rows(possible.shape, possible, possible)
    program.put(rows, backlog, 1.0)
    program.put(rows[1:], backlog[:-1], -1.0)
    program.put(rows, by_speed, speeds[:, None])
    return backlog


def _waiting(program: Program, grid: Grid, stream: Stream, columns: tuple[Floats, Ints, Ints, np.int64]) -> None:
    """At least what the three rows of theta say."""
    speeds, by_speed, backlog, waits = columns
    line = stream.line
    delayed, slow = program.add_columns((2,))
    sums = program.add_rows((2,), 0.0, 0.0)
    program.put(sums, [delayed, slow], -1.0)
    program.put(sums[0], backlog[:-1], waiting_per_backlog(stream, grid))
    slower = 1.0 - speeds / line.fastest
    program.put(sums[1], by_speed[slower > 0], grid.hours * slower[slower > 0, None])
    theta = np.array(TANGENTS)
    rows = program.add_rows(theta.shape, lower=-(theta**2) / 2 * line.mixed * stream.square_gpu_s / HOUR_S)
    program.put(rows, waits, 1.0)
    program.put(rows, delayed, -1.0)
    program.put(rows, slow, 1.0 - theta)
