"""The review: all objections are kept, what is approved counts, what cannot answer fails closed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import permutations

import pytest

from gyropilot.domain import Action, Dial, Objection
from gyropilot.errors import ForecastError
from gyropilot.guardrails import guardrails
from gyropilot.guardrails.protocol import Situation
from gyropilot.guardrails.review import FAILURES, review
from gyropilot.settings import Settings
from tests.fakes import pool, queue, workload
from tests.guardrails.situations import contended, pause, requota, resize, settings, situation


@dataclass(frozen=True)
class Asked:
    """A guardrail that answers with what a function answers."""

    answer: Callable[[Action, Situation], str | None]
    name: str = "asked"
    dials: tuple[Dial, ...] = ()

    def objection(self, action: Action, situation: Situation) -> str | None:
        return self.answer(action, situation)


def test_approves_what_nobody_objects_to() -> None:
    (verdict,) = review([requota("research", 16, 12)], [Asked(lambda a, s: None)], situation())

    assert verdict.approved
    assert verdict.action == requota("research", 16, 12)


def test_keeps_every_objection_in_the_order_of_the_guardrails() -> None:
    rules = [Asked(lambda a, s: "too late", "clock"), Asked(lambda a, s: None), Asked(lambda a, s: "too much", "sum")]

    (verdict,) = review([requota("research", 16, 12)], rules, situation())

    assert verdict.objections == (Objection("clock", "too late"), Objection("sum", "too much"))
    assert not verdict.approved


def test_asks_a_guardrail_about_its_own_dials_only() -> None:
    only_pools = Asked(lambda a, s: "no", dials=(Dial.POOL_SIZE, Dial.POOL_LIMIT))

    verdicts = review([requota("research", 16, 12), resize(4, 5)], [only_pools], situation())

    assert [verdict.approved for verdict in verdicts] == [True, False]


def test_approved_actions_count_against_what_follows_and_held_back_ones_do_not() -> None:
    seen: list[int] = []

    def one_at_most(action: Action, at: Situation) -> str | None:
        seen.append(len(at.approved))
        return "enough" if at.approved or action.after == 0 else None

    wishes = [requota("a", 8, 0), requota("b", 8, 4), requota("c", 8, 4)]
    verdicts = review(wishes, [Asked(one_at_most)], situation())

    assert seen == [0, 0, 1]
    assert [verdict.approved for verdict in verdicts] == [False, True, False]


def test_an_empty_sentence_is_an_objection_too() -> None:
    (verdict,) = review([requota("research", 16, 12)], [Asked(lambda a, s: "")], situation())

    assert not verdict.approved


@pytest.mark.parametrize("failure", [*(f for f in FAILURES), KeyError, ZeroDivisionError, ForecastError])
def test_a_guardrail_that_fails_fails_closed(failure: type[Exception]) -> None:
    def fails(action: Action, at: Situation) -> str | None:
        raise failure("no price")

    (verdict,) = review([requota("research", 16, 12)], [Asked(fails, "budget")], situation())

    (objection,) = verdict.objections
    assert objection.rule == "budget"
    assert objection.sentence.startswith(f"budget could not judge it ({failure.__name__}: ")
    assert objection.sentence.endswith("held back to be safe")


def test_the_others_are_still_asked_after_one_failed() -> None:
    def fails(action: Action, at: Situation) -> str | None:
        raise LookupError("gone")

    (verdict,) = review([requota("a", 8, 4)], [Asked(fails, "one"), Asked(lambda a, s: "no", "two")], situation())

    assert [objection.rule for objection in verdict.objections] == ["one", "two"]


def test_what_nobody_foresaw_ends_the_review_before_anything_is_touched() -> None:
    class OutOfThisWorldError(Exception):
        pass

    def fails(action: Action, at: Situation) -> str | None:
        raise OutOfThisWorldError

    with pytest.raises(OutOfThisWorldError):
        review([requota("a", 8, 4)], [Asked(fails)], situation())


def test_wishes_nothing_reviews_nothing() -> None:
    assert review([], guardrails(Settings()), situation()) == ()


def test_every_guardrail_has_a_name_of_its_own() -> None:
    names = [guardrail.name for guardrail in guardrails(Settings())]

    assert names == [
        "pause",
        "freeze-windows",
        "freshness",
        "coherence",
        "guaranteed-share",
        "cohort-total",
        "borrowers",
        "protected",
        "running-work",
        "pool-range",
        "step-cap",
        "cooldown",
        "budget",
    ]


def test_a_small_move_between_two_calm_queues_passes_all_guardrails() -> None:
    at = situation([queue("research", 16), queue("training", 16)], [pool()])

    verdicts = review([requota("research", 16, 12), requota("training", 16, 20)], guardrails(Settings()), at)

    assert [verdict.objections for verdict in verdicts] == [(), ()]


def test_a_borrower_gives_back_to_whoever_waits_for_its_own() -> None:
    (verdict,) = review([pause()], guardrails(Settings()), contended())

    assert verdict.objections == ()


def test_growth_of_a_pool_by_one_node_passes_all_guardrails() -> None:
    (verdict,) = review([resize(4, 5)], guardrails(Settings()), situation([queue()], [pool()]))

    assert verdict.objections == ()


def test_an_unknown_target_is_held_back_by_all_who_need_to_see_it() -> None:
    (verdict,) = review([requota("ghost", 16, 12)], guardrails(Settings()), situation([queue()], [pool()]))

    sentence = "ghost/h100/nvidia.com/gpu was not seen in the cluster"
    assert [o.rule for o in verdict.objections] == ["coherence", "guaranteed-share", "running-work"]
    assert {o.sentence for o in verdict.objections} == {sentence}


@pytest.mark.parametrize("wish", [requota("research", 16, 12), resize(4, 5), resize(4, 3), pause()])
def test_nothing_passes_a_picture_without_anything_in_it(wish: Action) -> None:
    (verdict,) = review([wish], guardrails(Settings()), situation())

    assert not verdict.approved


def test_objections_to_independent_actions_do_not_depend_on_their_order() -> None:
    at = situation(
        [queue("a", 16), queue("b", 8, running=8.0), queue("c", 16, cohort="other")],
        [pool(), pool("l40s", nodes=2, ready_nodes=2, dial_value=2, max_nodes=2)],
        [workload("job", "a", protected="thesis")],
    )
    wishes = [
        requota("a", 16, 12),
        requota("b", 8, 7),
        requota("c", 16, 4),
        resize(4, 5),
        resize(2, 3, "l40s"),
        pause("job", "a"),
    ]
    rules = guardrails(settings(max_moved_gpus=1000))
    expected = {wish: review([wish], rules, at)[0] for wish in wishes}

    for order in list(permutations(wishes))[::37]:
        for verdict in review(order, rules, at):
            assert verdict == expected[verdict.action]


def test_the_situation_that_was_handed_in_is_left_as_it_was() -> None:
    at = situation([queue("research", 16), queue("training", 16)], [pool()])

    review([requota("research", 16, 12)], guardrails(Settings()), at)

    assert at.approved == ()
    assert replace(at).recent == ()
