"""Writes what came before the weeks of `benchmarks.pilots` as jobs and scenarios, for `gyropilot train` to learn on.

    GYROPILOT_TRACES=folder python -m benchmarks.learned --out before

It ends with the command that trains on all three clusters at once. Of the weeks themselves nothing is written.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path

from benchmarks.pilots import GENERATED, PRICES, TRACES, Week, weeks
from envs.scenario_part import MOST
from envs.table_file import write_table


def main() -> None:
    options = _options()
    options.out.mkdir(parents=True, exist_ok=True)
    words = [word for week in weeks([*TRACES, GENERATED], options.traces) for word in written(week, options.out)]
    print(" ".join(["gyropilot train", *words, "--out network"]))


def written(week: Week, folder: Path) -> tuple[str, str, str, str]:
    """The options of `gyropilot train` that read it again."""
    jobs, scenario = folder / f"{week.name.lower()}.parquet", folder / f"{week.name.lower()}.yaml"
    write_table(week.before, jobs)
    scenario.write_text(json.dumps(_scenario(week), indent=2) + "\n", encoding="utf-8")
    return "--jobs", str(jobs), "--scenario", str(scenario)


def _scenario(week: Week) -> dict[str, object]:
    """Every queue may have all there is, as where no quotas are told."""
    pools = week.world.pools
    flavors = {
        pool.name: {
            "nodes": pool.nodes,
            "max_nodes": pool.max_nodes,
            "min_nodes": pool.min_nodes,
            "market": pool.market.value,
            "lead_s": pool.lead_s,
            "price_usd_per_gpu_hour": pool.price_usd_per_gpu_hour,
        }
        for pool in pools
    }
    shares = {pool.name: {"nominal": MOST} for pool in pools}
    prices = {name: value for name, value in asdict(PRICES).items() if name != "queue_waiting_usd_per_gpu_hour"}
    return {"flavors": flavors, "prices": prices, "queues": {name: {"shares": shares} for name in week.before.queues}}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("before"), help="a folder (before)")
    parser.add_argument("--traces", default=os.environ.get("GYROPILOT_TRACES"), help="the folder (GYROPILOT_TRACES)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
