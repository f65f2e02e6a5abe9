"""One writer at a time: who holds a journal, who is turned away, and who follows a holder that died."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier, Thread

import pytest

from gyropilot.errors import JournalError
from gyropilot.journal import Holder, Journal
from tests.fakes import NOW
from tests.journal.cycles import LOWER, cycle, outcome

HERE = replace(Holder.here(), host="node-1", token="a")
BESIDE = replace(HERE, token="b")
ELSEWHERE = replace(HERE, host="node-2", pid=7, token="c")
LASTING = timedelta(minutes=2)


def at(minutes: float) -> Callable[[], datetime]:
    return lambda: NOW + timedelta(minutes=minutes)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/gyropilot.db"


@pytest.fixture
def first(url: str) -> Iterator[Journal]:
    with Journal(url) as opened:
        yield opened


@pytest.fixture
def second(url: str, first: Journal) -> Iterator[Journal]:
    with Journal(url) as opened:
        yield opened


def dead_pid() -> int:
    """The number of a process that was here."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


@pytest.mark.parametrize("other", [BESIDE, ELSEWHERE])
def test_a_second_writer_is_turned_away_and_told_by_whom(first: Journal, second: Journal, other: Holder) -> None:
    first.hold(HERE, at(0), LASTING)

    with pytest.raises(JournalError) as refusal:
        second.hold(other, at(1), LASTING)

    assert str(refusal.value) == (
        f"another gyropilot (node-1:{os.getpid()}) writes this journal until 12:02 UTC; stop it, or give another "
        "journal.url"
    )


def test_the_holder_goes_on_holding(first: Journal, second: Journal) -> None:
    first.hold(HERE, at(0), LASTING)
    first.hold(HERE, at(1.5), LASTING)

    with pytest.raises(JournalError, match="until 12:03 UTC"):
        second.hold(ELSEWHERE, at(3), LASTING)


def test_readers_are_never_hindered(first: Journal, url: str) -> None:
    first.hold(HERE, at(0), LASTING)
    first.intend(cycle())

    with Journal(url) as reader:
        assert reader.latest() == 1
        assert reader.cycle(1).began_at == NOW


def test_a_journal_that_was_let_go_of_is_free_at_once(first: Journal, second: Journal) -> None:
    first.hold(HERE, at(0), LASTING)
    first.close()

    second.hold(ELSEWHERE, at(0), LASTING)

    assert second.intend(cycle()) == 1


def test_a_holder_that_cannot_be_seen_is_followed_when_its_time_has_run_out(first: Journal, second: Journal) -> None:
    first.hold(ELSEWHERE, at(0), LASTING)

    second.hold(HERE, at(2), LASTING)

    with pytest.raises(JournalError, match="another gyropilot"):
        first.hold(ELSEWHERE, at(2.1), LASTING)


def test_a_holder_that_is_seen_to_have_died_is_followed_at_once(first: Journal, second: Journal) -> None:
    first.hold(replace(HERE, pid=dead_pid()), at(0), LASTING)

    second.hold(BESIDE, at(0.1), LASTING)

    assert second.intend(cycle()) == 1


@pytest.mark.parametrize("difference", [{"host": "node-2"}, {"pids": "pid:[1]"}, {"pids": ""}])
def test_a_number_of_another_machine_or_container_says_nothing(
    first: Journal, second: Journal, difference: dict[str, str]
) -> None:
    first.hold(replace(HERE, pid=dead_pid(), **difference), at(0), LASTING)

    with pytest.raises(JournalError, match="another gyropilot"):
        second.hold(replace(BESIDE, pids=difference.get("pids", "") and BESIDE.pids), at(1), LASTING)


def test_who_was_followed_in_a_long_cycle_may_not_touch_anything(first: Journal, second: Journal) -> None:
    now = iter([NOW, NOW + timedelta(minutes=5)])
    first.hold(HERE, now.__next__, LASTING)
    second.hold(ELSEWHERE, at(4), LASTING)

    with pytest.raises(JournalError, match="another gyropilot"):
        first.intend(cycle())

    assert first.latest() is None


def test_what_is_about_to_be_turned_renews_the_lease(first: Journal, second: Journal) -> None:
    now = iter([NOW, NOW + timedelta(minutes=5)])
    first.hold(HERE, now.__next__, LASTING)
    first.intend(cycle())

    with pytest.raises(JournalError, match="until 12:07 UTC"):
        second.hold(ELSEWHERE, at(6), LASTING)


def test_who_was_followed_still_writes_down_what_came_of_its_actions(first: Journal, second: Journal) -> None:
    first.hold(HERE, at(0), LASTING)
    number = first.intend(cycle())
    second.hold(ELSEWHERE, at(9), LASTING)

    first.conclude(number, [outcome(LOWER)])
    first.release()

    assert second.unfinished() == ()
    with pytest.raises(JournalError, match="node-2:7"):
        first.hold(HERE, at(9), LASTING)


def test_of_many_that_come_at_once_one_holds(url: str) -> None:
    assert contenders(url, 6).count("held") == 1


def test_of_many_that_come_at_once_one_holds_in_postgresql_too(postgres: str) -> None:
    assert contenders(postgres, 6).count("held") == 1


def contenders(url: str, many: int) -> list[str]:
    """What became of each of so many that ask for the journal at the same moment."""
    together, became = Barrier(many), []

    def contend(nth: int) -> None:
        with Journal(url) as journal:
            together.wait(30)
            try:
                journal.hold(replace(ELSEWHERE, token=str(nth)), at(0), LASTING)
                became.append("held")
            except JournalError as refusal:
                became.append(str(refusal))
            together.wait(30)

    threads = [Thread(target=contend, args=(nth,)) for nth in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return became
