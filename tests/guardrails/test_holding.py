"""Freshness, pause, step cap and pool range: simple reasons to hold still."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyropilot.domain import Action, Dial
from gyropilot.guardrails.freshness import Freshness
from gyropilot.guardrails.pause import Pause
from gyropilot.guardrails.protocol import Situation
from gyropilot.guardrails.ranges import PoolRange
from gyropilot.guardrails.steps import StepCap
from gyropilot.settings import PoolSettings
from tests.fakes import GPU, NOW, action, pool, queue, state
from tests.guardrails.situations import pause, requota, resize, situation

WISH = requota("research", 16, 12)
FRESH = Freshness(timedelta(minutes=3), {"prometheus": timedelta(minutes=5)})


def seen(ago: timedelta = timedelta(0), **freshness: timedelta) -> Situation:
    return Situation(NOW, state(queues=[queue()], seen_at=NOW - ago, freshness=freshness))


def test_decides_on_a_picture_that_is_just_young_enough() -> None:
    assert FRESH.objection(WISH, seen(timedelta(minutes=3))) is None


def test_holds_still_on_an_old_picture() -> None:
    sentence = FRESH.objection(WISH, seen(timedelta(minutes=4)))

    assert sentence == "the picture of the cluster is 4m old, 3m allowed"


def test_holds_still_on_a_picture_from_the_future() -> None:
    sentence = FRESH.objection(WISH, seen(timedelta(minutes=-10)))

    assert sentence == "the picture of the cluster is 10m ahead of the clock; set the clocks right"


def test_each_source_has_its_own_patience() -> None:
    slow_and_quick = seen(prometheus=timedelta(minutes=4), kubernetes=timedelta(minutes=1))
    old_prometheus = seen(prometheus=timedelta(minutes=6))
    old_kubernetes = seen(prometheus=timedelta(minutes=4), kubernetes=timedelta(minutes=4))

    assert FRESH.objection(WISH, slow_and_quick) is None
    assert FRESH.objection(WISH, old_prometheus) == "what prometheus told is 6m old, 5m allowed"
    assert FRESH.objection(WISH, old_kubernetes) == "what kubernetes told is 4m old, 3m allowed"


def test_a_source_ages_with_the_picture() -> None:
    sentence = FRESH.objection(WISH, seen(timedelta(minutes=2), kubernetes=timedelta(minutes=2)))

    assert sentence == "what kubernetes told is 4m old, 3m allowed"


@given(st.integers(-10_000, 10_000), st.integers(0, 10_000))
def test_never_decides_on_what_is_older_than_allowed(age_s: int, lag_s: int) -> None:
    at = seen(timedelta(seconds=age_s), kubernetes=timedelta(seconds=lag_s))

    approved = FRESH.objection(WISH, at) is None

    assert approved == (abs(age_s) <= 180 and age_s + lag_s <= 180)


@pytest.mark.parametrize("wish", [WISH, WISH.undo(), resize(4, 5), pause()])
def test_a_pause_holds_everything_back_undo_included(wish: Action) -> None:
    sentence = Pause(True).objection(wish, situation([queue()]))

    assert sentence == "the operator paused everything (guardrails.pause)"


def test_without_a_pause_nothing_is_held() -> None:
    assert Pause(False).objection(WISH, situation([queue()])) is None


@pytest.mark.parametrize("wish", [WISH, pause()])
def test_hands_off_a_queue_that_its_owner_stopped(wish: Action) -> None:
    sentence = Pause(False).objection(wish, situation([queue(active=False)]))

    assert sentence == "research is paused or stopped by its owner; hands off"


def test_a_stopped_queue_does_not_hold_pools() -> None:
    assert Pause(False).objection(resize(4, 5), situation([queue(active=False)], [pool()])) is None


CAP = StepCap(0.25, 64)


@pytest.mark.parametrize(
    ("before", "allowed"), [(0, 1), (1, 1), (3, 1), (4, 1), (7, 1), (8, 2), (12, 3), (16, 4), (100, 25)]
)
def test_a_step_is_a_share_of_the_value_and_one_at_least(before: int, allowed: int) -> None:
    assert CAP.allowed_step(before) == allowed


def test_a_share_that_is_no_binary_fraction_is_not_rounded_away() -> None:
    assert StepCap(0.29, 64).allowed_step(100) == 29


def test_objects_to_a_step_over_the_share_in_the_unit_of_the_dial() -> None:
    at = situation()

    assert CAP.objection(requota("research", 16, 12), at) is None
    assert (
        CAP.objection(requota("research", 16, 11), at)
        == "research would change by 5 GPUs at once, 4 allowed (25% of 16)"
    )
    assert CAP.objection(resize(8, 11), at) == "h100 would change by 3 nodes at once, 2 allowed (25% of 8)"


def test_objects_to_a_step_over_the_gpus_whatever_the_share_says() -> None:
    sentence = CAP.objection(resize(100, 110), situation())

    assert sentence == "h100 would change by 80 GPUs at once, 64 allowed"


def test_a_limit_may_change_by_a_node_because_less_would_allow_none() -> None:
    limited = pool(dial=Dial.POOL_LIMIT, dial_target=f"nodepools.karpenter.sh/h100/{GPU}", dial_value=8)
    at = situation(pools=[limited])

    assert CAP.objection(action(Dial.POOL_LIMIT, 8, 16), at) is None
    assert CAP.objection(action(Dial.POOL_LIMIT, 8, 17), at) == (
        "h100 would change by 9 GPUs at once, 8 allowed (25% of 8)"
    )


def test_a_gang_is_paused_whole_but_not_a_huge_one() -> None:
    assert CAP.objection(pause(gpus=64), situation()) is None
    assert CAP.objection(pause(gpus=128), situation()) == "research/job would change by 128 GPUs at once, 64 allowed"


@given(st.integers(0, 2000), st.integers(0, 2000), st.floats(0, 1), st.integers(0, 200))
def test_no_step_is_larger_than_both_caps(before: int, after: int, share: float, gpus: int) -> None:
    approved = StepCap(share, gpus).objection(requota("research", before, after), situation()) is None

    assert not approved or abs(after - before) <= min(gpus, max(1, share * before + 1e-6))


NO_WORD = PoolRange({})


def in_pool(**changes: Any) -> Situation:
    return situation([queue()], [pool(**changes)])


def test_a_pool_keeps_its_least_nodes() -> None:
    at = in_pool(min_nodes=3)

    assert NO_WORD.objection(resize(4, 3), at) is None
    assert NO_WORD.objection(resize(4, 2), at) == "h100 would drop to 2 nodes, at least 3 are to stay"


def test_a_pool_does_not_outgrow_its_most_nodes() -> None:
    at = in_pool(max_nodes=6)

    assert NO_WORD.objection(resize(4, 6), at) is None
    assert NO_WORD.objection(resize(4, 7), at) == "h100 would grow to 7 nodes, at most 6 are allowed"


def test_a_pool_without_a_known_limit_may_grow() -> None:
    assert NO_WORD.objection(resize(4, 400), in_pool(max_nodes=None)) is None


@pytest.mark.parametrize("told", [PoolSettings(min_nodes=2, max_nodes=20), PoolSettings()])
def test_the_stricter_of_what_is_told_and_what_was_read_holds(told: PoolSettings) -> None:
    rule, at = PoolRange({"h100": told}), in_pool(min_nodes=3, max_nodes=6)

    assert rule.objection(resize(4, 2), at) == "h100 would drop to 2 nodes, at least 3 are to stay"
    assert rule.objection(resize(4, 7), at) == "h100 would grow to 7 nodes, at most 6 are allowed"


def test_what_is_told_holds_where_nothing_was_read() -> None:
    rule, at = PoolRange({"h100": PoolSettings(min_nodes=4, max_nodes=5)}), in_pool(min_nodes=0, max_nodes=None)

    assert rule.objection(resize(4, 3), at) == "h100 would drop to 3 nodes, at least 4 are to stay"
    assert rule.objection(resize(4, 6), at) == "h100 would grow to 6 nodes, at most 5 are allowed"


def test_a_limit_is_counted_in_gpus() -> None:
    target = "nodepools.karpenter.sh/h100/nvidia.com/gpu"
    at = in_pool(dial=Dial.POOL_LIMIT, dial_target=target, dial_value=32, min_nodes=2, max_nodes=5)

    assert NO_WORD.objection(action(Dial.POOL_LIMIT, 32, 40), at) is None
    assert (
        NO_WORD.objection(action(Dial.POOL_LIMIT, 32, 48), at) == "h100 would grow to 48 GPUs, at most 40 are allowed"
    )
    assert NO_WORD.objection(action(Dial.POOL_LIMIT, 32, 8), at) == "h100 would drop to 8 GPUs, at least 16 are to stay"


def test_a_pool_out_of_its_range_may_step_back_towards_it() -> None:
    too_many, too_few = in_pool(max_nodes=2), in_pool(min_nodes=9)

    assert NO_WORD.objection(resize(4, 3), too_many) is None
    assert NO_WORD.objection(resize(4, 5), too_many) == "h100 would grow to 5 nodes, at most 2 are allowed"
    assert NO_WORD.objection(resize(4, 5), too_few) is None
    assert NO_WORD.objection(resize(4, 3), too_few) == "h100 would drop to 3 nodes, at least 9 are to stay"


def test_a_pool_that_was_not_seen_is_not_turned() -> None:
    at = replace(in_pool(), state=state())

    assert NO_WORD.objection(resize(4, 5), at) == "nodepools.karpenter.sh/h100 was not seen in the cluster"
