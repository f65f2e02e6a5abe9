"""How like the real traces the generated jobs are, statistic by statistic.

    GYROPILOT_TRACES=folder python -m benchmarks.fidelity                both traces
    GYROPILOT_TRACES=folder python -m benchmarks.fidelity --calibrate    and what envs/profiles.py is made of

Philly (passed jobs only: of the generated ones, too) was calibrated on 2017-09-25 to 11-05 and is compared with 11-06
to 11-30; Venus on 2020-09-01 to 09-14 and with 09-15 to 09-26, its two virtual clusters alone. What is generated is the
median over ten seeds. The last column says how far the first part of the trace is from its last: who knows only the
first part can hardly come closer. Distances of shares are differences, those of the others factors (x2: twice or half).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.running import run, traces
from envs.calibration import calibrated
from envs.fidelity import Measure, Row, fidelity
from envs.job_file import read_jobs
from envs.profiles import HELIOS, PHILLY
from envs.workloads import DAY_S, ENDINGS, MONDAY_S, Ending, JobTable, Profile, generate

SEEDS = 10
WEEK_S = 7 * DAY_S


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace in two parts, and the profile that is to be like it."""

    name: str
    file: str
    profile: Profile
    parts: tuple[datetime, datetime, datetime]  # begin of the first, of the last, and its end
    passed_only: bool


TRACES = (
    Trace(
        "philly",
        "jobs_philly_pass.parquet",
        PHILLY,
        (datetime(2017, 9, 25, tzinfo=UTC), datetime(2017, 11, 6, tzinfo=UTC), datetime(2017, 12, 1, tzinfo=UTC)),
        passed_only=True,
    ),
    Trace(
        "helios",
        "jobs_helios_venus_2vc_sept.parquet",
        tuple(part for part in HELIOS if part.queue != "shared"),
        (datetime(2020, 9, 1, tzinfo=UTC), datetime(2020, 9, 15, tzinfo=UTC), datetime(2020, 9, 27, tzinfo=UTC)),
        passed_only=False,
    ),
)


def part_of(path: Path, begin: datetime, end: datetime) -> JobTable:
    """The jobs between two moments, their seconds counted from the Monday before the first."""
    import pandas as pd

    row = pd.read_parquet(path, columns=["submit_s", "submit_ts"]).iloc[0]
    origin_s = pd.Timestamp(row["submit_ts"]).tz_localize("UTC").timestamp() - row["submit_s"]
    jobs = read_jobs(path).table
    epoch_s = jobs.submit_s + origin_s
    kept = replace(jobs, submit_s=epoch_s - monday_s(begin))
    return kept.take((epoch_s >= begin.timestamp()) & (epoch_s < end.timestamp()))


def monday_s(moment: datetime) -> float:
    """The Monday before, in seconds of the epoch."""
    return moment.timestamp() - (moment.timestamp() - MONDAY_S) % WEEK_S


def generated(trace: Trace, seed: int) -> JobTable:
    """As many days as the last part, beginning on the same day of the week."""
    _, begin, end = trace.parts
    jobs = generate(trace.profile, (end - begin).days, np.random.default_rng(seed), began_s=begin.timestamp())
    if trace.passed_only:
        jobs = jobs.take(jobs.ending == ENDINGS.index(Ending.PASSED))
    return replace(jobs, submit_s=jobs.submit_s + begin.timestamp() - monday_s(begin))


def table(trace: Trace, path: Path) -> list[str]:
    """A line per statistic."""
    begin, last, end = trace.parts
    first_part, last_part = part_of(path, begin, last), part_of(path, last, end)
    itself = {row.statistic: row for row in fidelity(first_part, last_part)}
    seeds = [{row.statistic: row for row in fidelity(generated(trace, seed), last_part)} for seed in range(SEEDS)]
    lines = [
        f"{trace.name}: {len(last_part):,} jobs from {last:%Y-%m-%d} on; calibrated on the {len(first_part):,} before",
        f"{'statistic':<48} {'generated':>11} {'real':>11} {'distance':>9} {'trace to itself':>16}",
    ]
    for name, row in itself.items():
        ours = [seed[name] for seed in seeds if name in seed]
        if ours:
            lines.append(_line(row, ours))
    return lines


def _line(itself: Row, ours: Sequence[Row]) -> str:
    value, distance = np.median([row.generated for row in ours]), np.median([row.distance for row in ours])
    near, far = _shown(float(distance), itself.measure), _shown(itself.distance, itself.measure)
    return f"{itself.statistic:<48} {value:>11,.3f} {itself.real:>11,.3f} {near:>9} {far:>16}"


def _shown(distance: float, measure: Measure) -> str:
    return f"x{2**distance:.2f}" if measure is Measure.DOUBLINGS else f"{distance:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calibrate", action="store_true", help="print what is measured on the first parts")
    options = parser.parse_args()
    folder = traces()
    for trace in TRACES:
        path = folder / trace.file
        print("\n".join(table(trace, path)), end="\n\n")
        if options.calibrate:
            begin, last, _ = trace.parts
            print(*calibrated(part_of(path, begin, last), (last - begin).days, 60), sep="\n", end="\n\n")


if __name__ == "__main__":
    run(main)
