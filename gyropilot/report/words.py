"""Numbers, times and names as a reader expects them. Nothing here knows HTML, SVG or a terminal."""

from __future__ import annotations

import math
import unicodedata
from datetime import datetime, timedelta
from typing import TypeGuard

from gyropilot.domain import Effect, Interval

UNKNOWN = "–"
MINUS = "\N{MINUS SIGN}"

TOTAL = "all queues"
"""What rows and pictures of the total are called: `all` may be a queue, as in tables of jobs that name none."""

# Text that runs against the rest of its line can make a name read as another one.
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def visible(text: str) -> str:
    """The text with a mark in place of what a terminal or browser would obey instead of showing."""
    if text.isprintable():
        return text
    return "".join("\N{REPLACEMENT CHARACTER}" if _obeyed(c) else c for c in text)


def _obeyed(char: str) -> bool:
    return (unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\t") or char in _REORDERING


def number(value: float | None) -> str:
    """At most three digits that matter: 1,240, 96, 7.4, 0.03, 1.2 M; a dash when not known."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    size = abs(value)
    if size >= 999_500:
        shown = f"{size / 1e6:,.1f} M"
    elif size >= 9.95:
        shown = f"{size:,.0f}"
    else:
        shown = f"{size:.1f}".removesuffix(".0") if size >= 0.095 or size < 0.005 else f"{size:.2f}"
    return shown if value >= 0 or shown == "0" else MINUS + shown


def signed(value: float) -> str:
    """With its sign: +16, −4, 0."""
    shown = number(value)
    return shown if shown in ("0", UNKNOWN) or shown.startswith(MINUS) else "+" + shown


def usd(value: float) -> str:
    """Signed dollars: −$1,240."""
    shown = signed(value)
    return shown if shown == UNKNOWN else f"{shown[0]}${shown[1:]}" if shown[0] in f"+{MINUS}" else f"${shown}"


def size(value: float) -> str:
    """Without its sign."""
    return number(abs(value))


def count(many: float, what: str) -> str:
    """1 GPU, 12 GPUs."""
    shown = number(many)
    return f"{shown} {what}" if shown == "1" else f"{shown} {what}s"


def percent(share: float | None) -> str:
    return UNKNOWN if share is None or not math.isfinite(share) else f"{share:.0%}".replace("%", " %")


def less_or_more(percent_apart: float) -> str:
    """12.7 % less, 1,240 % more: how sentences compare; only tables have signs."""
    return f"{tenths(percent_apart)} % {'more' if percent_apart > 0 else 'less'}"


def less_to_more(low: float, high: float) -> str:
    """8.0 to 20.0 % less, 20.0 % less to 3.0 % more: an interval, its smaller figure first where both point one way."""
    if low < 0 < high:
        return f"{less_or_more(low)} to {less_or_more(high)}"
    near, far = sorted((low, high), key=abs)
    return f"{tenths(near)} to {less_or_more(far)}"


def within(low: float | None, high: float | None) -> str:
    """(90 %: 8.0 to 20.0 % less) after a space; empty where there is no interval."""
    return "" if not _told(low) or not _told(high) else f" (90 %: {less_to_more(low, high)})"


def percent_apart(value: float | None) -> str:
    """+12.3 %, −1,240 %: how tables compare; a dash when not known."""
    return f"{_apart(value)} %" if _told(value) else UNKNOWN


def percent_span(low: float | None, high: float | None) -> str:
    """−14.6 to −4.5 %; empty where there is no interval."""
    return f"{_apart(low)} to {_apart(high)} %" if _told(low) and _told(high) else ""


def _told(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _apart(value: float) -> str:
    sign = "" if tenths(value) == "0.0" else MINUS if value < 0 else "+"
    return f"{sign}{tenths(value)}"


def tenths(value: float) -> str:
    """12.7, 1,240: without its sign."""
    return f"{abs(value):,.1f}" if abs(value) < 99.95 else f"{abs(value):,.0f}"


def duration(span: timedelta | None) -> str:
    """20 s, 6 min, 3 h 20 min, 2 d 4 h."""
    if span is None:
        return UNKNOWN
    seconds = int(span.total_seconds())
    if abs(seconds) < 60:
        return f"{seconds} s"
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    parts = [(days, "d"), (hours, "h"), (rest // 60, "min")]
    return " ".join([f"{n} {unit}" for n, unit in parts if n][:2])


def day(moment: datetime) -> str:
    """2 Mar."""
    return f"{moment.day} {moment:%b}"


def moment(when: datetime) -> str:
    """Mon 2 Mar 2026, 12:00 UTC."""
    return f"{when:%a} {day(when)} {when:%Y, %H:%M} UTC"


def known(interval: Interval) -> bool:
    return all(math.isfinite(v) for v in (interval.low, interval.mid, interval.high))


def still(interval: Interval) -> bool:
    """Nothing is expected to change."""
    return interval.low == interval.mid == interval.high == 0


def nothing_expected(effect: Effect) -> bool:
    figures = (effect.usd, effect.waiting_gpu_hours, effect.kwh, effect.kg_co2)
    return all(still(i) for i in figures) and not effect.lost_gpu_hours
