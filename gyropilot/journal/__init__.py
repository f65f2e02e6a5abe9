"""The journal: where every cycle is written down, intent before outcome."""

from gyropilot.journal.journal import Journal
from gyropilot.journal.lease import Holder
from gyropilot.journal.rows import Entry

__all__ = ["Entry", "Holder", "Journal"]
