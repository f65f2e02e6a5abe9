"""Binary heaps in plain arrays: the smallest key first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.compiled.lean import lean

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@lean
def pushed(keys: Floats, values: Ints, count: int, key: float, value: int) -> int:
    """Puts a value among the first `count`; how many there are then."""
    at = count
    while at > 0 and keys[(at - 1) // 2] > key:
        above = (at - 1) // 2
        keys[at], values[at] = keys[above], values[above]
        at = above
    keys[at], values[at] = key, value
    return count + 1


@lean
def popped(keys: Floats, values: Ints, count: int) -> int:
    """Takes the first of `count` away; how many there are then."""
    last = count - 1
    key, value = keys[last], values[last]
    at = 0
    while 2 * at + 1 < last:
        below = 2 * at + 1
        if below + 1 < last and keys[below + 1] < keys[below]:
            below += 1
        if key <= keys[below]:
            break
        keys[at], values[at] = keys[below], values[below]
        at = below
    keys[at], values[at] = key, value
    return last


@lean
def joined(heap: Ints, count: int, value: int) -> int:
    """`pushed`, where a value is its own key."""
    at = count
    while at > 0 and heap[(at - 1) // 2] > value:
        heap[at] = heap[(at - 1) // 2]
        at = (at - 1) // 2
    heap[at] = value
    return count + 1


@lean
def left(heap: Ints, count: int) -> int:
    """`popped`, where a value is its own key."""
    last = count - 1
    value, at = heap[last], 0
    while 2 * at + 1 < last:
        below = 2 * at + 1
        if below + 1 < last and heap[below + 1] < heap[below]:
            below += 1
        if value <= heap[below]:
            break
        heap[at] = heap[below]
        at = below
    heap[at] = value
    return last


@lean
def taken_out(heap: Ints, count: int, value: int) -> int:
    """`removed`, where a value is its own key."""
    at = 0
    while heap[at] != value:
        at += 1
    while at > 0:  # as if it were the smallest
        heap[at] = heap[(at - 1) // 2]
        at = (at - 1) // 2
    return left(heap, count)


@lean
def removed(keys: Floats, values: Ints, count: int, value: int) -> int:
    """Takes a value away, wherever it is among the first `count`; how many there are then."""
    at = 0
    while values[at] != value:
        at += 1
    while at > 0:  # as if it were the smallest
        above = (at - 1) // 2
        keys[at], values[at] = keys[above], values[above]
        at = above
    return popped(keys, values, count)
