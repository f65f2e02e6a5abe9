"""A pilot is put to the test: it steers a simulated cluster through a table of jobs, and what came of it is counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import ceil
from typing import NamedTuple

import numpy as np

from agents.protocols import Pilot
from envs.faults import Fault, blind, misled
from envs.losses import Loss
from envs.presence import Presence, leavers
from envs.replay import Spells
from envs.seen import Seen
from envs.tally import Waits, waits_of
from envs.terms import KINDS, Flows, Prices, bill, carbon_g_per_kwh, rates
from envs.workloads import DAY_S, Amounts, Floats, Ints, JobTable
from envs.world import STEP_S, Run, Weather, World
from forecasting.forecasters.naive import Naive
from forecasting.protocol import Forecaster


@dataclass(frozen=True, eq=False)
class Trial:
    """What came of one pilot's decisions."""

    pilot: str
    world: World
    jobs: JobTable
    flows: Flows  # (T, ...) by step
    usd: Floats  # (T, K) by step and terms.KINDS
    nodes: Ints  # (T, P) that were wanted
    turns: Ints  # (T, P) by how many nodes the pilot wanted more, or fewer
    start_s: Floats  # (N,) inf: never
    end_s: Floats
    stops: Ints  # (N,)
    held: Amounts  # (N,) GPUs that each holds, or held when it ended; 0: it waits
    flavor: Ints  # (N,) along the world's pools, in which each ran last; NOWHERE: it waits
    quota_moves: int
    carbon_g_per_kwh: Floats | float  # (T, P) where it changes by the hour
    losses: tuple[Loss, ...] = ()  # of nodes, by cause, where causes are told apart
    hits: Ints | None = None  # (C, N) how often each job was on nodes that were lost, along losses
    replicas: Spells = field(default_factory=Spells.none)  # when those jobs ran that leave at a moment of their own

    @property
    def total_usd(self) -> float:
        return float(self.usd.sum())

    @property
    def days(self) -> float:
        return len(self.usd) * self.world.step_s / DAY_S

    @cached_property
    def by_kind(self) -> dict[str, float]:
        """USD, by kind of cost."""
        return dict(zip(KINDS, (float(usd) for usd in self.usd.sum(axis=0)), strict=True))

    @property
    def by_day(self) -> Floats:
        """(D,) USD of each whole day."""
        per_day = round(DAY_S / self.world.step_s)
        whole = len(self.usd) // per_day * per_day
        days: Floats = self.usd[:whole].sum(axis=1).reshape(-1, per_day).sum(axis=1)
        return days

    @cached_property
    def waits(self) -> list[Waits]:
        """Of all queues, then of each: until a job started first, and whether it was done in time."""
        return waits_of(self.jobs, self.start_s, self.end_s, over_s=len(self.usd) * self.world.step_s)

    @property
    def provisioned_gpu_hours(self) -> float:
        return float(self.flows.there.sum())

    @property
    def used_gpu_hours(self) -> float:
        return float(self.flows.busy.sum())

    @property
    def utilisation(self) -> float:
        """Share of what was there that was used; 0 where nothing was."""
        return self.used_gpu_hours / self.provisioned_gpu_hours if self.provisioned_gpu_hours else 0.0

    @property
    def kg_co2(self) -> float | None:
        """None where nobody tells watts, or grams to a kWh."""
        told = self.kwh is not None and np.any(self.carbon_g_per_kwh)
        return float((self._kwh * self.carbon_g_per_kwh).sum() / 1_000) if told else None

    @property
    def kwh(self) -> float | None:
        """Of pools that tell watts; None where none does."""
        return float(self._kwh.sum()) if any(pool.watts_busy_per_gpu for pool in self.world.pools) else None

    @property
    def _kwh(self) -> Floats:
        """(T, P)."""
        idle, busy = (np.array([getattr(p, f"watts_{s}_per_gpu") for p in self.world.pools]) for s in ("idle", "busy"))
        drawn: Floats = (self.flows.there * idle + self.flows.busy * (busy - idle)) / 1_000
        return drawn

    @property
    def decisions_per_day(self) -> float:
        """Turns of a pool's dial, and of quotas."""
        return (int((self.turns != 0).sum()) + self.quota_moves) / self.days

    @property
    def reversals_per_day(self) -> float:
        """Turns of a pool's dial against the direction of its last one."""
        return sum(_reversals(column) for column in self.turns.T) / self.days


def steps_of(jobs: JobTable, step_s: float = STEP_S) -> int:
    """Until all jobs would have ended, or left, that started at once."""
    return max(1, ceil(float((jobs.submit_s + jobs.stays_s).max(initial=0.0)) / step_s))


def tried(
    world: World,
    jobs: JobTable,
    pilot: Pilot,
    prices: Prices,
    weather: Weather,
    forecaster: Forecaster | None = None,
    faults: Sequence[Fault] = (),
) -> Trial:
    """The whole run under one pilot, which looks every step.

    Of `faults` those count here that mislead or blind it; jobs and weather are as others have changed them already.
    """
    run = world.begin(jobs, weather)
    seen, presence = Seen(run, prices, misled(faults, forecaster or Naive())), Presence(run, jobs, leavers(jobs))
    flows, nodes, turns, moves = list[Flows](), list[Ints](), list[Ints](), 0
    for dark in blind(faults, run.steps, world.step_s):
        wanted, back, moved = _unseen(seen) if dark else _steered(seen, pilot)
        moves += moved
        turns.append(wanted[0] - seen.asked)
        flows.append(run.step(wanted, back))
        nodes.append(wanted[0])
        presence.look()
    dials = Dialled(np.array(nodes), np.array(turns), moves)
    return replace(_counted(pilot.name, run, jobs, prices, flows, dials), replicas=presence.spells)


def _steered(seen: Seen, pilot: Pilot) -> tuple[Ints, Floats | None, int]:
    """(1, P) nodes and (1, Q) GPUs to take back, as the pilot wants them, and how many quotas it moved."""
    view = seen.view()
    intent = pilot.steer(view)
    return *seen.dials(intent), seen.moved_quotas(view, intent)


def _unseen(seen: Seen) -> tuple[Ints, None, int]:
    """Less sight, less action: everything stays as it is."""
    seen.look_away()
    return seen.asked[None], None, 0


class Dialled(NamedTuple):
    """What a pilot wanted."""

    nodes: Ints  # (T, P)
    turns: Ints  # (T, P)
    quota_moves: int


def _counted(name: str, run: Run, jobs: JobTable, prices: Prices, flows: Sequence[Flows], dials: Dialled) -> Trial:
    together = Flows(*(np.concatenate(part) for part in zip(*flows, strict=True)))
    at_s: Floats = run.world.step_s * np.arange(len(together.lost), dtype=np.float64)
    usd = bill(together, rates(run.world.pools, run.queues, prices, at_s, run.world.homes))
    runs = run.sites.state.runs
    return Trial(
        name,
        run.world,
        jobs,
        flows=together,
        usd=usd,
        nodes=dials.nodes,
        turns=dials.turns,
        start_s=runs.start_s[0],
        end_s=runs.end_s[0],
        stops=run.sites.fates.stops[0],
        held=run.held[0],
        flavor=runs.flavor[0],
        quota_moves=dials.quota_moves,
        carbon_g_per_kwh=carbon_g_per_kwh(run.world.pools, prices, at_s),
        losses=run.losses(prices.lost_usd_per_gpu_hour),
        hits=run.hits,
    )


def _reversals(turns: Ints) -> int:
    signs = np.sign(turns[turns != 0])
    return int((signs[1:] != signs[:-1]).sum())


def paired(one: Trial, other: Trial, rng: np.random.Generator, draws: int = 2_000) -> tuple[float, float, float]:
    """By how many percent `one` costs more than `other`, and a 90 % interval: both bootstrapped by the same days.

    NaN where `other` paid nothing, or nothing on days that were drawn together.
    """
    mine, theirs = one.by_day, other.by_day
    if other.total_usd <= 0:
        return float("nan"), float("nan"), float("nan")
    mid = 100 * (one.total_usd / other.total_usd - 1)
    days = rng.integers(0, max(1, len(mine)), (draws, len(mine)))
    paid = theirs[days].sum(axis=1) > 0
    if len(mine) < 2 or paid.mean() < 0.99:
        return float("nan"), mid, float("nan")
    ratios = 100 * (mine[days].sum(axis=1)[paid] / theirs[days].sum(axis=1)[paid] - 1)
    low, high = np.quantile(ratios, (0.05, 0.95))
    return float(low), mid, float(high)
