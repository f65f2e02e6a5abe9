"""What goes on where it is cheap."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from agents.pilots import Newsvendor, Receding
from agents.pilots.consolidation import moves
from gyropilot.domain import Accelerator, Market, Pool, View, Way
from tests.agents.worlds import in_any_world, views
from tests.fakes import GPU, forecast, pool, queue, state, view

WAY = Way("bought", "own")


def own(idle: float = 16.0, **changes: Any) -> Pool:
    return pool("own", idle_gpus=idle, market=Market.RESERVED, **changes)


def bought(used: float = 12.0, **changes: Any) -> Pool:
    return pool("bought", idle_gpus=32.0 - used, **{"price_usd_per_gpu_hour": 4.0, **changes})


def wanted(*pools: Pool, pending: float = 0.0, growth: dict[str, int] | None = None) -> dict[Way, int]:
    return moves(state(list(pools), [queue(running=12.0, pending=pending)]), growth or {})[0]


def test_what_frees_whole_nodes_goes_where_it_costs_nothing_more() -> None:
    assert wanted(own(), bought()) == {WAY: 12}


def test_only_as_much_goes_as_frees_whole_nodes() -> None:
    assert wanted(own(idle=11.0), bought(used=12.0)) == {WAY: 4}
    assert wanted(own(idle=8.0), bought(used=16.0)) == {WAY: 8}


def test_nothing_goes_where_no_node_would_be_free() -> None:
    assert wanted(own(idle=3.0), bought(used=12.0)) == {}
    assert wanted(own(), bought(used=0.0)) == {}


def test_nothing_goes_while_somebody_waits() -> None:
    assert wanted(own(), bought(), pending=4.0) == {}


def test_nothing_leaves_a_pool_that_is_to_grow_or_goes_to_one_that_is_to_shrink() -> None:
    assert wanted(own(), bought(), growth={"bought": 8}) == {}
    assert wanted(own(), bought(), growth={"own": -8}) == {}
    assert wanted(own(), bought(), growth={"bought": -8}) == {WAY: 12}


def test_a_price_that_is_hardly_lower_is_no_reason() -> None:
    near, far = (pool("own", idle_gpus=16.0, price_usd_per_gpu_hour=usd) for usd in (3.9, 2.0))

    assert wanted(near, bought(watts_busy_per_gpu=0.0)) == {}
    assert wanted(far, bought()) == {WAY: 12}


def test_nothing_leaves_what_is_paid_for_anyway() -> None:
    assert wanted(own(), bought(market=Market.RESERVED)) == {}


def test_nothing_goes_to_another_kind_or_place() -> None:
    assert wanted(own(accelerator=Accelerator(GPU, "NVIDIA-L4")), bought()) == {}
    assert wanted(own(region="us-east-1"), bought()) == {}


def test_room_is_given_once() -> None:
    second = pool("dear", idle_gpus=24.0, price_usd_per_gpu_hour=8.0)

    assert wanted(own(idle=16.0), bought(), second) == {Way("dear", "own"): 8, WAY: 4}


@pytest.mark.parametrize("pilot", [Newsvendor, Receding])
def test_a_pilot_moves_work_where_it_is_told_to_and_says_why(pilot: type[Newsvendor | Receding]) -> None:
    seen = view(state([own(), bought()], [queue(running=28.0)]), forecast({"research": 28.0}))

    intent = pilot(consolidate=True).steer(seen)

    assert intent.move_gpus == {WAY: 12}
    assert intent.why(WAY).startswith("12 GPUs in use in bought at 4.")
    assert pilot().steer(seen).move_gpus == {}


@in_any_world
@given(views())
def test_nothing_moves_that_finds_no_room(seen: View) -> None:
    found, why = moves(seen.state, {})

    for way, gpus in found.items():
        assert 0 < gpus <= seen.state.pool(way.source).gpus - seen.state.pool(way.source).idle_gpus + 1
        assert why[str(way)]()
    for name in {way.target for way in found}:
        assert sum(g for way, g in found.items() if way.target == name) <= seen.state.pool(name).idle_gpus
