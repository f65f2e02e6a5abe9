"""How long requests wait for servers: queueing theory, on arrays with one entry per stretch of time.

There are two reasons to wait, and who comes waits as long as the worse of both has it:

- By chance, where servers are enough on average: the queue M/M/c, requests that come at random to servers that take
  times of an exponential distribution, first come, first served (Erlang 1917; Kleinrock, "Queueing Systems" I, 1975).
  Each stretch is taken to have settled, which no queue has that is loaded just about fully: a critical one has grown
  to about `sqrt(4 rate x time / pi)` requests (the mean of a reflected Brownian motion). What would take longer to
  settle than SETTLES_S counts as far as it came by then.
- By need, where they are not: a backlog that grows with what comes and shrinks with what is answered, without chance
  (Lindley's recursion), and is answered in order. So nobody is turned away, and nobody gives up.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np

from envs.workloads import Floats, Ints

SETTLES_S = 3_600.0
"""For about as long a load stays as it is."""

BISECTIONS = 45


def erlang_c(servers: Ints, erlangs: Floats) -> Floats:
    """(N,) probability to wait, where so many servers are offered so much work; 1 where that is more than they can do.

    Erlang's B is the last share of a Poisson distribution that is cut off there, for which there is a closed form with
    the incomplete gamma function: as fast for a hundred thousand servers as for one, where a recursion goes one by one.
    """
    from scipy.special import gammaincc, gammaln

    chance = np.ones(len(servers))
    enough = erlangs < servers
    many, load = servers[enough].astype(np.float64), np.maximum(erlangs[enough], np.finfo(np.float64).tiny)
    blocked = np.exp(many * np.log(load) - load - gammaln(many + 1.0)) / gammaincc(many + 1.0, load)
    chance[enough] = blocked / (1.0 - load / many * (1.0 - blocked))
    return chance


@dataclass(frozen=True, eq=False, slots=True)
class Answers:
    """Of requests that come in N stretches of time: how long until they are answered, as a distribution."""

    requests: Floats  # (N,) that come
    behind_s: Floats  # (N,) that all of them wait: a backlog is answered first; inf: never
    waits: Floats  # (N,) probability to wait longer than that, by chance
    waited_s: Floats  # (N,) mean of how much longer, which is exponential
    service_s: float  # mean, exponential too

    def within(self, seconds: Floats | float) -> Floats:
        """(N,) share that is answered in so many seconds."""
        after_s = np.maximum(0.0, seconds - self.behind_s)
        share: Floats = -np.expm1(-after_s / self.service_s) - self.waits * self._later(after_s)
        return np.clip(share, 0.0, 1.0)

    def share(self, seconds: float) -> float:
        """Of all requests; 1 where there are none."""
        every = float(self.requests.sum())
        return float(self.within(seconds) @ self.requests) / every if every else 1.0

    def quantile(self, q: float) -> float:
        """Seconds within which so many of all requests are answered; inf: never."""
        if not self.requests.any():
            return 0.0
        low, high = 0.0, 1.0
        while self.share(high) < q:
            low, high = high, 2 * high
            if high > 1e12:
                return float("inf")
        for _ in range(BISECTIONS):
            mid = (low + high) / 2
            low, high = (mid, high) if self.share(mid) < q else (low, mid)
        return high

    def quantiles(self, q: float) -> Floats:
        """(N,) the same of each stretch."""
        low = np.zeros(len(self.behind_s))
        # Both times beyond their own quantiles of half of what is left is at least as rare as that.
        high = (self.waited_s + self.service_s) * -np.log((1.0 - q) / 2)
        for _ in range(BISECTIONS):
            mid = (low + high) / 2
            late = self.within(mid + np.where(np.isfinite(self.behind_s), self.behind_s, 0.0)) < q
            low, high = np.where(late, mid, low), np.where(late, high, mid)
        found: Floats = self.behind_s + high
        return found

    def _later(self, after_s: Floats) -> Floats:
        """(N,) by how much less is answered in time of those that wait by chance."""
        slow, fast = np.maximum(self.waited_s, self.service_s), np.minimum(self.waited_s, self.service_s)
        gap = np.divide(1.0, fast, out=np.full(len(fast), np.inf), where=fast > 0) - 1.0 / slow
        with np.errstate(invalid="ignore"):
            grown = np.where(gap > 0, -np.expm1(-gap * after_s) / gap, after_s)
        both = np.exp(-after_s / slow) * (1.0 + grown / slow)
        more: Floats = np.where(fast > 0, both - np.exp(-after_s / self.service_s), 0.0)
        return more


def answers_to(rate_per_s: Floats, servers: Ints, service_s: float, queue: Backlog, pace_per_s: float) -> Answers:
    """Of what comes in each stretch of a backlog; what is left at the end is answered at that pace.

    An exponential wait that is longer than the backlog's is so by as much again: it does not age.
    """
    behind_s = queue.behind_s(pace_per_s)
    waits, waited_s = by_chance(rate_per_s, servers, service_s)
    rest = np.divide(behind_s, waited_s, out=np.zeros(len(waits)), where=waited_s > 0)
    return Answers(rate_per_s * np.diff(queue.edges_s), behind_s, waits * np.exp(-rest), waited_s, service_s)


def by_chance(rate_per_s: Floats, servers: Ints, service_s: float) -> tuple[Floats, Floats]:
    """(N,) probability to wait, and the mean of that wait, of a queue M/M/c that had SETTLES_S to settle."""
    spare = servers / service_s - rate_per_s
    critical = np.sqrt(pi * rate_per_s / (4.0 * SETTLES_S))
    comes = critical > 0
    waits = np.where(comes, erlang_c(servers, rate_per_s * service_s), 0.0)
    return waits, np.divide(1.0, np.maximum(spare, critical), out=np.zeros(len(comes)), where=comes)


@dataclass(frozen=True, eq=False, slots=True)
class Backlog:
    """What came, what was answered and what waits, without chance; straight lines between E = N + 1 moments."""

    edges_s: Floats  # (E,) ascending
    came: Floats  # (E,) requests until then
    waiting: Floats  # (E,) requests

    @property
    def answered(self) -> Floats:
        """(E,) requests until then."""
        done: Floats = self.came - self.waiting
        return done

    def behind_s(self, pace_per_s: float) -> Floats:
        """(N,) how long who comes in the middle of each stretch waits; beyond the end, at that pace."""
        middle = (self.came[1:] + self.came[:-1]) / 2
        at_s = (self.edges_s[1:] + self.edges_s[:-1]) / 2
        answered = self.answered
        nth = np.clip(np.searchsorted(answered, middle), 1, len(answered) - 1)
        before, after = answered[nth - 1], answered[nth]
        part = np.divide(middle - before, after - before, out=np.zeros(len(middle)), where=after > before)
        when_s = self.edges_s[nth - 1] + part * (self.edges_s[nth] - self.edges_s[nth - 1])
        left = middle - answered[-1]
        last_s = self.edges_s[-1] + (left / pace_per_s if pace_per_s > 0 else np.where(left > 0, np.inf, 0.0))
        behind: Floats = np.maximum(0.0, np.where(left > 0, last_s, when_s) - at_s)
        # What was added up in another order differs by what floats cannot tell.
        nobody = (self.waiting[1:] <= 0) & (self.waiting[:-1] <= 0)
        behind[nobody] = 0.0
        return behind


def backlog(edges_s: Floats, rate_per_s: Floats, capacity_per_s: Floats) -> Backlog:
    """By Lindley's recursion; edges_s (N + 1,) are those of the stretches, more are put in where a backlog is done."""
    spans_s = np.diff(edges_s)
    more = (rate_per_s - capacity_per_s) * spans_s
    level = np.concatenate([[0.0], np.cumsum(more)])
    waiting = level - np.minimum.accumulate(level)
    came = np.concatenate([[0.0], np.cumsum(rate_per_s * spans_s)])
    return Backlog(edges_s, came, waiting)


def with_ends(edges_s: Floats, rate_per_s: Floats, capacity_per_s: Floats) -> Floats:
    """The edges, and the moments within stretches at which a backlog is done: from then on it is a straight line."""
    waiting = backlog(edges_s, rate_per_s, capacity_per_s).waiting
    done = np.flatnonzero((waiting[:-1] > 0) & (waiting[1:] <= 0))
    ends_s = edges_s[done] + waiting[done] / (capacity_per_s[done] - rate_per_s[done])
    return np.union1d(edges_s, ends_s)
