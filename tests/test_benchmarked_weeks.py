"""What the weeks that pilots are compared on are made of."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.learned import written
from benchmarks.pilots import PRICES, WEEK_S, networks, week_of
from envs.job_file import read_jobs
from envs.scenario import read_scenario
from envs.workloads import DAY_S, JobTable
from tests.envs.test_replay import table
from tests.models.cards import published


def five_weeks(last_gpus: int) -> JobTable:
    """A job of 80 GPUs a day, each for half of it; in the last week of so many."""
    days = np.arange(35)
    gpus = np.where(days < 28, 80, last_gpus)
    return table([("a", float(day * DAY_S), DAY_S / 2, int(g)) for day, g in zip(days, gpus, strict=True)])


@pytest.mark.parametrize("last_gpus", [8, 80, 8_000])
def test_clusters_are_as_large_as_the_weeks_before_say_whatever_the_week_itself_asks_for(last_gpus: int) -> None:
    week = week_of("made up", five_weeks(last_gpus))

    assert [(pool.nodes, pool.max_nodes) for pool in week.world.pools] == [(3, 3), (0, 11)]
    assert len(week.jobs) == 8
    assert week.before_s == 34 * DAY_S - WEEK_S


def test_what_a_network_learns_on_is_the_same_cluster_and_nothing_of_the_week_itself(tmp_path: Path) -> None:
    week = week_of("Made", five_weeks(8_000))

    _, jobs, _, scenario = written(week, tmp_path)

    back, cluster = read_jobs(Path(jobs)).table, read_scenario(Path(scenario))
    assert back.submit_s.tolist() == week.before.submit_s.tolist()
    assert back.gpus.tolist() == week.before.gpus.tolist()
    assert back.submit_s.max() < week.before_s
    assert cluster.world.pools == week.world.pools
    assert cluster.paid == PRICES


def test_the_network_that_was_chosen_and_that_of_each_seed_are_compared(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="pip install onnx to write networks")

    found = networks(published(tmp_path))

    assert {name: pilot.network for name, pilot in found.items()} == {
        "learned": tmp_path,
        "learned, seed 0": tmp_path / "seed-0",
    }
