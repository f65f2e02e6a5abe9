"""A simulated cluster as arrays: its terms, the nodes that come and go, and where it stands."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.compiled.lean import lean
from envs.compiled.quotas import Rules, State, Work
from envs.compiled.stops import Course, Fates, Kinds

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Terms(NamedTuple):
    """Of pools, which are the flavors of the rules; what chance will do is written down beforehand."""

    per_node: Ints  # (P,) GPUs
    least: Ints  # (P,) nodes
    most: Ints  # (P,)
    lead: Ints  # (P, T) steps until nodes that are asked for in a step can be used
    loss: Floats  # (P, T) share of nodes that the market takes back in a step
    chance: Floats  # (P, T) from 0 to 1: whether what is less than a node counts as one
    billed: Ints  # (P,) steps that a node is paid for at least


class Nodes(NamedTuple):
    """What is there and what is to come; changes."""

    there: Ints  # (P,) nodes
    coming: Ints  # (P,)
    due: Ints  # (P, T + 1) nodes that come at the beginning of a step
    born: Ints  # (P, T + 1) nodes that are there since a step
    oldest: Ints  # (P,) the first step since which any is there


class Troubles(NamedTuple):
    """What befalls nodes beyond `Terms.loss`, and what came of it; from `going` on it changes.

    Causes are along `envs.losses.CAUSES`.
    """

    notice_s: Floats  # (P,) from telling that nodes go until they do: less than a step
    recorded: Ints  # (P, T) nodes that the market takes back beside its share
    outage: Floats  # (P, T) share of nodes that goes without notice, and not by failing
    failing: Floats  # (P, T) share of nodes that fail
    chance: Floats  # (P, T) from 0 to 1: whether what is less than a node fails as one
    whom: Floats  # (P, T) from 0 to 1: which jobs are on nodes that fail
    repair: Ints  # (P,) steps until nodes that failed are back; 0: they do not come back
    writes_s: float  # how long a job needs to write a checkpoint
    going: Ints  # (P,) nodes that go in this step, and were told so as it began
    told_s: Floats  # (N,) when that run of a job began which is on such nodes
    nodes: Ints  # (3, P) that were lost, by cause
    hits: Ints  # (3, N) how often each job was on them
    lost: Floats  # (3,) GPU-hours of its work


class Site(NamedTuple):
    """A cluster: what it is and where it stands."""

    work: Work
    kinds: Kinds
    rules: Rules
    terms: Terms
    state: State
    nodes: Nodes
    fates: Fates
    troubles: Troubles | None  # None: none but those of the terms


@lean
def course(site: Site) -> Course:
    """What jobs are told by."""
    return Course(site.work, site.rules, site.state, site.kinds, site.fates)


@lean
def gone(nodes: Nodes, pool: int, fewer: int, nth: int = 0, billed: int = 0) -> float:
    """The oldest nodes leave; node-steps that are paid for and not used."""
    nodes.there[pool] -= fewer
    unused = 0.0
    while fewer > 0:
        since = nodes.oldest[pool]
        leave = min(fewer, nodes.born[pool, since])
        nodes.born[pool, since] -= leave
        unused += leave * max(0, since + billed - nth)
        fewer -= leave
        if nodes.born[pool, since] == 0 and fewer > 0:
            nodes.oldest[pool] += 1
    return unused
