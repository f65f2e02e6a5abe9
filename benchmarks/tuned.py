"""Makes the settings that are shipped, in agents/pilots/tuned: tuned on three clusters at once.

    GYROPILOT_TRACES=folder python -m benchmarks.tuned --pilot newsvendor

The clusters are those of `benchmarks.pilots`; what is looked at are the four weeks before the week that is run there,
less where the trace begins later.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from agents.pilots.knobs import KNOBS
from benchmarks.pilots import GENERATED, PRICES, TRACES, Week, weeks
from envs.tuning import Effort, tuned
from envs.windows import Ground
from gyropilot.report.tuning import to_yaml, verdict

SHIPPED = Path(__file__).parents[1] / "agents" / "pilots" / "tuned"


def main() -> None:
    options = _options()
    grounds = [ground_of(week) for week in weeks([*TRACES, GENERATED], options.traces)]
    effort = Effort(options.budget, options.windows, seed=options.seed)
    found = tuned(options.pilot, grounds, effort, lambda words: print(words, file=sys.stderr, flush=True))
    command = (
        f"python -m benchmarks.tuned --pilot {options.pilot} --budget {options.budget} --windows {options.windows} "
        f"--seed {options.seed}"
    )
    (SHIPPED / f"{options.pilot}.yaml").write_text(to_yaml(found, command), encoding="utf-8")
    print(verdict(found))


def ground_of(week: Week) -> Ground:
    return Ground(week.name, week.world, week.before, PRICES, week.before_s)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pilot", required=True, choices=[name for name, knobs in KNOBS.items() if knobs])
    parser.add_argument("--budget", type=int, default=60, help="settings that are tried (60)")
    parser.add_argument("--windows", type=int, default=5, help="of each cluster, for each of them (5)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--traces", default=os.environ.get("GYROPILOT_TRACES"), help="the folder (GYROPILOT_TRACES)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
