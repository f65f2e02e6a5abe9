"""A learned pilot corrects its base, and never leaves what its base could answer for."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.encoding import FACTORS
from agents.pilots import Newsvendor, Reactive
from agents.pilots.learned import Learned, scaled
from agents.supply import admissible_gpus, removable_gpus, room_gpus, supply_gpus
from gyropilot.domain import Intent, Market, Pool, Quota, View
from tests.agents.networks import always, silent
from tests.agents.worlds import crowded, in_any_world, views
from tests.fakes import GPU, H100, forecast, pool, queue, state

WHY = "forecast p83 demand in 6 min is 48 GPUs, 32 are there; a GPU-hour costs 2.00 USD, waiting 10.00"


def seen(one: Pool | None = None, nominal: int = 128, median: float = 48.0) -> View:
    """Four nodes of eight GPUs, all in use; the newsvendor wants two more."""
    one = one or pool(idle_gpus=0.0)
    return View(state([one], [queue(nominal=nominal, running=32.0)]), forecast({"research": median}))


def wanted(factor: float, view: View) -> dict[str, int]:
    return dict(Learned(Newsvendor(), always(factor)).steer(view).pool_gpus)


@in_any_world
@given(views(), st.sampled_from((Newsvendor(), Reactive())))
def test_with_a_factor_of_one_it_is_its_base(view: View, base: Newsvendor | Reactive) -> None:
    assert Learned(base, always(1.0)).steer(view) == replace(base.steer(view), pilot="learned")


@pytest.mark.parametrize(
    ("factor", "gpus"), [(0.5, -8), (0.8, 8), (0.9, 8), (1.0, 16), (1.1, 24), (1.25, 32), (1.5, 40), (2.0, 64)]
)
def test_a_target_is_multiplied_and_made_whole_nodes(factor: float, gpus: int) -> None:
    # The newsvendor wants 48; half of that is a node less than there is, and one is idle.
    one = pool(idle_gpus=0.0) if factor > 0.5 else pool(idle_gpus=8.0)

    assert wanted(factor, seen(one)) == {"h100": gpus}


def test_it_says_what_the_base_wanted_and_by_how_much_it_was_changed() -> None:
    intent = Learned(Newsvendor(), always(1.25)).steer(seen())

    assert intent.pilot == "learned"
    assert intent.why("h100") == f"newsvendor wanted 48, the network 1.25 x; {WHY}"


def test_it_says_so_too_where_the_base_wanted_nothing() -> None:
    view = seen(median=32.0)

    intent = Learned(Newsvendor(), always(1.25)).steer(view)

    assert Newsvendor().steer(view).pool_gpus == {}
    assert intent.pool_gpus == {"h100": 8}
    assert intent.why("h100") == "newsvendor wanted 32, the network 1.25 x"


def test_a_wish_that_is_cancelled_leaves_no_reason_behind() -> None:
    intent = Learned(Newsvendor(), always(0.65)).steer(seen())

    assert (intent.pool_gpus, intent.reasons) == ({}, {})


def test_what_runs_is_never_removed() -> None:
    assert wanted(0.5, seen(pool(idle_gpus=15.0), median=32.0)) == {"h100": -8}
    assert wanted(0.5, seen(pool(idle_gpus=0.0), median=32.0)) == {}


def test_no_more_is_bought_than_the_pool_may_have_and_quotas_let_somebody_use() -> None:
    assert wanted(2.0, seen(pool(idle_gpus=0.0, max_nodes=7))) == {"h100": 24}
    assert wanted(2.0, seen(nominal=60)) == {"h100": 24}
    assert wanted(2.0, seen(nominal=48)) == {"h100": 16}


def test_a_node_may_be_kept_although_no_quota_lets_more_be_bought() -> None:
    idle = pool(idle_gpus=32.0)
    view = View(state([idle], [queue(nominal=8)]), forecast({"research": 16.0}))

    assert Newsvendor().steer(view).pool_gpus == {"h100": -24}
    assert wanted(2.0, view) == {"h100": -16}


def test_pools_share_what_quotas_let_be_used_cheapest_first() -> None:
    pools = [pool("a", price_usd_per_gpu_hour=3.0), pool("b", price_usd_per_gpu_hour=1.0)]
    quotas = tuple(Quota(flavor, H100, nominal_gpus=40) for flavor in ("a", "b"))
    view = View(state(pools, [queue(running=64.0, quotas=quotas)]), forecast({"research": 64.0}))

    intent = scaled(view, Intent("base"), {"a": 2.0, "b": 1.25})

    assert intent.pool_gpus == {"b": 8, "a": 8}


def test_reserved_pools_are_left_to_the_base() -> None:
    view = seen(pool(idle_gpus=0.0, market=Market.RESERVED))

    assert wanted(2.0, view) == dict(Newsvendor().steer(view).pool_gpus)


def test_without_a_number_from_the_network_it_is_its_base_and_says_so() -> None:
    intent = Learned(Newsvendor(), silent).steer(seen())

    assert intent.pool_gpus == Newsvendor().steer(seen()).pool_gpus
    assert intent.why("h100") == f"newsvendor wanted 48, the network gave no number; {WHY}"


def test_a_factor_beyond_double_counts_as_double() -> None:
    assert scaled(seen(), Intent("base", pool_gpus={"h100": 16}), {"h100": 50.0}).pool_gpus == {"h100": 64}
    assert scaled(seen(pool()), Intent("base"), {"h100": 0.0}).pool_gpus == {"h100": -16}


def test_looks_that_each_ask_for_twice_as_much_end_at_twice_the_demand() -> None:
    one, supply = replace(pool(idle_gpus=0.0), max_nodes=None), [32]
    for _ in range(8):
        free = replace(queue(running=32.0), quotas=())
        view = View(state([one], [free]), forecast({"research": 32.0}))
        nodes = one.nodes + scaled(view, Intent("base"), {"h100": 2.0}).pool_gpus.get("h100", 0) // 8
        one = replace(one, nodes=nodes, ready_nodes=nodes, dial_value=nodes, idle_gpus=8.0 * nodes - 32)
        supply.append(one.gpus)

    assert supply[-1] == 64


def test_nothing_is_added_to_what_is_coming() -> None:
    coming = pool(idle_gpus=0.0, dial_value=6)

    assert scaled(seen(coming), Intent("base"), {"h100": 2.0}).pool_gpus == {}


def test_idle_nodes_that_somebody_waits_for_do_not_go() -> None:
    wait = replace(queue(nominal=64, running=16.0, pending=24.0), largest_pending_gpus={GPU: 24.0})
    view = View(state([pool(idle_gpus=16.0, dial_value=5)], [wait]), forecast({"research": 32.0}))

    assert scaled(view, Intent("base"), {"h100": 0.5}).pool_gpus == {}


def test_what_is_missing_for_those_who_wait_is_bought_whatever_the_network_says() -> None:
    wait = replace(queue(nominal=128, running=32.0, pending=16.0), largest_pending_gpus={GPU: 16.0})
    view = View(state([pool(idle_gpus=0.0)], [wait]), forecast({"research": 72.0}))

    wanted = {factor: scaled(view, Intent("base", pool_gpus={"h100": 40}), {"h100": factor}) for factor in FACTORS}

    assert {factor: intent.pool_gpus["h100"] for factor, intent in wanted.items()} == {
        0.5: 16, 0.65: 16, 0.8: 24, 0.9: 32, 1.0: 40, 1.1: 48, 1.25: 56, 1.5: 80, 2.0: 96
    }  # fmt: skip


def test_no_more_is_bought_for_those_who_wait_than_the_base_would() -> None:
    wait = replace(queue(nominal=128, running=32.0, pending=16.0), largest_pending_gpus={GPU: 16.0})
    view = View(state([pool(idle_gpus=0.0)], [wait]), forecast({"research": 48.0}))

    assert scaled(view, Intent("base", pool_gpus={"h100": 8}), {"h100": 0.5}).pool_gpus == {"h100": 8}
    assert scaled(view, Intent("base"), {"h100": 0.5}).pool_gpus == {}


@settings(in_any_world, max_examples=200)
@given(views(), st.sampled_from((None, 0, 8, 500)), st.sampled_from((*FACTORS, math.nan, math.inf)))
def test_whatever_the_network_says_pools_stay_within_what_can_come_and_go_and_quotas_let_be_used(
    drawn: View, beyond: int | None, factor: float
) -> None:
    view = drawn if beyond is None else crowded(drawn, beyond)
    base = Newsvendor().steer(view)
    factors = {p.name: factor for p in view.state.pools if p.gpus_per_node and p.dial}

    found = scaled(view, base, factors)

    for name, gpus in found.pool_gpus.items():
        one, before = view.state.pool(name), base.pool_gpus.get(name, 0)
        assert -max(removable_gpus(one), -before) <= gpus <= max(room_gpus(one), before)
        assert gpus != 0
        assert found.why(name)
    have = {p.name: supply_gpus(p) + base.pool_gpus.get(p.name, 0) for p in view.state.pools}
    more = {
        name: supply_gpus(view.state.pool(name)) + found.pool_gpus.get(name, 0) - before
        for name, before in have.items()
    }
    bought = sum(gpus for name, gpus in more.items() if found.pool_gpus.get(name, 0) > 0)
    assert bought <= max(0.0, admissible_gpus(view.state, GPU) - sum(have.values()))
    assert all(gpus >= 0 for gpus in more.values()) or factor < 1
    assert not any(more.values()) or (factor != 1.0 and not math.isnan(factor))
    assert (found.quota_gpus, found.reclaim_gpus) == (base.quota_gpus, base.reclaim_gpus)
