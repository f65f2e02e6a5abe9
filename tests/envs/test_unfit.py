"""Who can never run, and why: told of those alone."""

from __future__ import annotations

import numpy as np
import pytest

from envs.job_file import JobFile
from envs.replay import Cluster, Share, replay
from envs.unfit import Room, unfit
from envs.workloads import Amounts, JobTable

SHARED = {"a": {"x": Share(8), "y": Share(2)}, "b": {"x": Share(6, lending_limit=2)}}
TOGETHER = {"a": "all", "b": "all"}


def asked(*gpus: float, queue: int = 0, least: tuple[float, ...] = ()) -> JobFile:
    """Jobs that come at once, called after their place."""
    count = len(gpus)
    zeros, inf = np.zeros(count, dtype=np.int64), np.full(count, np.inf)
    table = JobTable(
        ("a", "b"), zeros + queue, np.zeros(count), np.ones(count), _amounts(gpus), zeros, zeros, zeros, inf,
        least_gpus=_amounts(least or gpus),
    )  # fmt: skip
    return JobFile(table, np.arange(1, count + 1).astype(str), ())


def _amounts(gpus: tuple[float, ...]) -> Amounts:
    return np.array(gpus, np.float64) if any(n != int(n) for n in gpus) else np.array(gpus, np.int64)


def room(**nodes: int) -> Room:
    return Room.of(("a", "b"), Cluster(SHARED, TOGETHER, nodes))


def told(found: Room, file: JobFile) -> list[str]:
    return [each.sentence for each in unfit(found, file, np.ones(len(file.table), dtype=np.bool_))]


def test_a_gang_may_have_its_queues_quota_and_what_others_lend() -> None:
    file = asked(10, 11, 12)

    assert told(room(x=100, y=100), file) == [
        "2 jobs of a can never run, such as 2 (11 GPUs): quotas allow its queue no more than 10 GPUs of any flavor, "
        "borrowed ones included"
    ]
    assert told(room(x=100, y=100), asked(14, queue=1)) == []  # its own 6, and 8 of a


def test_a_gang_that_no_flavors_nodes_hold_is_told_how_many_there_are() -> None:
    assert told(room(x=4, y=1), asked(1, 5)) == [
        "1 job of a can never run, such as 2 (5 GPUs): no flavor of its queue ever has more than 4 GPUs"
    ]
    assert told(room(x=0, y=0), asked(0.5)) == [
        "1 job of a can never run, such as 1 (0.5 GPUs): no flavor of its queue ever has more than 0 GPUs"
    ]


def test_nodes_of_one_flavor_and_quota_of_another_are_no_room() -> None:
    assert told(room(x=1, y=8), asked(4)) == [
        "1 job of a can never run, such as 1 (4 GPUs): of no flavor are there both enough nodes and enough quota "
        "(2 GPUs at most)"
    ]


def test_an_elastic_job_can_run_where_its_fewest_gpus_can() -> None:
    assert told(room(x=4, y=0), asked(64, 64, least=(4, 5)))[0].startswith("1 job of a can never run, such as 2 (5 G")


def test_who_ran_all_the_same_is_not_told() -> None:
    file = asked(64)

    assert unfit(room(x=4, y=4), file, np.zeros(1, dtype=np.bool_)) == ()


def test_in_a_strict_queue_those_behind_wait_too() -> None:
    strict = Room.of(("a",), Cluster({"a": {"x": Share(2)}}, strict=frozenset({"a"})))

    assert told(strict, asked(3))[0].endswith("; its queue is StrictFIFO, so all behind it wait too")


@pytest.mark.parametrize("nodes", [{"x": 100, "y": 100}, {"x": 7, "y": 7}, {"x": 1, "y": 100}, {"x": 0, "y": 2}])
def test_alone_on_the_cluster_all_others_run(nodes: dict[str, int]) -> None:
    cluster = Cluster(SHARED, TOGETHER, nodes)

    for queue in (0, 1):
        for gpus in range(1, 20):
            file = asked(gpus, queue=queue)
            started = np.isfinite(replay(file.table, cluster, np.inf).start_s)
            assert bool(told(room(**nodes), file)) is not bool(started[0])


def test_of_a_hundred_thousand_that_cannot_run_each_size_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [11 + nth % 3 for nth in range(100_000)]
    asked_why, why = list[float](), Room.why

    def counted(mine: Room, queue: int, gpus: float) -> str:
        asked_why.append(gpus)
        return why(mine, queue, gpus)

    monkeypatch.setattr(Room, "why", counted)

    sentences = told(room(x=100, y=100), asked(*sizes))

    assert sorted(asked_why) == [11, 12, 13]
    assert [sentence.split(":")[0] for sentence in sentences] == [
        "100,000 jobs of a can never run, such as 1 (11 GPUs)"
    ]
