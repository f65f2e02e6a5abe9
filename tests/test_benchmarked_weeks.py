"""What the weeks that pilots are compared on are made of."""

import numpy as np
import pytest

from benchmarks.pilots import WEEK_S, week_of
from envs.workloads import DAY_S, JobTable
from tests.envs.test_replay import table


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
