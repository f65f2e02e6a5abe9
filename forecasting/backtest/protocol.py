"""What is asked, when, and about which stretches of time: the rules that everybody who is compared keeps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

import numpy as np
from numpy.typing import NDArray

from forecasting.rolling import until
from gyropilot.domain import ALL_QUEUES, DemandHistory, Window
from gyropilot.errors import SettingsError

TENTHS = tuple(round(0.1 * n, 1) for n in range(1, 10))
QUANTILES = (0.01, 0.025, 0.05, *TENTHS, 0.95, 0.975, 0.99)
"""What every model is asked for: the body and both tails."""

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
NEXT_HOUR = "next hour"
BUCKETS = (NEXT_HOUR, "1h", "1-6h", "1-24h")


@dataclass(frozen=True, slots=True)
class Bucket:
    """Windows that are scored together."""

    name: str
    windows: tuple[Window, ...]

    @classmethod
    def named(cls, name: str) -> Self:
        """`next hour`: its six windows of 10 minutes; `6h`: the sixth hour; `1-24h`: the first 24 hours, pooled."""
        if name == NEXT_HOUR:
            return cls(name, _windows(HOUR / 6, 1, 6))
        told = re.fullmatch(r"(?:(\d{1,3})-)?(\d{1,3})h", name)
        first, last = (int(told[1] or told[2]), int(told[2])) if told else (0, 0)
        if not 1 <= first <= last <= WEEK // HOUR:
            raise SettingsError(
                f"--horizons got {name!r}; it takes {NEXT_HOUR!r}, an hour such as 1h, or hours such as 1-24h, "
                f"up to 168h{_hint(name)}"
            )
        return cls(name, _windows(HOUR, first, last))


def _hint(name: str) -> str:
    """What is likely meant by minutes or days, which --horizons does not take."""
    told = re.fullmatch(r"(\d{1,4})(min|m|d)", name)
    if told is None:
        return ""
    if told[2] != "d":
        return f"; minutes are within {NEXT_HOUR!r}, six windows of 10 minutes"
    hours = 24 * int(told[1])
    return f"; the hours of {name} are 1-{hours}h, the last of them is {hours}h" if 0 < hours <= WEEK // HOUR else ""


def _windows(length: timedelta, first: int, last: int) -> tuple[Window, ...]:
    return tuple(Window((n - 1) * length, n * length) for n in range(first, last + 1))


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a history is replayed."""

    buckets: tuple[str, ...] = BUCKETS
    begin: datetime | None = None  # the first origin; None: see `_begin`
    end: datetime | None = None  # what is later is left out; None: all is in
    every: timedelta = 3 * HOUR  # between origins
    refit: timedelta = DAY  # between two fits of a model
    totals: bool = False  # score the sum over queues instead of each queue


@dataclass(frozen=True, eq=False, slots=True)
class Plan:
    """One history with the questions that are asked of it."""

    history: DemandHistory  # ends where the test ends
    origins: NDArray[np.int64]  # (O,) columns, each the newest reading that is known then
    buckets: tuple[Bucket, ...]
    refit: timedelta
    scored: NDArray[np.bool_]  # (L,) the lines that count
    notes: tuple[str, ...]

    @property
    def windows(self) -> tuple[Window, ...]:
        """Each window once, in the order of time; it may be in several buckets."""
        return tuple(sorted({w for b in self.buckets for w in b.windows}, key=lambda w: (w.end, w.start)))

    def within(self, bucket: Bucket) -> list[int]:
        """Where the windows of a bucket stand in `windows`."""
        return [self.windows.index(window) for window in bucket.windows]

    @classmethod
    def of(cls, history: DemandHistory, protocol: Protocol) -> Self:
        """Raises SettingsError where nothing could be learnt or nothing could be scored."""
        history = _ending(history, protocol.end)
        buckets, notes = _answerable(history.step, protocol.buckets)
        asked = history.with_totals() if protocol.totals else history
        scored = np.array([(line.queue == ALL_QUEUES) or not protocol.totals for line in asked.lines])
        origins = _origins(history, protocol, min(b.windows[0].end for b in buckets))
        return cls(asked, origins, buckets, protocol.refit, scored, notes)


def _ending(history: DemandHistory, end: datetime | None) -> DemandHistory:
    """The history as if it had been read at `end`."""
    if not len(history.times):
        raise SettingsError("the history is empty; give a trace with readings, or a Prometheus that holds demand")
    if end is None:
        return history
    newest = int(np.searchsorted(history.times, end.timestamp(), side="right")) - 1
    if newest < 1:
        raise SettingsError(f"--to {_told(end.timestamp())} lies before the history, which begins {_first(history)}")
    return until(history, newest)


def _answerable(step: timedelta, names: Sequence[str]) -> tuple[tuple[Bucket, ...], tuple[str, ...]]:
    """The buckets of which the history knows the outcome, and a note on each that is left out."""
    if not names:
        raise SettingsError(f"--horizons names none; it takes {NEXT_HOUR!r}, 1h, 1-24h or several, parted by commas")
    buckets = [Bucket.named(name) for name in dict.fromkeys(names)]
    fine = tuple(b for b in buckets if all(w.end - w.start >= step for w in b.windows))
    left = ", ".join(repr(b.name) for b in buckets if b not in fine)
    if step > HOUR:
        raise SettingsError(
            f"the history has a step of {_minutes(step)}, and no window is longer than an hour: it cannot be "
            "backtested; resample it to steps of an hour or less"
        )
    if not fine:
        raise SettingsError(
            f"the history has a step of {_minutes(step)}, longer than the windows of {left}; "
            "give a history with shorter steps, or other --horizons"
        )
    notes = (
        (f"{left} is left out: its windows are shorter than the history's step of {_minutes(step)}",) if left else ()
    )
    return fine, notes


def _origins(history: DemandHistory, protocol: Protocol, shortest: timedelta) -> NDArray[np.int64]:
    """(O,) columns at each `every` from the beginning, as long as the shortest window's outcome is known."""
    if protocol.every < history.step:
        raise SettingsError(
            f"--every {_minutes(protocol.every)} is shorter than the history's step of {_minutes(history.step)}"
        )
    begin_s, every_s = _begin(history, protocol).timestamp(), protocol.every.total_seconds()
    moments = np.arange(begin_s, int(history.times[-1]) - shortest.total_seconds() + 1, every_s)
    columns = np.searchsorted(history.times, moments, side="right") - 1
    if begin_s <= history.times[1] or not len(columns):
        raise SettingsError(
            f"no origin from {_told(begin_s)} on: the history reaches from {_first(history)} to "
            f"{_told(int(history.times[-1]))}, and models need some of it to learn from and some to be scored on; "
            f"{_within(history, shortest)}"
        )
    found: NDArray[np.int64] = columns.astype(np.int64)
    return found


def _within(history: DemandHistory, shortest: timedelta) -> str:
    """Between which moments an origin may lie: after two readings, and before the end of the shortest window."""
    last = int(history.times[-1]) - shortest.total_seconds()
    first = int(history.times[min(2, len(history.times) - 1)])
    if last < first:
        return "give a longer history"
    return f"the first origin that is possible is {_told(first)}, the last {_told(last)}"


def _begin(history: DemandHistory, protocol: Protocol) -> datetime:
    """As asked; else the last week, or the last third of what is shorter than two, from a round hour on."""
    if protocol.begin is not None:
        return protocol.begin
    span = len(history.times) * history.step
    test_s = (WEEK if span >= 2 * WEEK else span / 3).total_seconds()
    every_s = protocol.every.total_seconds()
    return datetime.fromtimestamp(np.ceil((int(history.times[-1]) - test_s) / every_s) * every_s, UTC)


def _first(history: DemandHistory) -> str:
    return _told(int(history.times[0]))


def _told(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"


def _minutes(span: timedelta) -> str:
    return f"{span / timedelta(minutes=1):g} min"
