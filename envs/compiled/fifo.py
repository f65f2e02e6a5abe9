"""First come, first served on equal nodes; see `envs.fixed`.

Nodes with the same number of free GPUs are a set of bits, so that the first of the fullest that still fit is found in
a few steps, however many nodes there are. Running gangs are a heap by their end.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.compiled.heaps import popped, pushed
from forecasting.compiled.loops import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bits = NDArray[np.uint64]

WORD = 64
ONE = np.uint64(1)
LOWEST = np.uint64(0x03F79D71B4CB0A89)
"""A de Bruijn sequence: times a power of two, its six highest bits tell which."""

POWERS = np.zeros(WORD, dtype=np.int64)
for _power in range(WORD):
    POWERS[((int(LOWEST) << _power) & (2**WORD - 1)) >> 58] = _power


@compiled
def replay(
    submit_s: Floats, duration_s: Floats, gpus: Ints, first: Ints, cluster: tuple[int, int], start_s: Floats, node: Ints
) -> None:
    """Fills `start_s` (N,), and `node` (P,) of each part of each job, from `first` (N + 1,) of its parts on.

    Jobs lie in the order in which they are served, and each fits the empty `cluster`: nodes, and GPUs of each.
    """
    nodes, per_node = cluster
    free = np.full(nodes, per_node)
    levels = np.zeros((per_node + 1, (nodes + WORD - 1) // WORD), dtype=np.uint64)  # which nodes have so many free
    count = np.zeros(per_node + 1, dtype=np.int64)  # how many
    for each in range(nodes):
        levels[per_node, each // WORD] |= ONE << np.uint64(each % WORD)
    count[per_node] = nodes
    ends, gangs, running = np.empty(nodes * per_node + 1), np.empty(nodes * per_node + 1, dtype=np.int64), 0
    now, freed_s = -np.inf, -np.inf
    for job in range(len(submit_s)):
        now = max(now, submit_s[job])
        while True:
            # Of one moment ends come first: who starts and ends in it frees nothing until somebody is blocked.
            while running and ends[0] <= now and freed_s < now:
                ended = gangs[0]
                for nth, part in enumerate(node[first[ended] : first[ended + 1]]):
                    _moved(part, min(per_node, gpus[ended] - nth * per_node), free, levels, count)
                running = popped(ends, gangs, running)
            freed_s = now
            if _fits(gpus[job], count, per_node):
                break
            now, freed_s = ends[0], -np.inf
        start_s[job] = now
        for nth in range(first[job + 1] - first[job]):
            taken = min(per_node, gpus[job] - nth * per_node)
            least = taken if gpus[job] <= per_node else per_node
            part = _first(levels[_fullest(least, count, per_node)])
            node[first[job] + nth] = part
            _moved(part, -taken, free, levels, count)
        running = pushed(ends, gangs, running, now + duration_s[job], job)


@compiled
def _fits(wanted: int, count: Ints, per_node: int) -> bool:
    if wanted > per_node:
        return bool(count[per_node] * per_node >= wanted)
    return _fullest(wanted, count, per_node) <= per_node


@compiled
def _fullest(wanted: int, count: Ints, per_node: int) -> int:
    """The fewest free GPUs on a node that suffice; more than a node has where none does."""
    level = wanted
    while level <= per_node and not count[level]:
        level += 1
    return level


@compiled
def _first(nodes: Bits) -> int:
    """The first node of a set that is not empty."""
    word = 0
    while not nodes[word]:
        word += 1
    lowest = nodes[word] & (~nodes[word] + ONE)
    return word * WORD + int(POWERS[(lowest * LOWEST) >> np.uint64(58)])


@compiled
def _moved(node: int, freed: int, free: Ints, levels: Bits, count: Ints) -> None:
    """Notes that so many GPUs of a node are free beside those that were."""
    word, bit = node // WORD, ONE << np.uint64(node % WORD)
    levels[free[node], word] &= ~bit
    count[free[node]] -= 1
    free[node] += freed
    levels[free[node], word] |= bit
    count[free[node]] += 1
