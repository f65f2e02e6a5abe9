"""Which name was meant by one that is none of those that are known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], likeness: float = 0.7) -> str | None:
    """None where nobody could tell; capitals, blanks and dashes count for nothing on either side."""
    plain = {_plain(each): each for each in known}
    close = difflib.get_close_matches(_plain(name), plain, 1, likeness)
    return plain[close[0]] if close else None


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")
