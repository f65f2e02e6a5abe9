"""What not knowing costs: a bound that is above the clairvoyant's, of the expected cost of pilots who cannot know.

The clairvoyant bound lets a plan depend on jobs that have not come. Here that is charged for (Brown, Smith and Sun,
"Information relaxations and duality in stochastic dynamic programs", Operations Research 58(4), 2010).

**What is bounded.** Days are drawn from a source in which what comes after any moment is independent of what came until
then (`Memoryless`). A pilot turns its dials at the beginnings of steps, of what it asks for in step n it knows no more
than F_n: all about jobs submitted by n h, and the weather, which tells nothing about jobs. Its expected cost in the
window is no less than the expected optimum of the penalised programme; that is estimated as a mean over days drawn, and
told with an interval. Of one day's cost it says nothing.

**The programme** is that of `bound`, of pools all as fast as the fastest, with two columns more for each pool and step:
C[n], GPUs that are there in step n, and K[n], those that come at its beginning. Capacity changes at beginnings of steps
only, so its average under a triangle is (C[n-1] + C[n]) / 2, likewise that of K; C[n] <= C[n-1] + K[n]; and as what is
there and asked for never is more than `max_nodes`, C[n] + K[n+1] + ... + K[n+L] is not, with a lead time of L steps.

**The penalty.** C[n] is known at F_n, and K[n] at F_(n-L): it was asked for then. (Where leads vary, L counts as 0.) So
for every Z whose expectation given F_n is zero, E[C[n] Z] = 0 for every such pilot, and likewise for K. Hence

    E[cost of a pilot]  =  E[cost + sum of C Z + K Z']  >=  E[optimum of: cost + sum of C Z + K Z'],

for what it does is a solution of the programme. Any such Z do; Z = 0 is the clairvoyant bound. They are these:
let D[n] be the GPUs that jobs would use on average in step n if each started at once, part of it of jobs submitted by
(n - w) h, the rest of later ones. With phi a function that climbs from 0 to 1 between two levels,

    Z  =  theta (phi(old + new) - mean over other days of phi(old + their new)),

with w = 0 for C[n], w = L for K[n], and, a third one, w = L and demand of step n + L for C[n]: what is let go now
cannot be back before. Given F_(n-w), `new` of this day and of any other are alike distributed and the old are known, so
that the expectation is exactly zero, however few the other days; each day that is judged draws its own. Z is a
martingale difference of the chance that capacity will be used: the value of a GPU, as far as that goes.

**Theta**, a number for each pool, stretch of the day, kind and level, are multipliers: of the programme of several days
at once in which capacity may not go with what comes after, sum over days of C (Z / theta) = 0. Those are its rows'
prices (Rockafellar and Wets, "Nonanticipativity and L1-martingales in stochastic optimization problems", 1976). They
are found on days of their own, where a little may remain of what chance would leave, and halved or dropped where other
days say so; the days that are judged are fresh. Bad ones make a low bound, never a wrong one.

**Given away**, beside what `bound` gives away: what is not known of durations and of weather, and who runs first. Where
nodes cost nothing to ask for, a pilot may ask for all of them time and again and let them go as they come; then
not knowing costs little, and the bound says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, sqrt

import numpy as np

from envs.bound import as_fast_as_can_be
from envs.bound_demand import rectangles
from envs.bound_plan import Columns, World, most_nodes, plan
from envs.bound_program import Program
from envs.memoryless import Memoryless
from envs.terms import PoolTerms, Prices
from envs.workloads import Floats, Ints, JobTable

THERE, COMES, KEPT = 0, 1, 2
"""What is charged for: GPUs there, by demand of the same step; GPUs that come, likewise; GPUs there, by demand of the
first step in which they could be back if they were let go."""

LEVELS = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Quantiles of demand between which phi climbs."""

STRETCH_S = 7_200.0
"""Of the day, over which theta is the same."""

SLACK = 0.5
"""Deviations of what chance would leave of a sum that is zero on average."""

SHARES = (0.0, 0.5, 1.0)
"""Of thetas, that are tried on days on which they were not found."""

COHORT_S = 1_800.0
"""Jobs submitted within half an hour are streams of their own."""

NORMAL_90 = 1.645


@dataclass(frozen=True, eq=False, slots=True)
class Setting:
    """What is the same on all days."""

    pools: Sequence[PoolTerms]
    prices: Prices
    step_s: float
    steps: int
    stretch_s: float = STRETCH_S

    @property
    def leads(self) -> list[int]:
        """Steps from asking to coming, as the simulated cluster counts them; the least that can be."""
        return [ceil(pool.lead.shortest_s / self.step_s - 1e-9) for pool in self.pools]

    @property
    def stretch(self) -> Ints:
        """(T,) which of the thetas is for which step."""
        found: Ints = (np.arange(self.steps) * self.step_s // self.stretch_s).astype(np.int64)
        return found


@dataclass(frozen=True, eq=False, slots=True)
class Penalty:
    """Levels of demand and what knowing is charged for."""

    setting: Setting
    levels: Floats  # (stretches, J + 1)
    theta: Floats  # (3, P, stretches, J) USD per GPU

    def times(self, share: float) -> Penalty:
        """Charged for more or less; nothing at 0."""
        return replace(self, theta=share * self.theta)

    def usd(self, jobs: JobTable, others: Sequence[JobTable]) -> float:
        """The optimum of a day, charged by how it differs from others."""
        charged = surprise(self.setting, self.levels, jobs, others)
        costs = (charged * self.theta[:, :, self.setting.stretch]).sum(axis=-1)
        program = Program()
        _day(program, self.setting, jobs, costs)
        return program.solve(900.0).cost


@dataclass(frozen=True, eq=False, slots=True)
class Penalised:
    """Estimates from days that were drawn, (N,) USD each."""

    days: Sequence[JobTable]
    clairvoyant: Floats
    penalised: Floats
    penalty: Penalty

    @property
    def usd(self) -> float:
        """Of two bounds the higher: a penalty that was fitted to few days may do harm."""
        return float(self._higher.mean())

    @property
    def _higher(self) -> Floats:
        return self.penalised if self.penalised.mean() > self.clairvoyant.mean() else self.clairvoyant

    @property
    def interval(self) -> tuple[float, float]:
        """90 %, of the expectation."""
        half = NORMAL_90 * float(self._higher.std(ddof=1)) / sqrt(len(self._higher))
        return self.usd - half, self.usd + half


def penalised(
    setting: Setting,
    source: Memoryless,
    rng: np.random.Generator,
    *,
    fitted: int = 12,
    judged: int = 30,
    others: int = 60,
) -> Penalised:
    """The bound of what any pilot pays in expectation on a day of the source, beside the clairvoyant's."""
    first, second = rng.spawn(2)
    days = [source(first) for _ in range(fitted)]
    penalty = fit(setting, days, [source(first) for _ in range(others)])
    penalty = _eased(penalty, [(source(first), [source(first) for _ in range(others)]) for _ in range(fitted // 2)])
    free = penalty.times(0.0)
    pairs = [(source(second), [source(second) for _ in range(others)]) for _ in range(judged)]
    told = np.array([(free.usd(day, rest[:1]), penalty.usd(day, rest)) for day, rest in pairs])
    return Penalised([day for day, _ in pairs], told[:, 0], told[:, 1], penalty)


# what cannot be known


def demand(setting: Setting, jobs: JobTable, known: int | None = None) -> Floats:
    """(T,) mean GPUs in each step if each job started at once; of those not `known` so many steps before it."""
    end_s = jobs.submit_s + jobs.stays_s
    if known is not None:
        end_s = np.minimum(end_s, (np.ceil(jobs.submit_s / setting.step_s) + known) * setting.step_s)
    rows, gpus = np.zeros(len(jobs), dtype=np.int64), jobs.gpus.astype(np.float64)
    mean: Floats = rectangles(rows, jobs.submit_s, end_s, gpus, setting.step_s, (1, setting.steps))[0][0]
    return mean


def surprise(setting: Setting, levels: Floats, jobs: JobTable, others: Sequence[JobTable]) -> Floats:
    """(3, P, T, J) of a day: how much more of each level is filled than one had to expect."""
    total, bands = demand(setting, jobs), levels[setting.stretch]
    found = np.zeros((3, len(setting.pools), setting.steps, levels.shape[1] - 1))
    for known in {0, *setting.leads}:
        old = np.maximum(0.0, total - demand(setting, jobs, known))
        expected = np.mean([_climb(old + demand(setting, other, known), bands) for other in others], axis=0)
        unforeseen = _climb(total, bands) - expected
        if known == 0:
            found[THERE] = unforeseen
        mine = [lead == known for lead in setting.leads]
        found[COMES, mine] = unforeseen
        if 0 < known < setting.steps:
            found[KEPT, mine, :-known] = unforeseen[known:]
    return found


def _climb(gpus: Floats, bands: Floats) -> Floats:
    """(T, J) from 0 to 1 between one level and the next."""
    width = np.maximum(np.diff(bands, axis=1), 1e-9)
    climbed: Floats = np.clip((gpus[:, None] - bands[:, :-1]) / width, 0.0, 1.0)
    return climbed


def _levels(setting: Setting, days: Sequence[JobTable]) -> Floats:
    """(stretches, J + 1) quantiles of demand in each stretch of the day."""
    by_day = np.array([demand(setting, day) for day in days])
    stretch = setting.stretch
    found: Floats = np.array([np.quantile(by_day[:, stretch == each], LEVELS) for each in range(stretch[-1] + 1)])
    return found


# what that is charged


def fit(setting: Setting, days: Sequence[JobTable], others: Sequence[JobTable], slack: float = SLACK) -> Penalty:
    """Thetas that make the bound of these days high."""
    levels = _levels(setting, days)
    program = Program()
    planned = [_day(program, setting, day, np.zeros((3, len(setting.pools), setting.steps))) for day in days]
    told = np.array([surprise(setting, levels, day, others) for day in days])
    shape = (3, len(setting.pools), levels.shape[0], levels.shape[1] - 1)
    left = slack * _by_chance(setting, days, told, shape)
    rows = program.add_rows(shape, -left, left)
    for columns, charged in zip(planned, told, strict=True):
        program.put(rows[:, :, setting.stretch], columns[..., None], charged)
    prices = program.solve(900.0).row_prices[rows]
    return Penalty(setting, levels, -prices)


def _eased(penalty: Penalty, days: Sequence[tuple[JobTable, Sequence[JobTable]]]) -> Penalty:
    """As much of it as makes the bound of other days highest."""
    shares = [penalty.times(share) for share in SHARES]
    return max(shares, key=lambda each: sum(each.usd(day, others) for day, others in days))


def _by_chance(setting: Setting, days: Sequence[JobTable], told: Floats, shape: tuple[int, ...]) -> Floats:
    """One deviation of the sums of capacity times surprise, had capacity been the mean demand all the time."""
    mean = np.mean([demand(setting, day).mean() for day in days])
    found = np.zeros(shape)
    for stretch in range(shape[2]):
        sums = told[:, :, :, setting.stretch == stretch].sum(axis=3)
        found[:, :, stretch] = mean * np.sqrt((sums**2).sum(axis=0))
    return found


# the programme


def _day(program: Program, setting: Setting, jobs: JobTable, usd: Floats) -> Ints:
    """All of one day; `usd` (3, P, T) is charged per GPU of the columns (3, P, T) that are returned."""
    world = as_fast_as_can_be(jobs, setting.pools, setting.prices, setting.step_s, setting.steps, COHORT_S)
    columns = plan(program, world)
    most = np.array([[most_nodes(pool) * pool.gpus_per_node] for pool in setting.pools])
    may_come = np.arange(setting.steps) >= np.array(setting.leads)[:, None]
    there = program.add_columns(usd[THERE].shape, usd[THERE] + usd[KEPT], 0.0, most)
    comes = program.add_columns(usd[COMES].shape, usd[COMES], 0.0, most * may_come)
    _by_steps(program, world, columns, (there, comes))
    for row, lead in enumerate(setting.leads):
        _asked_at_most(program, there[row], comes[row], lead, float(most[row, 0]))
    return np.stack([there, comes, there])


def _by_steps(program: Program, world: World, columns: Columns, steps: tuple[Ints, Ints]) -> None:
    """Averages under triangles are those of what changes at beginnings of steps only."""
    there, comes = steps
    for under, each in ((columns.there, there), (columns.asked, comes)):
        rows = program.add_rows(under.shape, 0.0, 0.0)
        program.put(rows, under, -1.0)
        program.put(rows[:, :-1], each, 0.5)
        program.put(rows[:, 1:], each, 0.5)
    begun = np.zeros(there.shape)
    begun[:, 0] = [pool.nodes * pool.gpus_per_node for pool in world.pools]
    grows = program.add_rows(there.shape, upper=begun)
    program.put(grows, there, 1.0)
    program.put(grows[:, 1:], there[:, :-1], -1.0)
    program.put(grows, comes, -1.0)


def _asked_at_most(program: Program, there: Ints, comes: Ints, lead: int, most: float) -> None:
    """What is there and what is asked for are no more than may be."""
    rows = program.add_rows(there.shape, upper=most)
    program.put(rows, there, 1.0)
    for ahead in range(1, min(lead, len(there) - 1) + 1):
        program.put(rows[:-ahead], comes[ahead:], 1.0)
