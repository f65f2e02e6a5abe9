"""What became of a service's requests, by the replicas that really ran."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from envs.loads import Load
from envs.queueing import Answers, Backlog, answers_to, backlog, with_ends
from envs.services import Service, Wanted
from envs.workloads import Floats, Ints

FINE_S = 60.0
"""Stretches are no longer: who comes in the middle of one stands for all of it."""


@dataclass(frozen=True, eq=False)
class Served:
    """A load, the replicas that were wanted and that answered, and how long answers took; N stretches of time."""

    service: Service
    load: Load
    wanted: Wanted
    rate_per_s: Floats  # (N,) requests that come
    ran: Ints  # (N,) replicas that answer
    backlog: Backlog
    answers: Answers
    began_s: float = 0.0  # by the clock of the jobs

    @property
    def edges_s(self) -> Floats:
        """(N + 1,) of the stretches."""
        return self.backlog.edges_s

    @property
    def spans_s(self) -> Floats:
        spans_s: Floats = np.diff(self.edges_s)
        return spans_s

    @property
    def asked(self) -> float:
        """In the load's unit."""
        return self.load.asked

    @property
    def unanswered(self) -> float:
        """What still waits when the load ends, in its unit."""
        return float(self.backlog.waiting[-1]) * self.service.per_request

    @property
    def ran_mean(self) -> float:
        return float(self.ran @ self.spans_s) / self.load.end_s

    @property
    def ran_peak(self) -> int:
        return int(self.ran.max())

    @cached_property
    def share_within(self) -> float:
        """Of requests, answered within the target."""
        return self.answers.share(self.service.target_s)

    @property
    def kept(self) -> bool:
        """Whether as many were as should be."""
        return self.share_within >= self.service.target_share

    @cached_property
    def p50_s(self) -> float:
        return self.answers.quantile(0.5)

    @cached_property
    def p95_s(self) -> float:
        return self.answers.quantile(0.95)

    @cached_property
    def p99_s(self) -> float:
        return self.answers.quantile(0.99)

    @property
    def most_waiting(self) -> float:
        """The largest backlog, in the load's unit."""
        return float(self.backlog.waiting.max()) * self.service.per_request

    @property
    def longest_backlog_s(self) -> float:
        """For which there was one without a break."""
        waits = np.concatenate([[False], (self.backlog.waiting[1:] > 0) | (self.backlog.waiting[:-1] > 0), [False]])
        edges = np.flatnonzero(np.diff(waits.astype(np.int8)))
        spans_s = self.edges_s[edges[1::2]] - self.edges_s[edges[::2]]
        return float(spans_s.max(initial=0.0))


def served(service: Service, load: Load, found: Wanted, ran_s: tuple[Floats, Floats]) -> Served:
    """Of a load, where replicas ran from when until when, in seconds since it began."""
    begin_s, end_s = _answering(service, ran_s, load.end_s)
    grid_s = np.linspace(0.0, load.end_s, max(1, round(load.end_s / FINE_S)) + 1)
    steps_s = np.append(load.times_s, load.end_s)
    edges_s = np.unique(np.concatenate([grid_s, steps_s, begin_s, end_s]))
    rates = _Rates(service, load, np.sort(begin_s), np.sort(end_s))
    edges_s = with_ends(edges_s, *rates.at(edges_s))
    rate_per_s, capacity_per_s = rates.at(edges_s)
    ran, queue = rates.ran(edges_s), backlog(edges_s, rate_per_s, capacity_per_s)
    pace_per_s = float(capacity_per_s[-1])
    answers = answers_to(rate_per_s, ran * service.concurrency, service.service_s, queue, pace_per_s)
    return Served(service, load, found, rate_per_s, ran, queue, answers)


def _answering(service: Service, ran_s: tuple[Floats, Floats], over_s: float) -> tuple[Floats, Floats]:
    """From when until when replicas answer: within the load, and warm; those that begin with it are."""
    cold_s = np.where(ran_s[0] > 0, service.warm_up_s, 0.0)
    begin_s, end_s = np.clip(ran_s[0] + cold_s, 0.0, over_s), np.clip(ran_s[1], 0.0, over_s)
    answers = begin_s < end_s
    return begin_s[answers], end_s[answers]


@dataclass(frozen=True, eq=False, slots=True)
class _Rates:
    """What holds in stretches that no change divides."""

    service: Service
    load: Load
    begins_s: Floats  # ascending
    ends_s: Floats  # ascending

    def ran(self, edges_s: Floats) -> Ints:
        """(N,) replicas that answer."""
        begun, ended = (np.searchsorted(times_s, edges_s[:-1], "right") for times_s in (self.begins_s, self.ends_s))
        return begun - ended

    def at(self, edges_s: Floats) -> tuple[Floats, Floats]:
        """(N,) requests a second that come, and that can be answered."""
        last = len(self.load.per_s) - 1
        middle_s = (edges_s[1:] + edges_s[:-1]) / 2
        step = np.minimum((middle_s / self.load.step_s).astype(np.int64), last)
        per_request = self.service.per_request
        capacity_per_s: Floats = self.ran(edges_s).astype(np.float64) * (self.service.capacity_per_s / per_request)
        rate_per_s: Floats = self.load.per_s[step] / per_request
        return rate_per_s, capacity_per_s
