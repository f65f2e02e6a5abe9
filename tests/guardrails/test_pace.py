"""Budgets and cooldowns: how much and how often."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import accumulate, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gyropilot.domain import Action, Dial, Effect, Interval, Market, Turn
from gyropilot.guardrails.budgets import Budget, lost_gpu_hours
from gyropilot.guardrails.cooldown import Cooldown
from gyropilot.guardrails.review import review
from tests.fakes import GPU, NOW, pool, queue, workload
from tests.guardrails.situations import pause, requota, resize, situation, turn

DAY = Budget(timedelta(hours=24), max_moved_gpus=16, max_added_usd=500.0, max_lost_gpu_hours=40.0)


def test_a_move_within_the_budget_passes() -> None:
    assert DAY.objection(requota("research", 32, 16), situation()) is None


def test_a_move_over_the_budget_is_held_back() -> None:
    sentence = DAY.objection(requota("research", 32, 15), situation())

    assert sentence == "17 GPUs of quota would be moved, 16 allowed within 1d"


def test_quota_from_one_to_another_counts_once() -> None:
    at = situation(
        [queue("a", 8), queue("b", 32)], recent=(turn(requota("a", 16, 8), 60), turn(requota("b", 24, 32), 60))
    )
    at = replace(at, entitled_gpus={f"a/h100/{GPU}": 16, f"b/h100/{GPU}": 24})

    assert DAY.objection(requota("a", 8, 0), at) is None
    assert DAY.objection(requota("b", 32, 40), at) is None
    assert DAY.objection(requota("b", 32, 41), at) == "17 GPUs of quota would be moved, 16 allowed within 1d"


def test_quota_goes_home_although_the_budget_is_spent() -> None:
    at = situation(
        [queue("a", 8), queue("b", 32)], recent=(turn(requota("a", 16, 8), 60), turn(requota("b", 24, 32), 60))
    )
    at = replace(at, entitled_gpus={f"a/h100/{GPU}": 16, f"b/h100/{GPU}": 24})
    spent = replace(DAY, max_moved_gpus=8)

    assert spent.objection(requota("b", 32, 24), at) is None
    assert spent.objection(requota("a", 8, 16), at) is None
    assert spent.objection(requota("a", 8, 7), at) is not None
    assert spent.objection(requota("b", 32, 33), at) is not None


def test_quota_pools_and_pauses_do_not_starve_each_other() -> None:
    at = situation(pools=[pool()], recent=(turn(requota("a", 16, 0), 60), turn(pause(gpus=16, lost=1.0), 60)))

    assert DAY.objection(resize(4, 2), at) is None
    assert DAY.objection(resize(4, 1), at) == "24 GPUs of pools would be added or removed, 16 allowed within 1d"


def test_what_this_review_approved_counts() -> None:
    at = situation(approved=(requota("a", 12, 0),))

    assert DAY.objection(requota("b", 12, 8), at) is None
    assert DAY.objection(requota("b", 12, 7), at) == "17 GPUs of quota would be moved, 16 allowed within 1d"


@pytest.mark.parametrize(("minutes_ago", "held"), [(0, True), (24 * 60 - 1, True), (24 * 60, False), (-5, True)])
def test_a_turn_counts_for_one_window(minutes_ago: float, held: bool) -> None:
    at = situation(recent=(turn(requota("a", 16, 0), minutes_ago),))

    assert (DAY.objection(requota("b", 2, 1), at) is not None) is held


def test_a_growing_pool_adds_its_price_for_the_whole_window() -> None:
    """One node of eight GPUs at 2 USD for 24 hours: 384 USD."""
    at = situation(pools=[pool()])

    assert DAY.objection(resize(4, 5), at) is None
    assert DAY.objection(resize(4, 6), at) == "768 USD would be added, 500 allowed within 1d"


def test_growth_adds_up() -> None:
    at = situation(pools=[pool()], recent=(turn(resize(4, 5), 600),))

    assert DAY.objection(resize(5, 6), at) == "768 USD would be added, 500 allowed within 1d"


def test_a_pool_that_shrank_may_come_back_although_the_budget_is_spent() -> None:
    at = situation(pools=[pool()], recent=(turn(resize(4, 2), 600),))

    assert replace(DAY, max_added_usd=0.0).objection(resize(2, 4), at) is None
    assert DAY.objection(resize(2, 5), at) == "24 GPUs of pools would be added or removed, 16 allowed within 1d"
    assert DAY.objection(resize(2, 1), at) == "24 GPUs of pools would be added or removed, 16 allowed within 1d"


def test_what_a_pool_had_within_the_window_is_paid_for() -> None:
    rule = replace(DAY, max_moved_gpus=1000)
    at = situation(pools=[pool()], recent=(turn(resize(4, 5), 600), turn(resize(5, 3), 300)))

    assert rule.objection(resize(3, 5), at) is None
    assert rule.objection(resize(3, 6), at) == "768 USD would be added, 500 allowed within 1d"


def test_reserved_gpus_are_paid_for_already() -> None:
    at = situation(pools=[pool(market=Market.RESERVED)])

    assert replace(DAY, max_added_usd=0.0).objection(resize(4, 6), at) is None


def test_a_pool_that_shrinks_pays_for_no_other() -> None:
    rule = replace(DAY, max_moved_gpus=1000)
    at = situation(pools=[pool(), pool("spot")], recent=(turn(resize(4, 0, "spot"), 60),))

    assert rule.objection(resize(4, 6), at) == "768 USD would be added, 500 allowed within 1d"


def test_to_give_back_what_was_taken_moves_nothing_more() -> None:
    at = situation(recent=(turn(pause(gpus=16, lost=1.0), 60),))

    assert DAY.objection(pause(gpus=16, lost=1.0).undo(), at) is None


def test_a_pool_that_is_gone_still_costs_what_was_expected_of_it() -> None:
    grown = replace(resize(4, 5, "gone"), expected=Effect(usd=Interval(100.0, 200.0, 300.0)))
    at = situation(pools=[pool()], recent=(turn(grown, 60),))

    assert DAY.objection(resize(4, 5), at) == "684 USD would be added, 500 allowed within 1d"


def test_quota_costs_nothing() -> None:
    rule = replace(DAY, max_added_usd=0.0)

    assert rule.objection(requota("research", 8, 16), situation(pools=[pool()])) is None


def test_lost_work_adds_up() -> None:
    at = situation(workloads=[workload()], recent=(turn(pause("a", gpus=1, lost=17.0), 60),))

    assert DAY.objection(pause(gpus=1, lost=23.0), at) is None
    assert DAY.objection(pause(gpus=1, lost=23.5), at) == "40.5 GPU-hours of work would be lost, 40 allowed within 1d"


def test_every_overrun_is_told() -> None:
    sentence = DAY.objection(pause(gpus=24, lost=51.0), situation())

    assert (
        sentence
        == "24 GPUs would be taken back, 16 allowed; 51.0 GPU-hours of work would be lost, 40 allowed within 1d"
    )


def test_a_spent_budget_holds_back_only_what_would_spend_more_of_it() -> None:
    """Lost work was overspent, perhaps under a larger budget: pools may still be resized."""
    at = situation(pools=[pool()], recent=(turn(pause(gpus=1, lost=90.0), 60),))

    assert DAY.objection(resize(4, 5), at) is None
    assert DAY.objection(pause("b", gpus=1, lost=1.0), at) is not None


def test_no_budget_covers_what_is_not_a_number() -> None:
    assert DAY.objection(pause(lost=float("nan")), situation()) is not None


def test_lost_work_is_never_earned_back() -> None:
    assert lost_gpu_hours([pause(lost=-10.0)]) == 0.0
    assert lost_gpu_hours([replace(pause(lost=10.0), before=0, after=1)]) == 0.0


wishes = st.one_of(
    st.builds(requota, st.sampled_from("abc"), st.integers(0, 24), st.integers(0, 24)),
    st.builds(resize, st.integers(0, 4), st.integers(0, 4)),
    st.builds(pause, st.sampled_from("xyz"), st.just("a"), st.integers(1, 16), st.floats(0, 60)),
)


def spent(window: list[Action]) -> tuple[float, ...]:
    """GPUs of quota, pools and pauses, USD and GPU-hours: of quotas of 12, a pool of 2 USD, and work."""
    sizes = [0, *accumulate(a.gpus for a in window if a.subject == "h100")]
    shrunk = sum(before - after for before, after in pairwise(sizes) if after < before)
    quotas = [a for a in window if a.dial is Dial.QUEUE_QUOTA]
    left = sum(max(0, min(12, a.before) - a.after) for a in quotas)
    came = sum(max(0, a.after - max(12, a.before)) for a in quotas)
    pauses = [a for a in window if a.dial is Dial.WORKLOAD]
    lost = sum(a.expected.lost_gpu_hours for a in pauses)
    return max(left, came), shrunk + max(sizes), sum(abs(a.gpus) for a in pauses), max(sizes) * 2.0 * 24, lost


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 600), st.lists(wishes, max_size=4)), max_size=12))
def test_no_turn_spends_more_than_is_left_of_the_budget(cycles: list[tuple[int, list[Action]]]) -> None:
    turns: list[Turn] = []
    seen, now = situation([queue(name, 12) for name in "abc"], [pool()]), NOW
    for pause_minutes, wanted in cycles:
        now += timedelta(minutes=pause_minutes)
        at = replace(seen, now=now, recent=tuple(turns))
        turns += [Turn(now, v.action) for v in review(wanted, [DAY], at) if v.approved]

    for last, end in enumerate(turns):
        window = [t.action for t in turns[: last + 1] if t.at > end.at - DAY.window]
        for before, after, limit in zip(spent(window[:-1]), spent(window), (16, 16, 16, 500.0, 40.0), strict=True):
            assert after <= limit or after == before


REST = Cooldown(timedelta(minutes=10), timedelta(minutes=30))
LOWER, RAISE = requota("research", 16, 12), requota("research", 12, 16)


def test_a_dial_never_turned_may_be_turned() -> None:
    assert REST.objection(LOWER, situation()) is None


def test_a_dial_rests_after_a_turn() -> None:
    again = requota("research", 12, 10)

    assert REST.objection(again, situation(recent=(turn(LOWER, 4),))) == "research was turned 4m ago, cooldown 10m"
    assert REST.objection(again, situation(recent=(turn(LOWER, 10),))) is None


def test_a_dial_rests_longer_before_it_is_turned_back() -> None:
    at = situation(recent=(turn(LOWER, 20),))

    assert REST.objection(RAISE, at) == "research was turned the other way 20m ago, cooldown 30m"
    assert REST.objection(RAISE, situation(recent=(turn(LOWER, 30),))) is None


def test_a_short_reversal_cooldown_never_undercuts_the_cooldown() -> None:
    rule = Cooldown(timedelta(minutes=10), timedelta(0))

    assert rule.objection(RAISE, situation(recent=(turn(LOWER, 5),))) is not None


def test_an_older_turn_the_other_way_still_holds() -> None:
    """Lowered 20 minutes ago, raised 12 minutes ago by a rule that allowed it; lowering again would reverse."""
    at = situation(recent=(turn(LOWER, 20), turn(RAISE, 12)))

    assert REST.objection(LOWER, at) == "research was turned the other way 12m ago, cooldown 30m"


def test_other_dials_do_not_wait() -> None:
    at = situation(recent=(turn(requota("training", 16, 12), 1), turn(resize(4, 5), 1)))

    assert REST.objection(LOWER, at) is None


def test_the_same_target_on_another_dial_is_another_dial() -> None:
    at = situation(recent=(turn(replace(pause(), target=LOWER.target), 1),))

    assert REST.objection(LOWER, at) is None


def test_a_dial_is_turned_once_in_a_cycle() -> None:
    at = situation(approved=(LOWER,))

    assert REST.objection(requota("research", 16, 14), at) == "research is turned once already in this cycle"


def test_a_turn_ahead_of_the_clock_still_holds() -> None:
    assert REST.objection(LOWER, situation(recent=(turn(LOWER, -3),))) is not None


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 15), st.booleans()), max_size=30))
def test_no_dial_is_ever_turned_twice_within_its_cooldown(wanted: list[tuple[int, bool]]) -> None:
    turns: list[Turn] = []
    now = NOW
    for minutes, up in wanted:
        now += timedelta(minutes=minutes)
        at = replace(situation(), now=now, recent=tuple(turns))
        (verdict,) = review([RAISE if up else LOWER], [REST], at)
        turns += [Turn(now, verdict.action)] if verdict.approved else []

    for earlier, later in pairwise(turns):
        same = earlier.action == later.action
        assert later.at - earlier.at >= timedelta(minutes=10 if same else 30)
