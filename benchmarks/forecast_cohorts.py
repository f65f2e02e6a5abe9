"""How often the totals of cohorts lie within their bands, beside the sum of their queues' quantiles.

    GYROPILOT_TRACES=folder python -m benchmarks.forecast_cohorts                       five days before the last week
    GYROPILOT_TRACES=folder python -m benchmarks.forecast_cohorts --days 7 --leave 0    the last week
    GYROPILOT_TRACES=folder python -m benchmarks.forecast_cohorts --trace demand_philly_vc_pass.parquet

Helios Earth in steps of five minutes, its sixteen queues drawn into cohorts of four and of eight twelve times over
(seeded; the trace tells of no cohorts), or another trace, in its own steps where these are longer. The mixture is asked
every three hours, learns every half hour, and is fitted anew each day, as by a daemon. The last week is left to the
final comparison unless it is asked for.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from benchmarks.running import run, traces
from forecasting.backtest.protocol import BUCKETS, QUANTILES, Bucket
from forecasting.demand.trace import read_trace
from forecasting.losses import coverage
from forecasting.mixture.copula import Copula
from forecasting.mixture.ensemble import SPEAKS_EVERY, Ensemble
from forecasting.rolling import until
from forecasting.windows import outcome
from gyropilot.domain import ALL_QUEUES, DemandHistory, Floats, Line

TRACE = "demand_helios_earth_vc.parquet"
STEP, DAY, ASKED_EVERY = timedelta(minutes=5), timedelta(days=1), timedelta(hours=3)
SIZES, DRAWS = (4, 8), 12
BANDS = ((80, 0.1, 0.9), (95, 0.025, 0.975))
WINDOWS = tuple(sorted({w for name in BUCKETS for w in Bucket.named(name).windows}, key=lambda w: (w.end, w.start)))

Groups = dict[str, tuple[Line, ...]]


@dataclass(frozen=True, eq=False, slots=True)
class Asked:
    """What was said of all cohorts of a size at one origin, and what came."""

    came: Floats  # (G, W) GPUs
    joint: Floats  # (G, W, Q) by the copula
    apart: Floats  # (G, W, Q) the sum of quantiles


def drawn(lines: Sequence[Line], size: int) -> Groups:
    """All queues parted into cohorts of `size`, DRAWS times over."""
    rng, groups = np.random.default_rng(size), dict[str, tuple[Line, ...]]()
    for nth in range(DRAWS):
        order = rng.permutation(len(lines))
        groups |= {f"{nth}/{i}": tuple(lines[at] for at in order[i : i + size]) for i in range(0, len(lines), size)}
    return groups


def coarse(history: DemandHistory) -> DemandHistory:
    """In steps of STEP, as a cycle reads its Prometheus: means of what was recorded; longer ones stay."""
    each = max(1, round(STEP / history.step))
    whole = len(history.times) // each * each
    running, pending = (
        rows[:, :whole].reshape(len(rows), -1, each).mean(axis=2) for rows in (history.running, history.pending)
    )
    return DemandHistory(history.lines, history.times[each - 1 : whole : each], running, pending)


def origins(history: DemandHistory, days: int) -> Iterator[tuple[DemandHistory, Ensemble, int]]:
    """What is known, the mixture that has learnt from it, and the column, at each origin of the last `days`."""
    first = len(history.times) - round(days * DAY / history.step)
    model = Ensemble()
    for column in range(first, len(history.times) - 1, max(1, round(SPEAKS_EVERY / history.step))):
        since, known = (column - first) * history.step, until(history, column)
        model = (model.fit(known) if not since % DAY else model).update(known)
        if not since % ASKED_EVERY:
            yield known, model, column


def asked(history: DemandHistory, days: int) -> dict[int, list[Asked]]:
    """By the size of cohorts, one at each origin."""
    queues = [line for line in history.lines if line.queue != ALL_QUEUES]
    groups, found = {size: drawn(queues, size) for size in SIZES}, defaultdict[int, list[Asked]](list)
    for known, model, column in origins(history, days):
        table, came = model.predict(known, WINDOWS, QUANTILES), outcome(history, column, WINDOWS)
        for size in SIZES:
            found[size].append(_summed(groups[size], history.lines, model.copula, table, came))
    return found


def _summed(groups: Groups, lines: tuple[Line, ...], copula: Copula | None, table: Floats, came: Floats) -> Asked:
    assert copula is not None  # it was fitted
    rows = [[lines.index(line) for line in members] for members in groups.values()]
    joint = copula.sums_of(groups, lines, table, WINDOWS, QUANTILES)
    return Asked(
        np.stack([came[some].sum(axis=0) for some in rows]),
        np.stack([*joint.values()]),
        np.stack([table[some].sum(axis=0) for some in rows]),
    )


def told(size: int, name: str, told_at: Sequence[Asked]) -> str:
    """One row: how often outcomes lay within bands by either rule, and how wide one is beside the other."""
    picked = [WINDOWS.index(window) for window in Bucket.named(name).windows]
    came = np.concatenate([one.came[:, picked].ravel() for one in told_at])
    joint, apart = (
        np.concatenate([table[:, picked].reshape(-1, len(QUANTILES)) for table in tables])
        for tables in ([one.joint for one in told_at], [one.apart for one in told_at])
    )
    cells = []
    for _, low, high in BANDS:
        at = [QUANTILES.index(low), QUANTILES.index(high)]
        cells += [f"{100 * coverage(came, rule[:, at[0]], rule[:, at[1]]):10.1f}" for rule in (joint, apart)]
        cells += [f"{np.ptp(joint[:, at], axis=1).mean() / np.ptp(apart[:, at], axis=1).mean():8.2f}"]
    return f"{size:8}  {name:10}{np.isfinite(came).sum():10,}" + "".join(cells)


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=5, help="that are forecast")
    parser.add_argument("--leave", type=int, default=7, help="days at the end of the trace that are not looked at")
    parser.add_argument("--trace", default=TRACE, help="a file in the folder of traces")
    chosen = parser.parse_args()
    whole = coarse(read_trace(traces() / chosen.trace).history).with_totals()
    history = until(whole, len(whole.times) - 1 - round(chosen.leave * DAY / whole.step))
    heads = "".join(f"{f'{nominal} %':>10}{'summed':>10}{'width':>8}" for nominal, *_ in BANDS)
    print(f"{'queues':>8}  {'bucket':10}{'outcomes':>10}{heads}")
    for size, answers in asked(history, chosen.days).items():
        for name in (b for b in BUCKETS if Bucket.named(b).windows[0].end >= history.step):
            print(told(size, name, answers))


if __name__ == "__main__":
    run(main)
