"""The journal's rows: how the domain's values become rows, and rows values again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, delete, func, or_, select

from gyropilot.domain import Dial, Outcome, OutcomeStatus, Verdict
from gyropilot.journal.codec import encode, read
from gyropilot.journal.schema import cycles, intents, outcomes, pictures

_HAPPENED = (OutcomeStatus.DONE.value, OutcomeStatus.FAILED.value)

turns = cycles.join(intents, intents.c.cycle_id == cycles.c.id).outerjoin(
    outcomes, outcomes.c.intent_id == intents.c.id
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One cycle, as a line of the journal; `Journal.entry` fills in what was wanted and what came of it."""

    id: int
    began_at: datetime
    mode: str
    sentence: str
    wanted: int
    held: int
    done: int
    unknown: int  # approved in a cycle that acts, and nothing was heard of it: a crash, or it is still under way
    verdicts: tuple[Verdict, ...] = ()
    outcomes: tuple[Outcome, ...] = ()


def unknown() -> ColumnElement[bool]:
    """Approved, in a cycle that acts, and nothing was heard of it since."""
    return and_(intents.c.approved, outcomes.c.status.is_(None), cycles.c.mode == "act")


def may_have_happened() -> ColumnElement[bool]:
    """Turned, or not known not to be: both count, as less sight means less action."""
    return or_(outcomes.c.status.in_(_HAPPENED), unknown())


def turn_rows() -> Select[Any]:
    """Of `turns`: when, and what."""
    return select(cycles.c.began_at, intents.c.verdict).select_from(turns).order_by(cycles.c.began_at, intents.c.id)


def pauses_and_resumptions() -> Select[Any]:
    """Of `turns`: when, which workload and how; a pause that may have happened, a resumption that did."""
    resumed = and_(intents.c.after_value > 0, outcomes.c.status == OutcomeStatus.DONE.value)
    query = select(cycles.c.began_at, intents.c.target, intents.c.after_value).select_from(turns)
    return query.where(
        intents.c.dial == Dial.WORKLOAD.value, or_(resumed, and_(intents.c.after_value == 0, may_have_happened()))
    ).order_by(cycles.c.began_at, intents.c.id)


def open_intents(cycle_id: int) -> Select[Any]:
    """Approved and not concluded; of twins the first comes last, so that it is the one found by key."""
    query = select(intents).select_from(turns).where(intents.c.cycle_id == cycle_id, intents.c.approved)
    return query.where(outcomes.c.status.is_(None)).order_by(intents.c.id.desc())


def turned(row: Row[Any]) -> tuple[str, str, int, int]:
    """What tells the actions of one cycle apart."""
    return (row.dial, row.target, row.before_value, row.after_value)


def intent_row(verdict: Verdict) -> dict[str, Any]:
    action = verdict.action
    return {
        "dial": action.dial.value,
        "target": action.target,
        "before_value": action.before,
        "after_value": action.after,
        "approved": verdict.approved,
        "verdict": json.dumps(encode(verdict), separators=(",", ":"), allow_nan=False),
    }


def outcome_row(outcome: Outcome) -> dict[str, str]:
    return {"status": outcome.status.value, "sentence": outcome.sentence, "diff": outcome.diff}


def verdict_of(row: Row[Any]) -> Verdict:
    verdict: Verdict = read(Verdict, row.verdict)
    return verdict


def verdicts_and_outcomes(connection: Connection, cycle_id: int) -> tuple[tuple[Verdict, ...], tuple[Outcome, ...]]:
    """In the order in which they were wanted."""
    columns = (intents.c.verdict, outcomes.c.status, outcomes.c.sentence, outcomes.c.diff)
    query: Select[Any] = select(*columns).select_from(turns).where(intents.c.cycle_id == cycle_id)
    rows = connection.execute(query.order_by(intents.c.id)).all()
    return tuple(map(verdict_of, rows)), tuple(_outcomes(rows))


def _outcomes(rows: Iterable[Row[Any]]) -> Iterator[Outcome]:
    for row in rows:
        if row.status is not None:
            yield Outcome(verdict_of(row).action, OutcomeStatus(row.status), row.sentence, row.diff)


def entry_rows() -> Select[Any]:
    """Cycles, newest first, with the counts of what belongs to them."""
    everything = cycles.outerjoin(intents, intents.c.cycle_id == cycles.c.id).outerjoin(
        outcomes, outcomes.c.intent_id == intents.c.id
    )
    counts = {
        "wanted": intents.c.id.is_not(None),
        "held": ~intents.c.approved,
        "done": outcomes.c.status == OutcomeStatus.DONE.value,
        "unknown": unknown(),
    }
    counted = (func.sum(case((condition, 1), else_=0)).label(name) for name, condition in counts.items())
    return select(cycles, *counted).select_from(everything).group_by(cycles.c.id).order_by(cycles.c.id.desc())


def entry_of(row: Row[Any]) -> Entry:
    sentence = f"{row.sentence}, {row.unknown} unknown" if row.unknown else row.sentence
    return Entry(row.id, row.began_at, row.mode, sentence, row.wanted, row.held, row.done, row.unknown)


def forget_quiet_pictures(connection: Connection, newest: int, now: datetime) -> None:
    """Of cycles that turned nothing one picture an hour stays, and the newest: the rest of 1,440 a day is bulk.

    What they wanted stays. A wish that is rehearsed or held back comes again each minute, and says the same.
    """
    hour = now.replace(minute=0, second=0, microsecond=0)
    turned_here = intents.outerjoin(outcomes, outcomes.c.intent_id == intents.c.id)
    turns_one = select(intents.c.id).select_from(turned_here).where(intents.c.cycle_id == cycles.c.id)
    quiet = select(cycles.c.id).where(cycles.c.began_at >= hour, cycles.c.id < newest)
    quiet = quiet.where(~turns_one.where(may_have_happened()).exists())
    connection.execute(delete(pictures).where(pictures.c.cycle_id.in_(quiet)))
