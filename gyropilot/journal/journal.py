"""The journal: every cycle, what it meant to do before anything is touched, and what came of it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Self

from sqlalchemy import Select, delete, func, select

from gyropilot.domain import Cycle, Outcome, Quota, Turn, in_one_sentence
from gyropilot.errors import JournalError
from gyropilot.journal.codec import from_json, to_json
from gyropilot.journal.database import Database
from gyropilot.journal.entitlements import entitle
from gyropilot.journal.lease import Holder, Lease
from gyropilot.journal.rows import (
    Entry,
    entry_of,
    entry_rows,
    forget_quiet_pictures,
    intent_row,
    may_have_happened,
    open_intents,
    outcome_row,
    pauses_and_resumptions,
    turn_rows,
    turned,
    unknown,
    verdict_of,
    verdicts_and_outcomes,
)
from gyropilot.journal.schema import (
    MIGRATIONS,
    cycles,
    entitlements,
    found_version,
    intents,
    outcomes,
    pictures,
    prepare,
)


class Journal:
    """One writer, any number of readers. What it was told is on the disk when a method returns."""

    def __init__(self, url: str) -> None:
        """Opens the journal, and makes or migrates its tables. Raises JournalError."""
        self._database = Database(url)
        self._lease: Lease | None = None
        with self._database.reading() as connection:
            up_to_date = found_version(connection) == 1 + len(MIGRATIONS)
        if not up_to_date:  # a reader of a journal that is up to date writes nothing
            with self._database.writing() as connection:
                prepare(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the journal if it was held."""
        # What cannot be let go of now runs out by itself, and a process that stops has nobody to tell.
        with suppress(JournalError):
            self.release()
        self._database.close()

    def hold(self, holder: Holder, now: Callable[[], datetime], lasting: timedelta) -> None:
        """From now on only this holder writes cycles. Raises JournalError while another one lives.

        It lasts so long without being renewed, by this or by `intend`; a holder that is seen to have died is followed
        at once.
        """
        lease = Lease(holder, now, lasting)
        with self._database.writing() as connection:
            lease.take(connection)
        self._lease = lease

    def release(self) -> None:
        """Lets the next holder in."""
        if self._lease is not None:
            with self._database.writing() as connection:
                self._lease.release(connection)
        self._lease = None

    def intend(self, cycle: Cycle) -> int:
        """Writes down the cycle and its verdicts before anything is touched; answers with its number.

        Raises JournalError, and then nothing may be touched: also when another holder took over in a long cycle.
        """
        with self._database.writing() as connection:
            if self._lease is not None:
                self._lease.take(connection)
            row = {"began_at": cycle.began_at, "mode": cycle.mode, "sentence": cycle.sentence}
            number = int(connection.execute(cycles.insert().returning(cycles.c.id), row).scalar_one())
            picture = to_json(replace(cycle, id=number, verdicts=(), outcomes=()))
            connection.execute(pictures.insert(), {"cycle_id": number, "body": zlib.compress(picture.encode())})
            for verdict in cycle.verdicts:
                connection.execute(intents.insert(), {"cycle_id": number, **intent_row(verdict)})
            forget_quiet_pictures(connection, number, cycle.began_at)
        return number

    def conclude(self, cycle_id: int, concluded: Sequence[Outcome]) -> None:
        """Writes down what came of approved actions, all at once or as they end.

        Raises JournalError for an outcome of something that the cycle did not mean to do, or has concluded.
        """
        with self._database.writing() as connection:
            waiting = {turned(row): row.id for row in connection.execute(open_intents(cycle_id))}
            for outcome in concluded:
                action = outcome.action
                number = waiting.pop((action.dial.value, action.target, action.before, action.after), None)
                if number is None:
                    raise JournalError(f"cycle {cycle_id} awaits no outcome of: {action}; was it concluded before?")
                connection.execute(outcomes.insert(), {"intent_id": number, **outcome_row(outcome)})
            told = in_one_sentence(*verdicts_and_outcomes(connection, cycle_id))
            connection.execute(cycles.update().where(cycles.c.id == cycle_id).values(sentence=told))

    def recent(self, since: datetime) -> tuple[Turn, ...]:
        """Turns since then that happened, or that are not known not to have happened, oldest first."""
        return self._turns(turn_rows().where(cycles.c.began_at >= since, may_have_happened()))

    def unfinished(self) -> tuple[Turn, ...]:
        """Turns of which nothing was heard since they were intended; after a crash they may have happened or not."""
        return self._turns(turn_rows().where(unknown()))

    def entitle(self, quotas: Iterable[Quota]) -> None:
        """Learns what each quota is when Gyropilot does not turn it: see `gyropilot.journal.entitlements`."""
        with self._database.writing() as connection:
            entitle(connection, quotas)

    def entitled(self) -> Mapping[str, int]:
        """QUEUE_QUOTA target -> GPUs of quota before Gyropilot ever turned it."""
        with self._database.reading() as connection:
            rows = connection.execute(select(entitlements.c.target, entitlements.c.entitled_gpus))
            return {row.target: row.entitled_gpus for row in rows}

    def paused(self) -> Mapping[str, datetime]:
        """WORKLOAD target -> when Gyropilot paused it, or may have, if it has not resumed it since."""
        with self._database.reading() as connection:
            newest = {row.target: row for row in connection.execute(pauses_and_resumptions())}
        return {target: row.began_at for target, row in newest.items() if not row.after_value}

    def history(self, limit: int, since: datetime | None = None) -> tuple[Entry, ...]:
        """The newest cycles, newest first."""
        query = entry_rows().limit(limit)
        newer = query if since is None else query.where(cycles.c.began_at >= since)
        with self._database.reading() as connection:
            return tuple(map(entry_of, connection.execute(newer)))

    def latest(self) -> int | None:
        """The number of the newest cycle; None: there is none."""
        with self._database.reading() as connection:
            return connection.execute(select(func.max(cycles.c.id))).scalar()

    def entry(self, cycle_id: int) -> Entry:
        """One cycle with what was wanted and what came of it. Raises JournalError when there is none."""
        with self._database.reading() as connection:
            row = connection.execute(entry_rows().where(cycles.c.id == cycle_id)).one_or_none()
            verdicts, concluded = verdicts_and_outcomes(connection, cycle_id)
        if row is None:
            raise JournalError(
                f"there is no cycle {cycle_id} in the journal; `gyropilot history` lists those there are"
            )
        return replace(entry_of(row), verdicts=verdicts, outcomes=concluded)

    def cycle(self, cycle_id: int) -> Cycle:
        """One cycle whole, as it was decided, with what came of it; its history is cut to the last days.

        Raises JournalError when there is none, or its picture was not kept.
        """
        entry = self.entry(cycle_id)
        with self._database.reading() as connection:
            body = connection.execute(select(pictures.c.body).where(pictures.c.cycle_id == cycle_id)).scalar()
        if body is None:
            raise JournalError(
                f"cycle {cycle_id} turned nothing, and of such cycles one picture an hour is kept; take another from "
                "`gyropilot history`"
            )
        return replace(from_json(zlib.decompress(body)), verdicts=entry.verdicts, outcomes=entry.outcomes)

    def drop_before(self, when: datetime) -> int:
        """Drops older cycles with all that belongs to them; entitlements stay. Answers with how many cycles went."""
        with self._database.writing() as connection:
            return connection.execute(delete(cycles).where(cycles.c.began_at < when)).rowcount

    def _turns(self, query: Select[Any]) -> tuple[Turn, ...]:
        with self._database.reading() as connection:
            return tuple(Turn(row.began_at, verdict_of(row).action) for row in connection.execute(query))
