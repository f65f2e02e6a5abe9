"""The fast replay with quotas against the plain one, job by job."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.replay import Cluster, Replay, Share, Shares, replay
from envs.terms import Speed
from envs.workloads import KINDS, JobTable
from tests.envs.plain_quotas import plain_replay
from tests.envs.test_replay import INF, Job, table

QUEUES = ("a", "b", "c")
LIMITS = st.none() | st.integers(0, 12)
JOBS = st.lists(
    st.tuples(st.sampled_from(QUEUES), st.integers(0, 40), st.integers(0, 30), st.integers(1, 12)), max_size=50
)


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """Three queues, two flavors in any order, some in one cohort, some without nodes for all that is promised."""
    shares: Shares = {
        queue: {
            flavor: Share(draw(st.integers(0, 16)), draw(LIMITS), draw(LIMITS))
            for flavor in draw(st.permutations(["x", "y"]))[: draw(st.integers(0, 2))]
        }
        for queue in QUEUES
    }
    cohorts = {queue: draw(st.sampled_from(["one", "two"])) for queue in QUEUES if draw(st.booleans())}
    installed = {flavor: draw(st.integers(0, 24)) for flavor in ("x", "y") if draw(st.booleans())}
    strict = frozenset(queue for queue in QUEUES if draw(st.booleans()))
    return Cluster(shares, cohorts, installed, strict)


LEAVES: st.SearchStrategy[list[float]] = st.just([]) | st.lists(
    st.just(np.inf) | st.integers(0, 40).map(float), min_size=50, max_size=50
)
"""After how many seconds each job leaves; nothing: none does."""


def leaving(jobs: JobTable, leaves_s: list[float]) -> JobTable:
    return replace(jobs, leaves_s=np.array(leaves_s[: len(jobs)], dtype=np.float64))


SPEEDS = st.dictionaries(
    st.sampled_from(["x", "y"]),
    st.sampled_from([0.5, 1.5, {"training": 2.0, "inference": 0.75}, {"sweep": 3.0}]),
)
KINDS_OF = st.lists(st.integers(0, len(KINDS) - 1), min_size=50, max_size=50)
SHARES = st.lists(st.floats(0.1, 1.2), min_size=50, max_size=50)
"""Of GPUs that a job asks for, that do; a few ask for all of them."""


def elastic(jobs: JobTable, share: list[float], kind: list[int], scaling: float) -> JobTable:
    """The same jobs, of kinds, some of which run with fewer GPUs too."""
    count = len(jobs)
    least = np.ceil(np.minimum(1.0, share[:count]) * jobs.gpus).astype(np.int64)
    return replace(jobs, kind=np.array(kind[:count], dtype=np.int64), least_gpus=least, scaling=np.full(count, scaling))


def alike(fast: Replay, plain: Replay) -> None:
    assert fast.start_s.tolist() == plain.start_s.tolist()
    assert fast.flavor.tolist() == plain.flavor.tolist()
    assert fast.gpus.tolist() == plain.gpus.tolist()
    assert fast.end_s.tolist() == plain.end_s.tolist()


@settings(max_examples=500, deadline=None)
@given(JOBS, clusters(), SHARES, KINDS_OF, SPEEDS, st.sampled_from([1.0, 0.6]), LEAVES)
def test_any_elastic_jobs_start_when_where_and_with_as_many_gpus_as_the_plain_rules_say(
    jobs: list[Job],
    cluster: Cluster,
    share: list[float],
    kind: list[int],
    speed: Mapping[str, Speed],
    scaling: float,
    leaves_s: list[float],
) -> None:
    came = table(sorted(jobs, key=lambda job: job[1]), QUEUES)
    submitted = leaving(elastic(came, share, kind, scaling), leaves_s)
    cluster = replace(cluster, speed=speed)

    fast, plain = replay(submitted, cluster, 1e9), plain_replay(submitted, cluster, 1e9)

    alike(fast, plain)
    ran = fast.gpus > 0
    assert (fast.gpus[ran] >= submitted.least_gpus[ran]).all()
    assert (fast.gpus <= submitted.gpus).all()


@settings(max_examples=600, deadline=None)
@given(JOBS, clusters(), st.lists(st.integers(0, 3), min_size=50, max_size=50), st.sampled_from([20.0, 1e9]), LEAVES)
def test_any_jobs_start_when_and_where_the_plain_rules_say(
    jobs: list[Job], cluster: Cluster, priority: list[int], until_s: float, leaves_s: list[float]
) -> None:
    jobs = sorted(jobs, key=lambda job: job[1])
    submitted = leaving(table(jobs, QUEUES, priority[: len(jobs)]), leaves_s)

    fast, plain = replay(submitted, cluster, until_s), plain_replay(submitted, cluster, until_s)

    alike(fast, plain)


STRICT = Cluster(
    {"a": {"x": Share(8)}, "b": {"x": Share(4)}}, dict.fromkeys("ab", "all"), {"x": 12}, strict=frozenset({"a"})
)
BLOCKED: list[Job] = [("b", 0, 100, 8), ("a", 1, 50, 8), ("b", 2, 10, 4)]
"""The head of a does not fit, and keeps from b what it has a right to."""


@pytest.mark.parametrize(
    ("behind", "starts_s"),
    [
        ([], [0, INF, 20]),  # nobody has the right any more
        ([("a", 3, 10, 4)], [0, INF, 30, 20]),  # the next head goes first, for it need not borrow
        ([("a", 3, 10, 8)], [0, INF, 100, 100]),  # the next head has the same right
    ],
)
def test_when_the_head_of_a_strict_queue_leaves_the_next_is_the_head_and_who_was_kept_out_is_looked_at(
    behind: list[Job], starts_s: list[float]
) -> None:
    count = len(BLOCKED) + len(behind)
    jobs = leaving(table([*BLOCKED, *behind], QUEUES), [19.0 if row == 1 else INF for row in range(count)])

    for ran in (replay(jobs, STRICT, 1e9), plain_replay(jobs, STRICT, 1e9)):
        assert ran.start_s.tolist() == starts_s
        assert ran.end_s[1] == 20


def test_thousands_of_jobs_on_a_busy_cluster_start_when_and_where_the_plain_rules_say() -> None:
    jobs = crowd(5_000)
    busy = Cluster(
        {
            "a": {"own": Share(64), "spot": Share(32, borrowing_limit=16)},
            "b": {"spot": Share(48, lending_limit=16), "own": Share(32)},
            "c": {"own": Share(16)},
        },
        {"a": "all", "b": "all", "c": "all"},
        {"own": 100, "spot": 80},
        frozenset({"b"}),
    )

    fast, plain = replay(jobs, busy, 1e9), plain_replay(jobs, busy, 1e9)

    alike(fast, plain)
    assert (fast.start_s > jobs.submit_s).mean() > 0.3  # or it would prove little


def crowd(count: int) -> JobTable:
    """Jobs of three queues, more than fit at once."""
    rng = np.random.default_rng(8)
    submit_s = np.sort(rng.uniform(0, 90_000, count))
    rows: list[Job] = [
        (str(queue), float(begin), float(lasts), int(gpus))
        for queue, begin, lasts, gpus in zip(
            rng.choice(QUEUES, count, p=[0.5, 0.3, 0.2]),
            submit_s,
            rng.lognormal(6, 1.2, count),
            rng.choice([1, 2, 4, 8, 16], count),
            strict=True,
        )
    ]
    return table(rows, QUEUES, rng.integers(0, 3, count).tolist())
