"""The journal's tables, their version, and how older ones are brought up to date."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Dialect,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    inspect,
    select,
    text,
)

from gyropilot.errors import JournalError


class Moment(TypeDecorator[datetime]):
    """A moment in UTC as ISO 8601 of fixed width: sorts as text, reads as text, and no database shifts its zone."""

    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        return value.astimezone(UTC).isoformat(timespec="microseconds") if value is not None else None

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        return datetime.fromisoformat(value) if value is not None else None


metadata = MetaData()

schema_version = Table("schema_version", metadata, Column("version", Integer, nullable=False))

# Numbers are never given twice, although old rows are dropped: reports and entitlements refer to them.
cycles = Table(
    "cycles",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("began_at", Moment, nullable=False, index=True),
    Column("mode", String(16), nullable=False),
    Column("sentence", Text, nullable=False),
    sqlite_autoincrement=True,
)

pictures = Table(
    "pictures",
    metadata,
    Column("cycle_id", ForeignKey("cycles.id", ondelete="CASCADE"), primary_key=True),
    Column("body", LargeBinary, nullable=False),  # the cycle's JSON without verdicts and outcomes, zlib
)

intents = Table(
    "intents",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("cycle_id", ForeignKey("cycles.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("dial", String(32), nullable=False),
    Column("target", Text, nullable=False, index=True),
    Column("before_value", Integer, nullable=False),
    Column("after_value", Integer, nullable=False),
    Column("approved", Boolean, nullable=False),
    Column("verdict", Text, nullable=False),  # JSON: the action and every objection
    sqlite_autoincrement=True,
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("intent_id", ForeignKey("intents.id", ondelete="CASCADE"), primary_key=True),
    Column("status", String(16), nullable=False),
    Column("sentence", Text, nullable=False),
    Column("diff", Text, nullable=False),
)

entitlements = Table(
    "entitlements",
    metadata,
    Column("target", String(512), primary_key=True),
    Column("entitled_gpus", Integer, nullable=False),
    Column("seen_gpus", Integer, nullable=False),  # nominal quota when it was seen last
    Column("intent_id", Integer, nullable=False),  # newest intent that `seen_gpus` has been compared with
)

# One row at most: see `gyropilot.journal.lease`.
writer = Table(
    "writer",
    metadata,
    Column("token", String(32), primary_key=True),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("pids", String(64), nullable=False),
    Column("until", Moment, nullable=False),
)

Migration = Callable[[Connection], None]

# MIGRATIONS[0] makes version 2 of version 1, and so on: append, never change. The tables above are the newest version.
MIGRATIONS: tuple[Migration, ...] = ()

_ONE_AT_A_TIME = 4_397_460_213  # any number; the key of PostgreSQL's advisory lock


def one_at_a_time(connection: Connection) -> None:
    """Until the end of this transaction no other is past this point; SQLite's writers are so from their beginning."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ONE_AT_A_TIME})


def found_version(connection: Connection) -> int | None:
    """The version of the tables that are there; None: there are none."""
    if not inspect(connection).has_table(schema_version.name):
        return None
    return connection.execute(select(schema_version.c.version)).scalar_one_or_none()


def prepare(connection: Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Makes the tables, or brings older ones up to date; in one transaction, so that none is left half-way.

    Raises JournalError when a newer Gyropilot made them.
    """
    newest = 1 + len(migrations)
    one_at_a_time(connection)
    found = found_version(connection)
    if found is None:
        metadata.create_all(connection)
        connection.execute(schema_version.insert().values(version=newest))
        return
    if found > newest:
        raise JournalError(
            f"the journal was written by a newer Gyropilot (schema {found}, this one knows {newest}); "
            "upgrade Gyropilot, or set journal.url to another file"
        )
    for migrate in migrations[found - 1 :]:
        migrate(connection)
    connection.execute(schema_version.update().values(version=newest))
