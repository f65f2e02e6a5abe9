"""What each queue's quota was before Gyropilot ever turned it: the measure of its guaranteed share.

The quota seen first is the entitlement. When another value is seen later, either Gyropilot turned it, and the
entitlement stays, or someone else did, and what they wrote is the entitlement from then on. Gyropilot turned it if an
action that may have been carried out, written down since the last look, ends at just this value.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, func, select

from gyropilot.domain import Dial, Quota
from gyropilot.journal.rows import may_have_happened, turns
from gyropilot.journal.schema import entitlements, intents


def entitle(connection: Connection, quotas: Iterable[Quota]) -> None:
    """Compares what is seen with what was."""
    known = {row.target: row for row in connection.execute(select(entitlements))}
    newest = connection.execute(select(func.max(intents.c.id))).scalar() or 0
    for quota in quotas:
        if not quota.dial_target:
            continue
        row = known.get(quota.dial_target)
        if row is None:
            _remember(connection, quota, newest)
        elif row.seen_gpus != quota.nominal_gpus:
            _compare(connection, quota, row, newest)


def _remember(connection: Connection, quota: Quota, newest: int) -> None:
    connection.execute(
        entitlements.insert().values(
            target=quota.dial_target,
            entitled_gpus=quota.nominal_gpus,
            seen_gpus=quota.nominal_gpus,
            intent_id=newest,
        )
    )


def _compare(connection: Connection, quota: Quota, row: Row[Any], newest: int) -> None:
    seen = quota.nominal_gpus
    own = _turned_to(connection, quota, row.intent_id)
    entitled = row.entitled_gpus if own else seen
    connection.execute(
        entitlements.update()
        .where(entitlements.c.target == quota.dial_target)
        .values(entitled_gpus=entitled, seen_gpus=seen, intent_id=newest)
    )


def _turned_to(connection: Connection, quota: Quota, since: int) -> bool:
    """Whether Gyropilot itself set, or may have set, the value that is seen."""
    own = (
        select(intents.c.id)
        .select_from(turns)
        .where(intents.c.dial == Dial.QUEUE_QUOTA.value, intents.c.target == quota.dial_target)
        .where(intents.c.id > since, intents.c.after_value == quota.nominal_gpus, may_have_happened())
    )
    return connection.execute(own.limit(1)).first() is not None
