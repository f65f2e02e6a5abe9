from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np

from agents.pilots import Ces
from gyropilot.domain import ClusterState, DemandForecast, View
from tests.fakes import HORIZONS, NOW, QUANTILES, forecast, pool, queue, state


def demanding(gpus: float, before: float, *, rose: int = 0) -> ClusterState:
    """96 GPUs are there; so many are asked for now, another number before, and 60 for five minutes `rose` steps ago."""
    large = pool(nodes=12, ready_nodes=12, dial_value=12, idle_gpus=96.0 - gpus)
    seen = state([large], [queue(nominal=256, running=gpus)])
    seen.history.running[:, :-1] = before
    if rose:
        seen.history.running[:, -rose] = 60.0
    return seen


def wanted(seen: ClusterState, median: float | DemandForecast, **how: Any) -> dict[str, int]:
    foretold = median if isinstance(median, DemandForecast) else forecast({"research": median})
    return dict(Ces(**how).steer(View(seen, foretold)).pool_gpus)


def path(gpus: Sequence[float]) -> DemandForecast:
    """One value per horizon (5 min, 30 min, 1 h, 6 h, 24 h), the same at all quantiles."""
    table = np.array(gpus)[None, :, None] * np.ones((2, 1, len(QUANTILES)))
    return replace(forecast({"research": 0.0}), gpus=table)


def test_wakes_nodes_for_what_exceeds_them_and_a_buffer() -> None:
    full = state([pool(idle_gpus=0.0)], [queue(nominal=256, running=32, pending=3)])

    # 35 GPUs take 5 nodes, and the buffer is another 5: 80 GPUs.
    assert wanted(full, 35.0) == {"h100": 48}
    assert wanted(full, 35.0, buffer_nodes=0) == {"h100": 8}


def test_wakes_none_while_there_is_one_for_what_is_asked() -> None:
    assert wanted(state([pool(idle_gpus=0.0)], [queue(nominal=256, running=32)]), 64.0) == {}


def test_the_buffer_is_no_larger_than_quotas_admit() -> None:
    full = state([pool(idle_gpus=0.0)], [queue(nominal=44, running=32, pending=3)])

    assert wanted(full, 35.0) == {"h100": 12}


def test_nodes_sleep_when_demand_has_fallen_and_will_not_rise() -> None:
    # 16 GPUs take 2 nodes, and 5 are the buffer: 56 of 96 stay.
    assert wanted(demanding(16, before=40), 16.0) == {"h100": -40}
    assert wanted(demanding(16, before=40), 16.0, buffer_nodes=2) == {"h100": -64}


def test_none_sleep_when_demand_is_as_it_was() -> None:
    assert wanted(demanding(16, before=16), 16.0) == {}


def test_none_sleep_when_demand_is_forecast_to_rise() -> None:
    assert wanted(demanding(16, before=40), 24.0) == {"h100": -40}
    assert wanted(demanding(16, before=40), 25.0) == {}
    assert wanted(demanding(16, before=40), 17.0, coming_fall_nodes=0.0) == {}


def test_none_sleep_that_would_be_missed_later() -> None:
    # 15 GPUs on the mean of three hours, 35 on the mean of six: 5 nodes.
    evening = path([16.0, 16.0, 0.0, 80.0, 80.0])

    assert wanted(demanding(16, before=40), evening, buffer_nodes=3) == {"h100": -56}
    assert wanted(demanding(16, before=40), evening, buffer_nodes=2) == {}


def test_a_fall_may_be_asked_of_the_forecast() -> None:
    fallen = demanding(16, before=40)

    assert wanted(fallen, 16.0, coming_fall_nodes=1.0) == {}
    assert wanted(fallen, 8.0, coming_fall_nodes=1.0) == {"h100": -40}


def test_none_sleep_soon_after_demand_woke_some() -> None:
    # 60 GPUs take 8 nodes, so with a buffer of 4 they are what woke the 12 nodes.
    assert wanted(demanding(16, before=40, rose=6), 16.0, buffer_nodes=4) == {}
    assert wanted(demanding(16, before=40, rose=30), 16.0, buffer_nodes=4) == {"h100": -48}
    assert wanted(demanding(16, before=40, rose=6), 16.0, buffer_nodes=4, keep=timedelta(minutes=20)) == {"h100": -48}


def test_few_are_not_worth_it() -> None:
    assert wanted(demanding(16, before=40), 16.0, least_nodes=6) == {}
    assert wanted(demanding(16, before=40), 16.0, least_nodes=5) == {"h100": -40}


def test_without_a_forecast_none_sleep() -> None:
    blind = DemandForecast(NOW, (), HORIZONS, QUANTILES, np.empty((0, len(HORIZONS), len(QUANTILES))))

    assert wanted(demanding(16, before=40), blind) == {}


def test_where_the_past_was_not_seen_none_sleep() -> None:
    unseen = demanding(16, before=40)
    unseen.history.running[:, -10:-1] = np.nan

    assert wanted(unseen, 16.0) == {}


def test_says_what_was_and_what_is_to_come() -> None:
    intent = Ces().steer(View(demanding(16, before=40), forecast({"research": 16.0})))

    assert intent.why("h100") == (
        "16 GPUs are asked for after nodes for 40 in the last 1 h and before 16 in the next 3 h, 96 are there; "
        "that makes 56 with a buffer of 5 nodes as far as quotas admit it"
    )
