"""Range answers, read straight from the bytes of the body into float64 cells: no object per sample, no whole body.

A Prometheus writes one series as `{"metric":{…},"values":[[1767225600,"8"],[1767225900,"8"]]}`. Three facts make it
quick to read: the times of a range answer lie on the grid that was asked for, so its first and last time and its
number of samples tell whether a series has gaps; most counts of GPUs are short whole numbers, so their digits can be
added up for a whole block at once; and nothing has to be kept of a body but the block that is being read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyropilot.domain import Floats

Labels = dict[str, str]
Key = tuple[str, ...]
Codes = NDArray[np.uint8]  # text as bytes
Positions = NDArray[np.int64]  # places in such a text

_RESULT = b'"result":['
_VALUES = b',"values":[['
_END = b'"]]}'
_QUOTE, _ZERO = b'"'[0], b"0"[0]
_TIME_DIGITS = 10  # of whole seconds since the epoch, from 2001 to 2286
_SHORT = 7  # digits of a whole number that are added up at once; longer ones are read one by one


class ShapeError(ValueError):
    """An answer does not look like one to a range query."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Equally spaced moments, in whole seconds since the epoch."""

    start_s: int
    step_s: int
    count: int

    @classmethod
    def ending(cls, now: datetime, history: timedelta, step: timedelta) -> Grid:
        """The grid of multiples of `step` that reaches `history` back from the newest one at or before `now`."""
        step_s = max(1, round(step.total_seconds()))
        count = max(1, int(history.total_seconds()) // step_s)
        end_s = int(now.timestamp()) // step_s * step_s
        return cls(end_s - (count - 1) * step_s, step_s, count)

    @property
    def end_s(self) -> int:
        return self.start_s + (self.count - 1) * self.step_s

    @property
    def times(self) -> NDArray[np.int64]:
        """(T,) seconds since the epoch."""
        return self.start_s + self.step_s * np.arange(self.count, dtype=np.int64)

    def split(self, points: int) -> Iterator[Grid]:
        """Consecutive grids of at most `points` moments that hold each moment exactly once."""
        for first in range(0, self.count, points):
            yield Grid(self.start_s + first * self.step_s, self.step_s, min(points, self.count - first))

    def columns(self, times_s: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where on the grid these moments lie; ShapeError when one does not."""
        places, rest = np.divmod(times_s - self.start_s, self.step_s)
        if rest.any() or (places < 0).any() or (places >= self.count).any():
            raise ShapeError("its times are not those that were asked for")
        return places


@dataclass(slots=True)
class Table:
    """Rows on one grid, NaN where nothing was seen; of rows with equal keys (replicas of one exporter), the largest."""

    grid: Grid
    key: Callable[[Labels], Key]
    rows: int = 64  # expected; more are made room for
    keys: dict[Key, int] = field(default_factory=dict)
    _cells: Floats = field(init=False)
    _lock: Lock = field(init=False, default_factory=Lock)

    def __post_init__(self) -> None:
        self._cells = np.empty((max(1, self.rows), self.grid.count))  # memory is taken only by rows that are used

    @property
    def values(self) -> Floats:
        """(rows, T) in the order of `keys`."""
        return self._cells[: len(self.keys)]

    def put(self, labels: Labels, times_s: NDArray[np.int64] | range, values: Floats) -> None:
        """Enter the samples of one series. Safe to call from several threads, and to repeat."""
        if isinstance(times_s, range):
            first, last = self.grid.columns(np.array([times_s[0], times_s[-1]]))
            columns: slice | NDArray[np.int64] = slice(first, last + 1)
        else:
            columns = self.grid.columns(times_s)
        with self._lock:
            row = self._row(self.key(labels))
            row[columns] = np.fmax(row[columns], values)

    def followed_by(self, newer: Table, grid: Grid) -> Table:
        """On a grid that begins in this table and ends with `newer`: this before `newer` begins, then `newer`.

        Rows of which nothing is left are left out, as if they had never been asked for.
        """
        width = (newer.grid.start_s - grid.start_s) // grid.step_s
        begin = (grid.start_s - self.grid.start_s) // grid.step_s
        whole = Table(grid, self.key, len({*self.keys, *newer.keys}))
        for key, row in self.keys.items():
            left = self._cells[row, begin : begin + width]
            if not np.isnan(left).all():
                whole._row(key)[:width] = left
        for key, row in newer.keys.items():
            whole._row(key)[width:] = newer._cells[row]
        return whole

    def _row(self, key: Key) -> Floats:
        if key not in self.keys:
            if len(self.keys) == len(self._cells):
                self._cells = np.concatenate([self._cells, np.empty_like(self._cells)])
            self._cells[len(self.keys)] = np.nan
            self.keys[key] = len(self.keys)
        row: Floats = self._cells[self.keys[key]]
        return row


Put = Callable[[Labels, NDArray[np.int64] | range, Floats], None]


def read_matrix(body: Iterable[bytes], step_s: int, put: Put) -> dict[str, Any]:
    """Hand every series of a range answer to `put` while it arrives; returns the answer without its series.

    Raises ShapeError for anything but a matrix of floats.
    """
    blocks = iter(body)
    head = b""
    for block in blocks:
        head += block
        if _RESULT in head:
            break
    else:
        return _read_plainly(head, put)
    envelope, _, rest = head.partition(_RESULT)
    for pieces in _pieces(rest, blocks):
        if isinstance(pieces, bytes):
            if not pieces.startswith(b"]"):
                raise ShapeError("a series has no values, or ends too early")
            return _envelope(envelope + _RESULT + pieces)
        _read_block(pieces, step_s, put)
    raise ShapeError("it ends too early")


def _pieces(rest: bytes, blocks: Iterator[bytes]) -> Iterator[list[tuple[bytes, bytes]] | bytes]:
    """Per block the (labels, samples) of each whole series in it; at last what follows the series."""
    carry = b""  # a label may hold the text that ends a series
    block: bytes | None = rest
    while block is not None:
        *whole, rest = rest.split(_END)
        found = []
        for piece in whole:
            labels, marker, samples = (carry + piece).partition(_VALUES)
            if marker:
                found.append((labels, samples))
            carry = b"" if marker else carry + piece + _END
        if found:
            yield found
        block = next(blocks, None)
        rest += block or b""
    yield carry + rest


def _read_block(pieces: list[tuple[bytes, bytes]], step_s: int, put: Put) -> None:
    text = b'"'.join(samples for _, samples in pieces) + b'"'
    codes = np.frombuffer(text, np.uint8)
    quotes = np.flatnonzero(codes == _QUOTE)
    opening, closing = quotes[0::2], quotes[1::2]
    values = _numbers(text, codes, opening, closing)
    ends = np.searchsorted(closing, np.cumsum([len(samples) + 1 for _, samples in pieces]))
    begin = 0
    for (labels, _), end in zip(pieces, ends.tolist(), strict=True):
        put(_labels(labels), _times(codes, opening[begin:end], step_s), values[begin:end])
        begin = end


def _labels(text: bytes) -> Labels:
    try:
        labels: Labels = json.loads(text.lstrip(b",") + b"}")["metric"]
    except (ValueError, KeyError) as problem:
        raise ShapeError("a series has no labels") from problem
    return labels


def _times(codes: Codes, opening: Positions, step_s: int) -> NDArray[np.int64] | range:
    """When the samples were taken, told by the first and the last one where none is missing between them."""
    first, last = (int(t) for t in _seconds(codes, opening[[0, -1]]))
    if last - first == (len(opening) - 1) * step_s:
        return range(first, last + 1, step_s)
    return _seconds(codes, opening)


_POWERS = 10 ** np.arange(_TIME_DIGITS - 1, -1, -1, dtype=np.int64)


def _seconds(codes: Codes, opening: Positions) -> NDArray[np.int64]:
    """The whole seconds that stand before `,"`; a longer number fails the grid's check."""
    digits = codes[opening[:, None] + np.arange(-1 - _TIME_DIGITS, -1)] - _ZERO
    seconds: NDArray[np.int64] = digits @ _POWERS
    return seconds


def _numbers(text: bytes, codes: Codes, opening: Positions, closing: Positions) -> Floats:
    """What stands between the quotes: short whole numbers digit by digit for all at once, others one by one."""
    lengths = closing - opening - 1
    total = np.zeros(len(opening), np.int64)
    plain = (lengths > 0) & (lengths <= _SHORT)
    for place in range(int(lengths[plain].max(initial=0))):
        digit = codes[closing - 1 - place] - _ZERO  # wraps round to more than 9 for anything but a digit
        there = lengths > place
        plain &= ~there | (digit <= 9)
        total += np.where(there, digit, 0) * np.int64(10**place)
    values = total.astype(np.float64)
    for odd in np.flatnonzero(~plain).tolist():
        values[odd] = _number(text[opening[odd] + 1 : closing[odd]])
    return values


def _number(text: bytes | str) -> float:
    try:
        return float(text)
    except ValueError as problem:
        raise ShapeError("a value is no number") from problem


def _read_plainly(body: bytes, put: Put) -> dict[str, Any]:
    """The same for an answer that is written with spaces."""
    answer = _envelope(body)
    if not isinstance(answer.get("data"), dict) or not isinstance(answer["data"].get("result"), list):
        raise ShapeError("it has no result")
    for series in answer["data"].pop("result"):
        pairs = series.get("values")
        if not pairs:
            raise ShapeError("a series has no values")
        times, values = zip(*pairs, strict=True)
        put(series["metric"], np.array(times, np.int64), np.array([_number(v) for v in values]))
    return answer


def _envelope(text: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(text)
    except ValueError as problem:
        raise ShapeError("it is not JSON") from problem
    if not isinstance(answer, dict):
        raise ShapeError("it is not an object")
    return answer
