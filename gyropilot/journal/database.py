"""The journal's database: opened so that a crash loses nothing that was written, its errors told as sentences."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, StaticPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from gyropilot.errors import JournalError

_BUSY_S = 5.0
_AGAIN_S = 0.01
_WRITES = "gyropilot_writes"

_CAUSES = {
    "locked": f"is locked by another process for more than {_BUSY_S:g} s; stop the other gyropilot, or give this one "
    "a journal.url of its own",
    "readonly": "cannot be written: it is read-only; make the file and its folder writable for this user, or set "
    "journal.url to a place that is",
    "disk is full": "cannot be written: the disk is full; free some space, or shorten journal.keep",
    "unable to open": "cannot be opened; make its folder, and writable for this user, or set journal.url to another",
    "not a database": "is not an SQLite database; move the file away, or set journal.url to another",
    "malformed": "is damaged; restore it from a backup, or move it away, and a new one is begun",
    "disk i/o error": "cannot be written: the disk answers with errors; check it, or set journal.url to another",
}


class Database:
    """Reads see one moment; writes happen whole or not at all, and are on the disk when they return."""

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        self.name = self._engine.url.render_as_string(hide_password=True)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Raises JournalError."""
        with self._told(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Raises JournalError; then nothing was written."""
        writer = self._engine.execution_options(**{_WRITES: True})
        with self._told(), writer.begin() as connection:
            yield connection

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as problem:
            raise JournalError(f"the journal {self.name} {_cause(problem)}") from problem


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() != "sqlite":
            return create_engine(parsed, pool_pre_ping=True)
    except (ArgumentError, ImportError) as problem:
        raise JournalError(
            f"journal.url cannot be used ({problem}); write sqlite:///gyropilot.db, or postgresql+psycopg://… after "
            "pip install 'gyropilot[postgres]'"
        ) from problem
    in_memory = parsed.database in (None, "", ":memory:")
    # One memory for all threads; files get a connection per thread.
    pool = {"poolclass": StaticPool} if in_memory else {}
    engine = create_engine(parsed, connect_args={"timeout": _BUSY_S, "check_same_thread": False}, **pool)
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


def _set_up(connection: Any, record: object) -> None:
    # The driver's own way of beginning transactions, late and never for reads, is switched off for _begin's.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    # Several that open a new file together refuse each other's wish at once, without the wait that other writes have.
    patience = time.monotonic() + _BUSY_S
    while not _writes_ahead(connection):
        if time.monotonic() > patience:
            raise sqlite3.OperationalError("database is locked")
        time.sleep(_AGAIN_S)


def _writes_ahead(connection: Any) -> bool:
    """Whether the journal is written ahead of, now if not before; false while someone else is about the file."""
    try:
        # Asked first, because a reader of a read-only journal may not even write the mode that it has already.
        if connection.execute("PRAGMA journal_mode").fetchone()[0] not in ("wal", "memory"):
            connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as problem:
        if problem.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:  # the low byte: the rest says busy with what
            raise
        return False
    return True


def _begin(connection: Connection) -> None:
    # A writer that begins as a reader fails at once when another writer was quicker; one that says so waits.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _cause(problem: Exception) -> str:
    said = str(problem).splitlines()[0]
    known = next((sentence for words, sentence in _CAUSES.items() if words in said.lower()), None)
    return known or f"cannot be used ({said}); check journal.url and that the database answers"
