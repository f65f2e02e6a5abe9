"""Guaranteed shares, running work and cohort totals: what the rebalancer may not do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from gyropilot.domain import Action, Dial, Queue
from gyropilot.guardrails.cohort import CohortTotal
from gyropilot.guardrails.floors import GuaranteedShare
from gyropilot.guardrails.protocol import Situation
from gyropilot.guardrails.review import review
from gyropilot.guardrails.running import RunningWork
from gyropilot.settings import QueueSettings
from tests.fakes import GPU, pool, queue
from tests.guardrails.situations import quota, requota, resize, situation

HALF = GuaranteedShare(0.5, {})
MIG = "nvidia.com/mig-1g.10gb"


def two_flavors(h100: int = 8, a100: int = 8, **changes: Any) -> Queue:
    return queue("research", quotas=(quota("research", h100), quota("research", a100, "a100")), **changes)


def test_a_queue_keeps_its_share_of_what_it_has_where_nothing_is_told() -> None:
    at = situation([queue("research", 16)])

    assert HALF.objection(requota("research", 16, 8), at) is None
    assert HALF.objection(requota("research", 16, 7), at) == "research would drop to 7 GPUs, guaranteed 8"


def test_the_share_is_of_what_the_queue_had_before_it_was_ever_turned() -> None:
    at = situation([queue("research", 10)], entitled_gpus={f"research/h100/{GPU}": 16})

    assert HALF.objection(requota("research", 10, 8), at) is None
    assert HALF.objection(requota("research", 10, 7), at) == "research would drop to 7 GPUs, guaranteed 8"


def test_the_quota_itself_may_know_what_it_was() -> None:
    lowered = replace(quota("research", 10), entitled_gpus=16)

    sentence = HALF.objection(requota("research", 10, 7), situation([queue("research", quotas=(lowered,))]))

    assert sentence == "research would drop to 7 GPUs, guaranteed 8"


def test_the_journal_knows_better_than_the_quota() -> None:
    lowered = replace(quota("research", 10), entitled_gpus=10)
    at = situation([queue("research", quotas=(lowered,))], entitled_gpus={f"research/h100/{GPU}": 16})

    assert HALF.objection(requota("research", 10, 7), at) == "research would drop to 7 GPUs, guaranteed 8"


def test_a_share_is_rounded_up() -> None:
    at = situation([queue("research", 15)])

    assert HALF.objection(requota("research", 15, 7), at) == "research would drop to 7 GPUs, guaranteed 8"


def test_a_share_that_is_no_binary_fraction_is_not_rounded_up_twice() -> None:
    assert GuaranteedShare(0.1, {}).objection(requota("research", 30, 3), situation([queue("research", 30)])) is None


def test_what_the_operator_guarantees_holds_instead_of_the_share() -> None:
    at = situation([queue("research", 16, guaranteed_gpus=4)])

    assert HALF.objection(requota("research", 16, 4), at) is None
    assert HALF.objection(requota("research", 16, 3), at) == "research would drop to 3 GPUs, guaranteed 4"


def test_a_guarantee_in_the_settings_holds_although_the_reader_missed_it() -> None:
    rule = GuaranteedShare(0.5, {"research": QueueSettings(guaranteed_gpus=12)})

    sentence = rule.objection(requota("research", 16, 11), situation([queue("research", 16)]))

    assert sentence == "research would drop to 11 GPUs, guaranteed 12"


def test_a_guarantee_of_nothing_is_a_guarantee_told() -> None:
    assert HALF.objection(requota("research", 16, 0), situation([queue("research", 16, guaranteed_gpus=0)])) is None


def test_a_guarantee_counts_over_all_flavors() -> None:
    at = situation([two_flavors(8, 8, guaranteed_gpus=8)])

    assert HALF.objection(requota("research", 8, 0), at) is None
    assert (
        HALF.objection(requota("research", 8, 0), situation([two_flavors(8, 4, guaranteed_gpus=8)]))
        == "research would drop to 4 GPUs, guaranteed 8"
    )


def test_a_share_counts_over_the_flavors_of_one_resource() -> None:
    slices = quota("research", 56, "mig", resource=MIG)
    at = situation([queue("research", quotas=(quota("research", 8), slices))])

    assert HALF.objection(requota("research", 8, 4), at) is None
    assert HALF.objection(requota("research", 8, 3), at) == "research would drop to 3 GPUs, guaranteed 4"
    assert HALF.objection(requota("research", 56, 28, "mig", MIG), at) is None


def test_what_this_review_has_taken_counts() -> None:
    at = situation([two_flavors(8, 8)], approved=(requota("research", 8, 2),))

    assert HALF.objection(requota("research", 8, 6, "a100"), at) is None
    assert HALF.objection(requota("research", 8, 5, "a100"), at) == "research would drop to 7 GPUs, guaranteed 8"


def test_what_this_review_gives_does_not_count_because_it_may_yet_be_refused() -> None:
    at = situation([two_flavors(4, 8)], approved=(requota("research", 4, 12),))

    assert HALF.objection(requota("research", 8, 2, "a100"), at) is None
    assert HALF.objection(requota("research", 8, 1, "a100"), at) == "research would drop to 5 GPUs, guaranteed 6"


def test_what_other_queues_lose_does_not_count() -> None:
    at = situation([queue("research", 16), queue("training", 16)], approved=(requota("training", 16, 8),))

    assert HALF.objection(requota("research", 16, 8), at) is None


def test_a_protected_queue_gives_nothing() -> None:
    rule = GuaranteedShare(0.0, {"research": QueueSettings(protected=True)})
    at = situation([queue("research", 16)])

    assert rule.objection(requota("research", 16, 15), at) == "research is protected; its quota is never lowered"
    assert rule.objection(requota("research", 16, 17), at) is None


def test_a_queue_below_its_floor_may_be_raised_but_not_lowered() -> None:
    at = situation([queue("research", 4, guaranteed_gpus=8)])

    assert HALF.objection(requota("research", 4, 5), at) is None
    assert HALF.objection(requota("research", 4, 3), at) == "research would drop to 3 GPUs, guaranteed 8"


def test_a_queue_that_was_not_seen_loses_nothing() -> None:
    sentence = HALF.objection(requota("research", 16, 15), situation([queue("training", 16)]))

    assert sentence == "research/h100/nvidia.com/gpu was not seen in the cluster"


def test_quota_is_not_lowered_below_what_runs() -> None:
    at = situation([queue("research", 16, running=13.5)])

    assert RunningWork().objection(requota("research", 16, 14), at) is None
    assert (
        RunningWork().objection(requota("research", 16, 13), at)
        == "research runs 13.5 GPUs on h100, its quota would be 13"
    )


def test_the_quota_of_a_borrower_is_not_lowered_at_all() -> None:
    at = situation([queue("research", 16, running=20.0)])

    sentence = RunningWork().objection(requota("research", 16, 15), at)

    assert sentence == "research runs 20 GPUs on h100, its quota would be 15"


def test_use_that_is_not_a_number_holds_still() -> None:
    at = situation([queue("research", 16, running=float("nan"))])

    assert RunningWork().objection(requota("research", 16, 15), at) is not None


@pytest.mark.parametrize("wish", [requota("research", 16, 17), resize(4, 5)])
def test_giving_more_never_hurts_running_work(wish: Action) -> None:
    at = situation([queue("research", 16, running=30.0)], [pool(idle_gpus=0.0)])

    assert RunningWork().objection(wish, at) is None


def test_a_pool_is_not_shrunk_below_what_runs_on_it() -> None:
    at = situation([queue()], [pool(idle_gpus=10.0)])

    assert RunningWork().objection(resize(4, 3), at) is None
    assert RunningWork().objection(resize(4, 2), at) == "h100 runs work on 22 GPUs, 16 would be left"


@pytest.mark.parametrize("wish", [requota("ghost", 16, 15), resize(4, 3, "ghost")])
def test_running_work_that_cannot_be_seen_is_left_alone(wish: Action) -> None:
    sentence = RunningWork().objection(wish, situation([queue()], [pool()]))

    assert sentence is not None
    assert sentence.endswith("was not seen in the cluster")


SCARCE = pool(nodes=2, ready_nodes=2, dial_value=2)  # 16 GPUs for 32 of quota
COHORT = [queue("research", 16), queue("training", 16)]


def test_a_raise_that_nobody_gave_is_held_back() -> None:
    sentence = CohortTotal().objection(requota("training", 16, 20), situation(COHORT, [SCARCE]))

    assert sentence == "cohort all would have 36 GPUs of quota on h100, 32 now, and no GPUs to cover it"


def test_a_raise_takes_what_was_given_before_it_and_no_more() -> None:
    at = situation(COHORT, [SCARCE], approved=(requota("research", 16, 12),))

    assert CohortTotal().objection(requota("training", 16, 20), at) is None
    assert (
        CohortTotal().objection(requota("training", 16, 21), at)
        == "cohort all would have 33 GPUs of quota on h100, 32 now, and no GPUs to cover it"
    )


def test_what_was_given_is_taken_once() -> None:
    given_and_taken = (requota("research", 16, 12), requota("training", 16, 20))
    at = situation([*COHORT, queue("batch", 8)], [SCARCE], approved=given_and_taken)

    assert CohortTotal().objection(requota("batch", 8, 9), at) is not None


def test_what_another_flavor_gave_does_not_count() -> None:
    queues = [two_flavors(16, 16), queue("training", 16)]
    at = situation(queues, [SCARCE], approved=(requota("research", 16, 12, "a100"),))

    assert CohortTotal().objection(requota("training", 16, 17), at) is not None


def test_what_another_cohort_gave_does_not_count() -> None:
    queues = [queue("research", 16, cohort="other"), queue("training", 16)]
    at = situation(queues, [SCARCE], approved=(requota("research", 16, 12),))

    sentence = CohortTotal().objection(requota("training", 16, 17), at)

    assert sentence == "cohort all would have 17 GPUs of quota on h100, 16 now, and no GPUs to cover it"


def test_a_queue_without_a_cohort_stands_alone() -> None:
    queues = [queue("research", 16, cohort=None), queue("training", 16, cohort=None)]
    at = situation(queues, [SCARCE], approved=(requota("research", 16, 12),))

    sentence = CohortTotal().objection(requota("training", 16, 17), at)

    assert sentence == "training would have 17 GPUs of quota on h100, 16 now, and no GPUs to cover it"


def test_gpus_that_are_there_may_be_promised() -> None:
    at = situation(COHORT, [pool(nodes=5, ready_nodes=5)])

    assert CohortTotal().objection(requota("training", 16, 24), at) is None
    assert CohortTotal().objection(requota("training", 16, 25), at) is not None


def test_gpus_that_are_only_coming_may_not() -> None:
    at = situation(COHORT, [pool(nodes=5, ready_nodes=4, dial_value=6)])

    assert CohortTotal().objection(requota("training", 16, 17), at) is not None


def test_gpus_of_a_flavor_are_promised_once_across_cohorts() -> None:
    at = situation([*COHORT, queue("batch", 8, cohort="other")], [pool(nodes=5, ready_nodes=5)])

    assert CohortTotal().objection(requota("training", 16, 17), at) is not None


def test_gpus_of_another_flavor_cover_nothing() -> None:
    at = situation(COHORT, [pool("a100", nodes=50, ready_nodes=50)])

    assert CohortTotal().objection(requota("training", 16, 17), at) is not None


def test_giving_is_always_free() -> None:
    assert CohortTotal().objection(requota("training", 16, 12), situation(COHORT, [SCARCE])) is None


def test_a_raise_of_what_was_not_seen_is_held_back() -> None:
    sentence = CohortTotal().objection(requota("ghost", 0, 4), situation(COHORT, [SCARCE]))

    assert sentence == "ghost/h100/nvidia.com/gpu was not seen in the cluster"


def test_a_raise_up_to_what_the_cohort_is_entitled_to_needs_no_giver() -> None:
    """Research gave 4 GPUs, and the raise of training came to nothing."""
    entitled = {f"research/h100/{GPU}": 16, f"training/h100/{GPU}": 16}
    at = situation([queue("research", 12), queue("training", 16)], [SCARCE], entitled_gpus=entitled)

    assert CohortTotal().objection(requota("research", 12, 16), at) is None
    assert CohortTotal().objection(requota("training", 16, 20), at) is None
    assert CohortTotal().objection(requota("training", 16, 21), at) is not None


def held(wishes: list[Action], at: Situation, *refused: Action) -> dict[str, str]:
    """The last objection per queue, where some wishes are refused by another guardrail."""

    @dataclass(frozen=True)
    class Refuses:
        name: str = "refuses"
        dials: tuple[Dial, ...] = ()

        def objection(self, action: Action, situation: Situation) -> str | None:
            return "no" if action in refused else None

    verdicts = review(wishes, [Refuses(), CohortTotal()], at)
    return {v.action.queue: v.objections[-1].sentence for v in verdicts if not v.approved}


QUARTET = [queue(name, 16) for name in ("a", "b", "c", "d")]
GIVE_A, GIVE_B = requota("a", 16, 12), requota("b", 16, 10)
TAKE_C, TAKE_D = requota("c", 16, 20), requota("d", 16, 22)


def test_quota_is_not_lowered_when_nobody_may_take_it() -> None:
    at = situation(QUARTET[:3], [SCARCE])

    assert held([GIVE_A, TAKE_C], at, TAKE_C) == {
        "a": "nobody may take the 4 GPUs of quota that a would give",
        "c": "no",
    }


def test_the_giver_is_held_back_whose_taker_is_and_the_others_move() -> None:
    at = situation(QUARTET, [SCARCE])

    assert held([GIVE_A, GIVE_B, TAKE_C, TAKE_D], at, TAKE_D) == {
        "b": "nobody may take the 6 GPUs of quota that b would give",
        "d": "no",
    }
    assert held([GIVE_A, GIVE_B, TAKE_C, TAKE_D], at) == {}


def test_a_raise_whose_giver_nobody_else_needs_is_held_back_too() -> None:
    """Ten are given whole or not at all: without the six of d, the four of c have no giver."""
    give = requota("a", 16, 6)

    assert held([give, TAKE_C, TAKE_D], situation(QUARTET, [SCARCE]), TAKE_D) == {
        "a": "nobody may take the 10 GPUs of quota that a would give",
        "c": "cohort all would have 68 GPUs of quota on h100, 64 now, and no GPUs to cover it",
        "d": "no",
    }


def test_cohorts_do_not_take_what_others_give() -> None:
    at = situation([QUARTET[0], replace(QUARTET[2], cohort="other")], [pool(nodes=8, ready_nodes=8)])

    assert list(held([GIVE_A, TAKE_C], at)) == ["a"]
