"""What a queue was entitled to before Gyropilot ever turned its quota, however often it and others turn it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gyropilot.domain import Dial, OutcomeStatus, Quota, Verdict
from gyropilot.journal import Journal
from tests.fakes import GPU, H100, NOW, action
from tests.journal.cycles import cycle, outcome

TARGET = f"research/h100/{GPU}"


def quota(nominal: int, target: str = TARGET) -> Quota:
    return Quota("h100", H100, nominal, dial_target=target)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(f"sqlite:///{tmp_path}/gyropilot.db") as opened:
        yield opened


def turn(journal: Journal, before: int, after: int, status: OutcomeStatus | None = OutcomeStatus.DONE) -> None:
    """Intend to turn the quota, and conclude unless the status is None."""
    wish = action(before=before, after=after)
    number = journal.intend(cycle((Verdict(wish),)))
    if status is not None:
        journal.conclude(number, [outcome(wish, status)])


def test_what_is_seen_first_is_the_entitlement(journal: Journal) -> None:
    journal.entitle([quota(16), quota(8, "training/h100/gpu")])

    assert journal.entitled() == {TARGET: 16, "training/h100/gpu": 8}


def test_a_quota_that_nothing_turns_needs_none(journal: Journal) -> None:
    journal.entitle([quota(16, target="")])

    assert journal.entitled() == {}


def test_what_gyropilot_turned_does_not_change_it(journal: Journal) -> None:
    journal.entitle([quota(16)])
    turn(journal, 16, 12)
    journal.entitle([quota(12)])
    turn(journal, 12, 9)
    journal.entitle([quota(9)])

    assert journal.entitled() == {TARGET: 16}


def test_what_someone_else_turned_is_the_entitlement_from_then_on(journal: Journal) -> None:
    journal.entitle([quota(16)])
    journal.entitle([quota(40)])

    assert journal.entitled() == {TARGET: 40}


def test_what_someone_else_wrote_over_a_turn_is_the_entitlement(journal: Journal) -> None:
    journal.entitle([quota(16)])
    turn(journal, 16, 12)
    journal.entitle([quota(12)])
    journal.entitle([quota(14)])

    assert journal.entitled() == {TARGET: 14}


def test_git_putting_the_old_value_back_changes_nothing(journal: Journal) -> None:
    journal.entitle([quota(16)])
    turn(journal, 16, 12)
    journal.entitle([quota(12)])
    journal.entitle([quota(16)])

    assert journal.entitled() == {TARGET: 16}


def test_someone_else_writing_what_gyropilot_once_wrote_is_someone_else(journal: Journal) -> None:
    journal.entitle([quota(16)])
    turn(journal, 16, 12)
    journal.entitle([quota(12)])
    journal.entitle([quota(20)])
    journal.entitle([quota(12)])

    assert journal.entitled() == {TARGET: 12}


@pytest.mark.parametrize("status", [OutcomeStatus.FAILED, None])
def test_a_turn_of_which_nothing_was_heard_may_have_been_ours(journal: Journal, status: OutcomeStatus | None) -> None:
    journal.entitle([quota(16)])
    turn(journal, 16, 12, status)
    journal.entitle([quota(12)])

    assert journal.entitled() == {TARGET: 16}


def test_a_turn_that_arrives_late_is_still_ours(journal: Journal) -> None:
    journal.entitle([quota(16)])
    turn(journal, 16, 12, OutcomeStatus.FAILED)
    journal.entitle([quota(16)])
    journal.entitle([quota(12)])

    assert journal.entitled() == {TARGET: 16}


@pytest.mark.parametrize("status", [OutcomeStatus.REHEARSED, OutcomeStatus.REFUSED, OutcomeStatus.LEFT_ALONE])
def test_a_turn_that_did_not_happen_was_someone_elses(journal: Journal, status: OutcomeStatus) -> None:
    journal.entitle([quota(16)])
    turn(journal, 16, 12, status)
    journal.entitle([quota(12)])

    assert journal.entitled() == {TARGET: 12}


def test_a_turn_of_another_queue_or_dial_is_not_this_ones(journal: Journal) -> None:
    journal.entitle([quota(16)])
    for other in (action(target=f"training/h100/{GPU}"), replace(action(), dial=Dial.POOL_LIMIT)):
        number = journal.intend(cycle((Verdict(other),)))
        journal.conclude(number, [outcome(other)])
    journal.entitle([quota(12)])

    assert journal.entitled() == {TARGET: 12}


def test_an_undo_is_ours_too(journal: Journal) -> None:
    journal.entitle([quota(16)])
    turn(journal, 16, 12)
    journal.entitle([quota(12)])
    turn(journal, 12, 16)
    journal.entitle([quota(16)])

    assert journal.entitled() == {TARGET: 16}


def test_a_queue_that_was_gone_keeps_its_entitlement(journal: Journal) -> None:
    journal.entitle([quota(16)])
    turn(journal, 16, 12)
    journal.entitle([])
    journal.entitle([quota(12)])

    assert journal.entitled() == {TARGET: 16}


def test_dropped_cycles_do_not_take_entitlements_with_them(journal: Journal) -> None:
    journal.entitle([quota(16)])
    turn(journal, 16, 12)
    journal.entitle([quota(12)])
    journal.drop_before(NOW + timedelta(days=1))
    journal.entitle([quota(12)])

    assert journal.entitled() == {TARGET: 16}


steps = st.tuples(st.sampled_from(["ours", "lost", "theirs", "look"]), st.integers(0, 5))


@settings(max_examples=30, deadline=None)
@given(st.lists(steps, max_size=12))
def test_the_entitlement_is_what_someone_else_wrote_last(what_happens: list[tuple[str, int]]) -> None:
    """Whoever turns it is seen before the next one does: the autopilot looks before each turn."""
    nominal = entitled = 16
    with Journal("sqlite://") as journal:
        journal.entitle([quota(nominal)])
        for who, value in what_happens:
            if who in ("ours", "lost") and value != nominal:
                turn(journal, nominal, value, OutcomeStatus.DONE if who == "ours" else None)
                nominal = value
            elif who == "theirs" and value != nominal:
                nominal = entitled = value
            journal.entitle([quota(nominal)])

        assert journal.entitled() == {TARGET: entitled}
