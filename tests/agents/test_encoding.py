"""What a learned pilot looks at means the same in any order and at any size."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given

from agents.encoding import FACTORS, FEATURES, MOST, UNMOVED, encode, steerable
from agents.pilots import Newsvendor
from gyropilot.domain import DemandHistory, Intent, Market, View
from tests.agents.worlds import in_any_world, views
from tests.fakes import forecast, pool, queue, state


def seen(scale: int = 1) -> View:
    """Two pools and two queues, everything so many times as large."""
    pools = [
        pool("a", gpus_per_node=8 * scale, idle_gpus=4.0 * scale, dial_value=5),
        pool("b", gpus_per_node=4 * scale, idle_gpus=0.0, market=Market.SPOT, lead_time=timedelta(hours=1)),
    ]
    queues = [queue("q", 64 * scale, 30.0 * scale), queue("r", 64 * scale, 14.0 * scale, 20.0 * scale)]
    return View(state(pools, queues), forecast({"q": 40.0 * scale, "r": 30.0 * scale}, spread=0.5))


def column(name: str, view: View, change: dict[str, int] | None = None) -> list[float]:
    """Of each pool."""
    rows = encode(view, Intent("base", pool_gpus=change or {})).rows
    return [float(value) for value in rows[:, FEATURES.index(name)]]


def test_the_factor_in_the_middle_changes_nothing() -> None:
    assert FACTORS[UNMOVED] == 1.0
    assert len(FACTORS) == 2 * UNMOVED + 1


def test_gpus_are_told_as_shares_of_a_days_mean_demand() -> None:
    assert column("ready", seen()) == pytest.approx([32 / 64, 16 / 64])
    assert column("coming", seen()) == pytest.approx([8 / 64, 0])
    assert column("wanted", seen(), {"a": 16}) == pytest.approx([56 / 64, 16 / 64])
    assert column("running", seen()) == pytest.approx([44 / 64, 44 / 64])
    assert column("others", seen()) == pytest.approx([16 / 64, 40 / 64])
    assert column("spot", seen()) == [0.0, 1.0]
    assert column("lead_h", seen()) == pytest.approx([0.1, 1.0])


def test_the_forecast_is_told_by_quantile_and_hour() -> None:
    # 70 GPUs in the middle; p90 is 70 * (1 + 0.5 * 0.8).
    assert column("p50_in_3h", seen()) == pytest.approx([70 / 64] * 2)
    assert column("p90_in_0.25h", seen()) == pytest.approx([98 / 64] * 2)


def test_a_cluster_twice_as_large_looks_the_same() -> None:
    small, large = (encode(seen(scale), Intent("base", pool_gpus={"a": 8 * scale})).rows for scale in (1, 2))

    assert large == pytest.approx(small)


def test_what_was_not_seen_of_a_queue_counts_as_nothing() -> None:
    view = seen()
    past = view.state.history
    running = past.running.copy()
    running[0] = np.nan
    gap = DemandHistory(past.lines, past.times, running, past.pending)

    rows = encode(View(replace(view.state, history=gap), view.forecast), Intent("base")).rows

    assert np.isfinite(rows).all()


@in_any_world
@given(views())
def test_a_pools_row_does_not_depend_on_the_order_of_pools_and_queues(view: View) -> None:
    backwards = replace(view.state, pools=view.state.pools[::-1], queues=view.state.queues[::-1])
    wanted = Newsvendor().steer(view)

    rows = encode(view, wanted)
    turned = encode(View(backwards, view.forecast), wanted)

    assert turned.pools == rows.pools[::-1]
    assert turned.rows[::-1] == pytest.approx(rows.rows)


@in_any_world
@given(views())
def test_rows_are_numbers_within_bounds_and_only_of_pools_that_can_be_turned(view: View) -> None:
    found = encode(view, Newsvendor().steer(view))

    assert found.rows.shape == (len(found.pools), len(FEATURES))
    assert (np.abs(found.rows) <= MOST).all()
    for name in found.pools:
        assert view.state.pool(name).dial is not None
        assert view.state.pool(name).market is not Market.RESERVED


def test_pools_without_a_past_or_a_forecast_are_left_to_the_base() -> None:
    view = seen()

    blind = View(view.state, replace(view.forecast, lines=view.forecast.lines[:2]))
    new = View(replace(view.state, history=DemandHistory.empty()), view.forecast)

    assert [pool.name for pool in steerable(view)] == ["a", "b"]
    assert list(steerable(blind)) == list(steerable(new)) == []
    assert encode(blind, Intent("base")).rows.shape == (0, len(FEATURES))
