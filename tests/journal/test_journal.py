"""The journal: intents before outcomes, and what it tells of them later."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from gyropilot.domain import Action, Dial, Line, OutcomeStatus, Turn, Verdict
from gyropilot.errors import JournalError
from gyropilot.journal import Entry, Journal
from tests.fakes import GPU, NOW, action
from tests.journal.cycles import HELD, LOWER, RAISE, ago, cycle, outcome, quiet


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(f"sqlite:///{tmp_path}/gyropilot.db") as opened:
        yield opened


def test_a_new_journal_is_empty(journal: Journal) -> None:
    assert journal.latest() is None
    assert journal.history(10) == ()
    assert journal.recent(ago(9999)) == ()
    assert journal.unfinished() == ()
    assert journal.entitled() == {}
    assert journal.paused() == {}


def test_numbers_cycles_upwards(journal: Journal) -> None:
    first, second = journal.intend(cycle()), journal.intend(quiet())

    assert (first, second) == (1, 2)
    assert journal.latest() == 2


def test_what_was_written_survives_closing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/gyropilot.db"
    with Journal(url) as journal:
        number = journal.intend(cycle())
        journal.conclude(number, [outcome()])

    with Journal(url) as again:
        assert again.history(1)[0].sentence == "2 wanted, 1 held back, 1 done"


def test_an_entry_tells_the_cycle_in_one_sentence_before_and_after_its_end(journal: Journal) -> None:
    number = journal.intend(cycle())
    before = journal.entry(number)
    journal.conclude(number, [outcome()])
    after = journal.entry(number)

    assert before == Entry(number, NOW, "act", "2 wanted, 1 held back, 1 unknown", 2, 1, 0, 1, (Verdict(LOWER), HELD))
    assert after.sentence == "2 wanted, 1 held back, 1 done"
    assert (after.wanted, after.held, after.done, after.unknown) == (2, 1, 1, 0)
    assert after.outcomes == (outcome(),)


def test_the_sentence_is_the_cycles_own(journal: Journal) -> None:
    whole = replace(cycle((Verdict(LOWER), Verdict(RAISE), HELD)), outcomes=(outcome(), outcome(RAISE)))

    number = journal.intend(replace(whole, outcomes=()))
    journal.conclude(number, whole.outcomes)

    assert journal.entry(number).sentence == whole.sentence == "3 wanted, 1 held back, 2 done"


PAUSE = action(Dial.WORKLOAD, before=1, after=0)


@pytest.mark.parametrize(
    ("turns", "paused"),
    [
        ([(PAUSE, "done")], True),
        ([(PAUSE, "failed")], True),
        ([(PAUSE, "unknown")], True),
        ([(PAUSE, "refused")], False),
        ([(PAUSE, "done"), (PAUSE.undo(), "done")], False),
        ([(PAUSE, "done"), (PAUSE.undo(), "failed")], True),
        ([(PAUSE, "done"), (PAUSE.undo(), "left alone")], True),
        ([(PAUSE, "done"), (PAUSE.undo(), "done"), (PAUSE, "done")], True),
    ],
)
def test_knows_what_it_paused_and_has_not_resumed(
    journal: Journal, turns: list[tuple[Action, str]], paused: bool
) -> None:
    for minutes, (turn, became) in enumerate(turns):
        number = journal.intend(cycle([Verdict(turn)], minutes_ago=-minutes))
        if became != "unknown":
            journal.conclude(number, [outcome(turn, OutcomeStatus(became))])

    assert set(journal.paused()) == ({"research/job"} if paused else set())


def test_knows_since_when_a_workload_is_paused(journal: Journal) -> None:
    journal.intend(cycle([Verdict(PAUSE)], minutes_ago=40))

    assert journal.paused() == {"research/job": ago(40)}


def test_a_rehearsed_pause_paused_nothing(journal: Journal) -> None:
    number = journal.intend(cycle([Verdict(PAUSE)], mode="rehearse"))
    journal.conclude(number, [outcome(PAUSE, OutcomeStatus.REHEARSED)])

    assert journal.paused() == {}


def test_a_quiet_cycle_says_so(journal: Journal) -> None:
    journal.intend(quiet())

    (entry,) = journal.history(1)

    assert entry.sentence == "nothing wanted; holding still"
    assert (entry.wanted, entry.held, entry.done, entry.unknown) == (0, 0, 0, 0)


def test_history_is_newest_first_and_as_long_as_asked(journal: Journal) -> None:
    for minutes in (30, 20, 10, 0):
        journal.intend(cycle(minutes_ago=minutes))

    assert [entry.id for entry in journal.history(3)] == [4, 3, 2]
    assert [entry.id for entry in journal.history(10, since=ago(10))] == [4, 3]


def test_history_leaves_details_to_the_entry(journal: Journal) -> None:
    number = journal.intend(cycle())

    assert journal.history(1)[0].verdicts == ()
    assert journal.entry(number).verdicts == (Verdict(LOWER), HELD)


def test_a_cycle_comes_back_whole(journal: Journal) -> None:
    number = journal.intend(cycle())
    journal.conclude(number, [outcome()])

    back = journal.cycle(number)

    assert back.id == number
    assert back.verdicts == (Verdict(LOWER), HELD)
    assert back.outcomes == (outcome(),)
    assert back.state.queues == cycle().state.queues
    assert back.intent == cycle().intent
    assert np.array_equal(back.forecast.gpus, cycle().forecast.gpus)
    assert np.array_equal(back.state.history.of(Line("research", GPU)), cycle().state.history.of(Line("research", GPU)))


def test_a_cycle_that_is_not_there_is_told(journal: Journal) -> None:
    with pytest.raises(JournalError, match="there is no cycle 7 in the journal; `gyropilot history` lists"):
        journal.cycle(7)


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        (OutcomeStatus.DONE, True),
        (OutcomeStatus.FAILED, True),  # no answer: it may have been turned
        (OutcomeStatus.REHEARSED, False),
        (OutcomeStatus.LEFT_ALONE, False),
        (OutcomeStatus.REFUSED, False),
    ],
)
def test_turns_that_happened_or_may_have_count(journal: Journal, status: OutcomeStatus, counts: bool) -> None:
    number = journal.intend(cycle())
    journal.conclude(number, [outcome(status=status)])

    assert journal.recent(ago(60)) == ((Turn(NOW, LOWER),) if counts else ())


def test_what_was_held_back_never_counts(journal: Journal) -> None:
    journal.intend(cycle((HELD,)))

    assert journal.recent(ago(60)) == ()
    assert journal.unfinished() == ()


@pytest.mark.parametrize(("mode", "counts"), [("act", True), ("rehearse", False), ("plan", False)])
def test_an_approved_action_without_an_outcome_counts_where_it_may_have_been_taken(
    journal: Journal, mode: str, counts: bool
) -> None:
    journal.intend(cycle(mode=mode))

    assert journal.recent(ago(60)) == ((Turn(NOW, LOWER),) if counts else ())
    assert journal.unfinished() == ((Turn(NOW, LOWER),) if counts else ())


def test_turns_come_oldest_first_and_not_from_before(journal: Journal) -> None:
    for minutes in (90, 60, 30):
        number = journal.intend(cycle((Verdict(LOWER), Verdict(RAISE)), minutes))
        journal.conclude(number, [outcome(RAISE), outcome(LOWER)])

    turns = journal.recent(ago(60))

    assert [(turn.at, turn.action) for turn in turns] == [
        (ago(60), LOWER),
        (ago(60), RAISE),
        (ago(30), LOWER),
        (ago(30), RAISE),
    ]


def test_outcomes_may_come_one_by_one(journal: Journal) -> None:
    number = journal.intend(cycle((Verdict(LOWER), Verdict(RAISE))))

    journal.conclude(number, [outcome(RAISE)])

    assert journal.unfinished() == (Turn(NOW, LOWER),)
    assert journal.entry(number).sentence == "2 wanted, 0 held back, 1 done, 1 unknown"
    journal.conclude(number, [outcome(LOWER)])
    assert journal.unfinished() == ()
    assert journal.entry(number).outcomes == (outcome(LOWER), outcome(RAISE))


def test_twins_are_concluded_one_after_the_other(journal: Journal) -> None:
    number = journal.intend(cycle((Verdict(LOWER), Verdict(LOWER))))

    journal.conclude(number, [outcome()])

    assert journal.entry(number).unknown == 1
    journal.conclude(number, [outcome()])
    assert journal.entry(number).done == 2


@pytest.mark.parametrize("what", [RAISE, HELD.action, replace(LOWER, after=11)])
def test_an_outcome_of_what_was_not_intended_is_refused_whole(journal: Journal, what: object) -> None:
    number = journal.intend(cycle())

    with pytest.raises(JournalError, match=f"cycle {number} awaits no outcome of: (raise|lower) queue-quota"):
        journal.conclude(number, [outcome(), outcome(what)])  # type: ignore[arg-type]

    assert journal.entry(number).outcomes == ()


def test_a_cycle_is_concluded_once(journal: Journal) -> None:
    number = journal.intend(cycle())
    journal.conclude(number, [outcome()])

    with pytest.raises(JournalError, match="was it concluded before"):
        journal.conclude(number, [outcome()])


def test_a_cycle_without_outcomes_is_concluded_too(journal: Journal) -> None:
    number = journal.intend(quiet())

    journal.conclude(number, [])

    assert journal.entry(number).sentence == "nothing wanted; holding still"


def test_drops_what_is_older_with_all_that_belongs_to_it(journal: Journal) -> None:
    for minutes in (120, 60, 0):
        number = journal.intend(cycle(minutes_ago=minutes))
        journal.conclude(number, [outcome()])

    dropped = journal.drop_before(ago(60))

    assert dropped == 1
    assert [entry.id for entry in journal.history(10)] == [3, 2]
    assert [turn.at for turn in journal.recent(ago(999))] == [ago(60), NOW]
    with pytest.raises(JournalError, match="there is no cycle 1"):
        journal.cycle(1)


def test_numbers_are_never_given_twice(journal: Journal) -> None:
    journal.intend(cycle())
    journal.drop_before(NOW + timedelta(days=1))

    assert journal.intend(cycle()) == 2


def test_of_quiet_cycles_one_picture_an_hour_is_kept_and_the_newest(journal: Journal) -> None:
    numbers = [journal.intend(quiet(minutes)) for minutes in (61, 60, 59, 30, 29)]

    assert [number for number in numbers if _has_picture(journal, number)] == [numbers[0], numbers[-1]]
    assert len(journal.history(10)) == 5


def _has_picture(journal: Journal, number: int) -> bool:
    try:
        return journal.cycle(number).id == number
    except JournalError:
        return False


def test_says_that_a_picture_was_not_kept(journal: Journal) -> None:
    number = journal.intend(quiet(10))
    journal.intend(quiet(9))

    with pytest.raises(JournalError, match="cycle 1 turned nothing, and of such cycles one picture an hour is kept"):
        journal.cycle(number)


@pytest.mark.parametrize(
    ("mode", "status", "kept"),
    [
        ("act", OutcomeStatus.DONE, True),
        ("act", OutcomeStatus.FAILED, True),
        ("act", None, True),  # a crash: it may have been turned
        ("act", OutcomeStatus.REFUSED, False),
        ("rehearse", OutcomeStatus.REHEARSED, False),
    ],
)
def test_pictures_are_kept_of_cycles_that_turned_something(
    journal: Journal, mode: str, status: OutcomeStatus | None, kept: bool
) -> None:
    number = journal.intend(cycle((Verdict(LOWER), HELD), 30, mode))
    if status:
        journal.conclude(number, [outcome(LOWER, status)])

    journal.intend(quiet(20))

    assert _has_picture(journal, number) is kept
    assert journal.entry(number).verdicts == (Verdict(LOWER), HELD)


def test_a_moment_in_another_zone_is_kept_as_the_same_moment(journal: Journal) -> None:
    from zoneinfo import ZoneInfo

    journal.intend(cycle(began_at=NOW.astimezone(ZoneInfo("Asia/Kolkata"))))

    assert journal.history(1, since=NOW)[0].began_at == NOW


def test_two_readers_see_what_is_written_while_a_writer_writes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/gyropilot.db"
    with Journal(url) as writer, Journal(url) as one, Journal(url) as other:
        seen: list[int] = []

        def read(reader: Journal) -> None:
            while not seen or seen[-1] < 20:
                seen.append(reader.latest() or 0)
                reader.history(5)

        readers = [Thread(target=read, args=(reader,)) for reader in (one, other)]
        for thread in readers:
            thread.start()
        for _ in range(20):
            number = writer.intend(cycle())
            writer.conclude(number, [outcome()])
        for thread in readers:
            thread.join(30)

    assert max(seen) == 20


def test_a_reader_sees_one_moment(journal: Journal, tmp_path: Path) -> None:
    """An intent is seen whole or not at all: cycle, verdicts and picture."""
    number = journal.intend(cycle())
    with Journal(f"sqlite:///{tmp_path}/gyropilot.db") as reader:
        assert reader.entry(number).wanted == 2
        assert reader.cycle(number).verdicts == (Verdict(LOWER), HELD)


def test_threads_share_a_journal_in_memory() -> None:
    with Journal("sqlite://") as journal:
        thread = Thread(target=journal.intend, args=(cycle(),))
        thread.start()
        thread.join()

        assert journal.latest() == 1
