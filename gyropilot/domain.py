"""The nouns. What an operator says, as frozen values that every room passes on and none changes.

Units: GPUs are counted in units of an accelerator's Kubernetes resource (a MIG slice is one unit of
`nvidia.com/mig-1g.10gb`); `Accelerator.device_share` turns units into whole devices. Times are
timezone-aware UTC. Arrays are float64 and say their shape at the field.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ALL_QUEUES = ""
"""The queue name of the line that sums all queues: its history is forecast directly, not added up."""


class Market(StrEnum):
    """How capacity is bought."""

    RESERVED = "reserved"
    ON_DEMAND = "on-demand"
    SPOT = "spot"


class WorkloadKind(StrEnum):
    """What a workload is for: decides how it may be paused."""

    TRAINING = "training"
    FINE_TUNING = "fine-tuning"
    SWEEP = "sweep"
    BATCH = "batch"
    INFERENCE = "inference"


class Dial(StrEnum):
    """The kinds of knob that Gyropilot turns, each with its own actuator and its own unit."""

    POOL_SIZE = "pool-size"  # nodes
    POOL_LIMIT = "pool-limit"  # GPUs that a pool may grow to
    QUEUE_QUOTA = "queue-quota"  # GPUs of nominal quota
    WORKLOAD = "workload"  # 1 active, 0 paused

    @property
    def unit(self) -> str:
        return {Dial.POOL_SIZE: "nodes", Dial.WORKLOAD: ""}.get(self, "GPUs")


@dataclass(frozen=True, slots=True)
class Accelerator:
    """One kind of accelerator as Kubernetes offers it, whole or a slice."""

    resource: str  # "nvidia.com/gpu", "nvidia.com/mig-1g.10gb", "google.com/tpu"
    model: str = ""  # as the node's label says, e.g. "NVIDIA-H100-80GB-HBM3"; empty when not told
    device_share: float = 1.0  # of a whole device that one unit is: 1/7 for mig-1g.10gb

    def __str__(self) -> str:
        return self.model or self.resource


class Line(NamedTuple):
    """One queue's demand for one accelerator resource: the unit of forecasting."""

    queue: str  # ALL_QUEUES for the sum over queues
    resource: str

    def __str__(self) -> str:
        return f"{self.queue or 'all queues'} ({self.resource})"


@dataclass(frozen=True, slots=True)
class Pool:
    """GPUs of one kind, in one place, at one price."""

    name: str
    accelerator: Accelerator
    nodes: int  # that exist, ready or not
    ready_nodes: int  # whose GPUs can be used now: ready and schedulable
    gpus_per_node: int
    idle_gpus: float  # allocatable on ready nodes and requested by nobody
    min_nodes: int = 0
    max_nodes: int | None = None  # None: no limit is known
    provider: str = ""
    region: str = ""
    market: Market = Market.ON_DEMAND
    lead_time: timedelta = timedelta(minutes=5)  # from asking for a node to its GPUs being usable
    price_usd_per_gpu_hour: float = 0.0
    watts_idle_per_gpu: float = 0.0
    watts_busy_per_gpu: float = 0.0
    carbon_g_per_kwh: float = 0.0
    flavors: tuple[str, ...] = ()  # Kueue ResourceFlavors whose nodes these are
    dial: Dial | None = None  # POOL_SIZE or POOL_LIMIT; None: nothing here changes this pool's size
    dial_target: str = ""  # what the actuator turns, in the grammar of `Action.target`
    dial_value: int | None = None  # as read: wanted nodes (POOL_SIZE), GPUs (POOL_LIMIT); None: not set

    @property
    def gpus(self) -> int:
        """GPUs on ready nodes."""
        return self.ready_nodes * self.gpus_per_node

    @property
    def running_price_usd_per_gpu_hour(self) -> float:
        """What one more GPU-hour costs. Reserved GPUs are paid for whether they run or not."""
        return 0.0 if self.market is Market.RESERVED else self.price_usd_per_gpu_hour

    @property
    def coming_gpus(self) -> int:
        """GPUs on nodes that exist or are asked for, and cannot be used yet."""
        wanted = self.dial_value if self.dial is Dial.POOL_SIZE and self.dial_value is not None else self.nodes
        return max(0, max(wanted, self.nodes) - self.ready_nodes) * self.gpus_per_node


@dataclass(frozen=True, slots=True)
class Quota:
    """What a queue may use of one flavor: one `nominalQuota` in Kueue."""

    flavor: str
    accelerator: Accelerator
    nominal_gpus: int
    used_gpus: float = 0.0
    borrowing_limit_gpus: int | None = None  # None: as much as the cohort lends
    lending_limit_gpus: int | None = None  # None: all that lies unused
    entitled_gpus: int | None = None  # nominal quota before Gyropilot ever turned it; None: not turned yet
    dial_target: str = ""  # in the grammar of `Action.target`; empty: nothing here changes this quota


@dataclass(frozen=True, slots=True)
class Queue:
    """A tenant's line."""

    name: str
    quotas: tuple[Quota, ...] = ()
    cohort: str | None = None
    running_gpus: Mapping[str, float] = field(default_factory=dict)  # by resource
    pending_gpus: Mapping[str, float] = field(default_factory=dict)  # by resource
    largest_pending_gpus: Mapping[str, float] = field(
        default_factory=dict
    )  # of one gang, by resource; absent: not known
    # Of the running: admitted, and on no node yet. By resource, then by flavor; flavor "": any pool may take them.
    unplaced_gpus: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    guaranteed_gpus: int | None = None  # told by the operator, over all flavors; None: guardrails derive it
    weight: float = 1.0
    priority: int = 0
    target_wait: timedelta = timedelta(minutes=10)
    waiting_usd_per_gpu_hour: float = 0.0
    budget_usd_per_day: float | None = None
    regions: tuple[str, ...] = ()  # where its data may be used; empty: anywhere
    allowed_pools: tuple[str, ...] = ()  # empty: all
    namespaces: tuple[str, ...] = ()
    oldest_wait: timedelta | None = None  # None: nobody waits
    utilisation: float | None = None  # measured, 0..1, of the GPUs it runs; None: not measured
    memory_share: float | None = None  # measured, 0..1, of their memory
    watts: float | None = None  # measured, of the GPUs it runs
    active: bool = True  # False: stopped by its owner, who does not want it moved

    def nominal_gpus(self, resource: str | None = None) -> int:
        """Nominal quota over flavors, of one resource or of all."""
        return sum(q.nominal_gpus for q in self.quotas if resource in (None, q.accelerator.resource))

    def demand_gpus(self, resource: str) -> float:
        """Running + pending: what it would use if nothing were scarce."""
        return self.running_gpus.get(resource, 0.0) + self.pending_gpus.get(resource, 0.0)


@dataclass(frozen=True, slots=True)
class Workload:
    """One gang: all of its GPUs or none."""

    namespace: str
    name: str
    queue: str
    accelerator: Accelerator
    gpus: int
    submitted: datetime
    started: datetime | None = None  # None: waits
    priority: int = 0
    kind: WorkloadKind = WorkloadKind.TRAINING
    flavor: str = ""
    min_gpus: int | None = None  # elastic range; None: fixed
    max_gpus: int | None = None
    last_checkpoint: datetime | None = None  # None: no checkpoint is known, all work since start is at risk
    restart_cost: timedelta = timedelta(minutes=5)  # lost on top of uncheckpointed work
    preemptions: int = 0  # how often it was taken back already
    active: bool = True  # False: paused
    paused_at: datetime | None = None  # by Gyropilot, which has not resumed it since; None: not by Gyropilot
    protected: str | None = None  # why it must not be touched, one sentence part; None: it may be
    dial_target: str = ""  # in the grammar of `Action.target`; empty: nothing here pauses it safely

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def stopping(self) -> bool:
        """Whether it is paused and holds its GPUs still, until its pods have ended."""
        return not self.active and self.started is not None

    def at_risk(self, now: datetime) -> timedelta:
        """Work lost if paused at `now`: since the last checkpoint (or the start), plus the restart."""
        if self.started is None:
            return timedelta(0)
        safe_until = max(self.started, self.last_checkpoint) if self.last_checkpoint else self.started
        return max(timedelta(0), now - safe_until) + self.restart_cost

    def lost_gpu_hours(self, now: datetime) -> float:
        """Whole-device hours of work lost if paused at `now`."""
        return self.at_risk(now) / timedelta(hours=1) * self.gpus * self.accelerator.device_share


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time after an origin: a forecast is about mean demand in (origin + start, origin + end]."""

    start: timedelta
    end: timedelta

    @classmethod
    def step(cls, horizon: timedelta, step: timedelta) -> Window:
        """The step of a history that ends at `horizon`: what `forecast.horizons` in the settings mean."""
        return cls(max(horizon - step, timedelta(0)), horizon)


@dataclass(frozen=True, eq=False)
class DemandHistory:
    """What each line ran and what waited, on a regular grid that ends at the newest reading. NaN: not seen."""

    lines: tuple[Line, ...]
    times: NDArray[np.int64]  # (T,) seconds since the epoch, equally spaced, each the end of its step
    running: Floats  # (L, T) GPUs
    pending: Floats  # (L, T) GPUs

    @cached_property
    def demand(self) -> Floats:
        """(L, T) running + pending; NaN where either was not seen."""
        return self.running + self.pending

    @cached_property
    def seen(self) -> NDArray[np.int64]:
        """(L,) how many readings of each line there are."""
        # Row by row: adding up truths along an axis takes several times as long as counting them.
        seen = np.array([np.count_nonzero(row) for row in np.isfinite(self.demand)], dtype=np.int64)
        seen.flags.writeable = False  # whoever asks has the same
        return seen

    @cached_property
    def totals(self) -> Mapping[str, Floats]:
        """(T,) by resource: GPUs running and pending in all queues; NaN where no queue was seen."""
        rows: dict[str, list[int]] = {}
        for row, line in enumerate(self.lines):
            if line.queue != ALL_QUEUES:
                rows.setdefault(line.resource, []).append(row)
        totals = {resource: _total(self.demand[some]) for resource, some in rows.items()}
        for total in totals.values():
            total.flags.writeable = False
        return totals

    @cached_property
    def step(self) -> timedelta:
        if len(self.times) < 2:
            return timedelta(minutes=5)
        return timedelta(seconds=int(self.times[1] - self.times[0]))

    @property
    def end(self) -> datetime | None:
        return datetime.fromtimestamp(int(self.times[-1]), UTC) if len(self.times) else None

    def of(self, line: Line) -> Floats:
        """(T,) demand of one line."""
        row: Floats = self.demand[self.lines.index(line)]
        return row

    def newest(self, steps: int) -> DemandHistory:
        """The last so many steps of it."""
        last = slice(max(0, len(self.times) - steps), None)
        newest = DemandHistory(self.lines, self.times[last], self.running[:, last], self.pending[:, last])
        # What was added up already is not added up again.
        known = vars(self)
        if "demand" in known:
            vars(newest)["demand"] = self.demand[:, last]
        if "totals" in known:
            vars(newest)["totals"] = {resource: total[last] for resource, total in self.totals.items()}
        return newest

    def newest_demand(self, steps: int) -> Floats:
        """(L, steps) `demand` of the last so many steps, of which no others are added up."""
        last = slice(max(0, len(self.times) - steps), None)
        lately: Floats = (
            self.demand[:, last] if "demand" in vars(self) else self.running[:, last] + self.pending[:, last]
        )
        return lately

    def newest_totals(self, steps: int) -> Mapping[str, Floats]:
        """(steps,) `totals` likewise."""
        if "totals" not in vars(self):
            return self.newest(steps).totals
        last = slice(max(0, len(self.times) - steps), None)
        return {resource: total[last] for resource, total in self.totals.items()}

    def with_totals(self, gone: DemandHistory | None = None) -> DemandHistory:
        """The same with one more line per resource: the sum over queues, NaN only where no queue was seen.

        A queue that was not seen for up to an hour counts as it was: a gap is not a zero. What queues demanded that are
        `gone` by now, on the same grid, was demand then: a total knows no names, and so no rename changes it.
        """
        patience = max(1, timedelta(hours=1) // self.step)
        resources = sorted({line.resource for line in self.lines})
        sums = [_sums_seen(self, resource, patience) for resource in resources]
        past = DemandHistory.empty() if gone is None else gone.past_total()
        if past.lines:
            sums = [_either(now, _sums_seen(past, r, 0)) for r, now in zip(resources, sums, strict=True)]
        return DemandHistory(
            lines=self.lines + tuple(Line(ALL_QUEUES, r) for r in resources),
            times=self.times,
            running=np.vstack([self.running, *(running for running, _ in sums)]),
            pending=np.vstack([self.pending, *(pending for _, pending in sums)]),
        )

    def past_total(self) -> DemandHistory:
        """One line per resource: what lines demanded together that demand nothing any more."""
        over = self._over()
        lines = tuple(Line(ALL_QUEUES, resource) for resource in sorted({line.resource for line in over.lines}))
        if not lines:
            return DemandHistory.empty()
        sums = np.array([_sums_seen(over, line.resource, 0) for line in lines])
        return DemandHistory(lines, self.times, sums[:, 0], sums[:, 1])

    def _over(self) -> DemandHistory:
        """Of lines that demand nothing any more: what goes on is still somebody's, and no past."""
        newest = self.demand[:, -1:].sum(axis=1)
        rows = np.flatnonzero(np.isnan(newest) | (newest == 0))
        lines = tuple(self.lines[row] for row in rows)
        return DemandHistory(lines, self.times, self.running[rows], self.pending[rows])

    @classmethod
    def empty(cls) -> DemandHistory:
        return cls((), np.empty(0, np.int64), np.empty((0, 0)), np.empty((0, 0)))


def _total(demand: Floats) -> Floats:
    """(T,) sum of rows; NaN where none was seen."""
    seen = ~np.isnan(demand)
    if len(demand) and seen.all():
        return np.asarray(demand.sum(axis=0))
    return np.where(seen.any(axis=0), np.where(seen, demand, 0.0).sum(axis=0), np.nan)


def _sums_seen(history: DemandHistory, resource: str, patience: int) -> Floats:
    """(2, T) running and pending GPUs of all lines of a resource."""
    rows = [row for row, line in enumerate(history.lines) if line.resource == resource]
    return np.stack([_sum_seen(part, rows, patience) for part in (history.running, history.pending)])


def _either(some: Floats, others: Floats) -> Floats:
    """The sum of what was seen; NaN where neither was."""
    return np.where(np.isnan(some), others, some + np.nan_to_num(others))


def _sum_seen(values: Floats, rows: Sequence[int], patience: int) -> Floats:
    """Row by row: asked for at each tick, and copies of weeks of a thousand queues would cost more than the sum."""
    total, seen = np.zeros(values.shape[1]), np.zeros(values.shape[1], dtype=np.bool_)
    for row in rows:
        here = np.isfinite(values[row])
        seen |= here
        if here.all():  # adding what is seen only takes several times as long
            total += values[row]
            continue
        np.add(total, values[row], out=total, where=here)
        if patience:
            total += _carried(values[row], here, patience)
    total[~seen] = np.nan
    return total


def _carried(values: Floats, seen: NDArray[np.bool_], patience: int) -> Floats:
    """(T,) what was seen last where nothing is, for at most `patience` steps; else 0."""
    at = np.arange(len(values))
    last = np.maximum.accumulate(np.where(seen, at, -1))
    recent = ~seen & (last >= 0) & (at - last <= patience)
    carried: Floats = np.where(recent, values[np.maximum(last, 0)], 0.0)
    return carried


@dataclass(frozen=True, eq=False)
class ClusterState:
    """What was seen at one moment."""

    seen_at: datetime
    pools: tuple[Pool, ...]
    queues: tuple[Queue, ...]
    workloads: tuple[Workload, ...]
    history: DemandHistory
    freshness: Mapping[str, timedelta] = field(default_factory=dict)  # source -> age of its newest reading
    inference_waiting: Mapping[str, float] = field(default_factory=dict)  # model -> requests that wait
    notes: tuple[str, ...] = ()  # defaults used and things not seen, one sentence each: said aloud
    gone: DemandHistory = field(default_factory=DemandHistory.empty)  # of queues that exist no more: deleted or renamed

    def pool(self, name: str) -> Pool:
        return next(p for p in self.pools if p.name == name)

    def queue(self, name: str) -> Queue:
        return next(q for q in self.queues if q.name == name)

    def pools_of(self, resource: str) -> tuple[Pool, ...]:
        return self._pools_by_resource.get(resource, ())

    def capacity_gpus(self, resource: str) -> int:
        """GPUs on ready nodes."""
        return sum(p.gpus for p in self.pools_of(resource))

    @cached_property
    def resources(self) -> tuple[str, ...]:
        """Accelerator resources that are offered or asked for, in a stable order."""
        return tuple(sorted(self._pools_by_resource.keys() | {line.resource for line in self.history.lines}))

    @cached_property
    def _pools_by_resource(self) -> Mapping[str, tuple[Pool, ...]]:
        pools: dict[str, tuple[Pool, ...]] = {}
        for pool in self.pools:
            resource = pool.accelerator.resource
            pools[resource] = (*pools.get(resource, ()), pool)
        return pools


class Voice(NamedTuple):
    """How far one of a forecaster's experts is listened to."""

    bucket: str  # of windows: "next hour"
    expert: str
    share: float  # mean over queues; those of a bucket sum to one


class Realised(NamedTuple):
    """How often outcomes really lay within an interval."""

    group: str  # of lines: "queues", "totals" or "cohorts"
    bucket: str  # of windows
    nominal: float  # how often they should
    coverage: float
    outcomes: float  # counted, older ones for less


@dataclass(frozen=True, slots=True)
class Trust:
    """How far a forecast may be believed, and why."""

    origin: str = ""  # since when the forecaster knows what it knows, one sentence
    fitted_at: datetime | None = None
    voices: tuple[Voice, ...] = ()  # most listened to first; none: it is one model
    realised: tuple[Realised, ...] = ()
    shifted: int = 0  # lines whose demand is not what it was
    surprises: tuple[str, ...] = ()  # a sentence on each line that surprises
    known: tuple[str, ...] = ()  # what people told beforehand about the time that is forecast, one sentence each
    renamed: tuple[str, ...] = ()  # queues whose past was found under another name, one sentence each


@dataclass(frozen=True, eq=False)
class DemandForecast:
    """Quantiles of unconstrained demand (running + pending), per line and horizon.

    The value at horizon h is the mean demand over the step that ends at made_at + h.
    """

    made_at: datetime
    lines: tuple[Line, ...]  # every line of the history, and a total (queue ALL_QUEUES) per resource
    horizons: tuple[timedelta, ...]  # ascending
    quantiles: tuple[float, ...]  # ascending, in (0, 1)
    gpus: Floats  # (L, H, Q), >= 0, non-decreasing along Q
    forecaster: str = ""  # its name, for the reader
    trust: Trust = Trust()

    def of(self, line: Line) -> Floats:
        """(H, Q) of one line."""
        table: Floats = self.gpus[self.lines.index(line)]
        return table

    def at(self, line: Line, horizon: timedelta, quantile: float) -> float:
        """GPUs at a horizon and a quantile, interpolated between the ones forecast, held at the ends."""
        table = self.of(line)
        seconds = [h.total_seconds() for h in self.horizons]
        at_horizon = [float(np.interp(horizon.total_seconds(), seconds, table[:, q])) for q in range(table.shape[1])]
        return float(np.interp(quantile, self.quantiles, at_horizon))

    def peak(self, line: Line, until: timedelta, quantile: float) -> float:
        """The largest value at a quantile over all horizons up to `until` (the shortest one at least)."""
        within = [h for h in self.horizons if h <= until] or [self.horizons[0]]
        return max(self.at(line, h, quantile) for h in within)


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure that is not known exactly: the 10 %, 50 % and 90 % quantile of what is expected."""

    low: float
    mid: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Interval:
        """From three values in any order."""
        low, mid, high = sorted(values)
        return cls(low, mid, high)

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.low + other.low, self.mid + other.mid, self.high + other.high)


NOTHING = Interval(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Effect:
    """What is expected to change over the next `over` hours if the action is taken; negative is saved."""

    usd: Interval = NOTHING
    waiting_gpu_hours: Interval = NOTHING
    kwh: Interval = NOTHING
    kg_co2: Interval = NOTHING
    lost_gpu_hours: float = 0.0  # work thrown away, always >= 0
    over: timedelta = timedelta(hours=24)

    def __add__(self, other: Effect) -> Effect:
        return Effect(
            self.usd + other.usd,
            self.waiting_gpu_hours + other.waiting_gpu_hours,
            self.kwh + other.kwh,
            self.kg_co2 + other.kg_co2,
            self.lost_gpu_hours + other.lost_gpu_hours,
            max(self.over, other.over),
        )


@dataclass(frozen=True, slots=True)
class Intent:
    """How much, decided by a pilot: changes in GPUs; absent means leave as it is."""

    pilot: str
    pool_gpus: Mapping[str, int] = field(default_factory=dict)  # pool -> grow (+) or shrink (-)
    quota_gpus: Mapping[Line, int] = field(default_factory=dict)  # line -> quota given (+) or asked back (-)
    reclaim_gpus: Mapping[Line, int] = field(default_factory=dict)  # line -> GPUs to take back from it now, > 0
    reasons: Mapping[str, str] = field(default_factory=dict)  # pool name or str(line) -> why, one sentence

    def why(self, subject: object) -> str:
        return self.reasons.get(str(subject), "")


@dataclass(frozen=True, slots=True)
class Action:
    """Turn one dial from the value that was seen to the value that is wanted.

    `target` names the object and, by dial, reads: POOL_SIZE `{plural}.{group}/{name}` or
    `{plural}.{group}/{namespace}/{name}` (anything with a scale subresource); POOL_LIMIT
    `nodepools.karpenter.sh/{name}/{resource}`; QUEUE_QUOTA `{clusterqueue}/{flavor}/{resource}`;
    WORKLOAD `{namespace}/{workload}`. Only the last part may contain slashes of its own (a resource).
    """

    dial: Dial
    target: str
    before: int
    after: int
    reason: str  # one sentence
    subject: str = ""  # the pool, queue or workload as the operator calls it
    queue: str = ""  # the tenant it touches; empty: the whole cluster
    namespace: str = ""  # of the workload; empty for cluster-wide dials
    resource: str = ""  # accelerator resource that it is about
    gpus: int = 0  # change in GPUs that it stands for: +8 for one node more of 8, -16 for a gang of 16 paused
    expected: Effect = Effect()

    @property
    def delta(self) -> int:
        return self.after - self.before

    def undo(self) -> Action:
        """The action that puts back what this one turned."""
        return replace(
            self,
            before=self.after,
            after=self.before,
            gpus=-self.gpus,
            reason=f"undo: {self.reason}",
            expected=Effect(),
        )

    def __str__(self) -> str:
        if self.dial is Dial.WORKLOAD:
            return f"{'resume' if self.after else 'pause'} {self.subject or self.target} ({abs(self.gpus)} GPUs)"
        verb = "raise" if self.after > self.before else "lower"
        return (
            f"{verb} {self.dial} of {self.subject or self.target} from {self.before} to {self.after} {self.dial.unit}"
        )


@dataclass(frozen=True, slots=True)
class Objection:
    """One guardrail's reason to hold still."""

    rule: str  # the guardrail's name as settings and docs spell it
    sentence: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """An action and every objection to it; approved when there is none."""

    action: Action
    objections: tuple[Objection, ...] = ()

    @property
    def approved(self) -> bool:
        return not self.objections

    def __str__(self) -> str:
        return "approved" if self.approved else "held back"


class OutcomeStatus(StrEnum):
    """What became of an approved action."""

    DONE = "done"
    REHEARSED = "rehearsed"  # the API server would take it
    LEFT_ALONE = "left alone"  # found at another value than was seen
    REFUSED = "refused"  # the API server said no
    FAILED = "failed"  # no answer: it is not known whether it was turned


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one approved action, in one sentence."""

    action: Action
    status: OutcomeStatus
    sentence: str
    diff: str = ""  # lines "path: old → new", as the API server answered


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier turn of a dial that really happened, as the journal remembers it."""

    at: datetime
    action: Action


@dataclass(frozen=True, slots=True)
class View:
    """What a pilot or an agent may look at. Nothing else: they are pure functions of it."""

    state: ClusterState
    forecast: DemandForecast


@dataclass(frozen=True, slots=True)
class Cycle:
    """One turn of the loop, from what was seen to what came of it."""

    began_at: datetime
    state: ClusterState
    forecast: DemandForecast
    intent: Intent
    verdicts: tuple[Verdict, ...]
    outcomes: tuple[Outcome, ...] = ()
    mode: str = "plan"  # "plan", "rehearse" or "act"
    id: int | None = None  # given by the journal

    @property
    def sentence(self) -> str:
        """The cycle in one plain sentence, the same in log, report and test."""
        return in_one_sentence(self.verdicts, self.outcomes)


def in_one_sentence(verdicts: Sequence[Verdict], outcomes: Sequence[Outcome]) -> str:
    """What was wanted, held back and done, the same wherever it is said."""
    held = sum(not v.approved for v in verdicts)
    parts = [f"{len(verdicts)} wanted", f"{held} held back"]
    parts += [f"{n} {s}" for s in OutcomeStatus if (n := sum(o.status is s for o in outcomes))]
    return ", ".join(parts) if verdicts else "nothing wanted; holding still"
