"""A cluster whose capacity comes, goes and is asked for: what pilots are trained on and judged by.

Jobs run by the rules of `envs.replay`, event by event; what is written here is what moves beside them, at steps of
five minutes:

- Nodes that were asked for are there when their lead time is over. They are paid for while they are there.
- The market takes nodes back: single ones by chance, many at once now and then, or as it was recorded. Jobs on them
  stop; which ones, their lots say. Work since the last checkpoint is lost, and a restart costs work too. With notice
  such nodes take no more work, and jobs on them write a checkpoint if they can. Nodes fail, too (`envs.losses`).
- Dials are turned: how many nodes a pool should have (idle ones leave, oldest first; what runs is never stopped for
  it), how many GPUs are taken back from a queue (by the preemptor's rule; these jobs are held back a while), and how
  many go from one pool to another (by its rule, too; these jobs write a checkpoint and lose their restart alone).
- Data is sent where it is not: a job that starts in a pool of another region has its own from there on.

Chance is drawn beforehand (`Weather`), so that all who are compared meet the same. Several worlds lie in one set of
arrays and are stepped in one loop of machine code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from envs.cargo import cargo
from envs.leaving import exits, leavers
from envs.losses import Harm, Loss, losses, troubles
from envs.pauses import making_way, moving, ranks
from envs.replay import (
    NOWHERE,
    RESTART_S,
    Cluster,
    FairRule,
    Preemption,
    Shares,
    asked,
    paces,
    parts_of_all,
    tables,
    whole,
)
from envs.terms import HOUR_S, Flows, PoolTerms, regions_of
from envs.workloads import DAY_S, Amounts, Floats, Ints, JobTable

if TYPE_CHECKING:
    from envs.compiled.quotas import Cargo
    from envs.compiled.site import Site
    from envs.compiled.stops import Contest, Exits
    from envs.compiled.world import Clusters, Flow, Moves

    _Begun = tuple[Site, Contest | None]

STEP_S = 300.0
HOLD_S = 1_800.0
"""For which jobs are held back that had to stop for others."""

CHECKPOINT_WRITE_S = 60.0
"""What a job needs to write a checkpoint: with as much notice it does so before its nodes go."""

NEVER = np.inf


class Weather(NamedTuple):
    """What chance does to pools, step by step, (P, T)."""

    lead: Ints  # steps until nodes that are asked for then can be used
    loss: Floats  # share of nodes that the market takes back
    chance: Floats  # from 0 to 1: whether what is less than a node counts as one
    harm: Harm | None = None  # what else takes nodes; None: nothing

    @classmethod
    def drawn(cls, pools: Sequence[PoolTerms], steps: int, rng: np.random.Generator, step_s: float = STEP_S) -> Self:
        """As the pools' terms say."""
        shape = (len(pools), steps)
        lead_s = np.stack([pool.lead.drawn(luck) for pool, luck in zip(pools, rng.standard_normal(shape), strict=True)])
        single, mass, share = (
            np.array([[getattr(pool, name)] for pool in pools])
            for name in ("interruptions_per_day", "mass_losses_per_day", "mass_loss_share")
        )
        days = step_s / DAY_S
        many = rng.random(shape) < -np.expm1(-mass * days)
        loss = 1 - np.exp(-single * days) * np.where(many, 1 - share, 1.0)
        for row, pool in enumerate(pools):
            if pool.interruptions is not None:
                loss[row] = 1 - (1 - loss[row]) * (1 - pool.interruptions.share_by_step(steps, step_s))
        lead = np.ceil(lead_s / step_s - 1e-9).astype(np.int64)
        return cls(lead, loss, rng.random(shape), Harm.drawn(pools, steps, rng, step_s))

    @classmethod
    def calm(cls, pools: Sequence[PoolTerms], steps: int, step_s: float = STEP_S) -> Self:
        """Every lead time is its median, and nothing is lost."""
        shape = (len(pools), steps)
        lead = [[ceil(pool.lead.median_s / step_s - 1e-9)] for pool in pools]
        return cls(np.broadcast_to(lead, shape).astype(np.int64), np.zeros(shape), np.zeros(shape))


class Shape(NamedTuple):
    """What several tables of jobs have to have in common."""

    parts: int  # of a GPU, in which GPUs are counted
    leave: int  # room for so many jobs that leave
    data: bool  # whether any job has data

    @classmethod
    def of(cls, tables_: Sequence[JobTable]) -> Self:
        parts = parts_of_all(tables_)
        return cls(parts, max(map(leavers, tables_)), any(bool(jobs.data_gb.any()) for jobs in tables_))


@dataclass(frozen=True, slots=True)
class World:
    """What stays the same from one run to the next."""

    pools: tuple[PoolTerms, ...]
    shares: Shares = field(default_factory=dict)  # by queue and pool; of queues that are not named: all of all pools
    cohorts: Mapping[str, str] = field(default_factory=dict)
    strict: frozenset[str] = frozenset()
    step_s: float = STEP_S
    hold_s: float = HOLD_S
    restart_s: float = RESTART_S  # unless a job tells its own
    checkpoint_write_s: float = CHECKPOINT_WRITE_S
    preemption: Mapping[str, Preemption] = field(default_factory=dict)  # as `envs.replay.Cluster`
    fair_sharing: tuple[FairRule, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    homes: Mapping[str, str] = field(default_factory=dict)  # regions in which data of queues lies at first

    @property
    def regions(self) -> tuple[str, ...]:
        """`Flows.sent` counts along this."""
        return regions_of(self.pools, self.homes)

    def begin(self, jobs: JobTable, weather: Weather, lots: Floats | None = None) -> Run:
        """A run of its own. `lots` (N,) from 0 to 1 say whom lost nodes hit first; untold, the youngest jobs."""
        shape = Shape.of([jobs])
        return self._run([self._site(jobs, weather, lots, shape)], jobs.queues, shape.parts)

    def begin_all(self, tables_: Sequence[JobTable], weathers: Sequence[Weather]) -> Run:
        """Several at once. Raises ValueError where they are not of the same queues, or not equally long."""
        _refuse_unlike(tables_, weathers)
        most, shape = max(len(jobs) for jobs in tables_), Shape.of(tables_)
        sites = [
            self._site(_padded(jobs, most), weather, None, shape)
            for jobs, weather in zip(tables_, weathers, strict=True)
        ]
        return self._run(sites, tables_[0].queues, shape.parts)

    def _run(self, sites: Sequence[_Begun], queues: tuple[str, ...], parts: int) -> Run:
        every, contests = (_together(each) for each in zip(*sites, strict=True))
        return Run(self, queues, every, contests, np.zeros(len(sites), dtype=np.int64), parts)

    def _site(self, jobs: JobTable, weather: Weather, lots: Floats | None, shape: Shape) -> _Begun:
        from envs.compiled import quotas, site, stops
        from envs.contests import contest

        pools, steps, count, parts = self.pools, weather.lead.shape[1], len(jobs), shape.parts
        cluster = self._cluster(jobs.queues)
        rules, ledger = tables(jobs.queues, cluster, parts)
        met = contest(jobs, cluster, rules, ledger)
        ledger.idle[:] = [pool.nodes * pool.gpus_per_node * parts for pool in pools]
        work = asked(jobs, parts)
        lots = np.linspace(1.0, 0.0, count) if lots is None else lots
        checkpoint_s = np.where(jobs.checkpoint_s > 0, jobs.checkpoint_s, np.inf)
        restart_s = np.where(np.isnan(jobs.restart_s), self.restart_s, jobs.restart_s)
        speed = paces(jobs, cluster)
        kinds = stops.Kinds(jobs.duration_s, checkpoint_s, restart_s, lots, ranks(jobs), speed)
        per_node, least, most, there = (
            np.array([getattr(pool, name) for pool in pools], dtype=np.int64)
            for name in ("gpus_per_node", "min_nodes", "max_nodes", "nodes")
        )
        billed = np.array([ceil(pool.billed_at_least_s / self.step_s) for pool in pools], dtype=np.int64)
        terms = site.Terms(per_node * parts, least, most, weather.lead, weather.loss, weather.chance, billed)
        none = np.zeros((len(pools), steps + 1), dtype=np.int64)
        nodes = site.Nodes(there, np.zeros_like(there), none, none.copy(), np.zeros_like(there))
        nodes.born[:, 0] = there
        leaving, data = self._beside(jobs, shape)
        fates = stops.Fates(
            np.zeros(count),
            np.zeros(count, dtype=np.int64),
            np.empty(count),
            np.empty(count, dtype=np.int64),
            np.zeros(1, dtype=np.int64),
            leaving,
        )
        state = quotas.beginning(work, jobs.duration_s, ledger, 0.0)._replace(cargo=data)
        met_with = troubles(pools, weather.harm, (count, steps), self.step_s, self.checkpoint_write_s)
        return site.Site(work, kinds, rules, terms, state, nodes, fates, met_with), met

    def _beside(self, jobs: JobTable, shape: Shape) -> tuple[Exits, Cargo] | tuple[None, None]:
        """What jobs do beside waiting and running: both or neither, so that fewer worlds have to be compiled."""
        if shape.leave or (shape.data and len(self.regions) > 1):
            return exits(jobs, shape.leave), cargo(jobs, self.pools, self.homes)
        return None, None

    def _cluster(self, queues: Sequence[str]) -> Cluster:
        from envs.replay import Share

        everything = {pool.name: Share(pool.max_gpus) for pool in self.pools}
        shares = {queue: self.shares.get(queue, everything) for queue in queues}
        installed = {pool.name: 0 for pool in self.pools}
        return Cluster(
            shares,
            self.cohorts,
            installed,
            self.strict,
            preemption=self.preemption,
            fair_sharing=self.fair_sharing,
            weights=self.weights,
            speed={pool.name: pool.speed for pool in self.pools},
        )


@dataclass(eq=False, slots=True)
class Run:
    """One or several worlds between two steps; B of them, Q queues, P pools, N jobs each."""

    world: World
    queues: tuple[str, ...]
    sites: Site  # arrays that are written to, and never others
    contests: Contest | None  # where jobs may stop others
    nth: Ints  # (B,) steps that passed
    parts: int  # of a GPU, in which all arrays of `sites` count GPUs
    stirred: bool = False  # by quotas that moved: who may stop others now is looked at in the next step
    flow: Flow = field(init=False)  # of the last step, in parts of GPUs; written anew by each
    clusters: Clusters = field(init=False)  # all of these arrays, for loops, which write to them
    nobody: Ints = field(init=False)  # (B, 1) who makes way where nobody has to
    regions: int = field(init=False)

    def __post_init__(self) -> None:
        from envs.compiled.laid import laid
        from envs.compiled.world import Clusters

        self.flow, self.regions = self._nothing(), len(self.world.regions)
        self.clusters = laid(Clusters(self.sites, self.contests, self.flow))
        self.nobody = np.full((len(self.nth), 1), NOWHERE)

    def step(self, nodes: Ints, pause: Floats | None = None, move: Floats | None = None) -> Flows:
        """Five minutes on: `nodes` (B, P) are wanted from now on, `pause` (B, Q) GPUs are taken back now.

        `move` (B, P, P) GPUs go from one pool to another now: whole jobs, as far as there is room for them.
        """
        from envs.compiled.world import Dials, step_all

        clusters, queues = len(self.nth), len(self.queues)
        if max(self.nth.tolist()) >= self.steps:
            raise ValueError(f"the run is over after its {self.steps} steps; begin another")
        back = (clusters, queues) if pause is None else pause.shape
        if nodes.shape != (clusters, len(self.world.pools)) or back != (clusters, queues):
            raise ValueError(
                f"nodes are {nodes.shape} and GPUs to take back {back}; wanted are one row for each of "
                f"{clusters} clusters, of {len(self.world.pools)} pools and of {queues} queues"
            )
        if move is not None and move.shape != (*nodes.shape, nodes.shape[1]):
            raise ValueError(
                f"GPUs to move are {move.shape}; wanted are those from pool to pool, "
                f"{nodes.shape[1]} x {nodes.shape[1]} in each of {clusters} clusters"
            )
        dials = Dials(np.ascontiguousarray(nodes, dtype=np.int64), self._stopping(pause), self._moving(move))
        flow = self.flow
        step_all(self.clusters, dials, self.nth, self.world.step_s, self.world.hold_s)
        self.nth += 1
        self.stirred = False
        there, told = self._there(), self._told
        paid, busy, waiting, lost = told(flow.there), told(flow.busy), told(flow.waiting), told(flow.lost[:, 0])
        jobs, nodes_asked = flow.waiting_jobs.copy(), flow.asked.copy()
        return Flows(there, busy, waiting, jobs, lost, nodes_asked, self._sent(), paid - there)

    def _told(self, flowed: Floats) -> Floats:
        """In GPUs, and no longer what the next step writes to."""
        told: Floats = flowed.copy() if self.parts == 1 else flowed / self.parts
        return told

    def _there(self) -> Floats:
        """(B, P) GPU-hours of a step on nodes that are there in it: they come and go as it begins."""
        nodes, per_node, troubles = self.sites.nodes, self.sites.terms.per_node, self.sites.troubles
        hours: Floats = np.multiply(nodes.there * per_node, self.world.step_s / HOUR_S)
        if troubles is not None:
            hours += troubles.going * per_node * (troubles.notice_s / HOUR_S)
        return hours if self.parts == 1 else hours / self.parts

    @property
    def staying(self) -> Ints:
        """(B, P) nodes that are there, without those that go in the next step."""
        there: Ints = self.sites.nodes.there
        return there if self.sites.troubles is None else there - np.minimum(there, self.going)

    @property
    def open(self) -> Amounts:
        """(B, P) idle GPUs that take work in the next step."""
        if self.sites.troubles is None:
            return self.idle
        idle = self.sites.state.ledger.idle - self.going * self.sites.terms.per_node
        return self._whole(np.maximum(0, idle))

    @property
    def going(self) -> Ints:
        """(B, P) nodes that go in the next step, as is told when it begins."""
        sites = self.sites
        if sites.troubles is None or int(self.nth[0]) >= self.steps:
            return np.zeros_like(sites.nodes.there)
        now = (np.arange(len(self.nth)), slice(None), self.nth)
        there = sites.nodes.there + sites.nodes.due[now]
        taken = (there * sites.terms.loss[now] + sites.terms.chance[now]).astype(np.int64) + sites.troubles.recorded[
            now
        ]
        told: Ints = np.where(sites.troubles.notice_s > 0, np.minimum(taken, there), 0)
        return told

    def losses(self, lost_usd_per_gpu_hour: float) -> tuple[Loss, ...]:
        """Of the first cluster until now, by cause; none where causes are not told apart."""
        return losses(self.sites.troubles, self.parts, lost_usd_per_gpu_hour)

    @property
    def hits(self) -> Ints | None:
        """(C, N) how often each job of the first cluster was on nodes that were lost, by cause; None: not told."""
        return None if self.sites.troubles is None else self.sites.troubles.hits[0]

    def _stopping(self, pause: Floats | None) -> Ints:
        """(B, K) jobs that make way; where quotas moved nobody may be among them, but all are looked at then."""
        if pause is None or not pause.any():
            return self.nobody[:, : int(self.stirred)]
        now_s = (self.nth * self.world.step_s).astype(np.float64)
        return making_way(self.sites, pause * self.parts, now_s)

    def _sent(self) -> Floats:
        """(B, R, R) GB, since it was last asked."""
        data = self.sites.state.cargo
        if data is None:
            return np.zeros((len(self.nth), self.regions, self.regions))
        sent: Floats = data.sent_gb.copy()
        data.sent_gb[:] = 0.0
        return sent

    def _moving(self, move: Floats | None) -> Moves | None:
        """(B, M) jobs that move, and to which pools."""
        if move is None or not move.any():
            return None
        from envs.compiled.world import Moves

        return Moves(*moving(self.sites, move * self.parts))

    @property
    def used(self) -> Amounts:
        """(B, Q, P) GPUs on which jobs run."""
        return self._whole(self.sites.state.ledger.used)

    @property
    def idle(self) -> Amounts:
        """(B, P) GPUs on nodes that are there, and that nobody uses."""
        return self._whole(self.sites.state.ledger.idle)

    @property
    def waiting(self) -> Amounts:
        """(B, Q) GPUs that jobs wait for, those that are held back included."""
        return self._whole(self.sites.state.meter.waiting)

    @property
    def nominal(self) -> Amounts:
        """(B, Q, P) GPUs of quota."""
        return self._whole(self.sites.rules.nominal)

    @property
    def held(self) -> Amounts:
        """(B, N) GPUs that jobs hold, or held when they ended; 0: they wait."""
        runs = self.sites.state.runs
        return self._whole(np.where(runs.flavor == NOWHERE, 0, runs.gpus))

    def _whole(self, amounts: Amounts) -> Amounts:
        return whole(amounts, self.parts)

    def _nothing(self) -> Flow:
        from envs.compiled.world import Flow

        clusters, queues, pools = len(self.nth), len(self.queues), len(self.world.pools)
        per_pool, per_queue = (clusters, pools), (clusters, queues)
        shapes = (per_pool, per_pool, per_queue, per_queue, (clusters, 1), per_pool)
        return Flow(*(np.zeros(shape) for shape in shapes))

    @property
    def steps(self) -> int:
        """After which it is over."""
        return int(self.sites.terms.lead.shape[2])


def _refuse_unlike(tables_: Sequence[JobTable], weathers: Sequence[Weather]) -> None:
    for nth, (jobs, weather) in enumerate(zip(tables_, weathers, strict=True)):
        if jobs.queues != tables_[0].queues:
            mine, first = (", ".join(each.queues) for each in (jobs, tables_[0]))
            raise ValueError(
                f"cluster {nth} has the queues {mine}, and cluster 0 has {first}; "
                "give all tables the same queues in the same order"
            )
        steps, first_steps = (each.lead.shape[1] for each in (weather, weathers[0]))
        if steps != first_steps:
            raise ValueError(
                f"the weather of cluster {nth} lasts {steps} steps, and that of cluster 0 {first_steps}; "
                "draw all for as many steps"
            )


def _together(sites: Sequence[Any]) -> Any:
    """Arrays of several clusters as one, along a new first axis."""
    first = sites[0]
    if isinstance(first, np.ndarray):
        return np.stack(sites)
    if isinstance(first, tuple):
        return type(first)(*(_together(parts) for parts in zip(*sites, strict=True)))
    return first


def _padded(jobs: JobTable, count: int) -> JobTable:
    """With jobs that never come, so that all tables are equally long."""
    missing = count - len(jobs)
    if not missing:
        return jobs
    last = JobTable(
        jobs.queues,
        np.zeros(missing, dtype=np.int64),
        np.full(missing, NEVER),
        np.ones(missing),
        np.ones(missing, dtype=np.int64),
        np.zeros(missing, dtype=np.int64),
        np.zeros(missing, dtype=np.int64),
        np.zeros(missing, dtype=np.int64),
        np.full(missing, np.inf),
    )
    return JobTable.join([jobs, last])
