"""Waits of queues: beside textbooks, beside a plain simulation request by request, and what always holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.loads import Load
from envs.queueing import Answers, by_chance, erlang_c
from envs.served import Served, served
from envs.services import Service, wanted
from envs.workloads import Floats
from tests.envs import plain_queue
from tests.envs.plain_queue import answered_after_s, at_random

HOUR_S = 3_600.0


def run(rates_per_s: list[float], replicas: list[int], span_s: float = 600.0, concurrency: int = 2) -> Served:
    """A service with so many replicas in each span, each of which answers one request a second."""
    service = Service("chat", "q", capacity_per_s=1.0, concurrency=concurrency, target_s=4.0)
    load = Load(span_s, np.array(rates_per_s))
    spans = [(nth * span_s, (nth + 1) * span_s) for nth, count in enumerate(replicas) for _ in range(count)]
    begin_s, end_s = (np.array(times, dtype=np.float64) for times in zip(*spans, strict=True)) if spans else ((), ())
    return served(service, load, wanted(service, load), (np.asarray(begin_s), np.asarray(end_s)))


def test_erlang_c_is_that_of_tables() -> None:
    chance = erlang_c(np.array([1, 2, 3, 10]), np.array([0.5, 1.0, 2.0, 8.0]))

    assert chance == pytest.approx([1 / 2, 1 / 3, 4 / 9, 0.4092], abs=1e-4)


@given(st.integers(1, 3_000), st.floats(0, 0.999))
def test_erlang_c_is_that_of_the_recursion(servers: int, load: float) -> None:
    found = erlang_c(np.array([servers]), np.array([load * servers]))

    assert found[0] == pytest.approx(plain_queue.erlang_c(servers, load * servers), rel=1e-8, abs=1e-14)


def test_who_is_offered_more_than_it_can_do_lets_all_wait() -> None:
    assert erlang_c(np.array([0, 2, 3]), np.array([0.0, 2.0, 7.0])).tolist() == [1.0, 1.0, 1.0]


def test_one_server_answers_as_fast_as_an_exponential_of_what_is_spare() -> None:
    waits, waited_s = by_chance(np.array([0.6]), np.array([1]), 1.0)
    answers = Answers(np.ones(1), np.zeros(1), waits, waited_s, 1.0)

    assert answers.quantile(0.95) == pytest.approx(-np.log(0.05) / (1.0 - 0.6), rel=1e-6)
    assert answers.quantiles(0.95) == pytest.approx([answers.quantile(0.95)], rel=1e-6)


@pytest.mark.parametrize(("replicas", "rate_per_s"), [(1, 0.5), (4, 3.0), (4, 3.6), (20, 17.0), (20, 6.0)])
def test_a_steady_load_is_answered_as_by_a_plain_queue(replicas: int, rate_per_s: float) -> None:
    found = run([rate_per_s] * 24, [replicas] * 24)

    # Of a queue with load r that is seen over n requests the mean strays by sqrt(2 (1 + r) / r / n) / (1 - r) of itself
    # (Whitt 1989, "Planning queueing simulations"): 2 % at most here, where n is of twenty seeds.
    seeds = [plain([rate_per_s] * 24, [replicas] * 24, seed) for seed in range(20)]
    for q, ours_s in ((0.5, found.p50_s), (0.95, found.p95_s), (0.99, found.p99_s)):
        assert ours_s == pytest.approx(float(np.mean([np.quantile(each, q) for each in seeds])), rel=0.06)
    assert found.share_within == pytest.approx(np.mean([(each <= 4.0).mean() for each in seeds]), abs=0.01)


RUSH = ([4.0, 9.0, 12.0, 7.0, 3.0, 3.0], [8, 8, 8, 8, 8, 8])
SLOW = ([2.0, 5.0, 7.0, 7.8, 8.4, 8.8, 8.4, 7.5, 6.0, 4.0, 3.0, 2.0], [8] * 12)
OUTAGE = ([6.0] * 6, [8, 8, 1, 8, 8, 8])


@pytest.mark.parametrize(("rates_per_s", "replicas"), [RUSH, OUTAGE, SLOW])
def test_a_backlog_is_answered_as_by_a_plain_queue(rates_per_s: list[float], replicas: list[int]) -> None:
    found = run(rates_per_s, replicas)

    # By chance 600 s of about 8 requests a second move a backlog by sqrt(2 x 8 x 600) = 98 of them, 12 s of work: of
    # that a fluid knows nothing. A third of it may be left in what is longer, in the mean.
    seeds = [plain(rates_per_s, replicas, seed) for seed in range(20)]
    for q, ours_s in ((0.5, found.p50_s), (0.95, found.p95_s), (0.99, found.p99_s)):
        assert ours_s == pytest.approx(float(np.mean([np.quantile(each, q) for each in seeds])), rel=0.1, abs=4.0)
    assert found.share_within == pytest.approx(np.mean([(each <= 4.0).mean() for each in seeds]), abs=0.05)


def plain(rates_per_s: list[float], replicas: list[int], seed: int, span_s: float = 600.0) -> Floats:
    """Times to answer; where fewer replicas run, servers are taken away by work that nobody asked for."""
    rng = np.random.default_rng(seed)
    came_s = at_random(rng, rates_per_s, span_s)
    servers = 2 * max(replicas)
    takes_s = rng.exponential(2.0, len(came_s))
    gone = [(nth * span_s, span_s) for nth, count in enumerate(replicas) for _ in range(servers - 2 * count)]
    every_s = np.concatenate([[at for at, _ in gone], came_s])
    order = np.argsort(every_s, kind="stable")
    after_s = answered_after_s(every_s[order], np.concatenate([[s for _, s in gone], takes_s])[order], servers)
    return after_s[order >= len(gone)]


def test_without_load_nobody_waits() -> None:
    found = run([0.0, 0.0], [0, 1])

    assert (found.asked, found.most_waiting, found.longest_backlog_s, found.p99_s) == (0.0, 0.0, 0.0, 0.0)
    assert found.share_within == 1.0


def test_a_backlog_grows_with_what_is_too_much_and_is_done_when_it_is_made_up_for() -> None:
    found = run([3.0, 1.0], [2, 2])

    assert found.most_waiting == pytest.approx(600.0)
    assert found.longest_backlog_s == pytest.approx(1_200.0)
    assert found.unanswered == pytest.approx(0.0, abs=1e-6)
    assert found.answers.behind_s.max() == pytest.approx(300.0, abs=15.0)  # 600 requests at two a second


def test_without_replicas_all_wait_and_none_is_lost() -> None:
    found = run([1.0, 1.0], [0, 0])

    assert found.unanswered == pytest.approx(1_200.0)
    assert (found.share_within, found.p50_s) == (0.0, np.inf)


def test_who_comes_while_nobody_answers_is_answered_when_replicas_are_back() -> None:
    found = run([1.0, 0.0], [0, 2])

    assert found.unanswered == pytest.approx(0.0, abs=1e-6)
    assert found.answers.behind_s[0] == pytest.approx(585.0, abs=16.0)  # who comes first waits for the whole outage


rates = st.lists(st.floats(0, 12), min_size=1, max_size=6)


@given(rates, st.data())
def test_a_backlog_conserves_requests(rates_per_s: list[float], data: st.DataObject) -> None:
    replicas = data.draw(st.lists(st.integers(0, 10), min_size=len(rates_per_s), max_size=len(rates_per_s)))

    found = run(rates_per_s, replicas)

    answered = found.backlog.answered
    assert found.backlog.came[-1] == pytest.approx(found.asked)
    assert (np.diff(answered) >= -1e-6).all()
    assert (np.diff(answered) <= found.ran * found.spans_s + 1e-6).all()
    assert (found.backlog.waiting >= 0).all()
    assert answered[-1] + found.unanswered == pytest.approx(found.asked)


@given(rates, st.data())
def test_more_replicas_are_never_slower(rates_per_s: list[float], data: st.DataObject) -> None:
    size = len(rates_per_s)
    few = data.draw(st.lists(st.integers(0, 10), min_size=size, max_size=size))
    more = [count + data.draw(st.integers(0, 4)) for count in few]

    slow, fast = run(rates_per_s, few), run(rates_per_s, more)

    for seconds in (0.5, 2.0, 10.0, 100.0, 1_000.0):
        assert fast.answers.share(seconds) >= slow.answers.share(seconds) - 0.002
    assert fast.most_waiting <= slow.most_waiting + 1e-6
