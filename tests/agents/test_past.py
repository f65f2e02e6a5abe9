"""What was asked for of late, read without adding up what came before."""

import numpy as np

from agents.pilots.past import latest_demand, total_demand
from tests.fakes import GPU, history

SEEN = {"research": [1.0, 2.0, 4.0, np.nan], "production": [8.0, 8.0, 16.0, 32.0]}


def test_the_latest_demand_is_the_end_of_all_whether_or_not_that_was_added_up() -> None:
    fresh, known = history(SEEN), history(SEEN)
    whole = total_demand(known, GPU)

    assert whole.tolist() == [9.0, 10.0, 20.0, 32.0]
    for seen in (fresh, known):
        assert latest_demand(seen, GPU, 2).tolist() == [20.0, 32.0]
        assert latest_demand(seen, GPU, 9).tolist() == whole.tolist()
        assert seen.newest_demand(2).tolist()[1] == [16.0, 32.0]
    assert "totals" not in vars(fresh)


def test_of_a_resource_that_nobody_was_seen_to_use_nothing_is_known() -> None:
    assert np.isnan(latest_demand(history(SEEN), "example.com/other", 3)).tolist() == [True] * 3
