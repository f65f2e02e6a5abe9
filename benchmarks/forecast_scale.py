"""What a forecaster costs as queues grow in number, and how soon it is itself again after demand doubles.

    python -m benchmarks.forecast_scale                          250, 500, 1,000 and 2,000 queues, then the level shift
    python -m benchmarks.forecast_scale --model naive --queues 250 --no-shift
    python -m benchmarks.forecast_scale --without-foundation     as where the extra `foundation` is not installed

History is 30 days of 5 minutes of gangs that come and go (seeded). A tick is what a cycle does each minute: the newest
step is there, totals are added up, the forecaster learns from what it said before, and answers 14 horizons at 9
quantiles for every queue and the total. Each size runs in a process of its own, so that its peak memory is its own.

The shift: each day at six, demand of all queues is doubled for 12 hours, in the week of Helios Earth before the last
(GYROPILOT_TRACES), or in a week of gangs where there is no trace. The same hours without the shift are the measure.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.ingest import peak_mb
from forecasting.check import gangs
from forecasting.demand.trace import read_trace
from forecasting.forecast import guard
from forecasting.forecasters.outlook import Outlook
from forecasting.losses import pinball
from forecasting.mixture.experts import EXTRA, installed
from forecasting.protocol import Forecaster, updated
from forecasting.registry import make
from forecasting.rolling import until
from forecasting.windows import outcome
from gyropilot.domain import DemandHistory, Floats, Window
from gyropilot.errors import GyropilotError
from gyropilot.settings import ForecastSettings

STEP = timedelta(minutes=5)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
QUANTILES = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99)
TENTHS = tuple(n / 10 for n in range(1, 10))

MOST_TICKS = 600
QUEUE_TICKS = 6_000

TRACE = "demand_helios_earth_vc.parquet"
SHIFT = timedelta(hours=12)
SHIFTED_AT = timedelta(hours=6)
EVERY = timedelta(minutes=30)
SHIFTS = 7
BEFORE = timedelta(hours=12)
WITHIN = 1.1
"""Of the loss without the shift: then a forecaster counts as itself again."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one forecaster at one number of queues."""

    queues: int
    fit_s: float
    ticks_ms: tuple[float, ...]
    peak_mb: float

    def told(self) -> str:
        p50, p99 = np.quantile(self.ticks_ms, (0.5, 0.99))
        return f"{self.queues:8,}{self.fit_s:12.1f}{p50:14.1f}{p99:14.1f}{self.peak_mb:10.0f}"


def cost(name: str, queues: int, days: int, ticks: int) -> Cost:
    """Fits once on `days`, then ticks, each time five minutes later."""
    count = round(days * DAY / STEP)
    whole = gangs(queues, count + ticks, STEP)
    began = time.perf_counter()
    model = make(name).fit(_newest(whole, count, 0).with_totals())
    fit_s = time.perf_counter() - began
    took = []
    for nth in range(1, ticks + 1):
        known = _newest(whole, count, nth)
        began = time.perf_counter()
        model = tick(model, known)
        took.append(1_000 * (time.perf_counter() - began))
    return Cost(queues, fit_s, tuple(took), peak_mb())


def ticks_at(queues: int, least: int) -> int:
    """Of few queues more, so that a p99 is no single tick; they are quick."""
    return max(least, min(MOST_TICKS, QUEUE_TICKS // queues))


def tick(model: Forecaster, known: DemandHistory) -> Forecaster:
    """What a cycle asks of a forecaster."""
    history = known.with_totals()
    windows = [Window.step(horizon, history.step) for horizon in ForecastSettings().horizons]
    after = updated(model, history)
    guard(after.predict(history, windows, QUANTILES), (len(history.lines), len(windows), len(QUANTILES)), model.name)
    return after


def _newest(whole: DemandHistory, count: int, ticks: int) -> DemandHistory:
    """The last `count` steps that were there after `ticks`."""
    seen = slice(ticks, ticks + count)
    return DemandHistory(whole.lines, whole.times[seen], whole.running[:, seen], whole.pending[:, seen])


def recovery(name: str, history: DemandHistory) -> Floats:
    """(K, 3) hours after the shift began, WQL of the next hour then, and what it was in those hours without one."""
    origins = round((SHIFT - HOUR) / EVERY) + 1
    sums = np.zeros((2, 2, origins))  # with and without the shift; WQL's numerator and denominator
    days = len(history.times) * history.step // DAY
    for day in range(days - SHIFTS, days):
        began = round((day * DAY + SHIFTED_AT) / history.step)
        columns = began + np.arange(origins) * round(EVERY / history.step)
        model = make(name).fit(until(history, began - round(BEFORE / history.step)))
        shifted = doubled(history, began + 1, began + 1 + round(SHIFT / history.step))
        sums += [_losses(model, each, columns) for each in (shifted, history)]
    return np.column_stack([np.arange(origins) * (EVERY / HOUR), *(sums[:, 0] / sums[:, 1])])


def doubled(history: DemandHistory, first: int, end: int) -> DemandHistory:
    """Twice the demand in columns from `first` up to, and without, `end`."""
    times = np.ones(len(history.times))
    times[first:end] = 2.0
    return DemandHistory(history.lines, history.times, history.running * times, history.pending * times)


def _losses(model: Forecaster, history: DemandHistory, columns: NDArray[np.int64]) -> Floats:
    """(2, K) WQL's numerator and denominator at each column; the model learns as it goes, from `BEFORE` on."""
    window, lost, demand = [Window(timedelta(0), HOUR)], [], []
    lead = columns[0] - np.arange(round(BEFORE / EVERY) - 1, 0, -1) * round(EVERY / history.step)
    for column in [*lead, *columns]:
        known = until(history, int(column))
        model = updated(model, known)
        said, came = model.predict(known, window, TENTHS), outcome(history, int(column), window)
        lost.append(2 * float(np.nansum(pinball(came, said, TENTHS))) / len(TENTHS))
        demand.append(float(np.nansum(came)))
    return np.array([lost, demand])[:, len(lead) :]


def main() -> None:
    options = _options()
    try:
        _measure(options)
    except GyropilotError as problem:
        sys.exit(str(problem))


def _measure(options: argparse.Namespace) -> None:
    if options.without_foundation:
        hide(EXTRA)
    make(options.model)  # or say at once that there is none of that name
    if options.one:
        found = cost(options.model, options.one, options.days, options.ticks)
        print(json.dumps([found.fit_s, found.ticks_ms, found.peak_mb]))
        return
    print(
        f"{options.model} {beside_whom()}, {options.days} days x 5 min, {options.ticks} ticks of 14 horizons "
        f"x 9 quantiles, totals too ({MOST_TICKS} of few queues)"
    )
    print(f"{'queues':>8}{'fit, s':>12}{'tick p50, ms':>14}{'tick p99, ms':>14}{'peak MB':>10}", flush=True)
    for queues in dict.fromkeys((1, *options.queues)):
        print(_in_its_own_process(options, queues).told(), flush=True)
    if not options.no_shift:
        tell_recovery(options.model, *_week(options.traces))


def hide(package: str) -> None:
    """As if a package were not installed, in this process until it ends."""
    sys.modules[package] = None  # type: ignore[assignment]  # which Python takes for "cannot be imported"


def beside_whom() -> str:
    """Whether the mixture has the foundation model: figures differ."""
    return f"{'with' if Outlook in installed() else 'without'} the foundation model"


def tell_recovery(name: str, title: str, history: DemandHistory) -> None:
    """Prints the hours after the shift, and when the loss is what it would have been."""
    table = recovery(name, history)
    print(f"\n{name} {beside_whom()} after demand doubled ({title}, {SHIFTS} shifts of 12 h): WQL of the next hour")
    print(f"{'hours of feedback':>18}{'with shift':>12}{'without':>10}{'ratio':>8}")
    for hours, with_shift, without in table:
        print(f"{hours:18.1f}{with_shift:12.4f}{without:10.4f}{with_shift / without:8.2f}")
    print(f"within 10 % of its earlier level, and so to the end of the shift, after {_back(table)}", flush=True)


def _back(table: Floats) -> str:
    """How many hours of feedback it took; an hour and a half is smoothed together, so that no lucky moment counts."""
    kernel = np.ones(3)
    lost, usual = (np.convolve(table[1:, at], kernel, mode="valid") for at in (1, 2))
    late = np.flatnonzero(lost > WITHIN * usual)
    if len(late) and late[-1] == len(lost) - 1:
        return f"more than {table[-1, 0]:.1f} h"
    return f"{table[1 + (late[-1] + 1 if len(late) else 0), 0]:.1f} h"


def _week(folder: str | None) -> tuple[str, DemandHistory]:
    """A name and a history that ends with the week in which demand is to double."""
    path = Path(folder or "") / TRACE
    if not folder or not path.exists():
        return "gangs", gangs(16, round(17 * DAY / STEP), STEP)
    history = read_trace(path).history
    return "Helios Earth", until(history, len(history.times) - 1 - round(7 * DAY / history.step))


def _in_its_own_process(options: argparse.Namespace, queues: int) -> Cost:
    ticks = str(ticks_at(queues, options.ticks))
    told = ["--model", options.model, "--one", str(queues), "--days", str(options.days), "--ticks", ticks]
    told += ["--without-foundation"] if options.without_foundation else []
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.forecast_scale", *told], check=True, stdout=subprocess.PIPE
    )
    fit_s, ticks_ms, peak = json.loads(done.stdout)
    return Cost(queues, fit_s, tuple(ticks_ms), peak)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="gyropilot", help="as in forecast.model (gyropilot)")
    parser.add_argument("--queues", type=_counts, default=(250, 500, 1000, 2000), help="sizes, parted by commas")
    parser.add_argument("--days", type=int, default=30, help="of history (30)")
    parser.add_argument("--ticks", type=int, default=60, help="per size, at least (60; 600 of up to 10 queues)")
    parser.add_argument("--no-shift", action="store_true", help="costs only")
    parser.add_argument(
        "--without-foundation", action="store_true", help="as where the extra `foundation` is not installed"
    )
    parser.add_argument("--traces", default=os.environ.get("GYROPILOT_TRACES"), help="the folder (GYROPILOT_TRACES)")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)  # for the processes that measure
    return parser.parse_args()


def _counts(told: str) -> tuple[int, ...]:
    return tuple(int(count) for count in told.split(",") if count)


if __name__ == "__main__":
    main()
