"""The clairvoyant bound: what any pilot pays at least, even one that knows every job in advance.

A linear programme of which what any pilot does, seen from afar, is a solution that costs no more than the pilot pays.
Its optimum is then below what every pilot pays in the window [0, H), H = steps x step_s. What is proved below holds for
any moments of starts, preemptions and scaling: they need not lie on the grid of steps.

**Smoothing.** Let C_p(s) be GPUs there and R_kp(s) GPUs of stream k in use on p, both 0 outside the window. The
programme's c[p,t] and x[k,p,t], t = 0 ... T, are their averages under a triangle that peaks at t x step_s and falls to
nothing a step from there. So their sums over t are the GPU-hours of the window; sum_k x <= c since that holds at every
moment; c <= the triangle's average of the most that can be there: `nodes` until the shortest lead time, `max_nodes`
from then on. With u the like average of nodes as they come, c[t] <= c[t-1] + u[t] (what was there before the world
began is added), u[t] = 0 until the shortest lead, and what has been asked for is at least what has come.

**Work.** A job of g GPUs and duration d, submitted at a, can at speed V, the fastest of the pools open to it, have done
N(s) = g min(V (s - a)+, d) by s. Of its runs count those until they make up d for the first time, whether their work
is lost or not: later ones only cost. So it has done P(s) <= N(s). A stream's backlog, the sum of N - P, never is
negative. Its mean over a step follows exactly from averages under triangles, which is why there are triangles:
b[t] = b[t-1] + (average of N') - sum_p v_p x[p,t], and b[T] is the backlog at the end of the window.

**Waiting.** A job waits from submission to end whenever it does not run. From submission until its runs make up d or
the window ends, let w be how long it waits, r_p how long it runs on p, e = w + sum_p r_p all of it; tau(y) when its
y-th second of work is done, the end of the window if it is not, and D = min(d, V (H - a)) the most of it that can be.

    (1/g) integral of its backlog  =  integral over y < D of (tau(y) - a - y / V)
    e - (tau(y) - a)  >=  time that it runs after its y-th second

Integrated over y, the latter is the sum over its runs of the work done before each; least where slow runs come first.
With f_i = share of D done at the i-th slowest speed or slower (all that is done: F), that least is
D/2 (F^2 / V + sum_i f_i^2 (1/v_i - 1/v_{i+1})). By F^2 >= 2F - 1 and f^2 >= 2 theta f - theta^2, for any theta,

    w  >=  backlog integral / (g D)  -  (1 - theta) sum_p r_p (1 - v_p / V)  -  theta^2 / 2 * D (1 / v_min - 1 / V).

Multiplied by g and D / D_max <= 1 (w >= 0), and summed over a stream's jobs, whose largest D is D_max:

    GPU-hours waiting  >=  backlog integral / D_max  -  (1 - theta) sum_p x[p] (1 - v_p / V)
                           -  theta^2 / 2 * (1 / v_min - 1 / V) * sum of g D^2 / D_max.

All of theta = 0, 1/2, 1 are rows. Where all pools run alike, all but the first term vanish: the price of waiting then
lies on the backlog itself, and the dearest goes first (`bound_crowds`). Jobs of like durations make a stream, since
D / D_max is what is given away. A job-hour of waiting is at least a GPU-hour of it by the stream's largest gang.

**Cohorts.** A stream may do late work no faster than its jobs together, once submitted, can: R_k(s) is at most the GPUs
of those submitted by s. Where jobs of all hours are one stream that says little; where those of each half-hour are one,
what is late cannot be caught up with at will. So that is told of cohorts only.

**Stays.** A job that leaves at b, done or not, and cannot be done before, d >= V (b - a), waits or runs at each moment
from a to b. So under any triangle what those of a queue wait is exactly their GPUs that are there less those in use: a
column for it, between nothing and all of them. Where b is beyond the window, its end counts. Of jobs that leave and may
be done before nothing is said: what they do only costs, and of them the rows above would not hold.

**Twice.** These rows see little waiting where jobs could run on slower pools, for running slowly is not waiting. Were
all pools as fast as the fastest, jobs started and stopped at the same moments would end no later, wait no longer and
use no more: such a world costs no more. So its bound is a bound here too, without those rows; the higher one is told.

**Elastic jobs.** One that asks for g GPUs and may have fewer, but m, goes at most as fast as with g. Had it m whenever
it has any, and went as fast as with g nevertheless, it would use no more GPUs at any moment, do no less, end no later
and wait no longer: such a world costs no more. In it no job is elastic, and all above holds of its m GPUs; each hour
that it waits counts g / m times as much, for waiting is of GPUs asked for. Jobs whose g / m are apart by more than a
factor of two are streams of their own, for the least of a stream is what counts. What is given away are the GPUs that
it takes to be as fast: the nearer m is to g, the less.

**Kinds of jobs** that are not equally fast everywhere are streams of their own, each with its own V.

**Given away** (what keeps it below): whole nodes and gangs, quotas, lost work, the shortest bill, interruptions of
single nodes, lead times after the first, what happens after the window. What busy GPUs draw less than idle ones, if
they do, counts as if all were busy. Where mass losses are told, those who stay at most are told to the programme.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

import numpy as np

from envs.bound_crowds import edged
from envs.bound_demand import Line, Pouring, rectangles, streams
from envs.bound_plan import Columns, World, most_nodes, plan
from envs.bound_program import Program, Solution
from envs.terms import HOUR_S, Flows, PoolTerms, Prices, Rates, bill, rates, speeds
from envs.workloads import Floats, Ints, JobTable
from gyropilot.errors import SettingsError

STREAMS = 64
"""About so many in all: more are tighter and slower."""

CLASSES = (4, 8)
"""Of durations in a line: at least and at most."""

COHORT_CLASSES = 2
"""Likewise, in a cohort of a line."""

MOST_COLUMNS = 10_000_000
"""Of the programme, some 10 GB in the solver: beyond that it would be the machine that says no."""


LARGE = 100_000
"""Columns from which programmes of different speeds are solved through their inside: three days of 16 queues."""


@dataclass(frozen=True, eq=False, slots=True)
class Bound:
    """What any pilot pays at least within the window, and the plan that no pilot can carry out."""

    usd: float
    usd_by_kind: Floats  # (K,) along terms.KINDS; what the plan comes to by `terms.bill`
    gpus: Floats  # (P, T) capacity, smoothed over neighbouring steps; its sum is exact
    backlog: Floats  # (Q, T) mean GPU-hours of work, at speed 1 and on the fewest GPUs, that could be done and is not
    seconds: float  # that the solver took for it


def natural(jobs: JobTable, step_s: float, steps: int) -> Floats:
    """(Q, T) mean GPUs demanded in each step if each job started at once, at speed 1: exact, not sampled."""
    shape = (len(jobs.queues), steps)
    height = jobs.gpus.astype(np.float64)
    return rectangles(jobs.queue, jobs.submit_s, jobs.submit_s + jobs.stays_s, height, step_s, shape)[0]


def clairvoyant(  # noqa: PLR0913 - each is a fact about the world, and callers name them
    jobs: JobTable,
    pools: Sequence[PoolTerms],
    prices: Prices,
    step_s: float,
    steps: int,
    eligible: Mapping[str, Collection[str]] | None = None,
    interruptions: Mapping[str, Collection[float]] | None = None,
    *,
    cohort_s: float | None = None,
    time_limit_s: float = 900.0,
) -> Bound:
    """A lower bound of what any pilot pays within [0, steps x step_s).

    `eligible` names the pools open to a queue (a queue that it does not name: all), `interruptions` the seconds at
    which each pool loses at least floor(mass_loss_share x nodes there); what is not told is taken not to happen.
    With `cohort_s` jobs submitted within so many seconds of each other are streams of their own (**Cohorts**): tighter,
    for windows of a day or so. Raises SettingsError where there is nothing to bound, or no optimum within the time,
    which each of up to two programmes has.
    """
    losses_s = interruptions or {}
    costs = _costs(pools, jobs.queues, prices, step_s, steps)
    _refuse_strange("interruptions", losses_s, pools)
    asked = Asked(jobs, pools, costs, step_s, steps, cohort_s)
    worlds = [_poured(asked, eligible or {}, losses_s, as_fast=False)]
    if any(stream.line.mixed for stream in worlds[0].streams):
        worlds.append(_poured(asked, eligible or {}, losses_s, as_fast=True))
    return max((_solved(world, len(jobs.queues), time_limit_s) for world in worlds), key=lambda bound: bound.usd)


class Asked(NamedTuple):
    """What is to be bounded, and how finely."""

    jobs: JobTable
    pools: Sequence[PoolTerms]
    costs: Rates  # never less for being busy
    step_s: float
    steps: int
    cohort_s: float | None


def as_fast_as_can_be(
    jobs: JobTable, pools: Sequence[PoolTerms], prices: Prices, step_s: float, steps: int, cohort_s: float | None
) -> World:
    """A world that costs no more, in which each pool is as fast as the fastest, all open to all (**Twice**)."""
    costs = _costs(pools, jobs.queues, prices, step_s, steps)
    return _poured(Asked(jobs, pools, costs, step_s, steps, cohort_s), {}, {}, as_fast=True)


def _poured(
    asked: Asked,
    eligible: Mapping[str, Collection[str]],
    losses_s: Mapping[str, Collection[float]],
    as_fast: bool,
) -> World:
    jobs, pools, costs, step_s, steps, cohort_s = asked
    lines = _lines(jobs, pools, costs, eligible, as_fast)
    classes = min(max(STREAMS // max(len(lines), 1), CLASSES[0]), CLASSES[1]) if cohort_s is None else COHORT_CLASSES
    cohorts = 1 if cohort_s is None else ceil(steps * step_s / cohort_s)
    _refuse_large(lines, len(pools), steps, classes * cohorts)
    poured = streams(jobs, lines, step_s, steps, Pouring(classes, cohort_s))
    return World(pools, step_s, steps, _as_lines(costs, lines), poured, losses_s)


def _solved(world: World, queues: int, time_limit_s: float) -> Bound:
    program = Program()
    columns = plan(program, world)
    mixed = any(stream.line.mixed for stream in world.streams)
    found = program.solve(time_limit_s, interior=mixed and program.columns >= LARGE)
    return _bound(found, columns, world, queues)


def _costs(pools: Sequence[PoolTerms], queues: Sequence[str], prices: Prices, step_s: float, steps: int) -> Rates:
    """What is paid at least; of triangles where prices change by the hour."""
    _refuse_nothing(pools, step_s, steps)
    begin_s: Floats = step_s * np.arange(steps, dtype=np.float64)
    first, last = (rates(pools, queues, prices, at_s) for at_s in (begin_s, begin_s + step_s - 1e-6))
    costs = _without_rewards(edged(first, last))
    for name, cost in costs._asdict().items():
        if not np.all(np.isfinite(cost) & (np.asarray(cost) >= 0)):
            raise SettingsError(f"the price of {name.replace('_', ' ')} is {cost}; prices must not be negative")
    return costs


def _refuse_nothing(pools: Sequence[PoolTerms], step_s: float, steps: int) -> None:
    if not pools or step_s <= 0 or steps < 1:
        raise SettingsError(
            f"nothing to bound with {len(pools)} pools and {steps} steps of {step_s:g} s; give one pool and one step"
        )
    slow = [pool.name for pool in pools if speeds(pool.speed).min() <= 0]
    if slow:
        raise SettingsError(f"pool {slow[0]} does no work; give a speed above 0")
    if step_s > HOUR_S and any(pool.hourly for pool in pools):
        raise SettingsError(f"steps of {step_s:g} s are longer than the hour by which prices change; give shorter ones")


def _refuse_large(lines: Sequence[Line], pools: int, steps: int, classes: int) -> None:
    widths = (
        len(line.pools) + 1 + len(line.queues) + classes * (1 + (len(set(line.speeds)) if line.mixed else 0))
        for line in lines
    )
    columns = steps * (2 * pools + sum(widths))
    if columns > MOST_COLUMNS:
        raise SettingsError(
            f"the bound would be a programme of up to {columns:,} columns, more than {MOST_COLUMNS:,}; "
            "give fewer or longer steps, or fewer pools to each queue"
        )


def _refuse_strange(who: str, names: Collection[str], pools: Sequence[PoolTerms]) -> None:
    known = [pool.name for pool in pools]
    strange = [name for name in names if name not in known]
    if strange:
        raise SettingsError(f"{who}: {strange[0]} is no pool; there are {', '.join(known)}")


def _without_rewards(costs: Rates) -> Rates:
    """Costs that are never more, and none less for being busy: as if all GPUs were busy where that is cheaper."""
    return costs._replace(
        idle_energy=costs.idle_energy + np.minimum(costs.busy_energy, 0.0),
        busy_energy=np.maximum(costs.busy_energy, 0.0),
        idle_carbon=costs.idle_carbon + np.minimum(costs.busy_carbon, 0.0),
        busy_carbon=np.maximum(costs.busy_carbon, 0.0),
    )


def _lines(
    jobs: JobTable,
    pools: Sequence[PoolTerms],
    costs: Rates,
    eligible: Mapping[str, Collection[str]],
    as_fast: bool,
) -> list[Line]:
    """Queues that differ in nothing that costs are one line: the bound is the same, and sooner found.

    Where pools differ in speed, all queues to which the same are open are one, at the least of their prices: what
    waits is hardly ever seen there, and a programme that tells them apart takes a hundred times as long. Kinds of jobs
    that are not equally fast are lines of their own. `as_fast` takes each pool for as fast as the fastest that is open
    to the queue, kind by kind.
    """
    alike: dict[tuple[tuple[int, ...], tuple[float, ...]], list[int]] = {}
    by_kind = _speeds(jobs, pools)
    for index, queue in enumerate(jobs.queues):
        open_to = _open_to(queue, pools, eligible)
        own = (float(costs.waiting[index]), float(costs.waiting_jobs[index]))
        mixed = not as_fast and any(len(set(fast[list(open_to)].tolist())) > 1 for fast, _ in by_kind)
        alike.setdefault((open_to, () if mixed else own), []).append(index)
    return [
        Line(
            queues=np.array(mine),
            kinds=kinds,
            pools=np.array(open_to, dtype=np.int64),
            speeds=np.full(len(open_to), fast[list(open_to)].max(initial=0.0)) if as_fast else fast[list(open_to)],
            waiting_usd=float(costs.waiting[mine].min()),
            waiting_jobs_usd=float(costs.waiting_jobs[mine].min()),
        )
        for (open_to, _), mine in alike.items()
        for fast, kinds in by_kind
    ]


def _open_to(queue: str, pools: Sequence[PoolTerms], eligible: Mapping[str, Collection[str]]) -> tuple[int, ...]:
    """Numbers of the pools in which jobs of a queue may run, and which may have nodes."""
    numbers = {pool.name: number for number, pool in enumerate(pools)}
    names = eligible.get(queue, numbers)
    _refuse_strange(f"queue {queue}", names, pools)
    return tuple(sorted({numbers[name] for name in names if most_nodes(pools[numbers[name]])}))


def _speeds(jobs: JobTable, pools: Sequence[PoolTerms]) -> list[tuple[Floats, Ints]]:
    """(P,) speeds, and of which kinds of jobs they are."""
    kinds = np.unique(jobs.kind)
    table = np.array([speeds(pool.speed) for pool in pools])[:, kinds]
    alike, of = np.unique(table, axis=1, return_inverse=True)
    return [(alike[:, nth], kinds[of.ravel() == nth]) for nth in range(alike.shape[1])]


def _as_lines(costs: Rates, lines: Sequence[Line]) -> Rates:
    """Waiting at the prices of lines, as the programme counts it."""
    waiting, waiting_jobs = costs.waiting.copy(), costs.waiting_jobs.copy()
    for line in lines:
        waiting[line.queues], waiting_jobs[line.queues] = line.waiting_usd, line.waiting_jobs_usd
    return costs._replace(waiting=waiting, waiting_jobs=waiting_jobs)


def _bound(found: Solution, columns: Columns, world: World, queues: int) -> Bound:
    """What the plan says, in flows and what they cost."""
    values = found.values
    there = values[columns.there]
    busy, backlog = np.zeros_like(there), np.zeros((queues, world.steps))
    waiting, waiting_jobs = np.zeros(
        (2, there.shape[1], queues)
    )  # all of it at the first edge: its price never changes
    for crowd in columns.crowds:
        busy[crowd.pools] += values[crowd.running]
        for stream, late, waited in crowd.told(values):
            parts = _split(late, stream.parts)
            share = waited * parts.sum(axis=1) / (parts.sum() or 1.0)
            backlog[stream.queues] += parts * world.hours
            waiting[0, stream.queues] += share * stream.weight
            waiting_jobs[0, stream.queues] += share / stream.largest_gpus
    asked = values[columns.asked].T / np.array([pool.gpus_per_node for pool in world.pools])
    lost = np.zeros(there.shape[1])
    flows = Flows(there.T * world.hours, busy.T * world.hours, waiting, waiting_jobs, lost, asked)
    usd = bill(flows, world.rates).sum(axis=0)
    return Bound(found.cost, usd, _by_step(there), backlog, found.seconds)


def _split(late: Floats, parts: Floats) -> Floats:
    """(R, T) a stream's backlog by queue: in each step all of them get the same share of what they could have."""
    shares, waits = np.zeros((len(parts), len(late))), np.zeros(len(parts))
    for step in range(len(late)):
        waits = waits + parts[:, step]
        waits = waits * (max(0.0, late[step]) / (waits.sum() or 1.0))
        shares[:, step] = waits
    return shares


def _by_step(there: Floats) -> Floats:
    """(P, T) of averages under triangles: half of each to either step, the outer halves to the outer steps."""
    steps: Floats = (there[:, :-1] + there[:, 1:]) / 2
    steps[:, 0] += there[:, 0] / 2
    steps[:, -1] += there[:, -1] / 2
    return steps
