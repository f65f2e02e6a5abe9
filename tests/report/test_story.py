"""What a report says, whatever it looks like."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gyropilot.domain import Cycle, Dial, Effect, Interval, OutcomeStatus, Verdict
from gyropilot.report import story
from tests.fakes import action
from tests.report import samples


def cycle_of(usd: float, waiting: float) -> Cycle:
    wish = replace(samples.APPROVED[0], expected=samples.effect(usd, waiting, 0.0))
    return replace(samples.cycle(), verdicts=(Verdict(wish),), outcomes=())


@pytest.mark.parametrize(
    ("usd", "waiting", "sentence"),
    [
        (-412, -202, "1 change would save about $412 and 202 GPU-hours of waiting over 24 h"),
        (-412, 0, "1 change would save about $412 over 24 h"),
        (-412, 40, "1 change would save about $412 and add 40 GPU-hours of waiting over 24 h"),
        (300, -96, "1 change would spare 96 GPU-hours of waiting for about $300 over 24 h"),
        (0, 1, "1 change would add 1 GPU-hour of waiting over 24 h"),
        (0, 0, "1 change would keep cost and waiting about as they are over 24 h"),
        (300, 5, "1 change would cost about $300 and add 5 GPU-hours of waiting over 24 h"),
    ],
)
def test_the_headline_says_gain_and_price(usd: float, waiting: float, sentence: str) -> None:
    assert story.headline(cycle_of(usd, waiting)) == sentence


@pytest.mark.parametrize(("lost", "words"), [(0.0, ""), (0.99, "1 GPU-hour"), (31.0, "31 GPU-hours")])
def test_lost_work_is_counted_in_gpu_hours(lost: float, words: str) -> None:
    assert story.loss(Effect(lost_gpu_hours=lost)) == (f"{words} of work lost" if words else "")


def test_the_headline_does_not_claim_what_may_as_well_be_the_opposite() -> None:
    real = cycle_of(-412, 0)
    unsure = replace(real.verdicts[0].action.expected, waiting_gpu_hours=Interval(-138, -2, 134))
    wish = replace(real.verdicts[0].action, expected=unsure)

    assert story.headline(replace(real, verdicts=(Verdict(wish),))) == "1 change would save about $412 over 24 h"


def test_the_headline_counts_what_was_held_back() -> None:
    assert story.headline(samples.cycle()).endswith("; 3 were held back")


def test_the_headline_when_all_was_held_back() -> None:
    held = tuple(Verdict(a, objections) for a, objections in samples.HELD)

    assert story.headline(replace(samples.cycle(), verdicts=held, outcomes=())) == "All 3 wishes were held back"


def test_the_headline_when_nothing_is_wanted() -> None:
    assert story.headline(samples.empty()) == "Nothing needs to change"


def test_the_headline_claims_nothing_about_an_effect_that_is_not_known() -> None:
    assert story.headline(samples.unseen()) == "1 change would be made, with an effect that is not known"


def test_a_plan_says_that_nothing_was_changed() -> None:
    assert story.what_happened(samples.cycle("plan")) == "Nothing was changed. This is a plan."


def test_a_rehearsal_says_that_nothing_was_changed() -> None:
    assert story.what_happened(samples.cycle("rehearse")).startswith(
        "Nothing was changed. Each approved change was only"
    )


def test_what_was_turned_is_said_even_if_the_mode_is_called_plan() -> None:
    acted = replace(samples.cycle("act"), mode="plan")

    assert story.what_happened(acted) == "5 changes made."


def test_an_answer_that_never_came_is_not_called_unchanged() -> None:
    real = samples.cycle()
    lost = replace(real, outcomes=(replace(real.outcomes[0], status=OutcomeStatus.FAILED),))

    assert story.what_happened(lost) == "1 answer missing: it is not known whether those dials were turned."


def test_each_outcome_goes_to_its_own_wish() -> None:
    told = story.deeds(samples.cycle())

    assert [d.outcome.diff if d.outcome else None for d in told] == [*samples.DIFFS, None, None, None]


def test_rules_are_counted_most_often_first() -> None:
    real = samples.cycle()
    twice = replace(real, verdicts=(*real.verdicts, Verdict(samples.HELD[1][0], samples.HELD[1][1])))

    assert story.rules(twice)[0] == ("floors", 2)


def test_a_workload_is_paused_not_set_to_zero() -> None:
    assert story.change(action(Dial.WORKLOAD, 1, 0)) == "running → paused"


def test_a_pool_says_nodes_and_gpus() -> None:
    wish = action(Dial.POOL_SIZE, 4, 6)

    assert (story.change(wish), story.gpus_moved(wish)) == ("4 → 6 nodes", "+16 GPUs")


def test_an_interval_is_spelt_with_both_ends() -> None:
    spend = story.FIGURES[0]
    effect = replace(samples.effect(0, 0, 0), usd=Interval(-1510, -1240, -980))

    assert (spend.middle(effect), spend.range(effect)) == ("−$1,240", "−$1,510 to −$980")
