"""Who may write: one Gyropilot at a time, because two that act on one cluster would undo each other's work.

The writer's name lies in the journal with the moment until which it is taken to live. It is renewed with each cycle
and asked again in the very transaction that writes down what is about to be turned. Readers never look.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, Row, delete, select

from gyropilot.errors import JournalError
from gyropilot.journal.schema import one_at_a_time, writer


@dataclass(frozen=True, slots=True)
class Holder:
    """One process that writes, told apart from every other by its token."""

    host: str
    pid: int
    pids: str  # the kernel's name for the space in which `pid` counts: two containers have one each
    token: str

    @classmethod
    def here(cls) -> Self:
        """This process."""
        return cls(socket.gethostname(), os.getpid(), _pid_namespace(), secrets.token_hex(8))


@dataclass(frozen=True, slots=True)
class Lease:
    """How one holder keeps the journal: each taking lasts so long from the clock's now."""

    holder: Holder
    now: Callable[[], datetime]
    lasting: timedelta

    def take(self, connection: Connection) -> None:
        """Takes or renews, in the transaction of `connection`. Raises JournalError while another holder lives."""
        one_at_a_time(connection)
        now, ours = self.now(), self.holder
        row = connection.execute(select(writer)).one_or_none()
        if row is not None and row.token != ours.token and row.until > now and not _gone(row, ours):
            raise JournalError(
                f"another gyropilot ({row.host}:{row.pid}) writes this journal until "
                f"{row.until.astimezone(UTC):%H:%M} UTC; stop it, or give another journal.url"
            )
        connection.execute(delete(writer))
        connection.execute(
            writer.insert().values(
                token=ours.token, host=ours.host, pid=ours.pid, pids=ours.pids, until=now + self.lasting
            )
        )

    def release(self, connection: Connection) -> None:
        """Lets the next one in at once; nothing where another has taken it meanwhile."""
        connection.execute(delete(writer).where(writer.c.token == self.holder.token))


def _gone(row: Row[Any], ours: Holder) -> bool:
    """Whether it can be seen from here that the holder has died: only among processes that count their ids together."""
    if (row.host, row.pids) != (ours.host, ours.pids) or not ours.pids:
        return False
    try:
        os.kill(row.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False  # it lives and belongs to someone else
    return False


def _pid_namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""  # not Linux: whether another process lives is not asked, its lease must run out
