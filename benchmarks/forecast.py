"""Forecasts of real demand, ours beside the best that public libraries make of the same readings.

    pip install 'gyropilot[bench]'
    GYROPILOT_TRACES=folder python -m benchmarks.forecast                     every trace that is there
    GYROPILOT_TRACES=folder python -m benchmarks.forecast --trace "Helios Earth, queues" --no-costly-peers

Everybody is asked at the same origins, every three hours of the last week, and knows what was seen up to then and
nothing else. Where our row stands is told bucket by bucket, beside what was promised, reached or not. Choices were
made on days before that week: `--from 2020-05-11 --to 2020-05-18` for Helios Earth.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from forecasting.backtest.peers import peers
from forecasting.backtest.protocol import BUCKETS, Plan, Protocol
from forecasting.backtest.result import Result, Row, result
from forecasting.backtest.run import Listeners, replay
from forecasting.demand.trace import read_trace
from gyropilot.errors import GyropilotError
from gyropilot.wiring import our_entrants

OURS = "gyropilot"
FIRST = "seasonal-naive"
SCORES = {"wql": "WQL", "p95_pinball": "P95"}
COVERAGES = {"coverage80": (78.0, 84.0), "coverage95": (94.0, 97.0)}
"""In which percentage of outcomes may lie in the central 80 and 95 %."""

Wanted = dict[tuple[str, str], float]
"""By bucket and score: at most so many percent more than the best peer."""

AHEAD: Wanted = {
    **{(bucket, "wql"): most for bucket, most in zip(BUCKETS, (-20.0, -15.0, -12.0, -6.0), strict=True)},
    **{(bucket, "p95_pinball"): most for bucket, most in zip(BUCKETS[1:], (-15.0, -12.0, -8.0), strict=True)},
}
NO_WORSE: Wanted = {(bucket, "wql"): 1.0 for bucket in BUCKETS}


@dataclass(frozen=True, slots=True)
class Trial:
    """A trace, what of it is forecast, and what was promised."""

    name: str
    file: str
    wanted: Wanted
    column: str | None = None
    totals: bool = False
    coverages: bool = False


TRIALS = (
    Trial("Helios Earth, queues", "demand_helios_earth_vc.parquet", AHEAD, coverages=True),
    Trial("Helios Earth, total", "demand_helios_earth_vc.parquet", NO_WORSE, totals=True, coverages=True),
    Trial("Philly, nodes", "demand_philly_nodes.parquet", NO_WORSE, column="active_nodes"),
    Trial("Philly, queues", "demand_philly_vc_pass.parquet", NO_WORSE),
    Trial("BurstGPT", "serving_burstgpt_hourly.parquet", NO_WORSE, column="requests"),
    Trial("ServeGen", "serving_servegen_model.parquet", NO_WORSE, column="rate_rps"),
    Trial("Azure 2024", "serving_azure2024_conv_hourly.parquet", NO_WORSE, column="requests"),
)


def main() -> None:
    options = _options()
    folder = Path(options.traces or sys.exit("set GYROPILOT_TRACES to the folder that holds the traces"))
    asked = [trial for trial in TRIALS if not options.trace or trial.name in options.trace]
    for trial in asked:
        path = folder / trial.file
        if not path.exists():
            print(f"{trial.name}: left out, {path} is not there\n", flush=True)
            continue
        try:
            found = measure(trial, path, options)
        except GyropilotError as problem:
            sys.exit(f"{trial.name}: {problem}")
        print("\n".join(told(trial, found, options.models[0])) + "\n", flush=True)


def measure(trial: Trial, path: Path, options: argparse.Namespace) -> Result:
    """The replay of one trace."""
    trace = read_trace(path, trial.column)
    plan = Plan.of(trace.history, Protocol(begin=options.begin, end=options.end, totals=trial.totals))
    ours = our_entrants([FIRST, *(name for name in options.models if name != FIRST)], plan.refit)
    theirs = peers(trace.history.step, costly=not options.no_costly_peers)
    picked = [peer for peer in theirs if not options.peers or any(word in peer.name for word in options.peers)]
    return result(replay(plan, ours, picked, time.perf_counter, Listeners(told=_progress)), trace.notes)


def told(trial: Trial, found: Result, name: str) -> Iterator[str]:
    """A trace's table, then what was promised of the model `name` beside what came."""
    plan = found.replay.plan
    first, last = (f"{datetime.fromtimestamp(plan.history.times[at], UTC):%F %H:%M}" for at in plan.origins[[0, -1]])
    yield f"{trial.name}: {int(plan.scored.sum())} lines, {len(plan.origins)} origins from {first} to {last}"
    yield from (f"  {note}" for note in found.notes)
    yield from _table(found)
    yield ""
    yield from (_against_peers(trial, found, name))
    if trial.coverages:
        yield from _coverages(found, name)


def _table(found: Result) -> Iterator[str]:
    """A line per model: WQL and P95 pinball of each bucket, and what a forecast costs."""
    buckets = [bucket.name for bucket in found.replay.plan.buckets]
    yield f"{'model':62}" + "".join(f"{bucket + ' WQL':>14}{'P95':>8}" for bucket in buckets) + f"{'ms/queue':>10}"
    for model in found.replay.models:
        rows = [found.row(model, bucket) for bucket in buckets]
        scores = "".join(f"{r.scores['wql'].value:14.4f}{r.scores['p95_pinball'].value:8.4f}" for r in rows)
        yield f"{model:62}{scores}{1000 * rows[0].seconds_per_queue:10.2f}"


def _against_peers(trial: Trial, found: Result, name: str) -> Iterator[str]:
    """A line per bucket and score: how much more than whichever peer was best at it."""
    yield f"{name + ' against the best peer':34}{'%':>7}  90 % interval       wanted"
    for row in _rows(found, name):
        for score, title in SCORES.items():
            if row.versus_peer is not None:
                yield _against(row, score, title, trial.wanted.get((row.bucket, score)))


def _against(row: Row, score: str, title: str, most: float | None) -> str:
    assert row.versus_peer is not None
    versus = row.versus_peer[score]
    figure = versus.percent
    promise = ""
    if most is not None:
        reached = figure.value <= most and (most > 0 or figure.high < 0)
        promise = f"at most {most:+.0f}: {'reached' if reached else f'missed by {figure.value - most:.1f}'}"
    return (
        f"  {row.bucket:12}{title:20}{figure.value:+7.1f}  [{figure.low:+6.1f}, {figure.high:+6.1f}]    {promise:30}"
        f"{versus.other}"
    )


def _coverages(found: Result, name: str) -> Iterator[str]:
    yield f"{name + ' covers':34}{'%':>7}  wanted"
    for row in _rows(found, name):
        for score, (low, high) in COVERAGES.items():
            share = 100 * row.scores[score].value
            verdict = "reached" if low <= share <= high else "missed"
            yield f"  {row.bucket:12}{score:20}{share:7.1f}  {low:.0f} to {high:.0f}: {verdict}"


def _rows(found: Result, name: str) -> Iterator[Row]:
    return (found.row(name, bucket.name) for bucket in found.replay.plan.buckets)


def _progress(phrase: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{phrase[:100]:100}", end="\r", file=sys.stderr, flush=True)


def _options(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [trial.name for trial in TRIALS]
    parser.add_argument("--trace", action="append", choices=names, help="only this one; may be repeated")
    parser.add_argument("--models", type=_parted, default=(OURS,), help=f"of ours, the first is compared ({OURS})")
    parser.add_argument("--peers", type=_parted, default=(), help="only those whose names hold one of these words")
    parser.add_argument("--no-costly-peers", action="store_true", help="leave out those that take seconds an origin")
    parser.add_argument("--from", dest="begin", type=_moment, help="first origin (a week before the end)")
    parser.add_argument("--to", dest="end", type=_moment, help="leave out what is later")
    parser.add_argument("--traces", default=os.environ.get("GYROPILOT_TRACES"), help="the folder (GYROPILOT_TRACES)")
    return parser.parse_args(words)


def _parted(names: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(",") if name.strip())


def _moment(told: str) -> datetime:
    return datetime.fromisoformat(told).replace(tzinfo=UTC)


if __name__ == "__main__":
    main()
