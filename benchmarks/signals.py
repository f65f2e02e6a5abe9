"""Whether submissions, ages of jobs, or users whose hour has come, tell what the mixture does not know: measured.

    GYROPILOT_TRACES=folder python -m benchmarks.signals                       Helios Earth, submissions
    GYROPILOT_TRACES=folder python -m benchmarks.signals --trace philly        Philly, submissions and ages
    GYROPILOT_TRACES=folder python -m benchmarks.signals --trace venus         Helios Venus, submissions, ages and users

The mixture is replayed in steps of ten minutes, fitted each day, learning each half hour and asked every two hours, as
by a daemon without extras, up to the last week, which is left to the final comparison. Then each day it is counted over
all queues and all days before, how much more often than usual of its queue outcomes lay below each quantile where a
signal was low, middling or high for that queue, and quantiles are taken for one another accordingly. A row is the
change in WQL, with a 90 % interval over days. Two rows say what this can see: a signal four days late, which can tell
nothing, and what is submitted in the hour after the origin, which nobody knows.

Earth tells of no submissions; jobs that appear from one minute to the next are counted. Venus and Philly tell each
job, Venus with its user, and of no waits, so jobs count from their submission. Who is to go is what Kaplan and Meier
(1958) make of the ages of the jobs that are there, and of how long those before them lasted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.running import run, traces
from forecasting.backtest.protocol import QUANTILES, TENTHS, Bucket
from forecasting.grid import between
from forecasting.losses import pinball
from forecasting.mixture.ensemble import SPEAKS_EVERY, Ensemble
from forecasting.mixture.experts import EXPERTS
from forecasting.rolling import until
from forecasting.windows import outcome
from gyropilot.domain import DemandHistory, Floats, Line

STEP, HOUR, DAY = timedelta(minutes=10), timedelta(hours=1), timedelta(days=1)
ASKED_EVERY = timedelta(hours=2)
BUCKETS = {"1h": "1h", "1-6h": "1-6h", "7-24h": "7-24h"}
LATE = 4 * DAY
EDGES = (1 / 3, 2 / 3)
"""A signal is low, middling or high among the values that a queue had before."""

TRUSTED = 100.0
"""Outcomes: after as many of a kind, half of what they tell is believed."""

AGES_S = np.concatenate([[0.0], np.geomspace(60.0, 60 * DAY.total_seconds(), 60)])
"""Between which it is counted how many jobs end."""

SAME_GPUS = 1e-6
FIRST = 2
"""The day that is judged first: what is said on a day is known to be right or wrong two days later."""

SEED = 7

Signal = Callable[[int], Floats]
"""(L,) what is known at a column."""


@dataclass(frozen=True, eq=False, slots=True)
class Jobs:
    """Jobs that are told one by one."""

    queue: NDArray[np.int64]  # (J,)
    gpus: Floats  # (J,)
    begin_s: Floats  # (J,) since the epoch
    end_s: Floats  # (J,)


@dataclass(frozen=True, eq=False, slots=True)
class Seen:
    """A trace, and what was submitted in each step."""

    demand: DemandHistory
    jobs: Floats  # (L, T)
    gpus: Floats  # (L, T)
    users: Floats  # (L, T, U) GPUs submitted by each user; none: not told
    days: tuple[datetime, datetime]  # that are replayed
    each: Jobs | None = None  # None: not told


@dataclass(frozen=True, eq=False, slots=True)
class Asked:
    """What the mixture said at origins, and what came."""

    columns: NDArray[np.int64]  # (O,)
    came: Floats  # (O, L, W) GPUs
    said: Floats  # (O, L, W, Q) at QUANTILES


def earth(folder: Path) -> Seen:
    """Sixteen queues in May 2020; jobs are counted minute by minute."""
    from pyarrow import parquet

    minutes = parquet.read_table(folder / "demand_helios_earth_vc.parquet").to_pandas()
    minutes["gpus"] = minutes.running_gpus + minutes.pending_gpus
    minutes["jobs"] = minutes.running_gpu_jobs + minutes.pending_gpu_jobs
    wide = [minutes.pivot_table(index="queue", columns="timestamp", values=name) for name in ("gpus", "jobs")]
    lines = tuple(Line(str(name), "gpu") for name in wide[0].index)
    times = wide[0].columns.to_numpy().astype("datetime64[s]").astype(np.int64)
    gpus, jobs = (rows.to_numpy(dtype=np.float64) for rows in wide)
    each = int(STEP / timedelta(minutes=1))
    demand, new_jobs, new_gpus = (_stepped(rows, each) for rows in (gpus, _risen(jobs), _risen(gpus)))
    history = DemandHistory(lines, times[each - 1 :: each], demand / each, np.zeros_like(demand))
    days = datetime(2020, 5, 8, tzinfo=UTC), datetime(2020, 5, 17, tzinfo=UTC)
    return Seen(history, new_jobs, new_gpus, np.zeros((*demand.shape, 0)), days)


def _risen(rows: Floats) -> Floats:
    return np.maximum(np.diff(rows, axis=1, prepend=rows[:, :1]), 0.0)


def _stepped(rows: Floats, each: int) -> Floats:
    whole = rows.shape[1] // each * each
    total: Floats = rows[:, :whole].reshape(len(rows), -1, each).sum(axis=2)
    return total


def philly(folder: Path) -> Seen:
    """Fifteen queues in autumn 2017, jobs that passed, one by one."""
    days = datetime(2017, 11, 14, tzinfo=UTC), datetime(2017, 11, 24, tzinfo=UTC)
    return _one_by_one(folder / "jobs_philly_pass.parquet", days, datetime(2017, 9, 24, tzinfo=UTC))


def venus(folder: Path) -> Seen:
    """Two queues in September 2020, job by job."""
    days = datetime(2020, 9, 9, tzinfo=UTC), datetime(2020, 9, 19, tzinfo=UTC)
    return _one_by_one(folder / "jobs_helios_venus_2vc_sept.parquet", days, datetime(2020, 9, 1, tzinfo=UTC))


def _one_by_one(path: Path, days: tuple[datetime, datetime], since: datetime) -> Seen:
    """A table of jobs, of which those count that were submitted `since` then."""
    from pyarrow import parquet

    jobs = parquet.read_table(path).to_pandas()
    submit_s = jobs.submit_ts.to_numpy().astype("datetime64[s]").astype(np.int64)
    jobs, submit_s = jobs[submit_s >= since.timestamp()], submit_s[submit_s >= since.timestamp()]
    (queue, queues), (user, users) = (_numbered(jobs[name]) for name in ("queue", "user"))
    told = len(users) > 1
    gpus, step_s = jobs.gpus.to_numpy(dtype=np.float64), int(STEP.total_seconds())
    edges_s = np.arange(submit_s.min() // step_s * step_s, submit_s.max() + step_s, step_s)
    submitted = (np.searchsorted(edges_s, submit_s, side="right") - 1).astype(np.int64)
    shape = (len(queues), len(edges_s) - 1)
    running, counts, new_gpus = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    by_user = np.zeros((*shape, len(users) if told else 0))
    np.add.at(counts, (queue, submitted), 1.0)
    np.add.at(new_gpus, (queue, submitted), gpus)
    if told:
        np.add.at(by_user, (queue, submitted, user), gpus)
    for row, at_s, length_s, count in zip(queue, submit_s, jobs.duration_s, gpus, strict=True):
        some = slice(np.searchsorted(edges_s, at_s, side="right") - 1, np.searchsorted(edges_s, at_s + length_s))
        inside_s = np.minimum(edges_s[1:][some], at_s + length_s) - np.maximum(edges_s[:-1][some], at_s)
        running[row, some] += count * np.clip(inside_s / step_s, 0.0, 1.0)
    lines = tuple(Line(name, "gpu") for name in queues)
    history = DemandHistory(lines, edges_s[1:], running, np.zeros_like(running))
    begin_s = submit_s.astype(np.float64)
    each = Jobs(queue, gpus, begin_s, begin_s + jobs.duration_s.to_numpy(dtype=np.float64))
    return Seen(history, counts, new_gpus, by_user, days, each)


def _numbered(names: Iterable[str]) -> tuple[NDArray[np.int64], list[str]]:
    """(N,) which of the names, in order, each is."""
    found, which = np.unique(np.array([*names], dtype=str), return_inverse=True)
    return which.astype(np.int64), [str(name) for name in found]


def asked(seen: Seen, told: Callable[[str], None]) -> Asked:
    """The mixture on its way through the days."""
    begin, end = (int(np.searchsorted(seen.demand.times, day.timestamp())) for day in seen.days)
    known_of = until(seen.demand, end)
    windows = [window for name in BUCKETS.values() for window in Bucket.named(name).windows]
    model, columns, came, said = Ensemble(tuple(kind() for kind in EXPERTS)), [], [], []
    for column in range(begin, end - 1, round(SPEAKS_EVERY / STEP)):
        since, known = (column - begin) * STEP, until(known_of, column)
        if not since % DAY:
            told(f"day {since // DAY + 1} of {(seen.days[1] - seen.days[0]) // DAY}")
            model = model.fit(known)
        model = model.update(known)
        if not since % ASKED_EVERY:
            columns.append(column)
            said.append(model.predict(known, windows, QUANTILES))
            came.append(outcome(known_of, column, windows))
    return Asked(np.array(columns), np.array(came), np.array(said))


def signals(seen: Seen) -> dict[str, Signal]:
    """Each by what it is called; all are of what was known at a column, but the last."""
    hour, late = int(HOUR / STEP), int(LATE / STEP)
    found: dict[str, Signal] = {
        "jobs of 1 h": lambda column: submitted(seen.jobs, column, HOUR),
        "GPUs of 1 h": lambda column: submitted(seen.gpus, column, HOUR),
        "jobs of 6 h": lambda column: submitted(seen.jobs, column, 6 * HOUR),
        "GPUs of 6 h": lambda column: submitted(seen.gpus, column, 6 * HOUR),
        "jobs of 6 h beside usual": lambda column: unusual(seen.jobs, column),
    }
    if seen.each is not None:
        found["share to go in 1 h"] = lambda column: to_go(seen, column, HOUR)
        found["share to go in 6 h"] = lambda column: to_go(seen, column, 6 * HOUR)
        found["share to go in 24 h"] = lambda column: to_go(seen, column, DAY)
    if seen.users.shape[-1]:
        found["users of 6 h"] = lambda column: users_of(seen, column)
        found["users due in 2 h"] = lambda column: due_gpus(seen.users, column, 2 * HOUR)
        found["users due in 6 h"] = lambda column: due_gpus(seen.users, column, 6 * HOUR)
    found["GPUs of 1 h, 4 days late"] = lambda column: submitted(seen.gpus, column - late, HOUR)
    found["GPUs of the hour to come"] = lambda column: submitted(seen.gpus, column + hour, HOUR)
    return found


def submitted(rows: Floats, column: int, span: timedelta) -> Floats:
    """(L,) what was submitted (L, T) in the time up to a column."""
    total: Floats = rows[:, max(0, column + 1 - int(span / STEP)) : column + 1].sum(axis=1)
    return total


def unusual(rows: Floats, column: int) -> Floats:
    """(L,) the same of six hours, less what was usual at these hours in the week before."""
    days = [column - ago * int(DAY / STEP) for ago in range(1, 8) if column > ago * int(DAY / STEP)]
    usual = [submitted(rows, day, 6 * HOUR) for day in days]
    found: Floats = submitted(rows, column, 6 * HOUR) - (np.mean(usual, axis=0) if usual else 0.0)
    return found


def users_of(seen: Seen, column: int) -> Floats:
    """(L,) how many users submitted in the six hours up to a column."""
    past = seen.users[:, max(0, column + 1 - int(6 * HOUR / STEP)) : column + 1]
    found: Floats = (past > 0).any(axis=1).sum(axis=1).astype(np.float64)
    return found


def to_go(seen: Seen, column: int, ahead: timedelta) -> Floats:
    """(L,) share of the GPUs in use whose jobs are expected to end in the time ahead, by their ages."""
    jobs, now_s = seen.each, float(seen.demand.times[column])
    assert jobs is not None
    lasting, here = lasting_of(jobs, now_s), (jobs.begin_s < now_s) & (jobs.end_s > now_s)
    age_s, ahead_s = now_s - jobs.begin_s[here], ahead.total_seconds()
    stay = np.exp(np.interp(age_s + ahead_s, AGES_S, lasting) - np.interp(age_s, AGES_S, lasting))
    queues = len(seen.demand.lines)
    go, all_gpus = (np.bincount(jobs.queue[here], jobs.gpus[here] * part, queues) for part in (1 - stay, 1.0))
    return go / np.maximum(all_gpus, 1.0)


def lasting_of(jobs: Jobs, now_s: float) -> Floats:
    """(A,) logarithm of the share of jobs that get as old as AGES_S, as far as is known at a moment.

    A large job counts for more, by the root of its GPUs: between job for job and GPU for GPU.
    """
    known = jobs.begin_s < now_s
    over, weight = jobs.end_s[known] <= now_s, np.sqrt(jobs.gpus[known])
    last_s = np.minimum(jobs.end_s[known], now_s) - jobs.begin_s[known]
    stage = np.clip(np.searchsorted(AGES_S, last_s, side="right") - 1, 0, len(AGES_S) - 2)
    ended, left = (np.bincount(stage[some], weight[some], len(AGES_S) - 1) for some in (over, ~over))
    there = np.cumsum((ended + left)[::-1])[::-1] - left / 2  # who is still there, was so for half of the last stage
    shares = np.divide(ended, there, out=np.zeros_like(there), where=there > 0)
    found: Floats = np.append(0.0, np.cumsum(np.log1p(-np.minimum(shares, 1 - 1e-9))))
    return found


def due_gpus(users: Floats, column: int, ahead: timedelta) -> Floats:
    """(L,) GPUs that are usual of users who submitted in the time ahead on most of the last seven days.

    Those who have submitted within the last two hours are there already. `users` are (L, T, U) GPUs.
    """
    day, now = int(DAY / STEP), column + 1
    here = (users[:, max(0, now - int(2 * HOUR / STEP)) : now] > 0).any(axis=1)
    begins = [now - ago * day for ago in range(1, 8) if now >= ago * day]
    came = np.array([users[:, begin : begin + int(ahead / STEP)].sum(axis=1) for begin in begins])  # (D, L, U)
    due = ((came > 0).mean(axis=0) > 0.5) & ~here
    total: Floats = (came.mean(axis=0) * due).sum(axis=1)
    return total


def retold(mine: Asked, given: Floats, times: NDArray[np.int64]) -> Floats:
    """(O, L, W, 9) what was said, as a signal (O, L) lets one read it: each day by what days before have taught.

    Where outcomes of a queue lay above a quantile more often than its others when the signal was as it is, one that
    lies higher is taken.
    """
    below, day = fallen_below(mine), _days(times)
    told = at_tenths(mine.said)
    for today in range(FIRST, int(day[-1]) + 1):
        before, now = day < today - 1, np.flatnonzero(day == today)  # what comes after the day before is not known yet
        edges = np.quantile(given[before], EDGES, axis=0)[:, None]
        then, here = (np.sum(given[some] > edges, axis=0) for some in (before, now))
        unlike = below[before] - np.nanmean(below[before], axis=0)
        for kind in range(len(EDGES) + 1):
            rows, lines = np.nonzero(here == kind)
            parts = np.stack([_parts(unlike[then == kind][:, window]) for window in range(told.shape[2])])
            told[now[rows], lines] = np.einsum("nwq,wtq->nwt", mine.said[now[rows], lines], parts)
    return told


def at_tenths(said: Floats) -> Floats:
    """(..., 9) of what is said at QUANTILES."""
    some: Floats = said[..., [QUANTILES.index(level) for level in TENTHS]]
    return some


def fallen_below(mine: Asked) -> Floats:
    """(O, L, W, Q) 1 where the outcome lay below a quantile, 0 above; among quantiles that are one number, evenly."""
    levels, came = np.array(QUANTILES), mine.came[..., None]
    under = np.where(mine.said < came - SAME_GPUS, levels, 0.0).max(axis=-1, keepdims=True)
    over = np.where(mine.said > came + SAME_GPUS, levels, 1.0).min(axis=-1, keepdims=True)
    share = np.clip((levels - under) / (over - under), 0.0, 1.0)
    return np.where(np.isnan(came), np.nan, share)


def _parts(unlike: Floats) -> Floats:
    """(9, Q) of which quantiles tenths are made where outcomes (N, Q) lay below them so much more often than usual."""
    known = unlike[np.isfinite(unlike[:, 0])]
    held = np.array(QUANTILES) + known.sum(axis=0) / (len(known) + TRUSTED)
    ascending = np.maximum.accumulate(np.clip(held, 0.0, 1.0)) + 1e-9 * np.arange(len(held))
    return between(QUANTILES, np.interp(TENTHS, ascending, QUANTILES))


def _days(times: NDArray[np.int64]) -> NDArray[np.int64]:
    """(O,) of each origin, from the first on."""
    found: NDArray[np.int64] = (times - times[0]) // int(DAY.total_seconds())
    return found


def rows(seen: Seen, mine: Asked) -> Iterator[tuple[str, list[str]]]:
    """What each signal changes, bucket by bucket."""
    times = seen.demand.times[mine.columns]
    for name, signal in signals(seen).items():
        moved = retold(mine, np.array([signal(int(column)) for column in mine.columns]), times)
        yield name, [_change(mine, moved, some, times) for some in _buckets()]


def _buckets() -> Iterator[slice]:
    first = 0
    for name in BUCKETS.values():
        count = len(Bucket.named(name).windows)
        yield slice(first, first + count)
        first += count


def _change(mine: Asked, after: Floats, some: slice, times: NDArray[np.int64]) -> str:
    """+0.4 % (-0.2 .. +0.9), of days on which anything was learnt."""
    day = _days(times)
    judged = day >= FIRST
    sums = []
    for said in (at_tenths(mine.said), after):
        loss = pinball(mine.came[judged, :, some], said[judged, :, some], TENTHS)
        sums.append(np.nansum(loss, axis=(1, 2, 3)))
    each = np.array([[part[day[judged] == one].sum() for one in np.unique(day[judged])] for part in sums])
    drawn = np.random.default_rng(SEED).integers(0, each.shape[1], (2_000, each.shape[1]))
    ratios = each[1][drawn].sum(axis=1) / each[0][drawn].sum(axis=1) - 1
    low, high = np.quantile(ratios, (0.05, 0.95))
    return f"{each[1].sum() / each[0].sum() - 1:+.1%} ({low:+.1%} .. {high:+.1%})"


TRACES: Mapping[str, Callable[[Path], Seen]] = {"earth": earth, "philly": philly, "venus": venus}


def main() -> None:
    """Prints the table."""
    told = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    told.add_argument("--trace", choices=TRACES, default="earth")
    chosen = told.parse_args()
    seen = TRACES[chosen.trace](traces())
    mine = asked(seen, lambda phrase: print(phrase, file=sys.stderr))
    print(f"{chosen.trace}, {len(mine.columns)} origins, {seen.days[0]:%F} to {seen.days[1]:%F}: change in WQL\n")
    print(f"{'signal':26}" + "".join(f"{name:>28}" for name in BUCKETS))
    for name, cells in rows(seen, mine):
        print(f"{name:26}" + "".join(f"{cell:>28}" for cell in cells))


if __name__ == "__main__":
    run(main)
