"""What goes wrong, and when: surprises that a simulated cluster can be made to meet, and meet again.

| fault | what it changes |
|---|---|
| Outage | a pool loses nodes, and none comes until it is over |
| Stuck | nodes that are asked for do not come until it is over |
| Demand | a queue submits so many times as many jobs: a burst where it ends, a shift where it does not |
| Bias | forecasts say so many times as much |
| Blind | metrics are lost: nothing is seen, so nothing is decided |

None touches how the cluster works: jobs, weather, forecasts and sight are changed before it runs, or beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from envs.job_file import JobFile
from envs.words import counted
from envs.workloads import DAY_S, MONDAY_S, Floats, Ints, JobTable
from forecasting.forecasters.naive import Naive
from forecasting.protocol import Forecaster, State, updated
from forecasting.store import nested
from gyropilot.domain import ALL_QUEUES, Line

if TYPE_CHECKING:
    from envs.terms import PoolTerms
    from envs.world import Weather, World
    from gyropilot.domain import DemandHistory, Window

Bools = NDArray[np.bool_]
HOUR_S = 3_600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """From a moment on, for a while."""

    at_s: float = 0.0  # since the world began
    lasts_s: float = np.inf

    def holds(self, moment_s: float) -> bool:
        return self.at_s <= moment_s < self.at_s + self.lasts_s

    def steps(self, count: int, step_s: float) -> tuple[int, int]:
        """The first step that begins in it, and the first after it, of so many; however short it is, it has one."""
        first, last = (np.ceil(moment_s / step_s - 1e-9) for moment_s in (self.at_s, self.at_s + self.lasts_s))
        return int(min(count, first)), int(min(count, max(first + 1, last)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage(Fault):
    """A pool, or each, loses a share of its nodes when it begins; none comes until it is over."""

    pool: str | None = None
    share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck(Fault):
    """Nodes of a pool, or of each, that should come while it lasts come when it is over."""

    pool: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand(Fault):
    """A queue, or each, submits so many times as many jobs: other users do the same, at other moments of the while."""

    times: float
    queue: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bias(Fault):
    """Forecasts of a queue, or of each, that are made while it lasts say so many times as much."""

    times: float
    queue: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Blind(Fault):
    """Metrics are lost while it lasts: whoever steers holds still, and what was then is never known."""


def weathered(faults: Sequence[Fault], weather: Weather, pools: Sequence[PoolTerms], step_s: float) -> Weather:
    """The weather with what outages take and what comes late."""
    lead, loss, harm = weather.lead.copy(), weather.loss.copy(), weather.harm
    # Told apart where causes are, and without notice.
    harm = None if harm is None else harm._replace(outage=harm.outage.copy())
    taken = loss if harm is None else harm.outage
    for fault in faults:
        if isinstance(fault, Outage | Stuck):
            first, last = fault.steps(lead.shape[1], step_s)
            for row, pool in enumerate(pools):
                if fault.pool in {None, pool.name} and first < last:
                    _come_after(lead[row], first, last)
                    if isinstance(fault, Outage):
                        taken[row, first] = max(taken[row, first], fault.share)
    return weather._replace(lead=lead, loss=loss, harm=harm)


def _come_after(lead: Ints, first: int, last: int) -> None:
    """What would come from one step until another comes at that other; changes `lead` (T,)."""
    steps = np.arange(len(lead))
    late = (first <= steps + lead) & (steps + lead < last)
    lead[late] = last - steps[late]


def crowded(faults: Sequence[Fault], jobs: JobTable, rng: np.random.Generator) -> tuple[JobTable, Ints]:
    """The jobs with those that came beside them and without those that did not, and of which row each is a copy."""
    origin = np.arange(len(jobs))
    for fault in faults:
        if isinstance(fault, Demand):
            rows, submit_s = _multiplied(fault, jobs, rng)
            order = np.argsort(submit_s, kind="stable")
            jobs, origin = replace(jobs.take(rows[order]), submit_s=submit_s[order]), origin[rows[order]]
    return jobs, origin


def crowded_file(faults: Sequence[Fault], file: JobFile, began_s: float, rng: np.random.Generator) -> JobFile:
    """The same of a file whose moment `began_s` is the world's first; a copy is named after its first, with +1, +2."""
    jobs, origin = crowded(faults, replace(file.table, submit_s=file.table.submit_s - began_s), rng)
    if len(origin) == len(file.ids) and (origin == np.arange(len(origin))).all():
        return file
    seen: dict[int, int] = {}
    ids = []
    for row in origin.tolist():
        seen[row] = seen.get(row, -1) + 1
        ids.append(f"{file.ids[row]}+{seen[row]}" if seen[row] else str(file.ids[row]))
    more, fewer = len(origin) - len(seen), len(file.ids) - len(seen)
    note = f"bursts and shifts of demand added {counted(more, 'job')} and left out {fewer:,}"
    return JobFile(replace(jobs, submit_s=jobs.submit_s + began_s), np.array(ids), (*file.notes, note))


def _multiplied(fault: Demand, jobs: JobTable, rng: np.random.Generator) -> tuple[Ints, Floats]:
    """Rows of a table, some of them often or not at all, and when they are submitted."""
    over_s = min(fault.at_s + fault.lasts_s, float(jobs.submit_s.max(initial=0.0)))
    touched = (jobs.submit_s >= fault.at_s) & (jobs.submit_s <= over_s)
    if fault.queue is not None:
        touched &= np.array([name == fault.queue for name in jobs.queues], dtype=np.bool_)[jobs.queue]
    whole = int(fault.times)
    often = np.where(touched, whole + (rng.random(len(jobs)) < fault.times - whole), 1)
    rows = np.repeat(np.arange(len(jobs)), often)
    again = np.concatenate([[False], rows[1:] == rows[:-1]])
    # Copies keep their hour of the day: within an hour of the first, and what would leave the while comes in again.
    apart_s = rng.uniform(-3_600.0, 3_600.0, len(rows))
    copied_s = fault.at_s + np.mod(jobs.submit_s[rows] + apart_s - fault.at_s, max(over_s - fault.at_s, 1e-9))
    return rows, np.where(again, copied_s, jobs.submit_s[rows])


def blind(faults: Sequence[Fault], steps: int, step_s: float) -> Bools:
    """(T,) whether nothing is seen at the beginning of a step."""
    seen = np.zeros(steps, dtype=np.bool_)
    for fault in faults:
        if isinstance(fault, Blind):
            first, last = fault.steps(steps, step_s)
            seen[first:last] = True
    return seen


@dataclass(frozen=True, eq=False)
class Misled:
    """A forecaster that is wrong while a bias lasts, and does not know it."""

    faults: tuple[Bias, ...]
    inner: Forecaster = field(default_factory=Naive)
    began_s: float = MONDAY_S  # seconds of the epoch at which the world begins

    name = "misled"

    def fit(self, history: DemandHistory) -> Self:
        return replace(self, inner=self.inner.fit(history))

    def update(self, history: DemandHistory) -> Self:
        return replace(self, inner=updated(self.inner, history))

    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        """(L, W, Q) GPUs, times each bias that holds now."""
        told = self.inner.predict(history, windows, quantiles)
        if history.end is None:
            return told
        now_s = history.end.timestamp() - self.began_s
        for fault in self.faults:
            if fault.holds(now_s):
                told = (
                    told * fault.times
                    if fault.queue is None
                    else _wrong_of(fault.queue, told, history.lines, fault.times)
                )
        return told

    def state(self) -> State:
        return {"model": self.inner.name, "inner": self.inner.state()}

    @classmethod
    def restored(cls, state: State) -> Self:
        """With no bias left."""
        from forecasting.registry import make

        return cls((), type(make(str(state["model"]))).restored(nested(state, "inner")))


def _wrong_of(queue: str, told: Floats, lines: Sequence[Line], times: float) -> Floats:
    """(L, W, Q) what is told of a queue so many times, and of totals by as much more or less."""
    wrong = told.copy()
    for row in (row for row, line in enumerate(lines) if line.queue == queue):
        wrong[row] *= times
        total = Line(ALL_QUEUES, lines[row].resource)
        if total in lines:
            whole = lines.index(total)
            wrong[whole] = np.sort(np.maximum(wrong[whole] + wrong[row] - told[row], 0.0), axis=-1)
    return wrong


def misled(faults: Sequence[Fault], forecaster: Forecaster, began_s: float = MONDAY_S) -> Forecaster:
    """The forecaster itself, where no bias is among the faults."""
    biases = tuple(fault for fault in faults if isinstance(fault, Bias))
    return Misled(biases, forecaster, began_s) if biases else forecaster


@dataclass(frozen=True, slots=True)
class Surprises:
    """How often each kind of fault meets a day on which somebody learns: mean numbers a day."""

    outages: float = 0.2
    stuck: float = 0.2
    bursts: float = 0.5
    biases: float = 0.2
    blackouts: float = 0.2  # of metrics
    longest_s: float = DAY_S / 4
    longest_blackout_s: float = HOUR_S

    def often(self, times: float) -> Surprises:
        """So many times as often."""
        rates = {name: times * getattr(self, name) for name in _KINDS}
        return replace(self, **rates)

    def drawn(self, pools: Sequence[str], queues: Sequence[str], days: float, rng: np.random.Generator) -> list[Fault]:
        """Those of some days, each of one pool or queue. The same chance brings the same."""
        faults: list[Fault] = []
        for name in _KINDS:
            for _ in range(rng.poisson(getattr(self, name) * days)):
                faults.append(self._one(name, pools, queues, days, rng))
        return faults

    def _one(
        self, name: str, pools: Sequence[str], queues: Sequence[str], days: float, rng: np.random.Generator
    ) -> Fault:
        """At most three times as many jobs, and forecasts of half to double."""
        longest_s = self.longest_blackout_s if name == "blackouts" else self.longest_s
        when = {"at_s": float(rng.uniform(0, days * DAY_S)), "lasts_s": float(rng.uniform(600, longest_s))}
        match name:
            case "outages":
                return Outage(**when, pool=str(rng.choice(pools)), share=float(rng.uniform(0.2, 1)))
            case "stuck":
                return Stuck(**when, pool=str(rng.choice(pools)))
            case "bursts":
                return Demand(**when, times=float(rng.uniform(0.3, 3)), queue=str(rng.choice(queues)))
            case "biases":
                return Bias(**when, times=float(2 ** rng.uniform(-1, 1)), queue=None)
            case _:
                return Blind(**when)


_KINDS = ("outages", "stuck", "bursts", "biases", "blackouts")


class Day(NamedTuple):
    """A time with its faults, ready to be lived through."""

    jobs: JobTable
    weather: Weather
    faults: tuple[Fault, ...]
    dark: Bools  # (T,) whether nothing is seen at the beginning of a step


def surprised(
    surprises: Surprises | None, world: World, jobs: JobTable, weather: Weather, rng: np.random.Generator
) -> Day:
    """The time of some weather, with surprises that are drawn for it; the same time where there are none."""
    steps, pools = weather.lead.shape[1], [pool.name for pool in world.pools]
    days = steps * world.step_s / DAY_S
    faults = () if surprises is None else tuple(surprises.drawn(pools, jobs.queues, days, rng))
    met = weathered(faults, weather, world.pools, world.step_s) if faults else weather
    return Day(crowded(faults, jobs, rng)[0], met, faults, blind(faults, steps, world.step_s))
